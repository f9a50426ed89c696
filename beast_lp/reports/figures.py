"""Figures of the pretraining report: pure functions from arrays and tables to matplotlib figures.

Only `matplotlib.figure.Figure` is used, never pyplot: no window system and no global state. The
colours are those of Okabe and Ito, "Color Universal Design" (2008), which colour-blind readers
tell apart; what a colour says is always said a second time, by a line style, a marker or a word.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from sklearn.decomposition import PCA

_BLUE = '#0072B2'
_VERMILION = '#D55E00'
_GREY = '#6B6B6B'
_LIGHT = '#C8C8C8'
# Okabe-Ito without yellow, which is lost on white, and with a darker sky blue
_PALETTE = (_BLUE, '#E69F00', '#009E73', '#CC79A7', '#3FA0D9', _VERMILION)
_MARKERS = ('o', '^')
_NAMED_VIDEOS = len(_PALETTE) * len(_MARKERS)
# one point per epoch is marked up to here; beyond, markers merge into a thick line
_MARKED_POINTS = 40

# width of a map through its height
_MAP_ASPECT = 1.15
_LEGEND_COLUMNS = 3
# inches, without the marker
_LEGEND_TEXT = 2.8

# as files are saved: hinting changes the width of letters with the resolution
_DPI = 120
_SMALL = 7.5
_TEXT = 9.0
# inches
_MARGIN = 0.08
_GAP = 0.06
_LINE = 0.19


def contact_sheet(
    images: UInt8[np.ndarray, 'n height width 3'], captions: Sequence[str], columns: int = 8
) -> Figure:
    """Lay out the anchors of one video as small pictures with captions.

    Args:
        images: RGB pictures, at least one; their aspect ratio is kept.
        captions: one for each picture, of one or more lines; a line that is wider than the picture
            is shortened in the middle.
        columns: pictures in a row.

    Returns:
        A figure with one axes for each picture.

    Raises:
        ValueError: if there is no picture, or not one caption for each.
    """
    _check_counts(images=images, captions=captions)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cell = _cell_size(images.shape[1], images.shape[2], longest=1.5)
    grid = _Grid(columns, [_caption_height(captions)] * rows, cell)
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        axes = grid.add(*divmod(index, columns))
        axes.imshow(image)
        _write_title(axes, caption, cell[0])
    return grid.figure


def reconstructions(
    originals: Float[np.ndarray, 'n 3 height width'],
    masked: Float[np.ndarray, 'n 3 height width'],
    reconstructed: Float[np.ndarray, 'n 3 height width'],
) -> Figure:
    """Show what the model saw and what it made of it, one example in each row.

    Args:
        originals: RGB pictures in [0, 1], at least one.
        masked: the same pictures with the hidden patches blanked.
        reconstructed: the same pictures as the model filled them in; values outside [0, 1] are
            clipped, and pixels that are not finite are red.

    Returns:
        A figure with three axes in a row: original, masked input, reconstruction.

    Raises:
        ValueError: if there is no example, or the three do not have the same shape.
    """
    _check_counts(originals=originals, masked=masked, reconstructed=reconstructed)
    if not originals.shape == masked.shape == reconstructed.shape:
        raise ValueError(
            f'shapes differ: {originals.shape}, {masked.shape}, {reconstructed.shape}'
        )
    cell = _cell_size(*originals.shape[2:], longest=2.0)
    grid = _Grid(3, [_LINE + 0.06] + [0.0] * (len(originals) - 1), cell)
    for column, (title, pictures) in enumerate(
        {
            'original': originals,
            'masked input': masked,
            'reconstruction': reconstructed,
        }.items()
    ):
        for row, picture in enumerate(pictures):
            axes = grid.add(row, column)
            axes.imshow(_displayable(picture))
            if row == 0:
                _write_title(axes, title, cell[0], size=_TEXT)
    return grid.figure


def retrieval_examples(
    anchors: Float[np.ndarray, 'n 3 height width'],
    nearest: Float[np.ndarray, 'n 3 height width'],
    correct: Bool[np.ndarray, ' n'],
    captions: Sequence[str],
) -> Figure:
    """Show anchors above the pictures that the model finds nearest to them.

    Args:
        anchors: RGB pictures in [0, 1], at least one.
        nearest: for each anchor the picture with the most similar embedding.
        correct: whether that picture is the anchor's own positive.
        captions: one for each anchor, of one or more lines.

    Returns:
        A figure with two axes for each anchor, eight anchors in a row. The lower picture's frame
        and the word under it say whether it is the positive.

    Raises:
        ValueError: if there is no anchor or the lengths differ.
    """
    _check_counts(anchors=anchors, nearest=nearest, correct=correct, captions=captions)
    columns = min(8, len(anchors))
    blocks = -(-len(anchors) // columns)
    cell = _cell_size(*anchors.shape[2:], longest=1.5)
    # each block: captions, the anchors, the nearest pictures, a line for the verdicts
    height = _caption_height(captions)
    above = [height, 0.0] + [height + _LINE + 0.06, 0.0] * (blocks - 1)
    grid = _Grid(columns, above, cell, left=0.25, below=_LINE + 0.04)
    for index, caption in enumerate(captions):
        block, column = divmod(index, columns)
        upper, lower = grid.add(2 * block, column), grid.add(2 * block + 1, column)
        upper.imshow(_displayable(anchors[index]))
        lower.imshow(_displayable(nearest[index]))
        _write_title(upper, caption, cell[0])
        colour, verdict = (_BLUE, 'positive') if correct[index] else (_VERMILION, 'other frame')
        lower.spines[:].set(visible=True, color=colour, linewidth=2.5)
        lower.set_xlabel(verdict, fontsize=_SMALL, color=colour, fontweight='bold', labelpad=3)
        if column == 0:
            upper.set_ylabel('anchor', fontsize=_TEXT)
            lower.set_ylabel('nearest', fontsize=_TEXT)
    return grid.figure


def training_curves(metrics: pd.DataFrame) -> Figure:
    """Draw losses, retrieval, learning rate and throughput as small multiples.

    Args:
        metrics: one row for each logged point. Columns, each of which may be absent or NaN: epoch,
            step, train_loss, train_reconstruction, train_contrastive, val_loss,
            val_reconstruction, val_contrastive, val_retrieval and val_retrieval_chance (shares,
            0 to 1), learning_rate, images_per_second, data_wait_share (0 to 1).

    Returns:
        A figure with six panels, and a seventh axes on the right of the throughput panel if
        `data_wait_share` was recorded. The abscissa is the epoch where there is no more than one
        row for each, else the step, else the row number. A loss that spans more than a factor of
        20 is drawn on a logarithmic scale, and its label says so.
    """
    figure = Figure(figsize=(10.5, 5.6), dpi=_DPI, layout='constrained')
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # pyright: ignore
    panels: list[Axes] = list(figure.subplots(2, 3).flat)
    x = _abscissa(metrics)
    losses = {
        'Total loss': ('loss', 'loss'),
        'Reconstruction': ('reconstruction', 'mean squared error'),
        'Contrastive': ('contrastive', 'InfoNCE (nats)'),
    }
    for axes, (title, (name, label)) in zip(panels, losses.items(), strict=False):
        drawn = [
            _draw(axes, metrics, x, f'train_{name}', 'training', _BLUE, 'o-'),
            _draw(axes, metrics, x, f'val_{name}', 'validation', _VERMILION, 's--'),
        ]
        _finish_panel(axes, title, _scale_loss(axes, label, np.concatenate(drawn)), x)
    _draw_retrieval(panels[3], metrics, x)
    _draw(panels[4], metrics, x, 'learning_rate', 'learning rate', _BLUE, 'o-')
    panels[4].yaxis.set_major_formatter(_short_numbers())
    _finish_panel(panels[4], 'Learning rate', 'learning rate', x)
    _draw_throughput(panels[5], metrics, x)
    return figure


def embedding_map(
    embeddings: Float[np.ndarray, 'n dim'],
    video: Sequence[str],
    time: Float[np.ndarray, ' n'],
) -> Figure:
    """Draw the first two principal components of CLS tokens, by video and by time.

    Args:
        embeddings: CLS tokens, at least three finite ones of at least two dimensions; rows that
            are not finite are left out, and the title says how many.
        video: name of each token's video. The twelve with the most tokens have a colour and a
            marker, the others are grey.
        time: where in its video each token's frame lies, 0 (start) to 1 (end).

    Returns:
        A figure with two maps of the same points and a colour bar.

    Raises:
        ValueError: if the lengths differ or there is too little to draw.
    """
    _check_counts(embeddings=embeddings, video=video, time=time)
    finite = np.asarray(np.isfinite(embeddings).all(axis=1))
    if finite.sum() < 3 or embeddings.shape[1] < 2:
        raise ValueError(f'a map needs 3 finite tokens of 2 dimensions: {embeddings.shape}')
    pca = PCA(n_components=2, random_state=0)
    # equal tokens have no variance to share out
    with np.errstate(invalid='ignore'):
        points = pca.fit_transform(np.asarray(embeddings[finite], dtype=np.float64))
    names = [name for name, keep in zip(video, finite, strict=True) if keep]

    handles, texts = _legend_entries(names)
    figure, left, right, bar_axes = _map_axes(-(-len(texts) // _LEGEND_COLUMNS))
    left_out = len(finite) - len(points)
    note = f' ({left_out} not finite, left out)' if left_out else ''
    _scatter_by_video(left, points, names)
    _add_legend(figure, handles, texts)
    left.set_title(f'{len(points)} CLS tokens by video{note}', loc='left', fontsize=_TEXT + 1)
    dots = right.scatter(*points.T, c=time[finite], cmap='cividis', vmin=0, vmax=1, s=14, lw=0)
    right.set_title('the same by time within the video', loc='left', fontsize=_TEXT + 1)
    bar = figure.colorbar(dots, cax=bar_axes, format=PercentFormatter(1.0))
    bar.set_label('time elapsed in the video', fontsize=_TEXT)
    bar.ax.tick_params(labelsize=_SMALL)
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    # both components are in the same unit: distances on the map shall be distances
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = np.ptp(points, axis=0) / 2 / (_MAP_ASPECT, 1.0)
    reach = 1.06 * (reach.max() or 1.0) * np.array((_MAP_ASPECT, 1.0))
    for axes in (left, right):
        axes.set(
            aspect='equal',
            xlim=(centre[0] - reach[0], centre[0] + reach[0]),
            ylim=(centre[1] - reach[1], centre[1] + reach[1]),
        )
        axes.yaxis.set_major_formatter(_short_numbers())
        axes.set_xlabel(f'component 1 ({shares[0]:.0%} of variance)', fontsize=_TEXT)
        axes.set_ylabel(f'component 2 ({shares[1]:.0%} of variance)', fontsize=_TEXT)
        _style(axes)
    return figure

def reconstructions_over_epochs(
    originals: Float[np.ndarray, 'n 3 height width'],
    masked: Float[np.ndarray, 'n 3 height width'],
    snapshots: Mapping[int, UInt8[np.ndarray, 'n 3 height width']],
) -> Figure:
    """Show how the same frames were filled in as training went on, one frame in each row.

    Args:
        originals: RGB pictures in [0, 1], at least one.
        masked: the same pictures with the hidden patches blanked.
        snapshots: epochs trained → the same pictures as the model filled them in, 0 to 255.

    Returns:
        A figure with the original, the masked input and one column for each snapshot.

    Raises:
        ValueError: if there is no example or no snapshot, or shapes differ.
    """
    _check_counts(originals=originals, masked=masked)
    columns = {'original': originals, 'masked input': masked}
    for epoch, pictures in sorted(snapshots.items()):
        columns[f'epoch {epoch}'] = pictures / 255
    shapes = {pictures.shape for pictures in columns.values()}
    if not snapshots or len(shapes) != 1:
        raise ValueError(f'expected snapshots of the shape of the originals: {sorted(shapes)}')
    cell = _cell_size(*originals.shape[2:], longest=1.1)
    grid = _Grid(len(columns), [_LINE + 0.06] + [0.0] * (len(originals) - 1), cell)
    for column, (title, pictures) in enumerate(columns.items()):
        for row, picture in enumerate(pictures):
            axes = grid.add(row, column)
            axes.imshow(_displayable(picture))
            if row == 0:
                _write_title(axes, title, cell[0])
    return grid.figure


def probe_curve(metrics: pd.DataFrame) -> Figure:
    """Draw the error of the probe over training, with what it must be compared to.

    Args:
        metrics: one row per epoch with `probe_px`, `probe_constant_px` and `probe_start_px` (NaN
            where it was not measured).

    Returns:
        A figure of one panel, in pixels of the original images.
    """
    figure = Figure(figsize=(6.0, 3.4), dpi=_DPI, layout='constrained')
    axes = figure.subplots()
    measured = metrics.dropna(subset=['probe_px'])
    x = _abscissa(measured)
    _draw(axes, measured, x, 'probe_px', 'frozen features, ridge regression', _BLUE, 'o-')
    for column, label, colour, style in (
        ('probe_start_px', 'with the initial weights', _VERMILION, '--'),
        ('probe_constant_px', 'constant prediction', _GREY, ':'),
    ):
        values = _numbers(measured, column)
        if np.isfinite(values).any():
            axes.axhline(float(np.nanmean(values)), color=colour, linestyle=style, label=label)
    axes.set_ylim(bottom=0)
    _finish_panel(axes, 'Keypoints from frozen features', 'mean error (px)', x)
    return figure


def tuning(table: pd.DataFrame) -> Figure:
    """Draw what the short runs with different contrastive weights came to.

    Args:
        table: one row per run with `contrastive_weight`, `probe_px`,
            `val_cls_retrieval`, `val_reconstruction` (NaN where not measured) and `chosen`.

    Returns:
        A figure with one panel for each measure; the chosen run has a ring.
    """
    panels = {
        'probe_px': 'probe: mean error (px)', 'val_cls_retrieval': 'positives found (share)',
        'val_reconstruction': 'reconstruction (MSE)',
    }
    figure = Figure(figsize=(10.5, 3.0), dpi=_DPI, layout='constrained')
    # weights span orders of magnitude and may be 0, so they stand side by side as names
    table = table.sort_values('contrastive_weight').reset_index(drop=True)
    places = np.arange(len(table), dtype=np.float64)
    for axes, (column, label) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        values = _numbers(table, column)
        if np.isfinite(values).any():
            axes.plot(places, values, 'o-', color=_BLUE, markersize=4)
            chosen = table['chosen'].to_numpy(bool)
            axes.plot(places[chosen], values[chosen], 'o', color=_VERMILION, markersize=11,
                      fillstyle='none', label='chosen')
            axes.set_xticks(places, [f'{w:g}' for w in table['contrastive_weight']])
            axes.legend(fontsize=_SMALL, frameon=False)
            axes.set_xlabel('contrastive weight (lambda)', fontsize=_TEXT)
            axes.set_ylabel(label, fontsize=_TEXT)
            _style(axes)
        else:
            _finish_panel(axes, '', label, _Abscissa(places, 'contrastive weight (lambda)'))
    return figure


@dataclass
class _Grid:
    """A figure of equal cells, laid out in inches so that no margin depends on their number."""

    columns: int
    # inches that each row keeps free above itself
    above: list[float]
    # inches, (width, height)
    cell: tuple[float, float]
    left: float = 0.0
    below: float = 0.0
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        self.figure = Figure(figsize=self._size(), dpi=_DPI)

    def _size(self) -> tuple[float, float]:
        width = 2 * _MARGIN + self.left + self.columns * (self.cell[0] + _GAP) - _GAP
        rows = len(self.above)
        height = 2 * _MARGIN + sum(self.above) + self.below + rows * (self.cell[1] + _GAP) - _GAP
        return width, height

    def add(self, row: int, column: int) -> Axes:
        """Add the bare axes of one cell."""
        width, height = self._size()
        x = _MARGIN + self.left + column * (self.cell[0] + _GAP)
        top = _MARGIN + sum(self.above[: row + 1]) + row * (self.cell[1] + _GAP)
        y = height - top - self.cell[1]
        axes = self.figure.add_axes(
            (x / width, y / height, self.cell[0] / width, self.cell[1] / height)
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes


def _check_counts(**columns: Sequence[str] | Shaped[np.ndarray, '...']) -> None:
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f'expected the same number of items, at least one, in each: {counts}')


def _caption_height(captions: Sequence[str]) -> float:
    """Return the inches above a row of pictures that the longest caption needs."""
    return _LINE + 0.125 * max(caption.count('\n') for caption in captions)


def _cell_size(height: int, width: int, longest: float) -> tuple[float, float]:
    """Return (width, height) in inches of a picture whose longer side is `longest` inches."""
    scale = longest / max(height, width)
    return width * scale, height * scale


def _displayable(
    picture: Float[np.ndarray, '3 height width'],
) -> Float[np.ndarray, 'height width 3']:
    """Return a picture as imshow wants it; pixels that are not finite become red."""
    pixels = np.moveaxis(picture, 0, -1)
    broken = ~np.isfinite(pixels).all(axis=-1, keepdims=True)
    return np.where(broken, (1.0, 0.0, 0.0), np.clip(np.nan_to_num(pixels), 0, 1))


def _write_title(axes: Axes, text: str, width: float, size: float = _SMALL) -> None:
    """Put a caption above a picture, its lines shortened to the picture's width (inches)."""
    # a little less than the width, so that neighbours stay apart
    lines = [_shorten(line, 0.97 * width, size) for line in text.split('\n')]
    title = axes.set_title('\n'.join(lines), fontsize=size, pad=3)
    _as_it_stands(title)


