"""Reduced-rank regression of fixed-length trials, as in the BEAST paper and its authors' code.

y[k,t,n] = sum_c X[k,t,c] beta[n,c,t] + b[n,t] with beta[n,c,t] = sum_r U[n,c,r] V[r,t]: a neuron's
weights change in the course of a trial, along a few time courses that all neurons share.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from beast_lp.encoding.encoder import Options
from beast_lp.encoding.folded import FoldedEncoder, Target, score
from beast_lp.encoding.samples import Samples, slices
from beast_lp.errors import BeastError

# the authors' values; the learning rate is searched, largest first
RANK = 3
L2 = 100.0
LEARNING_RATES = (1.0, 0.3, 0.1)
_MAX_STEPS = 200


class TrialReducedRank(FoldedEncoder):
    """The trial form: squared error + l2 * sum(beta ** 2), minimised by L-BFGS."""

    uses_lags: ClassVar[bool] = False

    def __init__(
        self,
        options: Options,
        rank: int = RANK,
        l2: float = L2,
        learning_rates: Sequence[float] = LEARNING_RATES,
    ) -> None:
        """Store the rank, the penalty and the learning rates that `fit` chooses from."""
        super().__init__(options)
        self.rank = rank
        self.l2 = l2
        self.learning_rates = learning_rates

    def fit(self, train: Samples, validation: Samples) -> None:
        """Fit with the learning rate that predicts the validation part best.

        Raises:
            BeastError: if the runs are not trials of one length, or every learning rate diverges.
        """
        best = -np.inf
        for rate in self.learning_rates:
            weights = self._solve(train, rate)
            if not all(torch.isfinite(part).all() for part in weights):
                continue
            scaled = self._scaled(validation.features, validation.run, weights)
            predicted = self._target.undo(scaled, validation.base, 0.1)
            value = score(validation, predicted, self.options.is_counts)
            if value > best or not self.chosen:
                best, self._weights = value, weights
                floor = self._target.best_floor(scaled, validation)
                self.chosen = {'learning_rate': rate, 'floor': floor}
        if not self.chosen:
            raise BeastError(
                f'trial_rrr diverged at every learning rate {self.learning_rates}; use the '
                'encoder rrr instead, and check the features for outliers'
            )

    def refit(self, train: Samples) -> None:
        """Fit again, with the learning rate that `fit` chose."""
        self._weights = self._solve(train, self.chosen['learning_rate'])

    def apply(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
        base: Float[np.ndarray, 'bins neurons'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return expected spikes per bin, or predicted traces."""
        scaled = self._scaled(features, run, self._weights)
        return self._target.undo(scaled, base, self.chosen['floor'])

    def _solve(self, train: Samples, learning_rate: float) -> tuple[Tensor, Tensor, Tensor]:
        options = self.options
        self._target, responses = Target.fit(train, options)
        self._bins = trial_length(train.run)
        x = self._by_time(train.features, train.run)
        y = torch.as_tensor(responses, dtype=torch.float32, device=options.device)
        y = y.view(-1, self._bins, y.shape[1]).transpose(0, 1)
        factors = start(x.shape[2], y.shape[2], self._bins, self.rank, options.seed)
        left, right = (factor.to(options.device).requires_grad_() for factor in factors)
        bias = y.mean(dim=1, keepdim=True).clone().requires_grad_()
        optimiser = torch.optim.LBFGS(
            [left, right, bias],
            lr=learning_rate,
            max_iter=_MAX_STEPS,
            history_size=10,
        )

        def closure() -> Tensor:
            optimiser.zero_grad()
            value = loss(x, y, left, right, bias, self.l2)
            value.backward()
            return value

        optimiser.step(closure)
        return left.detach(), right.detach(), bias.detach()

    def _scaled(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
        weights: tuple[Tensor, Tensor, Tensor],
    ) -> Float[np.ndarray, 'bins neurons']:
        if trial_length(run) != self._bins:
            raise BeastError(
                f'trials of {trial_length(run)} bins cannot be predicted by a model of trials of '
                f'{self._bins} bins; use the same beast.encoding.trials.window'
            )
        left, right, bias = weights
        y = predict_trials(self._by_time(features, run), left, right, bias)
        return y.transpose(0, 1).reshape(len(run), -1).double().cpu().numpy()

    def _by_time(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[Tensor, 'time trials inputs']:
        x = torch.as_tensor(features, dtype=torch.float32, device=self.options.device)
        return x.view(-1, self._bins, x.shape[1]).transpose(0, 1)


def start(
    inputs: int,
    neurons: int,
    bins: int,
    rank: int,
    seed: int,
) -> tuple[Float[Tensor, 'inputs neurons rank'], Float[Tensor, 'rank time']]:
    """Draw both factors from N(0, 1) / sqrt(bins * rank), as the authors do."""
    generator = torch.Generator().manual_seed(seed)
    scale = 1 / math.sqrt(bins * rank)
    return (
        torch.randn(inputs, neurons, rank, generator=generator) * scale,
        torch.randn(rank, bins, generator=generator) * scale,
    )


def predict_trials(
    x: Float[Tensor, 'time trials inputs'],
    left: Float[Tensor, 'inputs neurons rank'],
    right: Float[Tensor, 'rank time'],
    bias: Float[Tensor, 'time 1 neurons'],
) -> Float[Tensor, 'time trials neurons']:
    """Predict all trials."""
    return x @ (left @ right).permute(2, 0, 1) + bias


def loss(
    x: Float[Tensor, 'time trials inputs'],
    y: Float[Tensor, 'time trials neurons'],
    left: Float[Tensor, 'inputs neurons rank'],
    right: Float[Tensor, 'rank time'],
    bias: Float[Tensor, 'time 1 neurons'],
    l2: float,
) -> Float[Tensor, '']:
    """Return the summed squared error + l2 * sum(beta ** 2)."""
    error = (predict_trials(x, left, right, bias) - y).square().sum()
    return error + l2 * (left @ right).square().sum()


def trial_length(run: Int[np.ndarray, ' bins']) -> int:
    """Return the number of bins that every run has.

    Raises:
        BeastError: if they differ.
    """
    lengths = {stretch.stop - stretch.start for stretch in slices(run)}
    if len(lengths) != 1:
        raise BeastError(
            f'the encoder trial_rrr needs trials of one length, found runs of {min(lengths)} to '
            f'{max(lengths)} bins; set beast.encoding.trials.events, or use rrr for a continuous '
            'recording'
        )
    return lengths.pop()
