"""The output directory of a run: its files, its claim, its settings and its description."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from beast_lp.config import BeastConfig, SegmentationConfig, parse_config
from beast_lp.config.retired import RETIRED
from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file, only_writer
from beast_lp.runs.settings import check_same_run
from beast_lp.segmentation.videos import Inputs

logger = logging.getLogger(f'lightning_pose.{__name__}')

_PREFIX = 'beast.segmentation.'
# retired settings without whose value a trained model computes something else
_SHAPING = {
    f'{_PREFIX}{name}'
    for name in ('head.pooled_size', 'head.heads', 'fitting.unfreeze_layers', 'patch_dim')
}
_STAY = f'{_PREFIX}decoding.stay'


@dataclass(frozen=True)
class SegmentationFiles:
    """Paths of the files of a training run."""

    directory: Path

    @property
    def settings(self) -> Path:
        """Resolved settings."""
        return self.directory / 'segmentation.yaml'

    @property
    def features(self) -> Path:
        """Stores of the features that the run computed."""
        return self.directory / 'features'

    @property
    def model(self) -> Path:
        """Description of the models; exists only once all of them are there."""
        return self.directory / 'segmenter.json'

    @property
    def report(self) -> Path:
        """Page for a person; the last file that is written."""
        return self.directory / 'report.html'

    @property
    def is_finished(self) -> bool:
        """Whether every file is written, the report included."""
        return self.model.exists() and self.report.exists()

    def member(self, fold: str, number: int) -> Path:
        """Return the folder of one model."""
        return self.directory / 'models' / fold / f'seed_{number}'


@dataclass(frozen=True)
class Description:
    """The models of a finished run, as `segmenter.json` describes them.

    Attributes:
        classes: names, in the order of the class numbers.
        shape: shape of the features of a frame.
        source: what makes the features, as a person names it; None where they come from files.
        source_hash: hash of its weights.
        made_by: as in `OpenVideo`.
        members: fold and number of every model.
        trained_on: hashes of all videos of which any model has learned a frame; empty for a run
            of a version that did not record them.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    source: str | None
    source_hash: str | None
    made_by: str
    members: tuple[tuple[str, int], ...]
    trained_on: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Write the fields as JSON."""
        return json.dumps(asdict(self), indent=2) + '\n'

    @staticmethod
    def read(path: Path) -> 'Description':
        """Read the file that holds the text of `to_json`.

        Raises:
            BeastError: if it holds anything else.
        """
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
            values['classes'], values['shape'] = tuple(values['classes']), tuple(values['shape'])
            values['members'] = tuple((fold, int(number)) for fold, number in values['members'])
            values['trained_on'] = tuple(values.get('trained_on', ()))
            return Description(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise BeastError(
                f'{path} does not describe a segmentation run ({type(error).__name__}: {error}); '
                'restore the file, or train again'
            ) from error


def settings_yaml(config: BeastConfig, inputs: Inputs) -> str:
    """Return, as YAML, all settings that make two runs the same run."""
    return OmegaConf.to_yaml(
        OmegaConf.create(
            {
                'beast': {'seed': config.seed},
                'segmentation': OmegaConf.structured(config.segmentation),
                'videos': [str(video) for video in inputs.videos],
                'held_out': [str(video) for video in inputs.held_out],
                'labels': str(inputs.labels),
                'source': inputs.source,
            }
        )
    )


def read_settings(path: Path) -> SegmentationConfig:
    """Read the settings of a training run, also those that an older version wrote.

    Settings that no longer exist may have any value, unless they shape the trained model.

    Args:
        path: `segmentation.yaml` of the run.

    Raises:
        BeastError: if the model needs a setting that no longer exists.
    """
    settings: Any = OmegaConf.to_container(OmegaConf.load(path))
    stored = settings['segmentation']
    for key, used in RETIRED.items():
        group, _, name = key.removeprefix(_PREFIX).rpartition('.')
        section = stored.get(group, {}) if group else stored
        if not key.startswith(_PREFIX) or name not in section:
            continue
        value = section.pop(name)
        if key in _SHAPING and stored['features'] == 'patches' and value != used:
            raise BeastError(
                f'the model in {path.parent} was trained with {key}={value}, which this version '
                'of beast_lp no longer has; train again, or use the version that it was trained '
                'with'
            )
        if key == _STAY and stored['decoding']['method'] == 'viterbi' and value != used:
            logger.warning(
                f'beast: the run in {path.parent} had {key}={value}, which is no longer a '
                f'setting; {used} is used'
            )
    return parse_config({'segmentation': stored}).segmentation


def check_output_dir(files: SegmentationFiles, config: BeastConfig, inputs: Inputs) -> None:
    """Check that a directory is new, or holds the very run that is asked for, unfinished.

    Raises:
        BeastError: if training there would mix two runs or overwrite a result.
    """
    if files.is_finished:
        raise BeastError(
            f'{files.directory} already holds a finished segmentation run; use it with `litpose '
            'segment predict`, or give another --output_dir'
        )
    check_same_run(
        'segmentation run',
        files.settings,
        settings_yaml(config, inputs),
        ('segmentation.fitting.checkpoint_minutes',),
    )


@contextmanager
def claimed(directory: Path, work: Mapping[str, Any]) -> Iterator[None]:
    """Claim an output directory that is new, or in which the same work was interrupted.

    Args:
        directory: directory of this work alone.
        work: what identifies an interrupted run; not its videos, of which a damaged one may have
            been removed.

    Raises:
        BeastError: if the directory holds anything else, or another process does this work.
    """
    record, text = directory / 'unfinished.json', json.dumps(work, indent=2)
    interrupted = record.is_file() and record.read_text(encoding='utf-8') == text
    if directory.exists() and any(directory.iterdir()) and not interrupted:
        raise BeastError(f'{directory} is not empty; give another --output_dir')
    directory.mkdir(parents=True, exist_ok=True)
    with only_writer(directory / '.lock', str(directory)):
        with finished_file(record) as part:
            part.write_text(text, encoding='utf-8')
        yield
        record.unlink()
