"""Scores of one encoder on one source of one session, beside their controls."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from beast_lp.config.encoding import ControlConfig
from beast_lp.encoding.controls import circular_shifts, least_shift, permutations
from beast_lp.encoding.encoder import Encoder
from beast_lp.encoding.metrics import bits_per_spike, r_squared, variance_explained
from beast_lp.encoding.samples import Samples
from beast_lp.encoding.session import Session
from beast_lp.encoding.split import TEST, TRAIN, VALIDATION
from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file
from beast_lp.runs.foreign import foreign_file


@dataclass(frozen=True)
class Scores:
    """Scores of the test part; bits per spike are NaN for traces.

    Attributes:
        bps: bits per spike of each neuron beyond its mean rate in the test part (the standard
            definition).
        bps_pooled: the same over all spikes.
        bps_train_null: bits per spike of each neuron beyond its mean rate in the training and
            validation parts.
        bps_train_null_pooled: the same over all spikes.
        variance_explained: share of each neuron's variance that is explained.
        r_squared: R² of each neuron.
    """

    bps: Float[np.ndarray, ' neurons']
    bps_pooled: float
    bps_train_null: Float[np.ndarray, ' neurons']
    bps_train_null_pooled: float
    variance_explained: Float[np.ndarray, ' neurons']
    r_squared: Float[np.ndarray, ' neurons']


@dataclass(frozen=True)
class Evaluation:
    """Results of one encoder on one source of one session.

    Attributes:
        scores: scores of the test part.
        shifts: main score of each neuron (`main_score`) under each circular shift.
        shifts_pooled: pooled main score under each circular shift.
        permutations: main score of each neuron under each permutation of trials or blocks.
        permutations_pooled: pooled main score under each permutation.
        chosen: hyper-parameters that the encoder chose, by name.
    """

    scores: Scores
    shifts: Float[np.ndarray, 'draws neurons']
    shifts_pooled: Float[np.ndarray, ' draws']
    permutations: Float[np.ndarray, 'draws neurons']
    permutations_pooled: Float[np.ndarray, ' draws']
    chosen: dict[str, float]


def evaluate(
    session: Session,
    features: Float[np.ndarray, 'bins features'],
    encoder: Encoder,
    controls: ControlConfig,
    seed: int,
    step: Callable[[], object] = lambda: None,
) -> tuple[Evaluation, Float[np.ndarray, 'bins neurons']]:
    """Fit an encoder, score it, and fit it again to every control.

    Args:
        session: bins, split and responses.
        features: features of all bins.
        encoder: encoder that is not fitted yet.
        controls: numbers of shifts and permutations.
        seed: seed of the draws; with the same seed, all sources and encoders face the same
            controls.
        step: function that is called after every fit.

    Returns:
        scores and controls, and the rates that the encoder predicts for all bins after it was
        fitted to the training part.
    """
    parts = session.samples(features)
    encoder.fit(parts[TRAIN], parts[VALIDATION])
    rates = encoder.predict(features, session.bins.group)
    scores = score_test(session, parts, rates[session.part == TEST])
    step()
    bins, rng = session.bins, np.random.default_rng(seed)
    least = least_shift(len(bins), bins.width)
    shifts = circular_shifts(len(bins), controls.shifts, least, rng)
    orders = permutations(session.unit, controls.permutations, rng)
    shifted = _destroyed(session, features, encoder, shifts, step)
    permuted = _destroyed(session, features, encoder, orders, step)
    evaluation = Evaluation(scores, *shifted, *permuted, _plain(encoder.chosen))
    return evaluation, rates.astype(np.float32)


def score_test(
    session: Session,
    parts: dict[int, Samples],
    rates: Float[np.ndarray, 'bins neurons'],
) -> Scores:
    """Score predictions of the test part.

    Args:
        session: session that the parts belong to.
        parts: samples of the training, validation and test parts.
        rates: predicted spikes per bin, or traces, of the test part.
    """
    responses = parts[TEST].responses
    nothing = np.full(responses.shape[1], np.nan)
    bps = known = (nothing, np.nan)
    if session.is_counts:
        standard = bits_per_spike(responses, rates)
        bps = standard.per_neuron, standard.pooled
        before = np.concatenate([parts[TRAIN].responses, parts[VALIDATION].responses])
        flattering = bits_per_spike(responses, rates, before.mean(axis=0, dtype=np.float64))
        known = flattering.per_neuron, flattering.pooled
    return Scores(*bps, *known, variance_explained(responses, rates), r_squared(responses, rates))


def main_score(scores: Scores, is_counts: bool) -> tuple[Float[np.ndarray, ' neurons'], float]:
    """Return the score that is compared with the controls, for each neuron and pooled.

    It is bits per spike, or the variance explained of traces, pooled by the mean over neurons.
    """
    if is_counts:
        return scores.bps, scores.bps_pooled
    finite = scores.variance_explained[np.isfinite(scores.variance_explained)]
    return scores.variance_explained, float(finite.mean()) if len(finite) else np.nan


def _destroyed(
    session: Session,
    features: Float[np.ndarray, 'bins features'],
    encoder: Encoder,
    orders: Iterable[Int[np.ndarray, ' bins']],
    step: Callable[[], object],
) -> tuple[Float[np.ndarray, 'draws neurons'], Float[np.ndarray, ' draws']]:
    """Fit and score once for each order of the responses."""
    neurons, pooled = [], []
    for order in orders:
        parts = session.samples(features, order)
        encoder.refit(parts[TRAIN])
        rates = encoder.predict(parts[TEST].features, parts[TEST].run)
        own, total = main_score(score_test(session, parts, rates), session.is_counts)
        neurons.append(own)
        pooled.append(total)
        step()
    count = session.responses.shape[1]
    return np.array(neurons).reshape(-1, count), np.array(pooled)


# ---------------------------------------------------------------------------------------------
# the file
# ---------------------------------------------------------------------------------------------


def save_evaluation(
    path: Path,
    session: Session,
    source: str,
    evaluation: Evaluation,
    rates: Float[np.ndarray, 'bins neurons'],
) -> None:
    """Write an evaluation, and all that figures of it need, as a `.npz` file.

    Args:
        path: file to write.
        session: session that was predicted.
        source: name of the source of the features.
        evaluation: scores and controls.
        rates: predicted spikes per bin, or traces, of all bins.
    """
    scores = {
        f'score_{item.name}': getattr(evaluation.scores, item.name) for item in fields(Scores)
    }
    chosen = list(evaluation.chosen)
    with finished_file(path) as part, part.open('wb') as file:
        np.savez_compressed(
            file,
            rates=rates,
            digest=session.digest(source),
            shifts=evaluation.shifts,
            shifts_pooled=evaluation.shifts_pooled,
            permutations=evaluation.permutations,
            permutations_pooled=evaluation.permutations_pooled,
            chosen_names=np.array(chosen, dtype=str),
            chosen_values=np.array([evaluation.chosen[name] for name in chosen]),
            bin_times=session.bins.times,
            bin_width=session.bins.width,
            trial=session.bins.group,
            part=session.part,
            names=session.names,
            **scores,
        )


def check_same_data(path: Path, session: Session, source: str) -> None:
    """Check that an evaluation on disk, if there is one, belongs to the present data.

    Args:
        path: file of the evaluation, which need not exist.
        session: session as it was just read.
        source: name of the source of the features.

    Raises:
        BeastError: if spikes, times or features have changed since it was written.
    """
    if not path.exists():
        return
    with _opened(path) as data:
        known = 'digest' in data.files
        if known and data['digest'].item() == session.digest(source):
            return
    raise BeastError(
        f'{path} was computed from other spikes, times or features, which have changed since '
        'under the same names; restore them to resume the run, or give another --output_dir'
        if known
        else f'{path} was written by an older beast-lp and does not record the data that it was '
        'computed from; give another --output_dir'
    )


def load_evaluation(path: Path) -> Evaluation:
    """Read an evaluation that `save_evaluation` wrote, without the rates."""
    with _opened(path) as data:
        values: dict[str, Any] = {name: data[name] for name in data.files if name != 'rates'}
        scores = {item.name: values[f'score_{item.name}'] for item in fields(Scores)}
        for name in ('bps_pooled', 'bps_train_null_pooled'):
            scores[name] = float(scores[name])
        chosen = zip(
            values['chosen_names'].tolist(), values['chosen_values'].tolist(), strict=True
        )
        return Evaluation(
            Scores(**scores),
            values['shifts'],
            values['shifts_pooled'],
            values['permutations'],
            values['permutations_pooled'],
            _plain(dict(chosen)),
        )


def _plain(chosen: Mapping[str, float]) -> dict[str, float]:
    """Return numbers that are written alike whether they were just chosen or read from a file.

    An array has one type, so that a rank of 6 comes back as 6.0.
    """
    return {
        name: int(value) if float(value).is_integer() else float(value)
        for name, value in chosen.items()
    }


def load_rates(path: Path) -> Float[np.ndarray, 'bins neurons']:
    """Read the rates that `save_evaluation` wrote."""
    with _opened(path) as data:
        return data['rates']


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file that `save_evaluation` wrote; what is wrong with it becomes a sentence."""
    advice = 'delete it and run the same command again, which computes it anew'
    with foreign_file(path, advice, 'rates'), np.load(path, allow_pickle=False) as data:
        yield data
