"""What Lightning Pose refuses only after all epochs of a pose training, found before the first.

Its evaluation, which comes last, reads settings and files that nothing looked at before. The
checks here ask for them at the start, each with the override that mends it where one does.

Adding a new check:

1. write a function from the config to the `Failure` that it finds, or None
2. enter it in `_CHECKS`; `litpose train` refuses what it finds, and the command that
   `litpose pretrain` prints carries its override
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from beast_lp.errors import BeastError, sentence_of
from beast_lp.host.compose import data_dir
from beast_lp.host.spelling import as_override

# further tables of labels that the host evaluates where they exist, by the end of their names
_EVALUATED = ('', '_new', '_test')


@dataclass(frozen=True)
class Failure:
    """What would end a pose training once all its epochs are over.

    Attributes:
        sentence: what is wrong, without the way out.
        mend: overrides that avoid it; empty where only the user can.
        advice: what to do where no override helps.
    """

    sentence: str
    mend: tuple[str, ...] = ()
    advice: str = ''

    def __str__(self) -> str:
        """Return a sentence with the way out."""
        return f'{self.sentence}; ' + (self.advice or f'set {" ".join(self.mend)}')


def late_failures(cfg: DictConfig) -> list[Failure]:
    """Return all that a pose training with this config would fail at in the end."""
    found = (check(cfg) for check in _CHECKS)
    return [failure for failure in found if failure is not None]


def refuse_late_failures(cfg: DictConfig) -> None:
    """Refuse a config whose training would fail in the end.

    Raises:
        BeastError: with the first of the reasons.
    """
    for failure in late_failures(cfg):
        raise BeastError(f'Lightning Pose would fail once all epochs are over: {failure}')


def _missing_labels(cfg: DictConfig) -> Failure | None:
    """Find tables of labels, or images in them, that do not exist."""
    from beast_lp.video.labelled import read_labels

    for path in _label_files(cfg):
        if not path.is_file():
            return Failure(
                f'data.csv_file names {path}, where there is no file', advice='restore it'
            )
    for suffix in _EVALUATED[1:]:
        files = [path.with_stem(path.stem + suffix) for path in _label_files(cfg)]
        # the host looks at the first one alone
        if not files or not files[0].exists():
            continue
        try:
            found = read_labels(files[:1], data_dir(cfg)).keypoints
        except BeastError as error:
            return Failure(
                f'it evaluates {files[0].name} too, which cannot be read ({error})',
                advice='mend that file, or rename it',
            )
        own = _labelled_keypoints(cfg)
        if own and len(found) != len(own):
            return Failure(
                f'it evaluates {files[0].name} too, which has {len(found)} keypoints and not '
                f'{len(own)}',
                advice='mend that file, or rename it',
            )
    return None


def _unnamed_keypoints(cfg: DictConfig) -> Failure | None:
    """Find missing names of keypoints, without which the host writes no predictions."""
    if OmegaConf.select(cfg, 'data.keypoint_names') is not None:
        return None
    names = _labelled_keypoints(cfg)
    mend = [as_override('data.keypoint_names', list(names), force=True)] if names else []
    if mend and OmegaConf.select(cfg, 'data.num_keypoints') is None:
        mend.append(as_override('data.num_keypoints', len(names), force=True))
    return Failure(
        'data.keypoint_names is not set',
        tuple(mend),
        '' if mend else 'set it to the names of the keypoints, in the order of data.csv_file',
    )


def _missing_test_videos(cfg: DictConfig) -> Failure | None:
    """Find videos to predict after training that the host will not find."""
    wanted = OmegaConf.select(cfg, 'eval.predict_vids_after_training')
    mend = (as_override('eval.predict_vids_after_training', False, force=True),)
    if wanted is None:
        return Failure('eval.predict_vids_after_training is not set', mend)
    if not wanted:
        return None
    value = OmegaConf.select(cfg, 'eval.test_videos_directory')
    name = f'eval.test_videos_directory is {value}'
    if not value:
        return Failure(name, mend)
    # imported here because the host's models take seconds, and the GUI imports this room
    from lightning_pose.api import ModelConfig

    config = ModelConfig(cfg)
    try:
        if config.is_multi_view():
            config.test_video_files_multiview()
        else:
            config.test_video_files_singleview()
    except Exception as error:  # what the host raises at the end, of whatever kind
        return Failure(f'{name}, where it finds no videos ({sentence_of(error) or error})', mend)
    return None


def _no_checkpoint(cfg: DictConfig) -> Failure | None:
    """Find a training that ends before its first validation, so that the host keeps no weights."""
    training = cfg.get('training') or {}
    epochs, every = training.get('max_epochs'), training.get('check_val_every_n_epoch', 1)
    if not epochs or not every or every <= epochs or training.get('val_check_interval'):
        return None
    return Failure(
        f'training.check_val_every_n_epoch is {every} and training.max_epochs {epochs}, so that '
        'no weights are kept',
        (as_override('training.check_val_every_n_epoch', epochs, force=True),),
    )


_CHECKS: tuple[Callable[[DictConfig], Failure | None], ...] = (
    _missing_labels,
    _unnamed_keypoints,
    _missing_test_videos,
    _no_checkpoint,
)


def _label_files(cfg: DictConfig) -> list[Path]:
    """Return the tables of labels, one for each view."""
    value = OmegaConf.select(cfg, 'data.csv_file')
    names = list(value) if OmegaConf.is_list(value) else [value or '']
    return [data_dir(cfg) / str(name) for name in names if name]


def _labelled_keypoints(cfg: DictConfig) -> tuple[str, ...]:
    """Return the keypoints of the first view; none where its labels cannot be read."""
    from beast_lp.video.keypoint_table import read_points

    for path in _label_files(cfg)[:1]:
        try:
            return read_points(path, 'a table of labels', 'give data.csv_file').keypoints
        except (BeastError, OSError):
            return ()
    return ()
