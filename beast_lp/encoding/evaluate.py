"""Scores of one encoder on one source of one session, beside their controls."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding.controls import circular_shifts, least_shift, permutations
from beast_lp.encoding.covariates import Covariates, beyond_drift
from beast_lp.encoding.encoder import Encoder, Task
from beast_lp.encoding.metrics import bits_per_spike, r_squared, variance_explained
from beast_lp.encoding.nested import Given
from beast_lp.encoding.samples import add_lags, lag_centres
from beast_lp.encoding.session import Session

# bits per spike, or share of the variance, below which nothing was added
_LEAST_GAIN = 1e-4
# bins between two lags where there are many: responses are smoothed over more than that
_LAG_STEP, _MANY_LAGS = 2, 4


@dataclass(frozen=True)
class Scores:
    """Scores of all bins, each predicted by a model of other folds; bits are NaN for traces.

    Attributes:
        bps: bits per spike of each neuron beyond its mean rate in the bins that are scored (the
            standard definition).
        bps_train_null: bits per spike of each neuron beyond its mean rate outside the fold of
            each bin.
        variance_explained: share of each neuron's variance that is explained.
        r_squared: R² of each neuron.
        unit_gains: what each trial or block contributes to the score of all neurons, and
        unit_weights: its share of the denominator: spikes, or squared deviations of traces.
    """

    bps: Float[np.ndarray, ' neurons']
    bps_train_null: Float[np.ndarray, ' neurons']
    variance_explained: Float[np.ndarray, ' neurons']
    r_squared: Float[np.ndarray, ' neurons']
    unit_gains: Float[np.ndarray, ' units']
    unit_weights: Float[np.ndarray, ' units']


@dataclass(frozen=True)
class Evaluation:
    """Results of one encoder on one source of one session.

    Attributes:
        scores: scores of the features alone.
        over_drift: what the features add to the main score (`main_score`) of slow drift, for each
            neuron.
        shifts: what circularly shifted copies of the features add.
        permutations: what the features add after trials or blocks were exchanged.
        chosen: hyper-parameters that each fold chose for the features alone, by name.
    """

    scores: Scores
    over_drift: Float[np.ndarray, ' neurons']
    shifts: Float[np.ndarray, 'draws neurons']
    permutations: Float[np.ndarray, 'draws neurons']
    chosen: Mapping[str, Float[np.ndarray, ' folds']]


def evaluate(
    session: Session,
    features: Float[np.ndarray, 'bins features'],
    encoder: Encoder,
    covariates: Covariates,
    config: EncodingConfig,
    seed: int,
    step: Callable[[], object] = lambda: None,
) -> tuple[Evaluation, Float[np.ndarray, 'bins neurons']]:
    """Predict a session, alone and beside drift, and again with every control.

    Args:
        session: bins, folds and responses.
        features: features of all bins.
        encoder: encoder that predicts.
        covariates: models of the session that know no features.
        config: settings of the stage.
        seed: seed of the draws; with the same seed, all sources and encoders face the same
            controls.
        step: function that is called after every prediction.

    Returns:
        scores and controls, and the rates that the features alone predict.
    """
    bins = session.bins
    lags = config.lags if encoder.uses_lags else 0
    stride = _LAG_STEP if lags >= _MANY_LAGS else 1
    task = Task(
        add_lags(features.astype(np.float32), bins.group, lags, stride),
        len(lag_centres(bins.group, lags, stride)),
        session.responses,
        bins.group,
        covariates.mean,
        np.arange(len(bins)),
    )
    alone = encoder.predict(task)
    step()
    moving = beyond_drift(task.inputs, covariates.drift)
    beside = replace(task, given=covariates.drift, inputs=moving)
    drift = main_score(session, covariates.drift_alone.rates)

    def added(order: Int[np.ndarray, ' bins']) -> Float[np.ndarray, ' neurons']:
        both = encoder.predict(replace(beside, order=order))
        step()
        gain = main_score(session, both.rates) - drift
        # what follows from drift adds rounding errors, of either sign
        return np.where(np.abs(gain) < _LEAST_GAIN, 0.0, gain)

    def drawn(orders: Iterable[Int[np.ndarray, ' bins']]) -> Float[np.ndarray, 'draws neurons']:
        return np.array([added(order) for order in orders]).reshape(-1, len(drift))

    evaluation = Evaluation(
        score(session, alone.rates, covariates.mean),
        added(task.order),
        drawn(shifts_of(session, encoder, config.controls.shifts, seed)),
        drawn(permutations_of(session, encoder, config.controls.permutations, seed)),
        alone.chosen,
    )
    return evaluation, alone.rates.astype(np.float32)


def shifts_of(
    session: Session,
    encoder: Encoder,
    count: int,
    seed: int,
) -> Iterator[Int[np.ndarray, ' bins']]:
    """Return circular shifts of a session: of whole trials, or of bins of a recording.

    Args:
        session: session to shift.
        encoder: encoder, which may take fewer.
        count: number of shifts.
        seed: seed of the draws.
    """
    bins, length, seconds = session.bins, 1, session.bins.width
    if session.is_trials:
        starts = np.flatnonzero(np.diff(bins.group, prepend=bins.group[0] - 1))
        length = len(bins) // len(starts)
        seconds = float(np.median(np.diff(bins.times[starts]))) if len(starts) > 1 else seconds
    least = least_shift(len(bins) // length, seconds)
    rng = np.random.default_rng([seed, 0])
    return circular_shifts(len(bins), min(count, encoder.most_draws), least, rng, length)


def permutations_of(
    session: Session,
    encoder: Encoder,
    count: int,
    seed: int,
) -> Iterator[Int[np.ndarray, ' bins']]:
    """Return exchanges of a session's trials or blocks, as `shifts_of` does shifts."""
    rng = np.random.default_rng([seed, 1])
    return permutations(session.unit, min(count, encoder.most_draws), rng)


