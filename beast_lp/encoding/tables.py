"""Tables: per neuron, per source and encoder, per session and region, and pairwise."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from beast_lp.encoding.controls import band
from beast_lp.encoding.pool import LEVEL, Pool, Result, significance, weighted_mean
from beast_lp.encoding.repeats import shared_variance
from beast_lp.encoding.significance import mean_interval, ratio_interval, standard_error

DRIFT = 'slow drift (control)'
EVIDENCE, NO_EVIDENCE = 'evidence', 'no evidence'
# sessions from which on an interval is one over sessions
_MANY_SESSIONS = 3


def neuron_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row per session, source, encoder and neuron.

    `null_low` and `null_high` are the central 95 % of what shifted copies of the features add to
    drift; `significant` holds where the false discovery rate over the neurons is at most 5 %.
    """
    tables = []
    for result in results:
        session, scores = result.session, result.evaluation.scores
        shifts = result.evaluation.shifts
        bands = np.array([band(column) for column in shifts.T]).reshape(-1, 2)
        p, q = significance(result)
        rate = session.responses.mean(axis=0, dtype=np.float64) / session.bins.width
        tables.append(
            pd.DataFrame(
                {
                    'session': session.name,
                    'neuron': session.names,
                    'region': session.regions,
                    'rate_hz': rate if session.is_counts else np.nan,
                    'source': result.source,
                    'encoder': result.encoder,
                    'bps': scores.bps,
                    'bps_train_null': scores.bps_train_null,
                    'r_squared': scores.r_squared,
                    'variance_explained': scores.variance_explained,
                    'same_in_all_trials': shared_variance(session),
                    'over_drift': result.evaluation.over_drift,
                    'null_low': bands[:, 0],
                    'null_high': bands[:, 1],
                    'p_value': p,
                    'q_value': q,
                    'significant': q <= LEVEL if len(shifts) else None,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def comparison_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row per source and encoder: scores over all sessions beside their controls.

    `score` is of the features alone: bits per spike over all spikes, or the mean variance
    explained of traces. `over_drift` is what they add to slow drift, which alone has the score
    `drift`; `p_value` is how often a shifted copy adds as much. Controls are pooled in the same
    way, draw by draw. `behind_best` is the paired difference to the best source with the same
    encoder.
    """
    rows: list[dict[str, object]] = []
    groups = _grouped(results)
    drift = [Pool(own).score for (source, _), own in groups.items() if source == DRIFT]
    for (source, encoder), own in groups.items():
        pool = Pool(own)
        scores = [result.evaluation.scores for result in own]
        row: dict[str, object] = {
            'source': source,
            'encoder': encoder,
            'score': pool.score,
            'sem_neurons': standard_error(pool.own),
            'sem_sessions': standard_error(pool.sessions),
        }
        if own[0].session.is_counts:
            row |= {
                'bps_pooled': pool.score,
                'bps_mean': _mean([one.bps for one in scores]),
                'bps_train_null_pooled': weighted_mean(
                    np.concatenate([one.bps_train_null for one in scores]), pool.weights
                ),
                'bps_train_null_mean': _mean([one.bps_train_null for one in scores]),
            }
        row |= {
            'variance_explained': _mean([one.variance_explained for one in scores]),
            'r_squared': _mean([one.r_squared for one in scores]),
            'drift': drift[0] if drift else np.nan,
            'over_drift': pool.over_drift,
        }
        for name, draws in (('shift', pool.shifts), ('permutation', pool.permutations)):
            low, high = band(draws)
            row |= {f'{name}_low': low, f'{name}_high': high}
            row |= {f'{name}_draws': len(draws), f'{name}_p': pool.p_value(draws)}
        row |= {'neurons': len(pool.own), 'significant': pool.significant}
        row['verdict'] = '' if source == DRIFT else verdict(row)
        rows.append(row)
    return _with_difference_to_best(pd.DataFrame(rows), results)


def verdict(row: Mapping[str, object]) -> str:
    """Return whether a result is evidence of encoding; empty where no control was drawn.

    Args:
        row: row of `comparison_table`.
    """
    p, added = float(row['shift_p']), float(row['over_drift'])  # type: ignore[arg-type]
    if not np.isfinite(p):
        return ''
    return EVIDENCE if p <= LEVEL and added > 0 else NO_EVIDENCE


def breakdown_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row per source, encoder and session, and one per region where it is known."""
    rows = []
    for (source, encoder), own in _grouped(results).items():
        pools = [('session', result.session.name, Pool([result])) for result in own]
        regions = sorted({str(name) for r in own for name in r.session.regions if str(name)})
        for region in regions:
            with_it = [r for r in own if (r.session.regions == region).any()]
            pool = Pool(with_it, lambda r, region=region: r.session.regions == region)
            pools.append(('region', region, pool))
        for level, name, pool in pools:
            rows.append(
                {
                    'source': source,
                    'encoder': encoder,
                    'level': level,
                    'name': name,
                    'neurons': len(pool.own),
                    'score': pool.score,
                    'mean': _mean([pool.own]),
                    'sem_neurons': standard_error(pool.own),
                    'over_drift': pool.over_drift,
                    'shift_p': pool.p_value(pool.shifts),
                    'significant': pool.significant,
                }
            )
    return pd.DataFrame(rows)


def difference_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row per encoder and pair of sources: the paired difference with its interval.

    `difference` is between the scores of the same spikes. From three sessions on its 95 % interval
    is one over sessions (Student's t), else one over trials or blocks of time (bootstrap), in
    which neurons are drawn together, since they share their noise. `mean_difference` and its
    standard error are over neurons.
    """
    groups = _grouped(results)
    rows = []
    for encoder in dict.fromkeys(encoder for _, encoder in groups):
        sources = [s for s, e in groups if e == encoder and s != DRIFT]
        sources.sort(key=lambda name, e=encoder: -np.nan_to_num(Pool(groups[name, e]).score))
        for better, other in combinations(sources, 2):
            pair = groups[better, encoder], groups[other, encoder]
            rows.append({'encoder': encoder, 'source': better, 'other': other, **_paired(*pair)})
    columns = ('difference', 'low', 'high', 'over', 'mean_difference', 'sem_neurons')
    return pd.DataFrame(rows, columns=pd.Index(['encoder', 'source', 'other', *columns]))


def _paired(better: Sequence[Result], other: Sequence[Result]) -> dict[str, object]:
    neurons = np.concatenate([a.own - b.own for a, b in zip(better, other, strict=True)])
    one, two = Pool(better), Pool(other)
    if len(better) >= _MANY_SESSIONS:
        sessions = one.sessions - two.sessions
        interval, over = mean_interval(sessions[np.isfinite(sessions)]), 'sessions'
    else:
        gains = np.concatenate(
            [
                a.evaluation.scores.unit_gains - b.evaluation.scores.unit_gains
                for a, b in zip(better, other, strict=True)
            ]
        )
        weights = np.concatenate([a.evaluation.scores.unit_weights for a in better])
        interval = ratio_interval(gains, weights)
        over = 'trials' if better[0].session.is_trials else 'blocks'
    return {
        'difference': one.score - two.score,
        'low': interval.low,
        'high': interval.high,
        'over': over,
        'mean_difference': _mean([neurons]),
        'sem_neurons': standard_error(neurons),
    }


def _with_difference_to_best(table: pd.DataFrame, results: Sequence[Result]) -> pd.DataFrame:
    """Add each source's difference to the best one with the same encoder."""
    groups, columns = _grouped(results), ('behind_best', 'behind_best_from', 'behind_best_to')
    values = np.full((len(table), len(columns)), np.nan)
    for encoder in table['encoder'].unique():
        mine = (table['encoder'] == encoder) & (table['source'] != DRIFT)
        places = np.flatnonzero(mine.to_numpy())
        scores = table['score'].to_numpy(np.float64)[places]
        if np.isfinite(scores).sum() < 2:
            continue
        names = [str(name) for name in table['source'].to_numpy()[places]]
        best = names[int(np.nanargmax(scores))]
        for place, source in zip(places, names, strict=True):
            if source != best:
                found = _paired(groups[best, encoder], groups[source, encoder])
                values[place] = [found[name] for name in ('difference', 'low', 'high')]
    at = list(table.columns).index('neurons')
    for number, name in enumerate(columns):
        table.insert(at + number, name, values[:, number])
    return table


def _grouped(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.source, result.encoder), []).append(result)
    return groups


def _mean(neurons: Sequence[Float[np.ndarray, ' neurons']]) -> float:
    values = np.concatenate(neurons)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float('nan')
