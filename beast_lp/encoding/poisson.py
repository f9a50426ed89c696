"""Low-rank Poisson regression: counts ~ Poisson(base * exp(b + x U V)), fitted by L-BFGS.

Both factors are penalised by their squared norms, which at the optimum equals the nuclear norm of
their product (Srebro, Rennie & Jaakkola 2004): a larger penalty also lowers the rank in use. Above
a certain penalty the optimum is a constant rate.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from beast_lp.encoding.metrics import RATE_FLOOR

# exp(15) is 3 million spikes per bin, which only steps of the line search exceed
_LARGEST_LOG_RATE = 15.0
_MAX_STEPS = 200


@dataclass(frozen=True)
class PoissonWeights:
    """The fitted model: log rate = log base + bias + x @ left @ right.

    Attributes:
        left: directions in the space of the features.
        right: weights of these directions.
        bias: logarithm of the rate over the base, at features of zero.
    """

    left: Float[np.ndarray, 'features rank']
    right: Float[np.ndarray, 'rank neurons']
    bias: Float[np.ndarray, ' neurons']

    @property
    def is_constant(self) -> bool:
        """Whether the rates do not depend on the features."""
        return not (self.left.any() and self.right.any())

    def rates(
        self,
        x: Float[np.ndarray, 'bins features'],
        base: Float[np.ndarray, 'bins neurons'],
        largest: Float[np.ndarray, ' neurons'],
    ) -> Float[np.ndarray, 'bins neurons']:
        """Return the expected spikes per bin.

        Args:
            x: features.
            base: rates that covariates lead to expect, above 0.
            largest: upper limit of each neuron's rate, since an exponential of features that were
                absent from training has none.
        """
        drive = (x @ self.left) @ self.right + self.bias + np.log(base)
        return np.minimum(np.exp(np.minimum(drive, _LARGEST_LOG_RATE)), largest)


def fit_poisson(
    x: Float[np.ndarray, 'bins features'],
    counts: Float[np.ndarray, 'bins neurons'],
    base: Float[np.ndarray, 'bins neurons'],
    penalty: float,
    start: PoissonWeights,
    device: torch.device,
) -> PoissonWeights:
    """Minimise the mean over bins of the summed Poisson NLL + penalty / 2 * squared factors.

    Args:
        x: features of zero mean and about unit variance.
        counts: spikes per bin.
        base: rates that covariates lead to expect, above 0.
        penalty: weight of the squared factors, at least 0.
        start: first guess, whose factors set the rank. A direction that is zero in both factors
            stays zero, since its gradient vanishes, so weights that were fitted with a larger
            penalty are no first guess.
        device: device that computes.

    Returns:
        the fitted weights, of the same rank.
    """
    if penalty >= constant_from(x, counts, base):
        # the optimum is known; L-BFGS would end near it, with factors that are almost zero
        return constant_weights(start, counts, base)
    features, spikes, offset = (
        torch.as_tensor(array, dtype=torch.float32, device=device)
        for array in (x, counts, np.log(base))
    )
    parameters = [
        torch.tensor(array, dtype=torch.float32, device=device, requires_grad=True)
        for array in balanced(start.left, start.right)
    ]
    bias = torch.tensor(start.bias, dtype=torch.float32, device=device, requires_grad=True)
    left, right = parameters
    parameters.append(bias)
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=_MAX_STEPS,
        history_size=10,
        line_search_fn='strong_wolfe',
        tolerance_grad=1e-5,
        tolerance_change=1e-6,
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        drive = torch.addmm(offset, features @ left, right) + bias
        drive = drive.clamp(max=_LARGEST_LOG_RATE)
        value = (drive.exp() - spikes * drive).sum() / len(features)
        value = value + penalty / 2 * (left.square().sum() + right.square().sum())
        value.backward()
        return value

    optimiser.step(loss)
    fitted = [parameter.detach().double().cpu().numpy() for parameter in parameters]
    return PoissonWeights(*fitted)


def constant_weights(
    like: PoissonWeights,
    counts: Float[np.ndarray, 'bins neurons'],
    base: Float[np.ndarray, 'bins neurons'],
) -> PoissonWeights:
    """Return the weights of a rate that is proportional to its base.

    Args:
        like: weights of the same shape.
        counts: spikes per bin.
        base: rates that covariates lead to expect, above 0.
    """
    return PoissonWeights(
        np.zeros_like(like.left), np.zeros_like(like.right), np.log(_ratio(counts, base))
    )


def constant_from(
    x: Float[np.ndarray, 'bins features'],
    counts: Float[np.ndarray, 'bins neurons'],
    base: Float[np.ndarray, 'bins neurons'],
) -> float:
    """Return the least penalty at which the best fit is a rate proportional to its base.

    It is the largest singular value of the likelihood's gradient at that rate: beyond it, the
    nuclear norm of any weights exceeds what they gain in likelihood.
    """
    left = counts - base * _ratio(counts, base)
    return float(np.linalg.norm(x.T @ left / len(x), 2))


def _ratio(
    counts: Float[np.ndarray, 'bins neurons'],
    base: Float[np.ndarray, 'bins neurons'],
) -> Float[np.ndarray, ' neurons']:
    spikes = counts.sum(axis=0, dtype=np.float64)
    return np.maximum(spikes, RATE_FLOOR) / base.sum(axis=0, dtype=np.float64)


def balanced(
    left: Float[np.ndarray, 'features rank'],
    right: Float[np.ndarray, 'rank neurons'],
) -> tuple[Float[np.ndarray, 'features rank'], Float[np.ndarray, 'rank neurons']]:
    """Return the factors of the same product that have the smallest squared norms.

    Examples:
        >>> left, right = balanced(np.array([[8.0]]), np.array([[0.5]]))
        >>> np.abs([left.item(), right.item()]).round(6).tolist()
        [2.0, 2.0]
    """
    basis_left, triangle_left = np.linalg.qr(left)
    basis_right, triangle_right = np.linalg.qr(right.T)
    u, s, v = np.linalg.svd(triangle_left @ triangle_right.T, full_matrices=False)
    root = np.sqrt(s)
    return (basis_left @ u) * root, root[:, None] * (v @ basis_right.T)