def _as_it_stands(text: Text) -> None:
    """Keep a file name with two dollar signs from being read as a formula."""
    text.set_parse_math(False)


def _shorten(text: str, width: float, size: float) -> str:
    """Replace the middle of a text by an ellipsis until it fits into `width` inches.

    Control characters and what cannot be encoded (undecodable bytes of a file name) are written
    as escapes, since a font has no glyph for them.
    """
    text = text.encode('utf-8', 'backslashreplace').decode()
    text = re.sub(r'[\x00-\x1f\x7f]', lambda match: repr(match[0])[1:-1], text)
    font = FontProperties(size=size)
    renderer = RendererAgg(1, 1, _DPI)

    def inches(candidate: str) -> float:
        return renderer.get_text_width_height_descent(candidate, font, ismath=False)[0] / _DPI

    shortened, kept = text, len(text)
    while kept > 2 and inches(shortened) > width:
        kept -= 1
        shortened = f'{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}'
    return shortened


@dataclass(frozen=True)
class _Abscissa:
    values: Float[np.ndarray, ' rows']
    label: str


def _shorten_apart(texts: Sequence[str], width: float, size: float) -> list[str]:
    """Shorten different texts to `width` inches, and keep what tells them apart if possible.

    Names of sessions often begin and end alike and differ in the middle, which `_shorten` drops.
    """
    shortened = [_shorten(text, width, size) for text in texts]
    if len(set(shortened)) == len(shortened):
        return shortened
    start = len(os.path.commonprefix(list(texts)))
    rests = [text[start:] for text in texts]
    end = len(os.path.commonprefix([rest[::-1] for rest in rests]))
    middles = [f'…{rest[: len(rest) - end]}…' for rest in rests]
    return [_shorten(middle, width, size) for middle in middles]


