"""The output directory of a run: its files, its claim, its settings and its description."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import OmegaConf

from beast_lp.config import BeastConfig, SegmentationConfig, parse_config
from beast_lp.config.retired import RETIRED
from beast_lp.errors import BeastError
from beast_lp.runs.directory import RunDirectory
from beast_lp.runs.settings import Settings, read_settings
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
class SegmentationFiles(RunDirectory):
    """The directory of a training run."""

    kind: ClassVar[str] = 'segmentation'
    use: ClassVar[str] = 'use it with `litpose segment predict`'
    settings_name: ClassVar[str] = 'segmentation.yaml'
    result_name: ClassVar[str] = 'segmenter.json'
    may_differ: ClassVar[tuple[str, ...]] = (f'{_PREFIX}fitting.checkpoint_minutes',)

    @property
    def features(self) -> Path:
        """Stores of the features that the run computed."""
        return self.directory / 'features'

    @property
    def model(self) -> Path:
        """Description of the models; it exists only once all are trained."""
        return self.result

    def member(self, fold: str, number: int) -> Path:
        """Return the folder of one model."""
        return self.directory / 'models' / fold / f'seed_{number}'


@dataclass(frozen=True)
class UseFiles(RunDirectory):
    """The directory of a prediction or an evaluation, which is new or was interrupted."""

    kind: ClassVar[str] = 'segmentation'
    # there until the work is done
    settings_name: ClassVar[str] = 'unfinished.json'
    result_name: ClassVar[str] = 'report.html'

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to write."""
        return self.report.exists() and not self.settings.exists()

    def check(self, settings: Settings) -> None:
        """Check that the directory is new or empty, or that the same work was interrupted in it.

        Args:
            settings: what identifies the work; not its videos, of which a damaged one may have
                been removed.

        Raises:
            BeastError: if the directory holds anything else.
        """
        super().check(settings)
        known = self.settings.exists() or not self.directory.exists()
        if not known and any(path != self.lock for path in self.directory.iterdir()):
            raise BeastError(f'{self.directory} is not empty; give another --output_dir')

    @contextmanager
    def claimed(self, settings: Settings) -> Iterator[None]:
        """Keep other runs out of the directory, and forget the settings once the work is done.

        Args:
            settings: what identifies the work.

        Raises:
            BeastError: if another run is at work here, or the directory holds anything else.
        """
        self.check(settings)
        with super().claimed(settings):
            yield
            self.settings.unlink()


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


def run_settings(config: BeastConfig, inputs: Inputs) -> dict[str, Any]:
    """Return everything by which a training run is known again."""
    return {
        'beast': {'seed': config.seed},
        'segmentation': OmegaConf.to_container(OmegaConf.structured(config.segmentation)),
        'videos': [str(video) for video in inputs.videos],
        'held_out': [str(video) for video in inputs.held_out],
        'labels': str(inputs.labels),
        'source': inputs.source,
    }


def read_config(path: Path) -> SegmentationConfig:
    """Read the settings of a training run, also those that an older version wrote.

    Settings that no longer exist may have any value, unless they shape the trained model.

    Args:
        path: `segmentation.yaml` of the run.

    Raises:
        BeastError: if the model needs a setting that no longer exists.
    """
    stored: Any = read_settings(path)['segmentation']
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
