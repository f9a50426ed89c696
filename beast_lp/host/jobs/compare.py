"""The job of `litpose compare`: pixel errors of backbones, by the disagreement of their models."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from lightning_pose.api import Model
from lightning_pose.api.model_config import ModelConfig

from beast_lp.errors import BeastError
from beast_lp.host.jobs.compared_models import (
    View,
    check_model,
    joined_positions,
    predicted_positions,
    read_views,
)
from beast_lp.reports.ensemble import (
    curve_table,
    ensemble_spread,
    summary_table,
    write_comparison,
)
from beast_lp.runs.files import write_table
from beast_lp.runs.log_file import run_log
from beast_lp.runs.progress import progress_bar

logger = logging.getLogger(f'lightning_pose.{__name__}')


class _Predictor(Model):
    """Trained model that writes its predictions outside its own directory."""

    predictions: Path

    def image_preds_dir(self) -> Path:
        """Return the directory of the predictions, which the host reads here."""
        return self.predictions


def compare(
    models: Mapping[str, Sequence[Path]],
    labels_files: Sequence[Path],
    output_dir: Path,
) -> Path:
    """Draw the pixel error of several backbones against the disagreement of all their models.

    All models form one ensemble, so that all backbones are compared on the same keypoints.

    Args:
        models: model directories of each backbone, as `find_models` returns them.
        labels_files: tables of labelled frames that no model was trained on; for a multi-view
            project one per view.
        output_dir: directory of the predictions, `keypoints.csv`, curves, summary, page and log.

    Returns:
        the path of the page.

    Raises:
        BeastError: for anything that the user can mend, before the first prediction.
    """
    # written last
    if (output_dir / 'report.html').exists():
        raise BeastError(
            f'{output_dir} already holds a comparison; look at its report.html, or give another '
            '--output_dir'
        )
    configs = {
        folder: check_model(folder, labels_files)
        for folders in models.values()
        for folder in folders
    }
    views = read_views(labels_files, configs)
    with run_log(output_dir):
        predictions = _predict_all(models, configs, views, output_dir / 'predictions')
        truth = joined_positions(views)
        errors = {
            name: np.linalg.norm(values - truth, axis=-1) for name, values in predictions.items()
        }
        spreads = dict.fromkeys(predictions, _spread(predictions))
        write_table(_keypoint_table(views, errors, spreads), output_dir / 'keypoints.csv')
        summary = summary_table(errors, spreads)
        page = write_comparison(
            output_dir,
            curve_table(errors, spreads),
            summary,
            _sentences(models, views),
        )
        logger.info(
            'beast: mean pixel errors\n'
            + summary.round(3).to_string(index=False)
            + f'\n  look at        {page}'
        )
    return page


def _predict_all(
    models: Mapping[str, Sequence[Path]],
    configs: Mapping[Path, ModelConfig],
    views: Sequence[View],
    output_dir: Path,
) -> dict[str, Float[np.ndarray, 'models frames keypoints 2']]:
    """Predict the labelled frames with every model of each backbone."""
    predictions = {}
    with progress_bar(desc='predicting', unit='model', total=len(configs)) as bar:
        for name, folders in models.items():
            rows = []
            for number, folder in enumerate(folders):
                predictor = _Predictor(folder, configs[folder])
                predictor.predictions = output_dir / f'{name}_{number}'
                rows.append(_predict(predictor, views))
                bar.update()
            predictions[name] = np.stack(rows)
    return predictions


def _predict(
    predictor: _Predictor,
    views: Sequence[View],
) -> Float[np.ndarray, 'frames keypoints 2']:
    """Predict all views; keypoints of the views are side by side."""
    if len(views) == 1:
        tables = [
            predictor.predict_on_label_csv(
                views[0].file, views[0].base, compute_metrics=False
            ).predictions
        ]
    else:
        by_view = predictor.predict_on_label_csv_multiview(
            [view.file for view in views], data_dir=views[0].base, compute_metrics=False
        ).predictions
        tables = [by_view[view.name] for view in views]
    return np.concatenate(
        [
            predicted_positions(table, view.images, view.labels.keypoints)
            for table, view in zip(tables, views, strict=True)
        ],
        axis=1,
    )


def _spread(
    predictions: Mapping[str, Float[np.ndarray, 'models frames keypoints 2']],
) -> Float[np.ndarray, 'frames keypoints']:
    """Return the standard deviation of all models together, in px."""
    return ensemble_spread(np.concatenate([*predictions.values()]))


def _keypoint_table(
    views: Sequence[View],
    errors: Mapping[str, Float[np.ndarray, 'models frames keypoints']],
    spreads: Mapping[str, Float[np.ndarray, 'frames keypoints']],
) -> pd.DataFrame:
    """Return one row per labelled keypoint and backbone, for the user's own analyses."""
    # rows of the arrays are frames, columns are the keypoints of all views
    places = {
        'image': np.stack(
            [np.array(view.images) for view in views for _ in view.labels.keypoints], axis=1
        ),
        'keypoint': np.array([[key for view in views for key in view.labels.keypoints]]),
    }
    if len(views) > 1:
        places['view'] = np.array([[view.name for view in views for _ in view.labels.keypoints]])
    tables = []
    for name, values in errors.items():
        shape = values.shape[1:]
        table = pd.DataFrame(
            {
                'backbone': name,
                **{
                    column: np.broadcast_to(cells, shape).ravel()
                    for column, cells in places.items()
                },
                'ensemble_deviation_px': spreads[name].ravel(),
                'error_px': values.mean(axis=0).ravel(),
            }
        )
        tables.append(table[np.isfinite(table['error_px'])])
    return pd.concat(tables, ignore_index=True)


def _sentences(
    models: Mapping[str, Sequence[Path]],
    views: Sequence[View],
) -> list[str]:
    """Return the page's description of what was compared."""
    count = int(np.isfinite(joined_positions(views)).all(axis=-1).sum())
    listed = [f'{name}: {", ".join(map(str, folders))}' for name, folders in models.items()]
    files = ', '.join(f'{view.name} {view.file.absolute()}'.strip() for view in views)
    return [
        f'{count} labelled keypoints in {len(views[0].labels.images)} frames of {files}.',
        *listed,
        'The ensemble is all models together. Its standard deviation is the root of the summed '
        'variances of x and y. An error is the distance from the label, in px of the original '
        'images.',
    ]
