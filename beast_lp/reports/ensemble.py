"""Pixel error against the disagreement of an ensemble: the comparison of the BEAST paper.

Models of one architecture that differ by their seed agree where a keypoint is easy. Their standard
deviation therefore sorts the labelled keypoints by difficulty without using the labels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from beast_lp.reports.page import Section, write_report
from beast_lp.reports.run_warnings import warnings_of
from beast_lp.reports.style import PALETTE, add_legend, label_axes, new_figure, three_digits
from beast_lp.runs.files import write_table

THRESHOLDS = 101
# share of the keypoints that the summary calls hard: those with the largest spread
HARD = 0.1
# column of the summary -> its words on the page
_WORDS = {
    'error_px': 'error (px)',
    'seed_deviation_px': 'SD (px)',
    'hard_error_px': 'hard: error (px)',
    'hard_seed_deviation_px': 'hard: SD (px)',
    'hard_keypoints': 'hard keypoints',
}
# curves end where fewer keypoints are left, too few for a mean
LEAST_KEYPOINTS = 10


class ErrorCurve(NamedTuple):
    """Mean errors of the keypoints whose spread is at or above each threshold.

    Attributes:
        keypoints: number of labelled keypoints left at each threshold.
        mean: px, over keypoints and models; NaN where no keypoint is left.
        deviation: px, standard deviation over the models' own means.
    """

    keypoints: Int[np.ndarray, ' thresholds']
    mean: Float[np.ndarray, ' thresholds']
    deviation: Float[np.ndarray, ' thresholds']


def ensemble_spread(
    predictions: Float[np.ndarray, 'models frames keypoints 2'],
) -> Float[np.ndarray, 'frames keypoints']:
    """Return the standard deviation of an ensemble, as a distance.

    Args:
        predictions: x and y predicted by every model, px.

    Returns:
        The root of the summed variances of x and y, px.

    Examples:
        >>> ensemble_spread(np.array([[[[3.0, 4.0]]], [[[-3.0, -4.0]]]]))
        array([[5.]])
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
        spread: standard deviation of the ensemble, px.
        thresholds: px, in any order.

    Examples:
        >>> errors, spread = np.array([[[1.0, 2.0, 6.0]]]), np.array([[0.5, 1.0, 2.0]])
        >>> curve = error_curve(errors, spread, np.array([0.0, 1.0]))
        >>> curve.keypoints.tolist(), curve.mean.tolist()
        ([3, 2], [3.0, 4.0])
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
    """Return the curve of every backbone, over common thresholds.

    Args:
        errors: backbone → errors, px; the same keypoints are labelled in all.
        spreads: backbone → standard deviation of the ensemble that sorts its keypoints, px.

    Returns:
        A table with `backbone`, `threshold_px`, `keypoints`, `share` (of the labelled keypoints),
        `error_px` and `seed_deviation_px`.

    Examples:
        >>> errors = {'beast': np.array([[[1.0, 3.0]]])}
        >>> spreads = {'beast': np.array([[0.0, 2.0]])}
        >>> table = curve_table(errors, spreads)
        >>> table.iloc[[0, -1]][['threshold_px', 'keypoints', 'error_px']].values.tolist()
        [[0.0, 2.0, 2.0], [2.0, 1.0, 3.0]]
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
    """Return the mean error of every backbone, over all keypoints and over the hardest tenth.

    Args:
        errors: backbone → errors, px, as for `curve_table`.
        spreads: backbone → standard deviation of the ensemble, px, as for `curve_table`.

    Returns:
        A table with one row per backbone.

    Examples:
        >>> errors = {'beast': np.array([[[1.0, 3.0]]])}
        >>> spreads = {'beast': np.array([[0.0, 2.0]])}
        >>> summary_table(errors, spreads)[['error_px', 'hard_error_px']].values.tolist()
        [[2.0, 3.0]]
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


