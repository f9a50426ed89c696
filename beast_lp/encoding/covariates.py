"""What is explained before features are: each neuron's mean, or its mean and its slow drift.

Drift is no control. It competes with the features for what changes slowly, so that a score over
drift counts what features add to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from beast_lp.encoding.encoder import Options, Prediction, Task
from beast_lp.encoding.nested import NEARLY, Given, Key, constant
from beast_lp.encoding.ridge import Ridge
from beast_lp.encoding.samples import number_runs, smooth
from beast_lp.encoding.split import Folds

# seconds, half a period of the fastest wave that counts as drift
DRIFT_S = 60.0
_FEWEST, _MOST = 2, 30
# trials or blocks for each wave, at least
_UNITS_A_WAVE = 4


@dataclass(frozen=True)
class Covariates:
    """Models of a session that know no features.

    Attributes:
        mean: the mean of each neuron alone.
        drift: mean and slow drift.
        drift_alone: prediction of `drift`.
    """

    mean: Given
    drift: Given
    drift_alone: Prediction


def covariates(
    responses: Float[np.ndarray, 'bins neurons'],
    group: Int[np.ndarray, ' bins'],
    folds: Folds,
    waves: Float[np.ndarray, 'bins waves'],
    options: Options,
) -> Covariates:
    """Fit the models that know no features.

    Args:
        responses: spike counts or traces.
        group: run of each bin, as in `Samples`.
        folds: folds of the bins.
        waves: result of `drift`.
        options: settings of the encoders.
    """
    target = fold_target(responses, group, folds, options)
    mean = constant(folds, target)
    order = np.arange(len(target))
    waves = waves.astype(np.float32)
    task = Task(waves, waves.shape[1], responses, group, mean, order)
    ridge = Ridge(options)
    models, _ = ridge.models(task)
    weights: Mapping[Key, np.ndarray] = {
        key: np.concatenate([own.covariates, own.inputs]) for key, own in models.items()
    }
    design = np.concatenate([mean.design, waves], axis=1)
    return Covariates(mean, Given.of(folds, design, target, weights), ridge.predict(task))


def beyond_drift(
    inputs: Float[np.ndarray, 'bins inputs'],
    drift: Given,
) -> Float[np.ndarray, 'bins inputs']:
    """Return that part of inputs which does not drift; what is nearly drift all but vanishes.

    It is taken before inputs are shifted. A shift of inputs that drift would begin with a jump, as
    no recording does, and be the weaker for it.

    Args:
        inputs: inputs of all bins.
        drift: model of mean and slow drift.
    """
    design = drift.design
    known = design @ np.linalg.lstsq(design, inputs, rcond=None)[0]
    left = inputs - known
    slow, rest = known.var(axis=0), left.var(axis=0)
    share = rest / np.maximum(rest + NEARLY * slow, np.finfo(np.float32).tiny)
    return (left * share).astype(inputs.dtype)


def fold_target(
    responses: Float[np.ndarray, 'bins neurons'],
    group: Int[np.ndarray, ' bins'],
    folds: Folds,
    options: Options,
) -> Float[np.ndarray, 'bins neurons']:
    """Return the responses that squared-error encoders aim at.

    Counts are smoothed within stretches of one fold, so that nothing of a fold enters another.
    """
    sigma = options.smoothing if options.is_counts else 0.0
    run = number_runs(group * (folds.count + 1) + folds.fold + 1, np.ones(len(group), dtype=bool))
    return smooth(np.asarray(responses, dtype=np.float64), run, sigma).astype(np.float32)


def drift(
    times: Float[np.ndarray, ' bins'],
    units: int,
) -> Float[np.ndarray, 'bins waves']:
    """Return slow cosines of time, the features of a model that knows nothing but the clock.

    Args:
        times: centres of the bins in seconds.
        units: number of trials or blocks.

    Returns:
        cosines of 1/2, 1, 3/2, … periods over the recording, the fastest with half a period in
        `DRIFT_S`; at least two, at most 30, and one for every four trials or blocks.
    """
    length = max(float(times[-1] - times[0]), 1e-9)
    waves = min(round(length / DRIFT_S), _MOST, units // _UNITS_A_WAVE)
    # centres of bins, which begin and end half a bin further out
    half = length / max(len(times) - 1, 1) / 2
    phase = (times - times[0] + half) / (length + 2 * half)
    return np.cos(np.pi * phase[:, None] * np.arange(1, max(waves, _FEWEST) + 1))
