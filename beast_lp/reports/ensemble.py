"""Pixel error against the disagreement of an ensemble: the comparison of the BEAST paper.

Models of one architecture that differ by their seed agree where a keypoint is easy. Their standard
deviation therefore sorts the labelled keypoints by difficulty without looking at the labels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from beast_lp.reports.page import Section, save_figure, write_page
from beast_lp.reports.style import DPI, PALETTE, SMALL, keep_verbatim, label_axes
from beast_lp.runs.files import write_table

THRESHOLDS = 101
# share of the keypoints, those on which the models disagree most, that the summary calls hard
HARD = 0.1
# curves end where fewer keypoints are left than make a mean
LEAST_KEYPOINTS = 10


class ErrorCurve(NamedTuple):
    """Mean errors of the keypoints whose spread is at or above each threshold."""

    keypoints: Int[np.ndarray, ' thresholds']
    # px, over keypoints and models; NaN where no keypoint is left
    mean: Float[np.ndarray, ' thresholds']
    # px, standard deviation over the models' own means
    deviation: Float[np.ndarray, ' thresholds']


def ensemble_spread(
    predictions: Float[np.ndarray, 'models frames keypoints 2'],
) -> Float[np.ndarray, 'frames keypoints']:
    """Return the standard deviation of an ensemble, as a distance.

    Args:
        predictions: x and y of every model, px.

    Returns:
        px; the root of the summed variances of x and y.
    """
    return np.sqrt(predictions.var(axis=0).sum(axis=-1))


def error_curve(
    errors: Float[np.ndarray, 'models frames keypoints'],
    spread: Float[np.ndarray, 'frames keypoints'],
    thresholds: Float[np.ndarray, ' thresholds'],
) -> ErrorCurve:
    """Average errors over the keypoints whose spread is at or above each threshold.

    Args:
        errors: px, NaN where a keypoint is not labelled; such ones do not count.
        spread: of the ensemble, px.
        thresholds: px, in any order.
    """
    labelled = np.isfinite(errors).all(axis=0)
    order = np.argsort(spread[labelled], kind='stable')[::-1]
    ordered = spread[labelled][order]
    # sums[k] is over the k keypoints with the largest spread
    sums = np.cumsum(errors[:, labelled][:, order], axis=1)
    sums = np.concatenate([np.zeros((len(errors), 1)), sums], axis=1)
    keypoints = len(ordered) - np.searchsorted(ordered[::-1], thresholds, side='left')
    means = sums[:, keypoints] / np.where(keypoints, keypoints, np.nan)
    return ErrorCurve(keypoints, means.mean(axis=0), means.std(axis=0))


def curve_table(
    errors: Mapping[str, Float[np.ndarray, 'models frames keypoints']],
    spreads: Mapping[str, Float[np.ndarray, 'frames keypoints']],
) -> pd.DataFrame:
    """Return the curve of every backbone, over thresholds that all share.

    Args:
        errors: px, of each backbone; the same keypoints are labelled in all.
        spreads: of the ensemble that each backbone is drawn against, px.

    Returns:
        `backbone`, `threshold_px`, `keypoints`, `share` of the labelled ones, `error_px`,
        `seed_deviation_px`.
    """
    labelled = np.isfinite(next(iter(errors.values()))).all(axis=0)
    highest = max(float(spread[labelled].max()) for spread in spreads.values())
    thresholds = np.linspace(0, highest, THRESHOLDS)
    tables = []
    for name, values in errors.items():
        curve = error_curve(values, spreads[name], thresholds)
        tables.append(
            pd.DataFrame(
                {
                    'backbone': name,
                    'threshold_px': thresholds,
                    'keypoints': curve.keypoints,
                    'share': curve.keypoints / labelled.sum(),
                    'error_px': curve.mean,
                    'seed_deviation_px': curve.deviation,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def summary_table(
    errors: Mapping[str, Float[np.ndarray, 'models frames keypoints']],
    spreads: Mapping[str, Float[np.ndarray, 'frames keypoints']],
) -> pd.DataFrame:
    """Return the mean error of every backbone, of all keypoints and of the hardest tenth.

    Args:
        errors: as for `curve_table`.
        spreads: likewise.
    """
    rows = []
    for name, values in errors.items():
        labelled = np.isfinite(values).all(axis=0)
        hard = float(np.quantile(spreads[name][labelled], 1 - HARD))
        curve = error_curve(values, spreads[name], np.array([0.0, hard]))
        rows.append(
            {
                'backbone': name,
                'models': len(values),
                'error_px': curve.mean[0],
                'seed_deviation_px': curve.deviation[0],
                'hard_error_px': curve.mean[1],
                'hard_seed_deviation_px': curve.deviation[1],
                'hard_keypoints': curve.keypoints[1],
            }
        )
    return pd.DataFrame(rows)


def curves_figure(table: pd.DataFrame) -> Figure:
    """Draw error against threshold, a line per backbone, over the share of keypoints left.

    Args:
        table: as `curve_table` returns it.
    """
    figure = Figure(figsize=(6.4, 5.6), dpi=DPI, layout='constrained')
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    styles = ('-', '--', '-.', ':')
    for number, (_, rows) in enumerate(table.groupby('backbone', sort=False)):
        shown = rows[rows['keypoints'] >= min(LEAST_KEYPOINTS, rows['keypoints'].max())]
        look = {'color': PALETTE[number % len(PALETTE)], 'ls': styles[number % len(styles)]}
        x, y = shown['threshold_px'], shown['error_px']
        upper.plot(x, y, lw=1.8, label=str(number), **look)
        upper.fill_between(
            x,
            y - shown['seed_deviation_px'],
            y + shown['seed_deviation_px'],
            color=look['color'],
            alpha=0.15,
            lw=0,
        )
        lower.plot(x, shown['share'], lw=1.5, **look)
    label_axes(
        upper,
        '',
        'mean pixel error (px)',
        'Keypoints on which the models disagree at least so much',
    )
    label_axes(lower, 'standard deviation of the ensemble (px)', 'share left', '')
    upper.set_ylim(bottom=0)
    lower.set_ylim(0, 1.02)
    names = table['backbone'].unique()
    legend = upper.legend(fontsize=SMALL, frameon=False)
    for text, name in zip(legend.get_texts(), names, strict=True):
        # written late: a leading underscore would hide a name, and a dollar sign is no formula
        keep_verbatim(text)
        text.set_text(name)
    return figure


def write_comparison(
    output_dir: Path,
    curves: pd.DataFrame,
    summary: pd.DataFrame,
    compared: Sequence[str],
) -> Path:
    """Write `curves.csv`, `summary.csv`, `figures/error_curves.png` and `report.html`.

    Args:
        output_dir: gets the files.
        curves: as `curve_table` returns it.
        summary: as `summary_table` returns it.
        compared: sentences on what was compared.

    Returns:
        the path of the page.
    """
    for name, table in (('curves.csv', curves), ('summary.csv', summary)):
        write_table(table, output_dir / name)
    figure = curves_figure(curves)
    save_figure(figure, output_dir / 'figures' / 'error_curves.png')
    page = output_dir / 'report.html'
    write_page(
        page,
        'Pixel error against ensemble disagreement',
        [
            Section('What was compared', '\n\n'.join(compared)),
            Section(
                'All keypoints, and the hardest',
                f'Hard are the {HARD:.0%} on which the models disagree most. The deviations '
                'are those of the means of single models: differences that are not '
                'larger say nothing.',
                table=summary,
            ),
            Section(
                'Error of what is hard',
                'The further to the right, the harder the keypoints that a mean is taken over; '
                'at 0 it is over all of them. Lower is better. Bands are one standard '
                'deviation of the single models; lines end where fewer than '
                f'{LEAST_KEYPOINTS} keypoints are left.',
                figure=figure,
            ),
        ],
    )
    return page
