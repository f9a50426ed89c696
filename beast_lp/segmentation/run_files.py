"""The output directory of a run: its files, its claim, its settings and its description."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import OmegaConf

from beast_lp.config import BeastConfig, SegmentationConfig, parse_config
from beast_lp.config.retired import RETIRED
from beast_lp.errors import BeastError
from beast_lp.runs.directory import RunDirectory
from beast_lp.runs.keys import file_key
from beast_lp.runs.readable import check_readable
from beast_lp.runs.settings import Settings, read_settings
from beast_lp.segmentation.streams import Shape
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

    def floor(self, fold: str) -> Path:
        """Return the file of what the scores of a fold have to beat."""
        return self.directory / 'models' / fold / 'floor.safetensors'

    def curve(self, fold: str) -> Path:
        """Return the folder of the model that the held-out curve of a fold is drawn of."""
        return self.directory / 'models' / fold / 'curve'

    def weights(self, fold: str, number: int) -> Path:
        """Return the file with the weights of one model."""
        return self.member(fold, number) / 'model.safetensors'


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
        shapes: shape of a frame of each stream of features.
        source: what makes the features, as a person names it; None where they come from files.
        source_hash: hash of its weights.
        made_by: as in `OpenVideo`.
        members: fold and number of every model.
        trained_on: hashes of all videos of which any model has learned a frame; empty for a run
            of a version that did not record them.
        files: hash of each file that a prediction reads, by its path in the directory of the run;
            empty for a run of a version that did not record them.
        source_files: hash of the files from which `source` was opened, compared before any of
            them is opened; None where there are none, and for a run of a version that did not
            record them.
    """

    classes: tuple[str, ...]
    shapes: tuple[Shape, ...]
    source: str | None
    source_hash: str | None
    made_by: str
    members: tuple[tuple[str, int], ...]
    trained_on: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    source_files: str | None = None

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
            values: Any = json.loads(path.read_text(encoding='utf-8'))
        except (ValueError, RecursionError) as error:
            raise _damaged(path, f'it is no JSON ({type(error).__name__})') from error
        if not isinstance(values, dict):
            raise _damaged(path, 'it is no JSON object')
        values = {'trained_on': [], 'files': {}, 'source_files': None, **values}
        if 'shapes' not in values and 'shape' in values:
            # of a version that knew one stream
            values['shapes'] = [values.pop('shape')]
        names = {item.name for item in fields(Description)}
        if values.keys() != names:
            raise _damaged(path, f'it differs in {", ".join(sorted(values.keys() ^ names))}')
        wrong = next((name for name, fits in _FITS.items() if not fits(values[name])), None)
        if wrong is not None:
            raise _damaged(path, f'{wrong} cannot be {json.dumps(values[wrong])[:60]}')
        return Description(
            tuple(values['classes']),
            tuple(tuple(shape) for shape in values['shapes']),
            values['source'],
            values['source_hash'],
            values['made_by'],
            tuple((fold, number) for fold, number in values['members']),
            tuple(values['trained_on']),
            values['files'],
            values['source_files'],
        )

    def check_files(self, directory: Path) -> None:
        """Check that the files of the run are those that it wrote.

        Args:
            directory: output directory of the run.

        Raises:
            BeastError: if one is missing or has changed.
        """
        for name, key in self.files.items():
            path = directory / name
            check_readable(path)
            if not path.is_file():
                raise BeastError(
                    f'{path}, a part of the segmentation run, is missing; restore it, or train '
                    'again'
                )
            if file_key(path) != key:
                raise BeastError(
                    f'{path} is damaged or was changed since the run in {directory} wrote it; '
                    'restore it, or train again'
                )


def _damaged(path: Path, why: str) -> BeastError:
    return BeastError(
        f'{path} does not describe a segmentation run ({why}); restore the file, or train again'
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_classes(value: Any) -> bool:
    return _are_texts(value) and len(set(value)) == len(value) >= 2 and all(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_shapes(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_is_shape, value))


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (1, 2) and all(map(_is_size, value))


def _is_size(value: Any) -> bool:
    return _is_count(value) and value > 0


def _are_members(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(item, list) and len(item) == 2 for item in value)
        and all(_is_folder_name(fold) and _is_count(number) for fold, number in value)
        and len({(fold, number) for fold, number in value}) == len(value)
    )


def _is_folder_name(value: Any) -> bool:
    """Return whether a value names a folder in another, and nothing outside of that."""
    return isinstance(value, str) and re.fullmatch(r'\w[\w.-]*', value) is not None


def _are_files(value: Any) -> bool:
    """Return whether a value has hashes by paths within a folder."""
    return isinstance(value, dict) and all(
        isinstance(key, str) and all(map(_is_folder_name, name.split('/')))
        for name, key in value.items()
    )


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


# by the names of the fields: whether a value that JSON holds can be one
_FITS: Mapping[str, Callable[[Any], bool]] = {
    'classes': _are_classes,
    'shapes': _are_shapes,
    'source': _is_text_or_none,
    'source_hash': _is_text_or_none,
    'made_by': lambda value: isinstance(value, str),
    'members': _are_members,
    'trained_on': _are_texts,
    'files': _are_files,
    'source_files': _is_text_or_none,
}


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
        BeastError: if the file is damaged, or the model needs a setting that no longer exists.
    """
    try:
        stored: Any = read_settings(path).get('segmentation')
    except (OSError, RecursionError) as error:
        raise BeastError(
            f'the settings of a segmentation run cannot be read from {path} ({error}); restore '
            'the file, or train again'
        ) from error
    if not isinstance(stored, dict):
        raise BeastError(
            f'{path} holds no settings of a segmentation run; restore the file, or train again'
        )
    for key, used in RETIRED.items():
        group, _, name = key.removeprefix(_PREFIX).rpartition('.')
        section = stored.get(group, {}) if group else stored
        if not isinstance(section, dict):
            # the schema says what is wrong with it
            continue
        if not key.startswith(_PREFIX) or name not in section:
            continue
        value = section.pop(name)
        if key in _SHAPING and stored.get('features', 'patches') == 'patches' and value != used:
            raise BeastError(
                f'the model in {path.parent} was trained with {key}={value}, which this version '
                'of beast_lp no longer has; train again, or use the version that it was trained '
                'with'
            )
        if key == _STAY and section.get('method') == 'viterbi' and value != used:
            logger.warning(
                f'beast: the run in {path.parent} had {key}={value}, which is no longer a '
                f'setting; {used} is used'
            )
    return parse_config({'segmentation': stored}).segmentation
