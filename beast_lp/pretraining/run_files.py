"""The directory of a pretraining run: its files, and the settings by which it is known again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import OmegaConf

from beast_lp.config import BeastConfig, parse_recorded
from beast_lp.config.retired import RETIRED
from beast_lp.errors import BeastError
from beast_lp.pretraining.tune import TUNE_TABLE, chosen_weight, with_weight
from beast_lp.runs.directory import RunDirectory
from beast_lp.runs.settings import Settings, read_settings
from beast_lp.video.source_video import SourceVideo, source_videos

# These change speed, not results, so a resumed run may change them. (The loaders differ by a few
# grey levels; a user whose loader fails must be able to switch.)
_WITHOUT_EFFECT = (
    'beast.windows.processes',
    'beast.training.num_workers',
    'beast.training.checkpoint_minutes',
    'beast.training.loader',
    'beast.probe.every_epochs',
    'beast.training.gradient_checkpointing',
)
# settings of the stages after pretraining
_OTHER_STAGES = ('beast.segmentation', 'beast.encoding')
# where the config looks for videos; the videos themselves are compared
_PLACES = ('beast.videos', 'beast.projects', 'beast.output_dir')


@dataclass(frozen=True)
class RunFiles(RunDirectory):
    """The directory of a pretraining run."""

    kind: ClassVar[str] = 'pretraining'
    use: ClassVar[str] = 'use it as model.backbone_checkpoint'
    result_name: ClassVar[str] = 'backbone'
    may_differ: ClassVar[tuple[str, ...]] = (*_WITHOUT_EFFECT, *_OTHER_STAGES, *_PLACES)

    @property
    def windows(self) -> Path:
        """The window store."""
        return self.directory / 'windows'

    @property
    def last(self) -> Path:
        """State that a killed run resumes from."""
        return self.directory / 'checkpoints' / 'last.ckpt'

    @property
    def best(self) -> Path:
        """Weights of the epoch with the lowest probe, or else the lowest validation loss."""
        return self.directory / 'checkpoints' / 'best.ckpt'

    @property
    def tune(self) -> Path:
        """The short runs that chose the contrastive weight, where some were made."""
        return self.directory / 'tune'

    @property
    def snapshots(self) -> Path:
        """Reconstructions of the same frames over the epochs."""
        return self.directory / 'snapshots'

    @property
    def metrics(self) -> Path:
        """One row per epoch."""
        return self.directory / 'metrics.csv'

    @property
    def backbone(self) -> Path:
        """The result, in transformers' format; exists only once the run has finished."""
        return self.result

    def changed(self, settings: Settings, may_differ: Collection[str] = ()) -> str:
        """Name the first setting that differs, as `RunDirectory` does.

        A backbone that is finished is what it is, also where a retired setting had a part in it.
        """
        gone = tuple(RETIRED) if self.backbone.exists() else ()
        return super().changed(settings, (*may_differ, *gone))

    def outdated(self, settings: Settings, may_differ: Collection[str] = ()) -> str:
        """Name the first setting that differs, also if it is retired and the run is finished."""
        return super().changed(settings, may_differ)


def run_settings(
    config: BeastConfig,
    videos: Sequence[Path | SourceVideo],
) -> dict[str, Any]:
    """Return everything by which a run is known again."""
    sources = source_videos(videos)
    projects = [source.project for source in sources]
    return {
        'beast': OmegaConf.to_container(OmegaConf.structured(config)),
        'videos': [str(source.path) for source in sources],
        **({'projects': projects} if any(projects) else {}),
    }


def read_run_config(files: RunFiles) -> BeastConfig:
    """Return the settings of an existing run, with the contrastive weight that it chose."""
    settings = read_settings(files.settings).get('beast')
    if not isinstance(settings, dict):
        raise BeastError(
            f'{files.settings} holds no settings of a pretraining run; restore it, or give '
            'another --output_dir'
        )
    # an older version may have written settings of other stages that no longer exist
    own = {key: settings[key] for key in settings if f'beast.{key}' not in _OTHER_STAGES}
    config = parse_recorded(own)
    chosen = chosen_weight(files.tune / TUNE_TABLE)
    return config if chosen is None else with_weight(config, chosen)