def _short_numbers() -> FuncFormatter:
    return FuncFormatter(lambda value, _: f'{value:.4g}')


def _abscissa(metrics: pd.DataFrame) -> _Abscissa:
    """Choose the column that orders the rows; see `training_curves`."""
    for column in ('epoch', 'step'):
        if column in metrics:
            values = _numbers(metrics, column)
            if np.isfinite(values).all() and len(np.unique(values)) == len(values):
                return _Abscissa(values, column)
    return _Abscissa(np.arange(len(metrics), dtype=np.float64), 'row of the table')


def _numbers(metrics: pd.DataFrame, column: str) -> Float[np.ndarray, ' rows']:
    """Return a column as numbers, NaN where it or a value is absent."""
    if column not in metrics:
        return np.full(len(metrics), np.nan)
    return np.asarray(metrics[column].astype('float64'))


def _draw(
    axes: Axes,
    metrics: pd.DataFrame,
    x: _Abscissa,
    column: str,
    label: str,
    colour: str,
    style: str,
) -> Float[np.ndarray, ' points']:
    """Draw the finite values of a column and return them; say how many are infinite."""
    y = _numbers(metrics, column)
    finite = np.isfinite(y)
    infinite = int(np.isinf(y).sum())
    if infinite:
        label = f'{label} ({infinite} infinite, not drawn)'
    if finite.any() or infinite:
        few = finite.sum() <= _MARKED_POINTS
        axes.plot(
            x.values[finite],
            y[finite],
            style if few else style[1:],
            color=colour,
            label=label,
            markersize=3.5,
            linewidth=1.5,
        )
    return y[finite]


