"""Tables of the stage: one row per neuron, and one row per source and encoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from beast_lp.encoding.controls import band
from beast_lp.encoding.evaluate import Evaluation, main_score
from beast_lp.encoding.session import Session
from beast_lp.encoding.split import TEST

DRIFT = 'slow drift (control)'


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


def neuron_table(results: list[Result]) -> pd.DataFrame:
    """Return one row per session, source, encoder and neuron.

    `null_low` and `null_high` are the central 95 % of the neuron's main score under circular
    shifts, of `bps` for spikes and `variance_explained` for traces.
    """
    tables = []
    for result in results:
        session, scores = result.session, result.evaluation.scores
        shifts = result.evaluation.shifts
        bands = np.array([band(column) for column in shifts.T]).reshape(-1, 2)
        own, _ = main_score(scores, session.is_counts)
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
                    'null_low': bands[:, 0],
                    'null_high': bands[:, 1],
                    'above_null': own > bands[:, 1] if len(shifts) else None,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def comparison_table(results: list[Result]) -> pd.DataFrame:
    """Return one row per source and encoder: scores over all sessions beside their controls.

    `score` is compared with the controls: pooled bits per spike, in which sessions are weighted by
    their spikes, or the mean variance explained of traces. Scores of controls are pooled in the
    same way, draw by draw. `verdict` names the controls that a result does not exceed.
    """
    rows: list[dict[str, object]] = []
    keys = list(dict.fromkeys((result.source, result.encoder) for result in results))
    drift = {
        encoder: _total([r for r in results if (r.source, r.encoder) == (source, encoder)])
        for source, encoder in keys
        if source == DRIFT
    }
    for source, encoder in keys:
        own = [r for r in results if (r.source, r.encoder) == (source, encoder)]
        weights = _weights(own)
        shifts = band(_draws(own, weights, 'shifts_pooled'))
        permutations = band(_draws(own, weights, 'permutations_pooled'))
        total = _total(own)
        is_counts = own[0].session.is_counts
        scores = [result.evaluation.scores for result in own]
        row: dict[str, object] = {'source': source, 'encoder': encoder, 'score': total}
        if is_counts:
            row |= {
                'bps_pooled': total,
                'bps_mean': _mean([score.bps for score in scores]),
                'bps_train_null_pooled': float(
                    _weighted_mean(
                        np.array([score.bps_train_null_pooled for score in scores]), weights
                    )
                ),
                'bps_train_null_mean': _mean([score.bps_train_null for score in scores]),
            }
        row |= {
            'variance_explained': _mean([score.variance_explained for score in scores]),
            'r_squared': _mean([score.r_squared for score in scores]),
            'shift_low': shifts.low,
            'shift_high': shifts.high,
            'permutation_low': permutations.low,
            'permutation_high': permutations.high,
            'drift': drift.get(encoder, np.nan),
            'neurons': sum(len(result.session.names) for result in own),
        }
        row['verdict'] = '' if source == DRIFT else verdict(row)
        rows.append(row)
    return pd.DataFrame(rows)


def verdict(row: Mapping[str, object]) -> str:
    """Name the controls that a result does not exceed; return an empty string if there is none.

    Args:
        row: row of `comparison_table`.
    """
    score = float(row['score'])  # type: ignore[arg-type]
    controls = {
        'circular shifts': float(row['shift_high']),  # type: ignore[arg-type]
        'permuted trials': float(row['permutation_high']),  # type: ignore[arg-type]
        'slow drift': float(row['drift']),  # type: ignore[arg-type]
        'a constant rate': 0.0,
    }
    below = [
        f'{name} ({value:.3f})'
        for name, value in controls.items()
        if np.isfinite(value) and not score > value
    ]
    return f'not above {", ".join(below)}' if below else ''


def _weights(results: list[Result]) -> Float[np.ndarray, ' sessions']:
    """Return the sessions' weights: the number of spikes in the test part, or of traces."""
    return np.array(
        [
            r.session.responses[r.session.part == TEST].sum()
            if r.session.is_counts
            else len(r.session.names)
            for r in results
        ],
        dtype=np.float64,
    )


def _total(results: list[Result]) -> float:
    values = [main_score(r.evaluation.scores, r.session.is_counts)[1] for r in results]
    return float(_weighted_mean(np.array(values), _weights(results)))


def _draws(
    results: list[Result],
    weights: Float[np.ndarray, ' sessions'],
    name: str,
) -> Float[np.ndarray, ' draws']:
    """Average each draw over the sessions."""
    draws = np.array([getattr(result.evaluation, name) for result in results])
    return _weighted_mean(draws, weights) if draws.size else np.array([])


def _weighted_mean(
    values: Float[np.ndarray, 'sessions ...'],
    weights: Float[np.ndarray, ' sessions'],
) -> Float[np.ndarray, '...']:
    """Average over sessions with a score and a weight; NaN where there are none.

    A session without a spike in its test part has neither.
    """
    weights = weights.reshape(-1, *[1] * (values.ndim - 1)) * np.isfinite(values)
    total = weights.sum(axis=0)
    weighted = (np.where(weights > 0, values, 0) * weights).sum(axis=0)
    return np.where(total > 0, weighted / np.where(total > 0, total, 1), np.nan)


def _mean(neurons: list[Float[np.ndarray, ' neurons']]) -> float:
    values = np.concatenate(neurons)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float('nan')
