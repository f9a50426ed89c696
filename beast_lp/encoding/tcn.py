"""A temporal convolutional network from features to responses.

Written from the description in the BEAST paper (after Syeda et al. 2024): mix the features, filter
each in time with one bank that all share, and read the result with three dense layers.
"""

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from beast_lp.encoding.encoder import Options
from beast_lp.encoding.folded import FoldedEncoder, Target, score
from beast_lp.encoding.samples import Samples, slices

# the paper's values (the learning rate lies in the authors' range); KERNEL is the number of bins
# that a temporal filter spans
KERNEL = 201
_FILTERS = 10
_READ, _HIDDEN = 50, 256
_SMOOTHNESS = 0.5
_WEIGHT_DECAY = 1e-4
LEARNING_RATES = (1e-3,)
EPOCHS = 100
# bins of one training step
_PIECE = 1000


class Network(nn.Module):
    """Linear, one shared bank of temporal filters, three dense layers."""

    def __init__(self, inputs: int, neurons: int, kernel: int) -> None:
        """Build the network, with Gabor functions as filters.

        Args:
            inputs: features per bin.
            neurons: outputs per bin.
            kernel: number of bins that a filter spans, odd.
        """
        super().__init__()
        self.mix = nn.Linear(inputs, inputs)
        self.filters = nn.Parameter(gabor_filters(_FILTERS, kernel))
        self.filter_bias = nn.Parameter(torch.zeros(_FILTERS))
        self.read = nn.Linear(_FILTERS * inputs, _READ)
        self.hidden = nn.Linear(_READ, _HIDDEN)
        self.out = nn.Linear(_HIDDEN, neurons)

    def forward(self, x: Float[Tensor, 'bins inputs']) -> Float[Tensor, 'bins neurons']:
        """Predict the bins of one run, whose first and last values continue beyond its ends."""
        bins, inputs = x.shape
        reach = self.filters.shape[-1] // 2
        series = functional.pad(self.mix(x).T[:, None], (reach, reach), mode='replicate')
        filtered = functional.conv1d(series, self.filters[:, None], self.filter_bias).relu()
        flat = filtered.reshape(inputs * _FILTERS, bins).T
        return self.out(self.hidden(self.read(flat).relu()).relu())

    def roughness(self) -> Float[Tensor, '']:
        """Return the penalty that keeps the filters smooth."""
        return _SMOOTHNESS * self.filters.diff(dim=-1).square().sum()


def gabor_filters(count: int, kernel: int) -> Float[Tensor, 'count kernel']:
    """Return cosine and sine waves, in turn, under Gaussians of different widths, of unit norm."""
    time = torch.arange(kernel, dtype=torch.float32) - kernel // 2
    widest = max(kernel / 6, 1.0)
    widths = torch.logspace(math.log10(min(1.5, widest)), math.log10(widest), -(-count // 2))
    widths = widths.repeat_interleave(2)[:count, None]
    phase = (torch.arange(count) % 2)[:, None] * math.pi / 2
    filters = (-0.5 * (time / widths) ** 2).exp() * (time / widths + phase).cos()
    return filters / filters.norm(dim=1, keepdim=True)


class Tcn(FoldedEncoder):
    """The network, trained by AdamW on the squared error and stopped at its best epoch.

    It is not trained again on the fold that chose the epoch, which would take as long once more.
    """

    uses_lags: ClassVar[bool] = False
    refits: ClassVar[bool] = False

    def __init__(
        self,
        options: Options,
        learning_rates: Sequence[float] = LEARNING_RATES,
        epochs: int = EPOCHS,
        kernel: int = KERNEL,
    ) -> None:
        """Store the learning rates that `fit` chooses from, the epochs and the filters' span."""
        super().__init__(options)
        self.learning_rates = learning_rates
        self.epochs = epochs
        self.kernel = kernel

    def fit(self, train: Samples, validation: Samples) -> None:
        """Train with each learning rate, and keep the epoch that predicts validation best."""
        best, kept = -np.inf, {}
        for rate in self.learning_rates:
            for epoch in self._train(train, rate, self.epochs):
                scaled = self._scaled(validation.features, validation.run)
                predicted = self._target.undo(scaled, validation.base, 0.1)
                value = score(validation, predicted, self.options.is_counts)
                if value > best or not kept:
                    best = value
                    kept = {k: v.clone() for k, v in self._network.state_dict().items()}
                    self.chosen = {'learning_rate': rate, 'epochs': epoch}
        self._network.load_state_dict(kept)
        scaled = self._scaled(validation.features, validation.run)
        self.chosen['floor'] = self._target.best_floor(scaled, validation)

    def refit(self, train: Samples) -> None:
        """Train again, with the learning rate and the number of epochs that `fit` chose."""
        for _ in self._train(train, self.chosen['learning_rate'], int(self.chosen['epochs'])):
            pass

    def apply(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
        base: Float[np.ndarray, 'bins neurons'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return expected spikes per bin, or predicted traces."""
        return self._target.undo(self._scaled(features, run), base, self.chosen['floor'])

    def _train(
        self,
        train: Samples,
        learning_rate: float,
        epochs: int,
    ) -> Iterator[int]:
        """Train a new network; yield the number of epochs done, after each one."""
        options = self.options
        self._target, responses = Target.fit(train, options)
        x = self._tensor(train.features)
        y = self._tensor(responses)
        pieces = [
            slice(at, min(at + _PIECE, stretch.stop))
            for stretch in slices(train.run)
            for at in range(stretch.start, stretch.stop, _PIECE)
        ]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            network = Network(x.shape[1], y.shape[1], self.kernel).to(options.device)
        self._network = network
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=learning_rate, weight_decay=_WEIGHT_DECAY
        )
        order = np.random.default_rng(options.seed)
        for epoch in range(1, epochs + 1):
            network.train()
            for index in order.permutation(len(pieces)):
                piece = pieces[index]
                optimiser.zero_grad()
                error = functional.mse_loss(network(x[piece]), y[piece])
                (error + network.roughness()).backward()
                optimiser.step()
            yield epoch

    @torch.no_grad()
    def _scaled(
        self,
        features: Float[np.ndarray, 'bins features'],
        run: Int[np.ndarray, ' bins'],
    ) -> Float[np.ndarray, 'bins neurons']:
        self._network.eval()
        x = self._tensor(features)
        return (
            torch.cat([self._network(x[stretch]) for stretch in slices(run)])
            .double()
            .cpu()
            .numpy()
        )

    def _tensor(self, values: Float[np.ndarray, 'bins columns']) -> Float[Tensor, 'bins columns']:
        return torch.as_tensor(values, dtype=torch.float32, device=self.options.device)
