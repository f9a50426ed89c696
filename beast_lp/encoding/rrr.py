"""Reduced-rank regression of continuous recordings: Gaussian, in closed form, and Poisson."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from beast_lp.encoding.encoder import Encoder, Options, Reader, score
from beast_lp.encoding.linear import Moments, reduced_rank
from beast_lp.encoding.metrics import RATE_FLOOR
from beast_lp.encoding.poisson import PoissonWeights, fit_poisson
from beast_lp.encoding.ridge import PENALTIES, Ridge
from beast_lp.encoding.samples import Samples, smooth

# from the paper's rank (3) upwards
RANKS = (3, 6, 12, 24)
# on both factors; the largest leave a constant rate for weak signals, and the search goes on
POISSON_PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
# largest rank; the penalty lowers the rank that is in use
POISSON_RANK = 12
# penalty of the Gaussian solution from which the Poisson fit starts
_START_PENALTY = 0.3


class ReducedRank(Ridge):
    """Ridge regression with low-rank weights: all neurons read the same few directions."""

    def __init__(
        self,
        options: Options,
        penalties: Sequence[float] = PENALTIES,
        ranks: Sequence[int] = RANKS,
    ) -> None:
        """Store the penalties and ranks that `fit` chooses from."""
        super().__init__(options, penalties)
        self.ranks = ranks

    def _candidates(self) -> list[dict[str, float]]:
        return [
            {'penalty': penalty, 'rank': rank} for penalty in self.penalties for rank in self.ranks
        ]

    def _solve(
        self,
        moments: Moments,
        chosen: dict[str, float],
    ) -> Float[np.ndarray, 'inputs neurons']:
        left, right = reduced_rank(moments, chosen['penalty'], int(chosen['rank']))
        return left @ right


class PoissonReducedRank(Encoder):
    """Low-rank log-linear rates, fitted by the Poisson likelihood of the counts."""

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
        start, inputs = self._start(train)
        held_out = self._reader(validation.features, validation.run)
        best, worse = -np.inf, 0
        for penalty in sorted(self.penalties, reverse=True):
            weights = fit_poisson(inputs, train.responses, penalty, start, self.options.device)
            value = score(validation, weights.rates(held_out, self._largest), True)
            if value > best or not self.chosen:
                best, self._weights = value, weights
                self.chosen = {'penalty': penalty, 'rank': self.rank}
                worse = 0
            # a constant rate tells nothing about smaller penalties
            elif not weights.is_constant:
                worse += 1
                if worse == 2:
                    break

    def refit(self, train: Samples) -> None:
        """Fit again, with the penalty that `fit` chose."""
        start, inputs = self._start(train)
        self._weights = fit_poisson(
            inputs, train.responses, self.chosen['penalty'], start, self.options.device
        )

    def predict(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return expected spikes per bin."""
        return self._weights.rates(self._reader(features, run), self._largest)

    def _start(
        self,
        train: Samples,
    ) -> tuple[PoissonWeights, Float[np.ndarray, 'bins inputs']]:
        """Return the Gaussian solution as a first guess, and the inputs.

        To first order it is the solution for the log rate.
        """
        options = self.options
        self._reader = Reader.fit(train.features, options.lags)
        inputs = self._reader(train.features, train.run)
        mean = np.maximum(train.responses.mean(axis=0), RATE_FLOOR)
        # an exponential has no upper limit, so predictions end at the largest count
        self._largest = np.maximum(train.responses.max(axis=0), mean).astype(np.float64)
        relative = smooth(train.responses, train.run, options.smoothing) / mean - 1
        centre = inputs.mean(axis=0)
        left, right = reduced_rank(
            Moments.of(inputs - centre, relative), _START_PENALTY, self.rank
        )
        # halved: log(1 + a) is less than a
        right = right / 2
        return PoissonWeights(left, right, np.log(mean) - (centre @ left) @ right), inputs