def compare_backbones(summary: pd.DataFrame) -> tuple[bool | None, str]:
    """Say which backbone has the least error, and whether that is more than chance does.

    Args:
        summary: result of `summary_table`.

    Returns:
        Whether it is good news (None: neither), and the sentence.

    Examples:
        >>> summary = pd.DataFrame(
        ...     {'backbone': ['beast', 'random'], 'models': [3, 3], 'error_px': [2.0, 3.0],
        ...      'seed_deviation_px': [0.1, 0.2]}
        ... )
        >>> compare_backbones(summary)[0]
        True
    """
    rows = summary.sort_values('error_px', ignore_index=True)
    first, *named = [
        f'{row["backbone"]} ({three_digits(row["error_px"])} px)'
        for row in rows.to_dict('records')
    ]
    if not named:
        return None, f'{first} stands alone: there is nothing to compare it with.'
    text = f'The error is least with {first}, followed by {", ".join(named)}'
    if rows['models'].iloc[:2].min() < 2:
        return None, (
            f'{text}. From one model of a backbone it cannot be told whether that is more than '
            'chance does: train each with several seeds (training.rng_seed_data_pt and '
            'training.rng_seed_model_pt).'
        )
    gap = float(rows['error_px'].diff().iloc[1])
    spread = float(rows['seed_deviation_px'].iloc[:2].max())
    more = gap > 2 * spread
    return more or None, (
        f'{text}. The first two are {three_digits(gap)} px apart; models that differ in nothing '
        f'but their seed vary by {three_digits(spread)} px (standard deviation), so the '
        f'difference is {"more than" if more else "within what"} chance does.'
    )


def curves_figure(table: pd.DataFrame) -> Figure:
    """Draw error against threshold, one line per backbone, above the share of keypoints left.

    Args:
        table: result of `curve_table`.
    """
    figure = new_figure(6.4, 5.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    styles = ('-', '--', '-.', ':')
    lines = []
    for number, (_, rows) in enumerate(table.groupby('backbone', sort=False)):
        shown = rows[rows['keypoints'] >= min(LEAST_KEYPOINTS, rows['keypoints'].max())]
        look = {'color': PALETTE[number % len(PALETTE)], 'ls': styles[number % len(styles)]}
        x, y, band = shown['threshold_px'], shown['error_px'], shown['seed_deviation_px']
        lines += upper.plot(x, y, lw=1.8, **look)
        upper.fill_between(x, y - band, y + band, color=look['color'], alpha=0.15, lw=0)
        lower.plot(x, shown['share'], lw=1.5, **look)
    title = 'Keypoints on which the models disagree at least this much'
    label_axes(upper, '', 'mean pixel error (px)', title)
    label_axes(lower, 'standard deviation of the ensemble (px)', 'share left')
    upper.set_ylim(bottom=0)
    lower.set_ylim(0, 1.02)
    add_legend(upper, lines, list(table['backbone'].unique()))
    return figure


def write_comparison(
    output_dir: Path,
    curves: pd.DataFrame,
    summary: pd.DataFrame,
    compared: Sequence[str],
) -> Path:
    """Write `curves.csv`, `summary.csv`, `figures/error_curves.png` and `report.html`.

    The page repeats the warnings of the log in the folder.

    Args:
        output_dir: folder that gets the files.
        curves: result of `curve_table`.
        summary: result of `summary_table`.
        compared: sentences that name what was compared.

    Returns:
        The path of the page.
    """
    for name, table in (('curves.csv', curves), ('summary.csv', summary)):
        write_table(table, output_dir / name)
    sections = [
        Section('What came out', findings=[compare_backbones(summary)]),
        *warnings_of(output_dir),
        Section('What was compared', '\n\n'.join(compared)),
        Section(
            'All keypoints, and the hardest',
            f'Mean errors. Hard keypoints are the {100 * HARD:.0f} % on which the models disagree '
            'most. SD is the standard deviation over the means of single models; differences '
            'that are not larger are no evidence.',
            table=summary.rename(columns=_WORDS),
        ),
        Section(
            'Error of hard keypoints',
            'The further to the right, the harder the keypoints that the mean is taken over; at 0 '
            'it is taken over all of them. Lower is better. Bands are one standard deviation of '
            f'the single models; lines end where fewer than {LEAST_KEYPOINTS} keypoints are left.',
            {'error_curves': curves_figure(curves)},
        ),
    ]
    return write_report(output_dir, 'Pixel error against ensemble disagreement', sections)
