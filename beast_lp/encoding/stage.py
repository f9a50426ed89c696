"""The encoding stage: score features by how well they predict spikes, beside controls.

An interrupted run can be resumed.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from omegaconf import OmegaConf

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
from beast_lp.encoding.history_table import check_history, history_table, with_history
from beast_lp.encoding.session import Session, Split, prepare_session
from beast_lp.encoding.sources import (
    SourceFiles,
    check_made_alike,
    check_one_each,
    find_sources,
    read_features,
)
from beast_lp.encoding.spikes import read_activity
from beast_lp.encoding.tables import (
    DRIFT,
    Result,
    breakdown_table,
    comparison_table,
    difference_table,
    neuron_table,
)
from beast_lp.errors import BeastError
from beast_lp.runs.directory import RunDirectory
from beast_lp.runs.files import finished_file, write_table
from beast_lp.runs.progress import progress_bar

logger = logging.getLogger(f'lightning_pose.{__name__}')

# the encoder of the drift model
DRIFT_ENCODER = 'ridge'
_PACKAGES = ('beast-lp', 'numpy', 'scipy', 'torch')


@dataclass(frozen=True)
class EncodingFiles(RunDirectory):
    """The directory of an encoding run."""

    kind: ClassVar[str] = 'encoding'
    result_name: ClassVar[str] = 'summary.json'
    # where the config looks for them; the paths themselves are compared
    may_differ: ClassVar[tuple[str, ...]] = ('beast.encoding.features', 'beast.encoding.spikes')

    @property
    def neurons(self) -> Path:
        """One row per session, source, encoder and neuron."""
        return self.directory / 'neurons.csv'

    @property
    def comparison(self) -> Path:
        """One row per source and encoder."""
        return self.directory / 'comparison.csv'

    @property
    def breakdown(self) -> Path:
        """One row per source, encoder and session or region."""
        return self.directory / 'breakdown.csv'

    @property
    def differences(self) -> Path:
        """One row per encoder and pair of sources."""
        return self.directory / 'differences.csv'

    @property
    def history(self) -> Path:
        """One row per session, source, encoder and neuron, where a past was asked for."""
        return self.directory / 'history.csv'

    @property
    def summary(self) -> Path:
        """Settings, seed, versions and scores; written after all fits."""
        return self.result

    def rates(self, session: str, source: str, encoder: str) -> Path:
        """Predicted rates and scores of one fit."""
        name = re.sub(r'[^\w+-]+', '_', f'{source}-{encoder}')
        return self.directory / 'rates' / session / f'{name}.npz'


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
        _write_tables(config, files, settings, sessions, results)
    return results


def check_source_names(files: EncodingFiles, names: Sequence[str]) -> None:
    """Check that each source has result files of its own.

    Args:
        files: files of the run.
        names: names of all sources.

    Raises:
        BeastError: if two share a file name, also on disks that ignore case.
    """
    taken: dict[str, str] = {}
    for name in names:
        file = files.rates('', name, '').name.lower()
        if file in taken:
            raise BeastError(
                f'the features {taken[file]!r} and {name!r} would be stored under one file name; '
                'give one of them another name with NAME=PATH'
            )
        taken[file] = name


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


def run_settings(
    config: BeastConfig,
    spikes: Sequence[tuple[str, Path]],
    features: Sequence[tuple[str, Path]],
) -> dict[str, Any]:
    """Return everything by which a run is known again."""
    encoding = OmegaConf.to_container(OmegaConf.structured(config.encoding))
    return {
        'beast': {'seed': config.seed, 'encoding': encoding},
        'spikes': {name: str(path) for name, path in spikes},
        'features': {name: str(path) for name, path in features},
    }


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


def _write_tables(
    config: BeastConfig,
    files: EncodingFiles,
    settings: Mapping[str, Any],
    sessions: Sequence[Session],
    results: list[Result],
) -> None:
    comparison = comparison_table(results)
    if config.encoding.history_bins:
        history = history_table(results, config.encoding.history_bins)
        write_table(history, files.history)
        comparison = with_history(comparison, history)
    for table, path in (
        (neuron_table(results), files.neurons),
        (breakdown_table(results), files.breakdown),
        (difference_table(results), files.differences),
        (comparison, files.comparison),
    ):
        write_table(table, path)
    summary: Mapping[str, object] = {
        'settings': settings,
        'seed': config.seed,
        'versions': {name: version(name) for name in _PACKAGES},
        'sessions': {
            session.name: {
                'neurons': len(session.names),
                'bins': len(session.bins),
                'bin_s': session.bins.width,
                'notes': list(session.notes),
            }
            for session in sessions
        },
        # through JSON, so that NaN becomes null
        'comparison': json.loads(str(comparison.to_json(orient='records'))),
        'chosen': [
            {
                'session': result.session.name,
                'source': result.source,
                'encoder': result.encoder,
                **{
                    name: [_plain(value) for value in values.tolist()]
                    for name, values in result.evaluation.chosen.items()
                },
            }
            for result in results
        ],
    }
    with finished_file(files.summary) as part:
        part.write_text(json.dumps(summary, indent=2, ensure_ascii=False), encoding='utf-8')


def _plain(value: float) -> float | str:
    """Return a chosen value as JSON can hold it; an infinite penalty leaves a constant."""
    if np.isinf(value):
        return 'constant'
    return int(value) if float(value).is_integer() else value