def _scale_loss(axes: Axes, label: str, values: Float[np.ndarray, ' points']) -> str:
    """Choose a loss panel's scale and return its label."""
    if len(values) and values.min() > 0 and values.max() / values.min() > 20:
        axes.set_yscale('log')
        return f'{label} (log scale)'
    axes.ticklabel_format(axis='y', useOffset=False)
    return label


def _draw_retrieval(
    axes: Axes, metrics: pd.DataFrame, x: _Abscissa
) -> None:
    _draw(axes, metrics, x, 'val_retrieval', 'validation', _VERMILION, 's--')
    chance = _numbers(metrics, 'val_retrieval_chance')
    levels = np.unique(chance[np.isfinite(chance)])
    if len(levels) == 1:
        axes.axhline(levels[0], color=_GREY, linestyle=':', linewidth=1.5, label='chance')
    elif len(levels):
        _draw(axes, metrics, x, 'val_retrieval_chance', 'chance', _GREY, '.:')
    if axes.lines:
        axes.set_ylim(0, max(0.05, min(1.03, axes.get_ylim()[1])))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _finish_panel(axes, 'Retrieval of the positive', 'positives found (%)', x)


def _draw_throughput(
    axes: Axes, metrics: pd.DataFrame, x: _Abscissa
) -> None:
    _draw(axes, metrics, x, 'images_per_second', 'throughput', _BLUE, 'o-')
    if len(axes.lines):
        axes.set_ylim(bottom=0)
    _finish_panel(axes, 'Throughput', 'images per second', x)
    if not np.isfinite(_numbers(metrics, 'data_wait_share')).any():
        return
    waiting = axes.twinx()
    _draw(waiting, metrics, x, 'data_wait_share', 'waiting for data', _VERMILION, 's--')
    waiting.set_ylim(0, 1.03)
    waiting.yaxis.set_major_formatter(PercentFormatter(1.0))
    waiting.set_ylabel('time waiting for data (%)', fontsize=_TEXT, color=_VERMILION)
    waiting.tick_params(labelsize=_SMALL, labelcolor=_VERMILION)
    waiting.spines['top'].set_visible(False)
    axes.yaxis.label.set_color(_BLUE)
    axes.tick_params(axis='y', labelcolor=_BLUE)


