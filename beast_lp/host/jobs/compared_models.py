"""The trained pose models that `litpose compare` is given, and the labels that fit them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lightning_pose.api.model_config import ModelConfig
from lightning_pose.utils.io import ckpt_path_from_base_path
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from beast_lp.errors import BeastError
from beast_lp.video.labelled import LabelledFrames, read_labels

logger = logging.getLogger(f'lightning_pose.{__name__}')

LEAST_MODELS = 2


@dataclass(frozen=True)
class View:
    """Labelled frames of one camera.

    Attributes:
        name: of the camera; empty where there is one alone.
        file: the table of labels.
        base: the folder that the images' names start at.
        labels: what is in the table.
    """

    name: str
    file: Path
    base: Path
    labels: LabelledFrames

    @property
    def images(self) -> list[str]:
        """The images as the table names them."""
        return [image.relative_to(self.base).as_posix() for image in self.labels.images]


def joined_positions(views: Sequence[View]) -> Float[np.ndarray, 'frames keypoints 2']:
    """Return the labels of all views, their keypoints side by side."""
    return np.concatenate([view.labels.positions for view in views], axis=1)


def find_models(items: Sequence[str]) -> dict[str, list[Path]]:
    """Read `NAME=DIR,DIR`, in which a folder of models stands for all in it.

    Args:
        items: as given on the command line.

    Returns:
        the folders of the models of each backbone.

    Raises:
        BeastError: if a name or a folder is missing, one is given twice, or a backbone has too few
            models to make an ensemble.
    """
    models: dict[str, list[Path]] = {}
    for item in items:
        name, separator, joined = item.partition('=')
        if not (name and separator and joined):
            raise BeastError(
                f'{item!r} does not name a backbone and its models; write NAME=DIR,DIR, for '
                'example beast=model_seed0,model_seed1'
            )
        if name in models:
            raise BeastError(f'{name} is given twice; write {name}=DIR,DIR once')
        folders = [path for part in joined.split(',') if part for path in _in_folder(part)]
        if len(folders) < LEAST_MODELS:
            raise BeastError(
                f'{name} has {len(folders)} model, which makes no ensemble: give at least '
                f'{LEAST_MODELS} that differ by their seed (training.rng_seed_model_pt)'
            )
        models[name] = folders
    every = [folder for folders in models.values() for folder in folders]
    twice = {folder for folder in every if every.count(folder) > 1}
    if twice:
        raise BeastError(f'{min(twice)} is given twice; a model counts once')
    return models


def _in_folder(part: str) -> list[Path]:
    folder = Path(part).expanduser().resolve()
    if (folder / 'config.yaml').is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob('*/config.yaml'))
    if not found:
        raise BeastError(
            f'{folder} is no trained pose model and no folder of such: there is no config.yaml; '
            'give the --output_dir of `litpose train`'
        )
    return found


def check_model(folder: Path, labels_files: Sequence[Path]) -> ModelConfig:
    """Return the config of a trained model, which can predict what is labelled.

    Args:
        folder: of the model.
        labels_files: one for each view, or one alone.

    Raises:
        BeastError: if there is no such model, or it needs the labels of other views.
    """
    try:
        config = ModelConfig.from_yaml_file(folder / 'config.yaml')
        model_name, model_type = config.cfg.model.model_name, config.cfg.model.model_type
    except (OmegaConfBaseException, YAMLError, AttributeError) as error:
        raise BeastError(
            f'{folder / "config.yaml"} is no config of a pose model '
            f'({" ".join(str(error).split())}); give the --output_dir of `litpose train`'
        ) from error
    if ckpt_path_from_base_path(str(folder), model_name) is None:
        raise BeastError(
            f'{folder} holds no checkpoint: its training has not finished; run `litpose train` '
            'again, or leave it out'
        )
    wanted, given = view_names(config), len(labels_files)
    # what predicts view by view can be scored on one alone
    alone = given == 1 and model_type != 'heatmap_multiview_transformer'
    if not alone and given != max(1, len(wanted)):
        raise BeastError(
            f'{folder} predicts {len(wanted)} views together ({", ".join(wanted)}), and --labels '
            f'names {given} file(s); give one for each view, in this order'
            if wanted
            else f'{folder} knows no views, and --labels names {given} files; give one'
        )
    return config


def view_names(config: ModelConfig) -> list[str]:
    """Return the views of a multi-view project; none where the host keeps all in one table."""
    return [str(name) for name in OmegaConf.select(config.cfg, 'data.view_names') or []]


def read_views(
    labels_files: Sequence[Path],
    configs: Mapping[Path, ModelConfig],
) -> list[View]:
    """Read the labels; images lie beside the table, or in the project that a model came from.

    Args:
        labels_files: one for each view, or one alone.
        configs: of the models, by folder.

    Raises:
        BeastError: if a table or its images are missing, nothing is labelled, or the views do not
            fit each other or the models.
    """
    first = next(iter(configs.values()))
    names = view_names(first) if len(labels_files) > 1 else ['']
    views = [_read_view(name, file, first) for name, file in zip(names, labels_files, strict=True)]
    for folder, config in configs.items():
        if len(views) > 1 and view_names(config) != names:
            raise BeastError(
                f'{folder} predicts the views {", ".join(view_names(config))}, others '
                f'{", ".join(names)}; compare models of the same views, in the same order'
            )
        for view in views:
            _check_keypoints(folder, config, view.labels)
    frames = {view.name: len(view.labels.images) for view in views}
    if len(set(frames.values())) > 1:
        found = ', '.join(f'{name} {count}' for name, count in frames.items())
        raise BeastError(
            f'the views have different numbers of labelled frames ({found}); give tables whose '
            'rows are the same moments'
        )
    if len({view.base for view in views}) > 1:
        raise BeastError(
            'the images of all views must be in one project, found them in '
            + ', '.join(str(view.base) for view in views)
            + '; keep the tables side by side'
        )
    if not np.isfinite(joined_positions(views)).all(axis=-1).any():
        listed = ', '.join(map(str, labels_files))
        raise BeastError(f'{listed} holds no labelled keypoint; give the labels of a test set')
    _warn_of_training_labels(views, configs)
    return views


def _read_view(name: str, file: Path, config: ModelConfig) -> View:
    beside = file.absolute().parent
    try:
        return View(name, file, beside, read_labels([file], beside))
    except BeastError:
        project = Path(str(OmegaConf.select(config.cfg, 'data.data_dir', default=beside)))
        return View(name, file, project, read_labels([file], project))


def _check_keypoints(folder: Path, config: ModelConfig, labels: LabelledFrames) -> None:
    names = [str(name) for name in config.cfg.data.keypoint_names or []]
    if names != list(labels.keypoints):
        odd = sorted(set(names) ^ set(labels.keypoints))
        raise BeastError(
            f'{folder} predicts {len(names)} keypoints and the labels have '
            f'{len(labels.keypoints)}, '
            + (f'and {odd[0]!r} is in one of them only' if odd else 'in another order')
            + '; compare models of the keypoints that are labelled'
        )


def _warn_of_training_labels(
    views: Sequence[View],
    configs: Mapping[Path, ModelConfig],
) -> None:
    for folder, config in configs.items():
        trained_on = OmegaConf.select(config.cfg, 'data.csv_file', default=None)
        names = trained_on if OmegaConf.is_list(trained_on) else [trained_on or '']
        for view in views:
            if any((view.base / str(name)).resolve() == view.file.resolve() for name in names):
                logger.warning(
                    f'beast: {folder} was trained on {view.file}, so its errors there say '
                    'little; give labelled frames that no model has seen'
                )
