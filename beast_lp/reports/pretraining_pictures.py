"""Pictures of what a model does with frames: pure functions from arrays to matplotlib figures."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.figure import Figure

from beast_lp.reports.picture_grid import (
    LINE,
    PictureGrid,
    caption_height,
    cell_size,
    displayable,
    write_title,
)
from beast_lp.reports.style import BLUE, SMALL, TEXT, VERMILION, check_counts


def reconstructions(
    originals: Float[np.ndarray, 'n 3 height width'],
    masked: Float[np.ndarray, 'n 3 height width'],
    reconstructed: Float[np.ndarray, 'n 3 height width'],
) -> Figure:
    """Show originals, masked inputs and reconstructions, one example in each row.

    Args:
        originals: RGB pictures in [0, 1], at least one.
        masked: the same pictures with the hidden patches blanked.
        reconstructed: the same pictures with the model's patches filled in; values outside [0, 1]
            are clipped, and pixels that are not finite are red.

    Returns:
        A figure with three axes in a row: original, masked input, reconstruction.

    Raises:
        ValueError: if there is no example, or the three do not have the same shape.
    """
    check_counts(originals=originals, masked=masked, reconstructed=reconstructed)
    if not originals.shape == masked.shape == reconstructed.shape:
        raise ValueError(
            f'shapes differ: {originals.shape}, {masked.shape}, {reconstructed.shape}'
        )
    columns = {'original': originals, 'visible patches': masked, 'reconstruction': reconstructed}
    return _side_by_side(columns, longest=2.0, size=TEXT)


def reconstructions_over_epochs(
    originals: Float[np.ndarray, 'n 3 height width'],
    masked: Float[np.ndarray, 'n 3 height width'],
    snapshots: Mapping[int, UInt8[np.ndarray, 'n 3 height width']],
) -> Figure:
    """Show reconstructions of the same frames over the epochs, one frame in each row.

    Args:
        originals: RGB pictures in [0, 1], at least one.
        masked: the same pictures with the hidden patches blanked.
        snapshots: epochs trained → reconstructions of the same pictures, 0 to 255.

    Returns:
        A figure with the original, the masked input and one column for each snapshot.

    Raises:
        ValueError: if there is no example or no snapshot, or shapes differ.
    """
    check_counts(originals=originals, masked=masked)
    columns = {'original': originals, 'visible patches': masked}
    for epoch, pictures in sorted(snapshots.items()):
        columns[f'epoch {epoch}'] = pictures / 255
    shapes = {pictures.shape for pictures in columns.values()}
    if not snapshots or len(shapes) != 1:
        raise ValueError(f'expected snapshots of the shape of the originals: {sorted(shapes)}')
    return _side_by_side(columns, longest=1.1, size=SMALL)


def reconstructions_of_runs(
    originals: Float[np.ndarray, 'n 3 height width'],
    reconstructed: Mapping[str, Float[np.ndarray, 'n 3 height width']],
) -> Figure:
    """Show what several models make of the same frames, one frame in each row.

    Args:
        originals: RGB pictures in [0, 1], at least one.
        reconstructed: name of the model → its reconstructions, at the size of the originals.

    Returns:
        A figure with the original and one column for each model.
    """
    longest = min(2.0, 8.0 / (1 + len(reconstructed)))
    return _side_by_side({'original': originals, **reconstructed}, longest=longest, size=SMALL)


def retrieval_examples(
    anchors: Float[np.ndarray, 'n 3 height width'],
    nearest: Float[np.ndarray, 'n 3 height width'],
    correct: Bool[np.ndarray, ' n'],
    captions: Sequence[str],
) -> Figure:
    """Show anchors above the pictures whose embeddings are nearest to theirs.

    Args:
        anchors: RGB pictures in [0, 1], at least one.
        nearest: the picture with the most similar embedding, one for each anchor.
        correct: whether that picture is the anchor's own positive, one for each anchor.
        captions: one for each anchor, of one or more lines.

    Returns:
        A figure with two axes for each anchor, eight anchors in a row. The lower picture's frame
        and the word under it say whether it is the positive.

    Raises:
        ValueError: if there is no anchor or the lengths differ.
    """
    check_counts(anchors=anchors, nearest=nearest, correct=correct, captions=captions)
    columns = min(8, len(anchors))
    blocks = -(-len(anchors) // columns)
    cell = cell_size(*anchors.shape[2:], longest=1.5)
    # each block: captions, the anchors, the nearest pictures, a line for the verdicts
    height = caption_height(captions)
    above = [height, 0.0] + [height + LINE + 0.06, 0.0] * (blocks - 1)
    grid = PictureGrid(columns, above, cell, left=0.25, below=LINE + 0.04)
    for index, caption in enumerate(captions):
        block, column = divmod(index, columns)
        upper, lower = grid.add(2 * block, column), grid.add(2 * block + 1, column)
        upper.imshow(displayable(anchors[index]))
        lower.imshow(displayable(nearest[index]))
        write_title(upper, caption, cell[0])
        colour, verdict = (BLUE, 'positive') if correct[index] else (VERMILION, 'other frame')
        lower.spines[:].set(visible=True, color=colour, linewidth=2.5)
        lower.set_xlabel(verdict, fontsize=SMALL, color=colour, fontweight='bold', labelpad=3)
        if column == 0:
            upper.set_ylabel('anchor', fontsize=TEXT)
            lower.set_ylabel('nearest', fontsize=TEXT)
    return grid.figure


def _side_by_side(
    columns: Mapping[str, Float[np.ndarray, 'n 3 height width']],
    longest: float,
    size: float,
) -> Figure:
    """Lay out pictures of the same frames, one titled column per kind and one row per frame."""
    first = next(iter(columns.values()))
    cell = cell_size(*first.shape[2:], longest=longest)
    grid = PictureGrid(len(columns), [LINE + 0.06] + [0.0] * (len(first) - 1), cell)
    for column, (title, pictures) in enumerate(columns.items()):
        for row, picture in enumerate(pictures):
            axes = grid.add(row, column)
            axes.imshow(displayable(picture))
            if row == 0:
                write_title(axes, title, cell[0], size=size)
    return grid.figure
