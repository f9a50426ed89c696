"""The output directory of an encoding run: its files, and the settings by which it is known."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import OmegaConf

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError
from beast_lp.runs.directory import RunDirectory


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
