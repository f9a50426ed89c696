"""The report of the encoding stage: `report.html` and `figures/*.png`."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from beast_lp.encoding.evaluate import load_rates, main_score
from beast_lp.encoding.samples import slices, smooth
from beast_lp.encoding.split import TEST
from beast_lp.encoding.tables import DRIFT, Result, comparison_table
from beast_lp.reports import encoding_figures as figures
from beast_lp.reports.page import Section, save_figure, write_page

logger = logging.getLogger(f'lightning_pose.{__name__}')

_EXAMPLES = 6
# seconds of the test part in a raster
_RASTER_S = 60.0
_SIGMA = 2.0


def write_encoding_report(output_dir: Path, results: Sequence[Result]) -> Path:
    """Write `report.html` and `figures/*.png` for a finished encoding run.

    Args:
        output_dir: folder of the run.
        results: of all sessions, sources and encoders.

    Returns:
        The path of the page.
    """
    comparison = comparison_table(list(results))
    own = [result for result in results if result.source != DRIFT]
    best = _best(comparison)
    of_best = [result for result in own if (result.source, result.encoder) == best]
    parts = {
        'comparison': _comparison_section(comparison, results),
        'scatter': _scatter_section(comparison, own),
        'regions': _region_section(of_best, best),
        **_example_sections(of_best, best),
        'sessions': _session_section(results),
    }
    for name, section in parts.items():
        if section.figure is not None:
            save_figure(section.figure, output_dir / 'figures' / f'{name}.png')
    page = output_dir / 'report.html'
    write_page(page, 'BEAST neural encoding', list(parts.values()))
    logger.info(f'Report written to {page}')
    return page


def verdicts(comparison: pd.DataFrame) -> list[str]:
    """Return one sentence for each result that is above its controls or is not."""
    sentences = []
    for row in comparison.to_dict('records'):
        if row['source'] == DRIFT:
            continue
        name = f'{row["source"]} with {row["encoder"]} ({row["score"]:.3f})'
        sentences.append(
            f'{name} is NOT evidence of encoding: it is {row["verdict"]}.'
            if row['verdict']
            else f'{name} is above all of its controls.'
        )
    return sentences


def table_for_people(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that fit on a page, the best result first, numbers rounded."""
    columns = [
        name
        for name in (
            'source',
            'encoder',
            'bps_pooled',
            'bps_mean',
            'bps_train_null_mean',
            'variance_explained',
            'r_squared',
        )
        if name in comparison
    ]
    table = comparison.sort_values('score', ascending=False)
    shown = table.filter(items=columns)
    for name in ('shift', 'permutation'):
        shown[f'{name} 95 %'] = [
            f'{low:.3f} to {high:.3f}' if np.isfinite(low) else ''
            for low, high in zip(table[f'{name}_low'], table[f'{name}_high'], strict=True)
        ]
    shown['drift alone'] = table['drift']
    return shown.round(4)


def _comparison_section(comparison: pd.DataFrame, results: Sequence[Result]) -> Section:
    unit = _unit(results)
    text = (
        'One row per source of features and encoder, scored on trials or blocks of time that no '
        'fit has seen. Bits per spike say how much better the rates are than a rate that never '
        'changes: `bps_pooled` over all spikes (as the Neural Latents Benchmark), `bps_mean` over '
        "the neurons (as the BEAST paper), both against each neuron's mean rate in the test "
        'part. `bps_train_null_mean` compares with the mean rate of the rest instead, which '
        'flatters every model where rates drift; it is here because some references use it.\n\n'
        'Controls: the same encoder, fitted again after the spikes were shifted in a circle '
        'against the video or exchanged between trials (95 % of the draws lie in the band), and '
        'a model that knows nothing but the time. A result that is not above all of them is no '
        'evidence that behaviour is encoded.\n\n' + '\n\n'.join(verdicts(comparison))
    )
    table = table_for_people(comparison)
    order = comparison.sort_values('score', ascending=False)
    marked = frozenset(row for row, words in enumerate(order['verdict']) if words)
    return Section(
        'Sources of features compared', text, figures.comparison_bars(order, unit), table, marked
    )


def _scatter_section(comparison: pd.DataFrame, results: Sequence[Result]) -> Section:
    title = 'Neuron by neuron'
    ranked = _ranked(comparison)
    sources = list(dict.fromkeys(ranked['source']))
    if len(sources) < 2:
        return Section(title, 'Nothing to compare: one source of features was given.')
    chosen = [
        next(
            (str(row['source']), str(row['encoder']))
            for row in ranked.to_dict('records')
            if row['source'] == source
        )
        for source in sources[:2]
    ]
    better, other = (
        np.concatenate(
            [_scores(result) for result in results if (result.source, result.encoder) == pair]
        )
        for pair in chosen
    )
    names = [f'{source} · {encoder}' for source, encoder in chosen]
    return Section(
        title,
        'Each point is a neuron, scored with the two best sources; above the line the '
        'better one explains more of it.',
        figures.score_scatter(other, better, names[1], names[0], _unit(results)),
    )