def _finish_panel(axes: Axes, title: str, label: str, x: _Abscissa) -> None:
    """Give a panel its texts and, if nothing was drawn, say so."""
    axes.set_title(title, loc='left', fontsize=_TEXT + 1)
    axes.set_xlabel(x.label, fontsize=_TEXT)
    axes.set_ylabel(label, fontsize=_TEXT)
    _style(axes)
    if not axes.lines:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5,
            0.5,
            'not recorded',
            transform=axes.transAxes,
            ha='center',
            va='center',
            fontsize=_TEXT,
            color=_GREY,
        )
        return
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    # the same stretch in every panel, whatever was recorded when
    first, last = x.values.min(), x.values.max()
    edge = 0.05 * (last - first) or 0.5
    axes.set_xlim(first - edge, last + edge)
    if len(axes.lines) > 1 or 'infinite' in str(axes.lines[0].get_label()):
        axes.legend(fontsize=_SMALL, frameon=False)


def _style(axes: Axes) -> None:
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(labelsize=_SMALL)
    axes.grid(color=_LIGHT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def _map_axes(legend_rows: int) -> tuple[Figure, Axes, Axes, Axes]:
    """Return a figure with axes for two maps and a colour bar, and room for a legend below.

    Laid out in inches: constrained layout cuts off titles where a fixed aspect ratio meets a
    legend outside of the axes (seen with matplotlib 3.11).
    """
    map_width = 3.95
    map_height = map_width / _MAP_ASPECT
    below = 0.55 + 0.18 * legend_rows + 0.15
    width, height = 10.5, below + map_height + 0.35
    figure = Figure(figsize=(width, height), dpi=_DPI)
    bottom, tall = below / height, map_height / height
    left, right, bar = (
        figure.add_axes((start / width, bottom, wide / width, tall))
        for start, wide in ((0.82, map_width), (5.57, map_width), (9.62, 0.12))
    )
    return figure, left, right, bar


def _name_videos(names: Sequence[str]) -> tuple[list[str], set[str]]:
    """Return the videos that get a colour (sorted) and the others."""
    ranked = [name for name, _ in Counter(names).most_common()]
    return sorted(ranked[:_NAMED_VIDEOS]), set(ranked[_NAMED_VIDEOS:])


def _look(index: int) -> tuple[str, str]:
    """Return the colour and the marker of a named video."""
    return _PALETTE[index % len(_PALETTE)], _MARKERS[index // len(_PALETTE)]


def _scatter_by_video(
    axes: Axes, points: Float[np.ndarray, 'n 2'], names: Sequence[str]
) -> None:
    """Draw the points of each video in its colour and marker, those without one below."""
    named, others = _name_videos(names)
    hidden = np.array([name in others for name in names])
    if others:
        axes.scatter(*points[hidden].T, s=14, color=_LIGHT, lw=0)
    for index, name in enumerate(named):
        colour, marker = _look(index)
        own = np.array([other == name for other in names])
        axes.scatter(*points[own].T, s=16, color=colour, marker=marker, lw=0, alpha=0.8)


def _legend_entries(names: Sequence[str]) -> tuple[list[Line2D], list[str]]:
    named, others = _name_videos(names)
    looks = [_look(index) for index in range(len(named))]
    texts = _shorten_apart(named, _LEGEND_TEXT, _SMALL)
    if others:
        looks.append((_LIGHT, 'o'))
        texts.append(f'{len(others)} other videos')
    handles = [
        Line2D([], [], linestyle='none', marker=marker, color=colour, markersize=5)
        for colour, marker in looks
    ]
    return handles, texts


def _add_legend(figure: Figure, handles: list[Line2D], texts: list[str]) -> None:
    """Put a legend into the lower left corner."""
    # matplotlib drops labels that begin with '_', which a file name may: the texts are set after
    legend = figure.legend(
        handles,
        [' '] * len(handles),
        loc='lower left',
        bbox_to_anchor=(0.3 / figure.get_figwidth(), 0),
        ncols=_LEGEND_COLUMNS,
        fontsize=_SMALL,
        frameon=False,
        handletextpad=0.2,
    )
    for text, content in zip(legend.get_texts(), texts, strict=True):
        text.set_text(content)
        _as_it_stands(text)
