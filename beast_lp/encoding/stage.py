"""The encoding stage: score features by how well they predict spikes, beside controls.

An interrupted run can be resumed.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from beast_lp.config import BeastConfig
from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding.build import build_encoder, build_options, choose_encoders
from beast_lp.encoding.covariates import Covariates, covariates, drift
from beast_lp.encoding.encoder import Encoder
from beast_lp.encoding.evaluate import (
    Evaluation,
    evaluate,
    permutations_of,
    score,
    shifts_of,
)
from beast_lp.encoding.evaluation_file import (
    check_same_data,
    load_evaluation,
    save_evaluation,
)
from beast_lp.encoding.history_table import check_history
from beast_lp.encoding.pool import Result
from beast_lp.encoding.run_files import EncodingFiles, check_source_names, run_settings
from beast_lp.encoding.session import Session, Split, prepare_session
from beast_lp.encoding.sources import (
    SourceFiles,
    check_made_alike,
    check_one_each,
    find_sources,
    read_features,
)
from beast_lp.encoding.spikes import read_activity
from beast_lp.encoding.summary import write_summary
from beast_lp.encoding.tables import DRIFT
from beast_lp.errors import BeastError
from beast_lp.runs.progress import progress_bar

logger = logging.getLogger(f'lightning_pose.{__name__}')

# the encoder of the drift model
DRIFT_ENCODER = 'ridge'


def run_encoding(
    config: BeastConfig,
    spikes: Sequence[tuple[str, Path]],
    features: Sequence[tuple[str, Path]],
    output_dir: Path,
    split: Split | None = None,
) -> list[Result]:
    """Score every encoder on every source of features, or resume an interrupted run.

    Args:
        config: all settings, of which `encoding` and `seed` are read.
        spikes: name and path of each session.
        features: name and path of each source.
        output_dir: output directory of this run alone.
        split: function that replaces the split of the settings.

    Returns:
        one result per session, source and encoder, in that order.

    Raises:
        BeastError: if the directory holds another run, or results of data that have changed, or
            anything in the input cannot be used.
    """
    files, settings = EncodingFiles(output_dir), run_settings(config, spikes, features)
    files.check(settings)
    sources = find_sources(features)
    check_source_names(files, [*(source.name for source in sources), DRIFT])
    sessions = load_sessions(config.encoding, config.seed, spikes, sources, split)
    check_history(sessions, config.encoding.history_bins)
    encoders = choose_encoders(config.encoding, sessions[0].is_counts)
    # before the first fit, since fits may take hours
    for session in sessions:
        for source, encoder in _rows(session, encoders):
            check_same_data(files.rates(session.name, source, encoder), session, source)
    with files.claimed(settings):
        results = _evaluate_all(config, encoders, sessions, files)
        write_summary(config, files, settings, sessions, results)
    return results


def load_sessions(
    config: EncodingConfig,
    seed: int,
    spikes: Sequence[tuple[str, Path]],
    sources: Sequence[SourceFiles],
    split: Split | None = None,
) -> list[Session]:
    """Read, align and split every session.

    Args:
        config: settings of the stage.
        seed: seed of the splits.
        spikes: name and path of each session.
        sources: sources of features to compare.
        split: function that replaces the split of the settings.

    Raises:
        BeastError: if anything in it cannot be used.
    """
    names = [name for name, _ in spikes]
    for file, what in (
        (config.camera_times, 'camera times'),
        (config.trials.events, 'event times'),
    ):
        if file:
            check_one_each(Path(file).expanduser(), names, what)
    sessions: list[Session] = []
    made_by: dict[str, dict[str, list[str]]] = {source.name: {} for source in sources}
    for name, path in spikes:
        activity = read_activity(path, config.quality)
        features = {
            source.name: read_features(source, name, len(spikes) == 1, config.tokens)
            for source in sources
        }
        for source, views in features.items():
            made_by[source][name] = [view.made_by for view in views]
        session = prepare_session(name, activity, features, config, seed, split)
        for note in session.notes:
            logger.warning(f'beast: session {name}: {note}')
        logger.info(
            f'beast: session {name}: {len(session.names)} neurons, {len(session.bins)} bins of '
            f'{session.bins.width * 1000:g} ms'
        )
        sessions.append(session)
    for source in sources:
        check_made_alike(source, made_by[source.name])
    if len({session.is_counts for session in sessions}) > 1:
        raise BeastError(
            'some sessions hold spikes and others calcium traces, whose scores cannot be '
            'averaged; run `litpose encode` for each kind'
        )
    return sessions


def _rows(session: Session, encoders: Sequence[str]) -> list[tuple[str, str]]:
    """Return sources and encoders; drift has one model, beside which all encoders are scored."""
    rows = [(source, encoder) for source in session.features for encoder in encoders]
    return [*rows, (DRIFT, DRIFT_ENCODER)]


def _evaluate_all(
    config: BeastConfig,
    encoders: Sequence[str],
    sessions: Sequence[Session],
    files: EncodingFiles,
) -> list[Result]:
    results: list[Result] = []
    for session in sessions:
        rows = _rows(session, encoders)
        built = {
            name: build_encoder(name, config.encoding, session.is_counts, config.seed)
            for name in encoders
        }
        paths = {row: files.rates(session.name, *row) for row in rows}
        missing = [row for row in rows if not paths[row].exists()]
        without = _without_features(config, session) if missing else None
        total = sum(
            1 if source == DRIFT else _predictions(config, session, built[encoder])
            for source, encoder in missing
        )
        with progress_bar(
            desc=f'session {session.name}', unit='fit', total=total, disable=not missing
        ) as bar:
            for source, encoder in rows:
                path = paths[source, encoder]
                if (source, encoder) not in missing or without is None:
                    evaluation = load_evaluation(path)
                else:
                    evaluation, rates = (
                        _evaluate_drift(session, without)
                        if source == DRIFT
                        else evaluate(
                            session,
                            session.features[source],
                            built[encoder],
                            without,
                            config.encoding,
                            config.seed,
                            bar.update,
                        )
                    )
                    bar.update(source == DRIFT)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    save_evaluation(path, session, source, evaluation, rates)
                results.append(Result(session, source, encoder, evaluation, path))
        for result in results:
            if result.session is session and result.encoder in built:
                _note_edges(result, built[result.encoder])
    return results


def _predictions(config: BeastConfig, session: Session, encoder: Encoder) -> int:
    """Return how many predictions of a session an evaluation makes."""
    controls = config.encoding.controls
    shifts = shifts_of(session, encoder, controls.shifts, config.seed)
    orders = permutations_of(session, encoder, controls.permutations, config.seed)
    return 2 + sum(1 for _ in shifts) + sum(1 for _ in orders)


def _note_edges(result: Result, encoder: Encoder) -> None:
    """Log where most folds chose a value at the end of what they could choose from."""
    for name, edge in encoder.edges.items():
        chosen = result.evaluation.chosen[name]
        if (chosen == edge).sum() * 2 > len(chosen):
            logger.info(
                f'beast: {result.session.name}, {result.source}, {result.encoder}: '
                f'{int((chosen == edge).sum())} of {len(chosen)} folds chose {name} {edge:g}, '
                'the last of its grid; a value beyond it might do better'
            )


def _without_features(config: BeastConfig, session: Session) -> Covariates:
    """Fit the models of a session that know no features."""
    return covariates(
        session.responses,
        session.bins.group,
        session.folds,
        drift(session.clock, len(np.unique(session.unit))),
        build_options(config.encoding, session.is_counts, config.seed),
    )


def _evaluate_drift(
    session: Session,
    without: Covariates,
) -> tuple[Evaluation, Float[np.ndarray, 'bins neurons']]:
    """Score the model that knows nothing but the time, which adds nothing to itself."""
    found, count = without.drift_alone, len(session.names)
    none = np.empty((0, count))
    scores = score(session, found.rates, without.mean)
    evaluation = Evaluation(scores, np.full(count, np.nan), none, none, found.chosen)
    return evaluation, found.rates.astype(np.float32)
