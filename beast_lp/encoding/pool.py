"""Scores of single neurons, and pooled over those of many sessions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from beast_lp.encoding.evaluate import Evaluation, own_score
from beast_lp.encoding.session import Session
from beast_lp.encoding.significance import benjamini_hochberg, p_values

# largest p value of evidence, and false discovery rate of neurons
LEVEL = 0.05


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
        self.sessions = np.array([weighted_mean(r.own[k], r.weights[k]) for r, k in pairs])
        self.shifts = self._draws([r.evaluation.shifts[:, k] for r, k in pairs])
        self.permutations = self._draws([r.evaluation.permutations[:, k] for r, k in pairs])
        found = [significance(r)[1][k] <= LEVEL for r, k in pairs]
        self.significant = int(np.concatenate(found).sum())

    @property
    def score(self) -> float:
        """Score of the features alone."""
        return weighted_mean(self.own, self.weights)

    @property
    def over_drift(self) -> float:
        """Score that the features add to slow drift."""
        return weighted_mean(self.added, self.weights)

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
        return np.array([weighted_mean(one, self.weights) for one in joined])


def weighted_mean(
    values: Float[np.ndarray, ' neurons'], weights: Float[np.ndarray, ' neurons']
) -> float:
    """Return the weighted mean of the values that are numbers; NaN where they weigh nothing.

    Args:
        values: one per neuron, NaN where it has none.
        weights: at least 0.

    Examples:
        >>> weighted_mean(np.array([1.0, 4.0, np.nan]), np.array([2.0, 1.0, 5.0]))
        2.0
    """
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
