"""The directory of one run: claimed, resumed, refused, and known to be finished.

Adding a new kind of run:

1. derive a class from `RunDirectory`: its names for people, its files, and the result that exists
   only when all is computed
2. list in `may_differ` the settings that a resumed run may change
3. call `check` before anything that takes long, and do the work within `claimed`
"""

import json
import logging
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from beast_lp.config.retired import RETIRED
from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file, only_writer
from beast_lp.runs.log_file import run_log
from beast_lp.runs.settings import Settings, read_settings, run_difference, settings_yaml

logger = logging.getLogger(f'lightning_pose.{__name__}')


@dataclass(frozen=True)
class RunDirectory:
    """The output directory of a run; a run has it to itself.

    Attributes:
        directory: the folder; it need not exist yet.
        kind: name of this kind of run in messages.
        use: what to do with a finished run, in messages.
        settings_name: file that holds the settings by which the run is known again.
        result_name: file or folder that exists only when everything is computed.
        may_differ: settings, or groups of them, that a resumed run may change.
    """

    directory: Path

    kind: ClassVar[str]
    use: ClassVar[str] = 'look at its report.html'
    # not config.yaml: the host's GUI takes every folder with that file for a pose model
    settings_name: ClassVar[str] = 'beast.yaml'
    result_name: ClassVar[str]
    may_differ: ClassVar[Collection[str]] = ()

    @property
    def settings(self) -> Path:
        """Resolved settings; they exist as soon as the run has begun."""
        return self.directory / self.settings_name

    @property
    def lock(self) -> Path:
        """File that the process at work here has locked."""
        return self.directory / '.lock'

    @property
    def result(self) -> Path:
        """The result; it exists only when everything is computed."""
        return self.directory / self.result_name

    @property
    def report(self) -> Path:
        """The page for people, which is written last."""
        return self.directory / 'report.html'

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to write, the report neither."""
        return self.result.exists() and self.report.exists()

    def changed(self, settings: Settings, may_differ: Collection[str] = ()) -> str:
        """Name the first setting in which the run in this directory differs from another.

        Args:
            settings: resolved settings of the run that is asked for.
            may_differ: further settings, or groups of them, that are not compared.

        Returns:
            the end of a sentence; empty if nothing differs, or there is no run here.
        """
        if not self.settings.exists():
            return ''
        old, allowed = read_settings(self.settings), (*self.may_differ, *may_differ)
        return run_difference(old, settings, allowed)

    def check(self, settings: Settings) -> None:
        """Check that the directory is new, or holds the very run that is asked for, unfinished.

        Args:
            settings: resolved settings of the run that is asked for.

        Raises:
            BeastError: if the run here is finished or has other settings.
        """
        if self.is_finished:
            raise BeastError(
                f'{self.directory} already holds a finished {self.kind} run; {self.use}, or give '
                'another --output_dir'
            )
        changed = self.changed(settings)
        if changed:
            mend = (
                'resume it with the version of beast_lp that started it'
                if changed.partition(' ')[0] in RETIRED
                else 'restore that setting to resume it'
            )
            raise BeastError(
                f'{self.directory} holds an unfinished {self.kind} run with other settings '
                f'({changed}); {mend}, or give another --output_dir'
            )

    @contextmanager
    def claimed(self, settings: Settings) -> Iterator[None]:
        """Keep other runs out of the directory, and write this run's settings there.

        Args:
            settings: resolved settings of this run.

        Raises:
            BeastError: if another run is at work here, is finished or has other settings.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with only_writer(self.lock, f'the {self.kind} run in {self.directory}'):
            # the run that had the lock may have ended since the last check
            self.check(settings)
            resumed = self.settings.exists()
            text = (
                json.dumps(settings, indent=2)
                if self.settings.suffix == '.json'
                else settings_yaml(settings)
            )
            with finished_file(self.settings) as part:
                part.write_text(text, encoding='utf-8')
            with run_log(self.directory):
                if resumed:
                    logger.info(f'beast: resuming the run in {self.directory}')
                yield


def check_output_dir(path: Path) -> None:
    """Check that a folder can be made and filled at a path, before any other work.

    Nothing is made, so that a mistake elsewhere leaves no empty folder.

    Args:
        path: absolute path that the user chose.

    Raises:
        BeastError: if it is, or would lie in, something that is no folder, or may not be written.
        OSError: if it is no possible path, which `sentence_of` puts into words.
    """
    for place in (path, *path.parents):
        try:
            is_folder = stat.S_ISDIR(place.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            if not place.is_symlink():
                continue
            is_folder = False
        if not is_folder:
            raise BeastError(f'{place} is in the way, which is no folder; give another path')
        if not os.access(place, os.W_OK | os.X_OK):
            raise BeastError(
                f'nothing may be written in {place}; give another path, or ask its owner'
            )
        return