def _region_section(results: Sequence[Result], best: tuple[str, str]) -> Section:
    scores = np.concatenate([_scores(result) for result in results])
    regions = np.concatenate([result.session.regions for result in results])
    names = sorted(set(regions.tolist()))
    known = any(names)
    text = f'Scores of all neurons with {best[0]} · {best[1]}.'
    if not known:
        text += ' The recordings name no brain regions.'
    return Section(
        'Distribution by region' if known else 'Distribution over neurons',
        text,
        figures.region_distribution(
            [scores[regions == name] for name in names],
            names if known else ['all'],
            _unit(results),
        ),
    )


def _example_sections(results: Sequence[Result], best: tuple[str, str]) -> dict[str, Section]:
    """Draw the session with the best median score: rasters, and its best neurons."""
    result = max(results, key=lambda item: np.nan_to_num(np.nanmedian(_scores(item)), nan=-np.inf))
    session, test = result.session, result.session.part == TEST
    scores = np.nan_to_num(_scores(result), nan=-np.inf)
    order = np.argsort(-scores, kind='stable')
    run = session.bins.group[test]
    recorded, rates = session.responses[test], load_rates(result.file)[test]
    # breaks inside the test part: its bins need not follow each other
    breaks = np.concatenate(
        [[0], np.cumsum((np.diff(np.flatnonzero(test)) > 1) | (np.diff(run) != 0))]
    )
    width, unit = session.bins.width, 1.0
    if session.is_counts:
        recorded, unit = smooth(recorded, breaks, _SIGMA), 1 / width
    titles = [
        f'{session.names[i]} {session.regions[i]} ({scores[i]:.2f})' for i in order[:_EXAMPLES]
    ]
    about = f'Session {session.name}, {best[0]} · {best[1]}, test part only.'
    shown = slice(0, round(_RASTER_S / width))
    sections = {
        'rasters': Section(
            'Activity, recorded and predicted',
            f'{about} Neurons in the order of their scores, best first; each is scaled by its own '
            'recorded mean and deviation. Predictions of Poisson noise are smooth by nature. '
            'Breaks between trials or blocks are not drawn.',
            figures.rasters(recorded[shown][:, order], rates[shown][:, order], width),
        )
    }
    lengths = {stretch.stop - stretch.start for stretch in slices(breaks)}
    is_trials = len(lengths) == 1 and len(np.unique(breaks)) > 2
    chosen = order[:_EXAMPLES]
    if is_trials and np.array_equal(session.unit, session.bins.group):
        length = lengths.pop()
        by_trial = [_by_trial(values[:, chosen] * unit, length) for values in (recorded, rates)]
        first = session.bins.times[np.flatnonzero(test)[:length]]
        sections['examples'] = Section(
            'The best-predicted neurons around the event',
            f'{about} The score is in brackets.',
            figures.psths(
                by_trial[0],
                by_trial[1],
                titles,
                first - first[0] + width / 2,
                'spikes per s' if session.is_counts else 'trace',
            ),
        )
    else:
        stretch = figures.longest_stretch(breaks, round(_RASTER_S / width))
        sections['examples'] = Section(
            'The best-predicted neurons',
            f'{about} {"Spikes per second" if session.is_counts else "Traces"}; the score is in '
            'brackets.',
            figures.traces(
                recorded[stretch][:, chosen] * unit,
                rates[stretch][:, chosen] * unit,
                titles,
                width,
            ),
        )
    return sections


def _session_section(results: Sequence[Result]) -> Section:
    sessions = {result.session.name: result.session for result in results}
    table = pd.DataFrame(
        [
            {
                'session': name,
                'neurons': len(session.names),
                'bins': len(session.bins),
                'bin (ms)': session.bins.width * 1000,
                'test bins': int((session.part == TEST).sum()),
                'notes': '; '.join(session.notes),
            }
            for name, session in sessions.items()
        ]
    )
    return Section('Sessions', table=table)


def _ranked(comparison: pd.DataFrame) -> pd.DataFrame:
    return comparison.sort_values('score', ascending=False).query('source != @DRIFT')


def _best(comparison: pd.DataFrame) -> tuple[str, str]:
    rows = _ranked(comparison)
    return str(rows['source'].iloc[0]), str(rows['encoder'].iloc[0])


def _scores(result: Result) -> Float[np.ndarray, ' neurons']:
    return main_score(result.evaluation.scores, result.session.is_counts)[0]


def _unit(results: Sequence[Result]) -> str:
    return 'bits per spike' if results[0].session.is_counts else 'variance explained'


def _by_trial(
    values: Float[np.ndarray, 'bins neurons'],
    length: int,
) -> Float[np.ndarray, 'trials time neurons']:
    return values.reshape(-1, length, values.shape[1])
