"""The output directory of a segmentation run: its files, its claim, and what its models are."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file, only_writer
from beast_lp.runs.settings import check_same_run
from beast_lp.segmentation.sessions import Inputs


@dataclass(frozen=True)
class SegmentationFiles:
    """Where a training run keeps what."""

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
        """What the models are; exists only once all are there."""
        return self.directory / 'segmenter.json'

    @property
    def report(self) -> Path:
        """What a person looks at; the last file that is written."""
        return self.directory / 'report.html'

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to write, the report neither."""
        return self.model.exists() and self.report.exists()

    def member(self, fold: str, number: int) -> Path:
        """Return the folder of one model."""
        return self.directory / 'models' / fold / f'seed_{number}'


@dataclass(frozen=True)
class Description:
    """What the models of a finished run are, in `segmenter.json`.

    Attributes:
        classes: names.
        shape: of the features of a frame.
        source: what makes the features, as a person names it; None where they come from files.
        source_hash: of its weights.
        made_by: as in `Session`.
        members: fold and number of every model.
        trained_on: keys of the content of all videos of which any model has learned a frame; a
            run of before this was recorded has none.
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
        """Read the file that holds what `to_json` wrote.

        Raises:
            BeastError: if it holds something else.
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


def check_output_dir(
    files: SegmentationFiles,
    config: SegmentationConfig,
    inputs: Inputs,
) -> None:
    """Make sure that a directory is new, or holds the very run that is asked for, unfinished.

    Raises:
        BeastError: if going on would mix two runs or overwrite a result.
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


def settings_yaml(config: SegmentationConfig, inputs: Inputs) -> str:
    """Return, as YAML, all that makes two runs the same run."""
    return OmegaConf.to_yaml(
        OmegaConf.create(
            {
                'segmentation': OmegaConf.structured(config),
                'videos': [str(video) for video in inputs.videos],
                'held_out': [str(video) for video in inputs.held_out],
                'labels': str(inputs.labels),
                'source': inputs.source,
            }
        )
    )


@contextmanager
def claimed(directory: Path, work: Mapping[str, Any]) -> Iterator[None]:
    """Do work in an output directory that is new, or in which the same work was interrupted.

    Args:
        directory: of this work alone.
        work: by which an interrupted run is known again; not its videos, of which a damaged one
            may have been taken out.

    Raises:
        BeastError: if something else is in it, or another process does this work.
    """
    record, text = directory / 'unfinished.json', json.dumps(work, indent=2)
    interrupted = record.is_file() and record.read_text(encoding='utf-8') == text
    if directory.exists() and os.listdir(directory) and not interrupted:
        raise BeastError(f'{directory} is not empty; give another --output_dir')
    directory.mkdir(parents=True, exist_ok=True)
    with only_writer(directory / '.lock', str(directory)):
        with finished_file(record) as part:
            part.write_text(text, encoding='utf-8')
        yield
        record.unlink()
