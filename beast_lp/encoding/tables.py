"""Tables: per neuron, per source and encoder, per session and region, and pairwise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from beast_lp.encoding.controls import band
from beast_lp.encoding.evaluate import Evaluation, own_score
from beast_lp.encoding.repeats import shared_variance
from beast_lp.encoding.session import Session
from beast_lp.encoding.significance import (
    benjamini_hochberg,
    mean_interval,
    p_values,
    ratio_interval,
    standard_error,
)

DRIFT = 'slow drift (control)'
# largest p value of evidence, and false discovery rate of neurons
LEVEL = 0.05
EVIDENCE, NO_EVIDENCE = 'evidence', 'no evidence'
# sessions from which on an interval is one over sessions
_MANY_SESSIONS = 3


@dataclass(frozen=True)
class Result:
    """One encoder on one source of one session.

    Attributes:
        session: session that was predicted.
        source: name of the source of the features.
        encoder: name of the encoder.
        evaluation: scores and controls.
        file: file of the predicted rates, which are too many to hold in memory.
    """

    session: Session
    source: str
    encoder: str
    evaluation: Evaluation
    file: Path

    @property
    def own(self) -> Float[np.ndarray, ' neurons']:
        """Main score of each neuron, by the features alone."""
        return own_score(self.evaluation.scores, self.session.is_counts)

    @property
    def weights(self) -> Float[np.ndarray, ' neurons']:
        """Weight of each neuron in a score over all: its spikes, or 1 for a trace."""
        if not self.session.is_counts:
            return np.ones(len(self.session.names))
        scored = self.session.folds.scored
        return self.session.responses[scored].sum(axis=0, dtype=np.float64)


class Pool:
    """Some neurons of one source and encoder, pooled over sessions."""

    def __init__(
        self,
        results: Sequence[Result],
        chosen: Callable[[Result], Bool[np.ndarray, ' neurons']] | None = None,
    ) -> None:
        """Join the neurons.

        Args:
            results: one per session.
            chosen: function that returns whether each neuron counts; None for all.
        """
        kept = [np.ones(len(r.own), bool) if chosen is None else chosen(r) for r in results]
        pairs = list(zip(results, kept, strict=True))
        self.own = np.concatenate([r.own[k] for r, k in pairs])
        self.added = np.concatenate([r.evaluation.over_drift[k] for r, k in pairs])
        self.weights = np.concatenate([r.weights[k] for r, k in pairs])
        self.sessions = np.array([self._mean(r.own[k], r.weights[k]) for r, k in pairs])
        self.shifts = self._draws([r.evaluation.shifts[:, k] for r, k in pairs])
        self.permutations = self._draws([r.evaluation.permutations[:, k] for r, k in pairs])
        found = [significance(r)[1][k] <= LEVEL for r, k in pairs]
        self.significant = int(np.concatenate(found).sum())

    @property
    def score(self) -> float:
        """Score of the features alone."""
        return self._mean(self.own, self.weights)

    @property
    def over_drift(self) -> float:
        """Score that the features add to slow drift."""
        return self._mean(self.added, self.weights)

    def p_value(self, draws: Float[np.ndarray, ' draws']) -> float:
        """Return how often a control adds as much to slow drift."""
        return float(p_values(np.array([self.over_drift]), draws[:, None])[0])

    def _draws(
        self,
        draws: list[Float[np.ndarray, 'draws neurons']],
    ) -> Float[np.ndarray, ' draws']:
        """Pool each draw; a session with fewer has them again from the first."""
        most = max(len(one) for one in draws)
        if not all(len(one) for one in draws):
            return np.array([])
        joined = np.concatenate([one[np.arange(most) % len(one)] for one in draws], axis=1)
        return np.array([self._mean(one, self.weights) for one in joined])

    @staticmethod
    def _mean(values: Float[np.ndarray, ' neurons'], weights: Float[np.ndarray, ' n']) -> float:
        weights = weights * np.isfinite(values)
        if not weights.sum() > 0:
            return float('nan')
        return float((np.nan_to_num(values) * weights).sum() / weights.sum())


def significance(
    result: Result,
) -> tuple[Float[np.ndarray, ' neurons'], Float[np.ndarray, ' neurons']]:
    """Return the p value of each neuron, and its q value over the neurons of the session."""
    p = p_values(result.evaluation.over_drift, result.evaluation.shifts)
    return p, benjamini_hochberg(p)


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
                'bps_train_null_pooled': Pool._mean(
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
