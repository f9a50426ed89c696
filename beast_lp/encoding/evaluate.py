"""One encoder on one source of one session: scores on the test part, beside its controls."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from beast_lp.config.encoding import ControlConfig
from beast_lp.encoding.controls import circular_shifts, count_shifts, permutations
from beast_lp.encoding.encoder import Encoder
from beast_lp.encoding.metrics import bits_per_spike, r_squared, variance_explained
from beast_lp.encoding.samples import Samples
from beast_lp.encoding.session import Session
from beast_lp.encoding.split import TEST, TRAIN, VALIDATION
from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file


@dataclass(frozen=True)
class Scores:
    """How well the test part is predicted; bits per spike are NaN for traces.

    Attributes:
        bps: bits per spike, beyond the mean rate of the test part (the standard definition).
        bps_pooled: over all spikes.
        bps_train_null: bits per spike beyond the mean rate of training and validation.
        bps_train_null_pooled: the same over all spikes.
        variance_explained: per neuron.
        r_squared: per neuron.
    """

    bps: Float[np.ndarray, ' neurons']
    bps_pooled: float
    bps_train_null: Float[np.ndarray, ' neurons']
    bps_train_null_pooled: float
    variance_explained: Float[np.ndarray, ' neurons']
    r_squared: Float[np.ndarray, ' neurons']


@dataclass(frozen=True)
class Evaluation:
    """What is kept of one encoder on one source of one session.

    Attributes:
        scores: on the test part.
        shifts: the main score per neuron (`main_score`) under each circular shift.
        shifts_pooled: pooled bits per spike, or the mean variance explained, likewise.
        permutations: as `shifts`, of permuted trials or blocks.
        permutations_pooled: likewise.
        chosen: hyper-parameters.
    """

    scores: Scores
    shifts: Float[np.ndarray, 'draws neurons']
    shifts_pooled: Float[np.ndarray, ' draws']
    permutations: Float[np.ndarray, 'draws neurons']
    permutations_pooled: Float[np.ndarray, ' draws']
    chosen: dict[str, float]


def check_controls(session: Session, controls: ControlConfig) -> None:
    """Make sure that all controls of a session can be drawn, before anything is fitted.

    Raises:
        BeastError: if the recording is too short for the circular shifts.
    """
    if controls.shifts:
        count_shifts(len(session.bins), _least_shift(session, controls))


def evaluate(
    session: Session,
    features: Float[np.ndarray, 'bins features'],
    encoder: Encoder,
    controls: ControlConfig,
    seed: int,
    step: Callable[[], object] = lambda: None,
) -> tuple[Evaluation, Float[np.ndarray, 'bins neurons']]:
    """Fit an encoder, score it, and fit it again on every control.

    Args:
        session: bins, split and responses.
        features: of all bins.
        encoder: not fitted yet.
        controls: how many of them.
        seed: of their draws; the same for every source and encoder, which face the same controls.
        step: called after every fit.

    Returns:
        scores and controls, and the rates that are predicted for every bin with the weights that
        were fitted on the training part.
    """
    parts = session.samples(features)
    encoder.fit(parts[TRAIN], parts[VALIDATION])
    rates = encoder.predict(features, session.bins.group)
    scores = score_test(session, parts, rates[session.part == TEST])
    step()
    bins, rng = session.bins, np.random.default_rng(seed)
    least = _least_shift(session, controls)
    shifts = circular_shifts(len(bins), controls.shifts, least, rng)
    orders = permutations(session.unit, controls.permutations, rng)
    shifted = _destroyed(session, features, encoder, shifts, step)
    permuted = _destroyed(session, features, encoder, orders, step)
    evaluation = Evaluation(scores, *shifted, *permuted, dict(encoder.chosen))
    return evaluation, rates.astype(np.float32)


def score_test(
    session: Session,
    parts: dict[int, Samples],
    rates: Float[np.ndarray, 'bins neurons'],
) -> Scores:
    """Score predictions of the test part."""
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
    """Return what is compared with controls: per neuron, and pooled (of traces: the mean)."""
    if is_counts:
        return scores.bps, scores.bps_pooled
    finite = scores.variance_explained[np.isfinite(scores.variance_explained)]
    return scores.variance_explained, float(finite.mean()) if len(finite) else np.nan


def _least_shift(session: Session, controls: ControlConfig) -> int:
    return round(controls.least_shift_s / session.bins.width)


def _destroyed(
    session: Session,
    features: Float[np.ndarray, 'bins features'],
    encoder: Encoder,
    orders: Iterable[Int[np.ndarray, ' bins']],
    step: Callable[[], object],
) -> tuple[Float[np.ndarray, 'draws neurons'], Float[np.ndarray, ' draws']]:
    """Fit and score once for every order of the responses."""
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
    """Write an evaluation with all that is needed to draw it, readable with numpy alone.

    Args:
        path: of the file.
        session: that was predicted.
        source: of the features.
        evaluation: scores and controls.
        rates: that are predicted for every bin.
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
    """Make sure that an evaluation on disk is of the data that are there now.

    Args:
        path: of the evaluation; there need not be one.
        session: as it was read now.
        source: of the features.

    Raises:
        BeastError: if spikes, times or features have changed since it was written.
    """
    if not path.exists():
        return
    with np.load(path, allow_pickle=False) as data:
        known = 'digest' in data.files
        if known and data['digest'].item() == session.digest(source):
            return
    raise BeastError(
        f'{path} was computed from other spikes, times or features than those that are there now '
        'under the same names; restore them to resume the run, or give another --output_dir'
        if known
        else f'{path} was written by an older beast-lp and does not tell which data it was '
        'computed from; give another --output_dir'
    )


def load_evaluation(path: Path) -> Evaluation:
    """Read what `save_evaluation` wrote, but for the rates."""
    with np.load(path, allow_pickle=False) as data:
        values: dict[str, Any] = {name: data[name] for name in data.files if name != 'rates'}
    scores = {item.name: values[f'score_{item.name}'] for item in fields(Scores)}
    for name in ('bps_pooled', 'bps_train_null_pooled'):
        scores[name] = float(scores[name])
    return Evaluation(
        Scores(**scores),
        values['shifts'],
        values['shifts_pooled'],
        values['permutations'],
        values['permutations_pooled'],
        dict(zip(values['chosen_names'].tolist(), values['chosen_values'].tolist(), strict=True)),
    )


def load_rates(path: Path) -> Float[np.ndarray, 'bins neurons']:
    """Read the rates that `save_evaluation` wrote."""
    with np.load(path, allow_pickle=False) as data:
        return data['rates']
