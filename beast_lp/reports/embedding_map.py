"""The map of CLS tokens: a pure function from arrays to a matplotlib figure."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from sklearn.decomposition import PCA

from beast_lp.reports.style import (
    DPI,
    LIGHT,
    PALETTE,
    SMALL,
    TEXT,
    add_legend,
    check_counts,
    label_axes,
    short_ticks,
    shorten_apart,
)

_MARKERS = ('o', '^')
_NAMED_VIDEOS = len(PALETTE) * len(_MARKERS)
# width of a map divided by its height
_MAP_ASPECT = 1.15
_LEGEND_COLUMNS = 3
# inches, without the marker
_LEGEND_TEXT = 2.8


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
        time: position of each token's frame in its video, 0 (start) to 1 (end).

    Returns:
        A figure with two maps of the same points and a colour bar.

    Raises:
        ValueError: if the lengths differ or there is too little to draw.
    """
    check_counts(embeddings=embeddings, video=video, time=time)
    finite = np.asarray(np.isfinite(embeddings).all(axis=1))
    if finite.sum() < 3 or embeddings.shape[1] < 2:
        raise ValueError(f'a map needs 3 finite tokens of 2 dimensions: {embeddings.shape}')
    pca = PCA(n_components=2, random_state=0)
    # equal tokens have no variance, and their shares of it are not a number
    with np.errstate(invalid='ignore'):
        points = pca.fit_transform(np.asarray(embeddings[finite], dtype=np.float64))
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    names = [name for name, keep in zip(video, finite, strict=True) if keep]

    handles, texts = _legend_entries(names)
    figure, left, right, bar_axes = _map_axes(-(-len(texts) // _LEGEND_COLUMNS))
    left_out = len(finite) - len(points)
    note = f' ({left_out} not finite, left out)' if left_out else ''
    _scatter_by_video(left, points, names)
    add_legend(
        figure,
        handles,
        texts,
        loc='lower left',
        bbox_to_anchor=(0.3 / figure.get_figwidth(), 0),
        ncols=_LEGEND_COLUMNS,
        handletextpad=0.2,
    )
    dots = right.scatter(*points.T, c=time[finite], cmap='cividis', vmin=0, vmax=1, s=14, lw=0)
    bar = figure.colorbar(dots, cax=bar_axes, format=PercentFormatter(1.0))
    bar.set_label('time elapsed in the video', fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL)
    # both components have the same unit, so distances on the map are distances between tokens
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = np.ptp(points, axis=0) / 2 / (_MAP_ASPECT, 1.0)
    reach = 1.06 * (reach.max() or 1.0) * np.array((_MAP_ASPECT, 1.0))
    for axes, title in (
        (left, f'{len(points)} frames by video{note}'),
        (right, 'the same frames by time in the video'),
    ):
        axes.set(
            aspect='equal',
            xlim=(centre[0] - reach[0], centre[0] + reach[0]),
            ylim=(centre[1] - reach[1], centre[1] + reach[1]),
        )
        axes.yaxis.set_major_formatter(short_ticks())
        label_axes(
            axes,
            f'component 1 ({shares[0]:.0%} of variance)',
            f'component 2 ({shares[1]:.0%} of variance)',
            title,
        )
    return figure


def _map_axes(legend_rows: int) -> tuple[Figure, Axes, Axes, Axes]:
    """Return a figure with axes for two maps and a colour bar, and room for a legend below.

    Laid out in inches: constrained layout cuts off titles where a fixed aspect ratio meets a
    legend outside of the axes (seen with matplotlib 3.11).
    """
    map_width = 3.95
    map_height = map_width / _MAP_ASPECT
    below = 0.55 + 0.18 * legend_rows + 0.15
    width, height = 10.5, below + map_height + 0.35
    figure = Figure(figsize=(width, height), dpi=DPI)
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
    return PALETTE[index % len(PALETTE)], _MARKERS[index // len(PALETTE)]


def _scatter_by_video(axes: Axes, points: Float[np.ndarray, 'n 2'], names: Sequence[str]) -> None:
    """Draw the points of each video in its colour and marker, those without one below."""
    named, others = _name_videos(names)
    hidden = np.array([name in others for name in names])
    if others:
        axes.scatter(*points[hidden].T, s=14, color=LIGHT, lw=0)
    for index, name in enumerate(named):
        colour, marker = _look(index)
        own = np.array([other == name for other in names])
        axes.scatter(*points[own].T, s=16, color=colour, marker=marker, lw=0, alpha=0.8)


def _legend_entries(names: Sequence[str]) -> tuple[list[Line2D], list[str]]:
    named, others = _name_videos(names)
    looks = [_look(index) for index in range(len(named))]
    texts = shorten_apart(named, _LEGEND_TEXT, SMALL)
    if others:
        looks.append((LIGHT, 'o'))
        texts.append(f'{len(others)} other videos')
    handles = [
        Line2D([], [], linestyle='none', marker=marker, color=colour, markersize=5)
        for colour, marker in looks
    ]
    return handles, texts