def score(session: Session, rates: Float[np.ndarray, 'bins neurons'], mean: Given) -> Scores:
    """Score predictions of all bins that belong to a fold.

    Args:
        session: session that was predicted.
        rates: predicted spikes per bin, or traces.
        mean: model of each neuron's mean alone.
    """
    folds, scored = session.folds, session.folds.scored
    responses, rates = session.responses[scored], np.asarray(rates[scored], dtype=np.float64)
    bps = known = np.full(responses.shape[1], np.nan)
    own = responses.mean(axis=0, dtype=np.float64)
    if session.is_counts:
        bps = bits_per_spike(responses, rates).per_neuron
        outside = [
            session.responses[folds.without(number)].mean(axis=0, dtype=np.float64)
            for number in range(folds.count)
        ]
        null = np.maximum(outside, 1e-9)[folds.fold[scored]]
        known = bits_per_spike(responses, rates, null).per_neuron
        null = np.maximum(own, 1e-9)
        gains = (responses * np.log(rates / null) - rates + null).sum(axis=1) / np.log(2)
        weights = responses.sum(axis=1, dtype=np.float64)
    else:
        squares = (responses - own) ** 2
        total = squares.sum(axis=0)
        total = np.where(total > 0, total, np.inf)
        left = ((responses - rates) ** 2 / total).mean(axis=1)
        weights = (squares / total).mean(axis=1)
        gains = weights - left
    _, at = np.unique(session.unit[scored], return_inverse=True)
    return Scores(
        bps,
        known,
        variance_explained(responses, rates),
        r_squared(responses, rates),
        np.bincount(at, gains),
        np.bincount(at, weights),
    )


def main_score(
    session: Session,
    rates: Float[np.ndarray, 'bins neurons'],
) -> Float[np.ndarray, ' neurons']:
    """Return the score that is compared with controls: bits per spike, or variance explained."""
    scored = session.folds.scored
    responses, rates = session.responses[scored], rates[scored]
    if session.is_counts:
        return bits_per_spike(responses, rates).per_neuron
    return variance_explained(responses, rates)


def own_score(scores: Scores, is_counts: bool) -> Float[np.ndarray, ' neurons']:
    """Return the main score of each neuron out of all scores."""
    return scores.bps if is_counts else scores.variance_explained
