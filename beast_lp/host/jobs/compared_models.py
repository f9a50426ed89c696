"""Trained pose models of `litpose compare`, and the labels that they are scored on."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from lightning_pose.api.model_config import ModelConfig
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from beast_lp.errors import BeastError
from beast_lp.host.compose import load_config
from beast_lp.host.pose_checkpoint import check_pose_checkpoint
from beast_lp.video.labelled import LabelledFrames, read_labels

logger = logging.getLogger(f'lightning_pose.{__name__}')


@dataclass(frozen=True)
class View:
    """Labelled frames of one camera.

    Attributes:
        name: name of the camera; empty where there is only one.
        file: table of labels.
        base: folder that the images' paths start at.
        labels: contents of the table.
    """

    name: str
    file: Path
    base: Path
    labels: LabelledFrames

    @property
    def images(self) -> list[str]:
        """Paths of the images as in the table."""
        return [image.relative_to(self.base).as_posix() for image in self.labels.images]


def joined_positions(views: Sequence[View]) -> Float[np.ndarray, 'frames keypoints 2']:
    """Return the labels of all views, their keypoints side by side."""
    return np.concatenate([view.labels.positions for view in views], axis=1)


def predicted_positions(
    table: pd.DataFrame,
    images: Sequence[str],
    keypoints: Sequence[str],
) -> Float[np.ndarray, 'frames keypoints 2']:
    """Return the keypoints of a table of predictions, in the order of the labelled frames.

    Args:
        table: table that the host wrote, with its three rows of headings.
        images: names of the labelled frames.
        keypoints: names, in the order of the labels.
    """
    table = table.copy()
    table.columns = pd.MultiIndex.from_tuples([column[1:] for column in table.columns])
    columns = pd.MultiIndex.from_product([keypoints, ['x', 'y']])
    values = table.loc[list(images), columns].to_numpy(np.float64)
    return values.reshape(len(images), len(keypoints), 2)


def check_model(folder: Path, labels_files: Sequence[Path]) -> ModelConfig:
    """Return the config of a trained model after checking that the labels fit it.

    Args:
        folder: model directory.
        labels_files: tables of labels, one per view, or a single one.

    Raises:
        BeastError: if there is no trained model, it needs code to be run, or the labels of other
            views.
    """
    cfg = load_config(folder / 'config.yaml')
    try:
        config = ModelConfig(cfg)
        model_name, model_type = config.cfg.model.model_name, config.cfg.model.model_type
    except (OmegaConfBaseException, AttributeError) as error:
        raise BeastError(
            f'{folder / "config.yaml"} is no config of a pose model '
            f'({" ".join(str(error).split())}); give the --output_dir of `litpose train`'
        ) from error
    check_pose_checkpoint(folder, model_name)
    wanted, given = view_names(config), len(labels_files)
    # a model that predicts view by view can be scored on a single view
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
    """Return the views of a multi-view project; none where one table holds all labels."""
    return [str(name) for name in OmegaConf.select(config.cfg, 'data.view_names') or []]


def read_views(
    labels_files: Sequence[Path],
    configs: Mapping[Path, ModelConfig],
) -> list[View]:
    """Read the labels; images lie beside the table, or in the project of the models.

    Args:
        labels_files: tables of labels, one per view, or a single one.
        configs: config of each model by its folder.

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
