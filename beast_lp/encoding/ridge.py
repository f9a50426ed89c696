"""Ridge regression: the baseline of the other encoders."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from beast_lp.encoding.encoder import Encoder, Options, Reader, Target, score
from beast_lp.encoding.linear import Moments, ridge
from beast_lp.encoding.samples import Samples

# per bin, for inputs and responses of unit variance: from next to none to one that shrinks all
# weights more than tenfold
PENALTIES = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Ridge(Encoder):
    """Squared error on smoothed, z-scored responses; one penalty for all neurons."""

    def __init__(self, options: Options, penalties: Sequence[float] = PENALTIES) -> None:
        """Store the penalties that `fit` chooses from."""
        super().__init__(options)
        self.penalties = penalties

    def fit(self, train: Samples, validation: Samples) -> None:
        """Fit on the training part with the penalty that predicts the validation part best."""
        moments = self._measure(train)
        inputs = self._inputs(validation.features, validation.run)
        best = -np.inf
        for chosen in self._candidates():
            weights = self._solve(moments, chosen)
            scaled = inputs @ weights
            value = score(validation, self._target.undo(scaled, 0.1), self.options.is_counts)
            if value > best or not self.chosen:
                best, self.chosen, self._weights = value, chosen, weights
        floor = self._target.best_floor(inputs @ self._weights, validation)
        self.chosen = {**self.chosen, 'floor': floor}

    def refit(self, train: Samples) -> None:
        """Fit again, with the penalty that `fit` chose."""
        self._weights = self._solve(self._measure(train), self.chosen)

    def predict(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return expected spikes per bin, or predicted traces."""
        return self._target.undo(self._inputs(features, run) @ self._weights, self.chosen['floor'])

    def _candidates(self) -> list[dict[str, float]]:
        return [{'penalty': penalty} for penalty in self.penalties]

    def _solve(
        self,
        moments: Moments,
        chosen: dict[str, float],
    ) -> Float[np.ndarray, 'inputs neurons']:
        return ridge(moments, chosen['penalty'])

    def _measure(self, train: Samples) -> Moments:
        options = self.options
        self._reader = Reader.fit(train.features, options.lags)
        inputs = self._reader(train.features, train.run)
        # lags shift the mean of a run's edges a little
        self._centre = inputs.mean(axis=0)
        self._target, responses = Target.fit(train, options)
        return Moments.of(inputs - self._centre, responses)

    def _inputs(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[np.ndarray, 'bins inputs']:
        return self._reader(features, run) - self._centre
