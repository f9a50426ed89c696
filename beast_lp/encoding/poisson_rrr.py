"""Reduced-rank regression with a log link and the Poisson likelihood."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from beast_lp.encoding.encoder import Options, floored
from beast_lp.encoding.folded import FoldedEncoder, score
from beast_lp.encoding.linear import Moments, reduced_rank
from beast_lp.encoding.metrics import RATE_FLOOR
from beast_lp.encoding.poisson import (
    PoissonWeights,
    constant_from,
    constant_weights,
    fit_poisson,
)
from beast_lp.encoding.samples import Samples, smooth

# on both factors, as shares of the penalty from which on the rate no longer depends on the
# features
POISSON_PENALTIES = (0.5, 0.25, 0.12, 0.06, 0.03, 0.015, 0.007)
# largest rank; the penalty lowers the rank that is in use
POISSON_RANK = 12
# penalty of the Gaussian solution from which the Poisson fit starts
_START_PENALTY = 0.3
# lowest base, as a share of a neuron's mean rate
_BASE_FLOOR = 0.1


class PoissonReducedRank(FoldedEncoder):
    """Low-rank log-linear rates, fitted by the Poisson likelihood of the counts."""

    edges: ClassVar[Mapping[str, float]] = {'share': POISSON_PENALTIES[-1]}

    def __init__(
        self,
        options: Options,
        penalties: Sequence[float] = POISSON_PENALTIES,
        rank: int = POISSON_RANK,
    ) -> None:
        """Store the penalties that `fit` chooses from, and the largest rank."""
        super().__init__(options)
        self.penalties = penalties
        self.rank = rank

    def fit(self, train: Samples, validation: Samples) -> None:
        """Fit from the largest penalty down, until two smaller ones predict validation worse."""
        start, base = self._start(train)
        most = constant_from(train.features, train.responses, base)
        self._weights = constant_weights(start, train.responses, base)
        best = score(validation, self._rates(validation), True)
        self.chosen, worse = {'penalty': np.inf, 'share': np.inf}, 0
        kept = self._weights
        for share in sorted(self.penalties, reverse=True):
            self._weights = fit_poisson(
                train.features, train.responses, base, share * most, start, self.options.device
            )
            value = score(validation, self._rates(validation), True)
            if value > best:
                best, kept, worse = value, self._weights, 0
                self.chosen = {'penalty': share * most, 'share': share}
            else:
                worse += 1
                if worse == 2:
                    break
        self._weights = kept

    def refit(self, train: Samples) -> None:
        """Fit again, with the penalty that `fit` chose."""
        start, base = self._start(train)
        penalty = self.chosen['penalty']
        self._weights = fit_poisson(
            train.features, train.responses, base, penalty, start, self.options.device
        )

    def apply(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
        base: Float[np.ndarray, 'bins neurons'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return expected spikes per bin."""
        return self._weights.rates(features, floored(base, self._mean, _BASE_FLOOR), self._largest)

    def _rates(self, samples: Samples) -> Float[np.ndarray, 'bins neurons']:
        return self.apply(samples.features, samples.run, samples.base)

    def _start(
        self,
        train: Samples,
    ) -> tuple[PoissonWeights, Float[np.ndarray, 'bins neurons']]:
        """Return the Gaussian solution as a first guess, and the base.

        To first order it is the solution for the log rate.
        """
        self._mean = np.maximum(train.responses.mean(axis=0, dtype=np.float64), RATE_FLOOR)
        base = floored(train.base, self._mean, _BASE_FLOOR)
        # an exponential has no upper limit, so predictions end at the largest count
        self._largest = np.maximum(train.responses.max(axis=0), self._mean).astype(np.float64)
        smoothed = smooth(train.responses, train.run, self.options.smoothing)
        relative = (smoothed - base) / self._mean
        inputs, centre = train.features, train.features.mean(axis=0)
        left, right = reduced_rank(
            Moments.of(inputs - centre, relative - relative.mean(axis=0)),
            _START_PENALTY,
            self.rank,
        )
        # halved: log(1 + a) is less than a
        right = right / 2
        bias = constant_weights(PoissonWeights(left, right, self._mean), train.responses, base)
        return PoissonWeights(left, right, bias.bias - (centre @ left) @ right), base
