"""Compare trained pose models on labelled frames: seeds make ensembles, backbones are compared."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from lightning_pose.api import Model
from lightning_pose.api.model_config import ModelConfig
from lightning_pose.utils.io import ckpt_path_from_base_path
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm
from yaml import YAMLError

from beast_lp.errors import BeastError
from beast_lp.pretraining.probe import LabelledFrames, read_labels
from beast_lp.reports.ensemble import (
    curve_table,
    ensemble_spread,
    summary_table,
    write_comparison,
)
from beast_lp.video.files import finished_file

logger = logging.getLogger(f'lightning_pose.{__name__}')

LEAST_MODELS = 2


class _Predictor(Model):
    """A trained model that leaves its own folder as it is."""

    predictions: Path

    def image_preds_dir(self) -> Path:
        return self.predictions


def compare(
    models: Mapping[str, Sequence[Path]], labels_file: Path, output_dir: Path, pooled: bool = True,
) -> Path:
    """Draw the pixel error of several backbones against the disagreement of their models.

    Args:
        models: the folders of the trained models of each backbone, as `find_models` returns them.
        labels_file: labelled frames that no model was trained on.
        output_dir: gets the predictions, `keypoints.csv`, the curves, a summary and a page.
        pooled: one ensemble of all models sorts the keypoints, so that all backbones are compared
            on the same ones; otherwise each backbone's own ensemble.

    Returns:
        the path of the page.

    Raises:
        BeastError: for anything that the user can mend; before the first prediction.
    """
    # the last file that is written
    if (output_dir / 'report.html').exists():
        raise BeastError(
            f'{output_dir} already holds a comparison; look at its report.html, or give another '
            '--output_dir'
        )
    configs = {folder: _check_model(folder) for folders in models.values() for folder in folders}
    labels, base = _read_labels(labels_file, next(iter(configs.values())))
    for folder, config in configs.items():
        _check_keypoints(folder, config, labels)
    _check_labels(labels_file, labels, configs, base)
    tables = _predict_all(models, configs, labels_file, base, output_dir / 'predictions')
    images = [image.relative_to(base).as_posix() for image in labels.images]
    predictions = {
        name: np.stack([_positions(table, images, labels.keypoints) for table in of_backbone])
        for name, of_backbone in tables.items()
    }
    errors = {
        name: np.linalg.norm(values - labels.positions, axis=-1)
        for name, values in predictions.items()
    }
    spreads = _spreads(predictions, pooled)
    with finished_file(output_dir / 'keypoints.csv') as part:
        _keypoint_table(images, labels.keypoints, errors, spreads).to_csv(part, index=False)
    summary = summary_table(errors, spreads)
    page = write_comparison(
        output_dir, curve_table(errors, spreads), summary,
        _sentences(models, labels_file, labels, pooled),
    )
    logger.info('beast: mean pixel errors\n' + summary.round(3).to_string(index=False))
    return page


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


def _check_model(folder: Path) -> ModelConfig:
    """Return the config of a model that has weights and predicts one view at a time."""
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
    if model_type == 'heatmap_multiview_transformer':
        raise BeastError(
            f'{folder} is a {model_type}, which needs all views at once; only models that predict '
            'one view at a time can be compared'
        )
    return config


def _read_labels(labels_file: Path, config: ModelConfig) -> tuple[LabelledFrames, Path]:
    """Read the labels; images lie beside the table, or in the project that a model came from.

    Returns:
        the labels, and the folder that the images' names start at.
    """
    beside = labels_file.absolute().parent
    try:
        return read_labels([labels_file], beside), beside
    except BeastError:
        project = Path(str(OmegaConf.select(config.cfg, 'data.data_dir', default=beside)))
        return read_labels([labels_file], project), project


def _check_keypoints(folder: Path, config: ModelConfig, labels: LabelledFrames) -> None:
    names = [str(name) for name in config.cfg.data.keypoint_names or []]
    if names != list(labels.keypoints):
        odd = sorted(set(names) ^ set(labels.keypoints))
        raise BeastError(
            f'{folder} predicts {len(names)} keypoints and the labels have '
            f'{len(labels.keypoints)}, ' + (f'and {odd[0]!r} is in one of them only' if odd else
                                            'in another order')
            + '; compare models of the keypoints that are labelled'
        )


def _check_labels(
    labels_file: Path, labels: LabelledFrames, configs: Mapping[Path, ModelConfig], base: Path,
) -> None:
    """Refuse a table without labels, and warn of one that a model was trained on."""
    if not np.isfinite(labels.positions).all(axis=-1).any():
        raise BeastError(
            f'{labels_file} holds no labelled keypoint; give the labels of a test set'
        )
    for folder, config in configs.items():
        trained_on = OmegaConf.select(config.cfg, 'data.csv_file', default=None)
        names = trained_on if OmegaConf.is_list(trained_on) else [trained_on or '']
        if any((base / str(name)).resolve() == labels_file.resolve() for name in names):
            logger.warning(
                f'beast: {folder} was trained on {labels_file}, so its errors there say little; '
                'give labelled frames that no model has seen'
            )


def _predict_all(
    models: Mapping[str, Sequence[Path]], configs: Mapping[Path, ModelConfig], labels_file: Path,
    images: Path, output_dir: Path,
) -> dict[str, list[pd.DataFrame]]:
    """Predict the labelled frames with every model.

    Returns:
        the tables of each backbone, as the host writes them.
    """
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in models}
    with tqdm(total=len(configs), desc='predicting', unit='model') as bar:
        for name, folders in models.items():
            for number, folder in enumerate(folders):
                predictor = _Predictor(folder, configs[folder])
                predictor.predictions = output_dir / f'{name}_{number}'
                tables[name].append(predictor.predict_on_label_csv(
                    labels_file, images, compute_metrics=False
                ).predictions)
                bar.update()
    return tables


def _positions(
    table: pd.DataFrame, images: Sequence[str], keypoints: Sequence[str],
) -> Float[np.ndarray, 'frames keypoints 2']:
    """Return the keypoints of a table of predictions, frames in the order of the labels."""
    table = table.copy()
    table.columns = pd.MultiIndex.from_tuples([column[1:] for column in table.columns])
    columns = pd.MultiIndex.from_product([keypoints, ['x', 'y']])
    values = table.loc[list(images), columns].to_numpy(np.float64)
    return values.reshape(len(images), len(keypoints), 2)


def _spreads(
    predictions: Mapping[str, Float[np.ndarray, 'models frames keypoints 2']], pooled: bool,
) -> dict[str, Float[np.ndarray, 'frames keypoints']]:
    if not pooled:
        return {name: ensemble_spread(values) for name, values in predictions.items()}
    return dict.fromkeys(predictions, ensemble_spread(np.concatenate([*predictions.values()])))


def _keypoint_table(
    images: Sequence[str], keypoints: Sequence[str],
    errors: Mapping[str, Float[np.ndarray, 'models frames keypoints']],
    spreads: Mapping[str, Float[np.ndarray, 'frames keypoints']],
) -> pd.DataFrame:
    """Return a row for every labelled keypoint and backbone, for analyses of one's own."""
    tables = []
    for name, values in errors.items():
        table = pd.DataFrame({
            'backbone': name,
            'image': np.repeat(np.array(images), len(keypoints)),
            'keypoint': np.tile(np.array(keypoints), len(images)),
            'ensemble_deviation_px': spreads[name].ravel(),
            'error_px': values.mean(axis=0).ravel(),
        })
        tables.append(table[np.isfinite(table['error_px'])])
    return pd.concat(tables, ignore_index=True)


def _sentences(
    models: Mapping[str, Sequence[Path]], labels_file: Path, labels: LabelledFrames, pooled: bool,
) -> list[str]:
    """Say what was compared, for the page."""
    count = int(np.isfinite(labels.positions).all(axis=-1).sum())
    ensemble = 'all models together' if pooled else 'the models of the same backbone'
    listed = [f'{name}: {", ".join(map(str, folders))}' for name, folders in models.items()]
    return [
        f'{count} labelled keypoints in {len(labels.images)} frames of {labels_file.absolute()}.',
        *listed,
        f'The ensemble is {ensemble}. Its standard deviation is the root of the summed variances '
        'of x and y. An error is the distance from the label, in px of the original images.',
    ]
