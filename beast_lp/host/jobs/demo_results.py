"""Results of `litpose beast_demo`: a few numbers, and one page that links all reports."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.encoding.run_files import EncodingFiles
from beast_lp.host.jobs.compared_models import predicted_positions
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.reports.demo_page import DemoContent, demo_sections
from beast_lp.reports.labelled_frames import frames_to_show, labelled_frames
from beast_lp.reports.page import write_page
from beast_lp.runs.files import write_table
from beast_lp.runs.log_file import NAME as LOG_NAME
from beast_lp.runs.log_file import logged_warnings
from beast_lp.video.read import find_videos

logger = logging.getLogger(f'lightning_pose.{__name__}')


@dataclass(frozen=True)
class DemoFiles:
    """Paths of what a demo writes."""

    directory: Path

    @property
    def project(self) -> Path:
        """Folder of the synthetic project."""
        return self.directory / 'project'

    @property
    def pretraining(self) -> Path:
        """Output directory of `litpose pretrain`."""
        return self.directory / 'pretraining'

    @property
    def pose(self) -> Path:
        """Output directory of the pose model."""
        return self.directory / 'pose'

    @property
    def features(self) -> Path:
        """Folder with one folder per source of features."""
        return self.directory / 'features'

    @property
    def encoding(self) -> Path:
        """Output directory of `litpose encode`."""
        return self.directory / 'encoding'

    @property
    def segmentation(self) -> Path:
        """Output directory of `litpose segment train`."""
        return self.directory / 'segmentation'

    @property
    def times(self) -> Path:
        """Seconds that each stage took, by its name."""
        return self.directory / 'time.csv'

    @property
    def videos(self) -> list[Path]:
        """All videos of the project, with the held-out one."""
        return find_videos([self.project / 'videos', self.project / 'videos_test'])

    @property
    def spikes(self) -> list[Path]:
        """Recordings of neurons, each with the name of its video."""
        return sorted((self.project / 'spikes').glob('*.npz'))


def write_results(files: DemoFiles) -> Path:
    """Log the results of a demo, and write `index.html` and `pose_error.csv`.

    Args:
        files: paths of a demo whose stages are all done.

    Returns:
        the path of the page.
    """
    directory = files.directory
    page = directory / 'index.html'
    errors = pose_errors(files.project, files.pose)
    write_table(errors, directory / 'pose_error.csv')
    seconds = read_times(files.times)
    videos = {
        f'labelled video of {path.stem.removesuffix("_labeled")}': path.relative_to(
            directory
        ).as_posix()
        for path in sorted((files.pose / 'video_preds').rglob('*.mp4'))
    }
    shown = {
        'reconstructions': (files.pretraining, 'reconstructions.png'),
        'rasters': (files.encoding, 'rasters.png'),
        'ethogram': (files.segmentation, 'ethogram_*.png'),
    }
    content = DemoContent(
        pd.read_csv(RunFiles(files.pretraining).metrics),
        errors,
        pd.read_csv(EncodingFiles(files.encoding).comparison),
        pd.read_csv(files.segmentation / 'scores.csv'),
        seconds,
        _labelled(files),
        {
            name: sorted((folder / 'figures').glob(pattern))
            for name, (folder, pattern) in shown.items()
        },
        videos,
        [
            f'{folder.name}: {words}'
            for folder in (files.pretraining, files.encoding, files.segmentation)
            for words in logged_warnings(folder / LOG_NAME)
        ],
    )
    sections = list(demo_sections(content))
    write_page(page, 'BEAST demo: a drawn animal', sections)
    logger.info(
        f'beast: the demo is done ({sum(seconds.values()) / 60:.1f} min: '
        + ', '.join(f'{name} {value:.0f} s' for name, value in seconds.items())
        + ').\n\n'
        + '\n'.join(f'  {sentence}' for _, sentence in sections[0].findings)
    )
    return page


def read_times(file: Path) -> dict[str, float]:
    """Return the seconds that each stage of a demo took, by its name.

    Args:
        file: table that `write_times` wrote; it need not exist.
    """
    if not file.is_file():
        return {}
    table = pd.read_csv(file)
    return dict(zip(table['stage'].astype(str), table['seconds'].astype(float), strict=True))


def write_times(file: Path, seconds: Mapping[str, float]) -> None:
    """Write the seconds that each stage of a demo took.

    Args:
        file: table to write.
        seconds: duration of each stage by its name.
    """
    table = pd.DataFrame({'stage': list(seconds), 'seconds': list(seconds.values())})
    write_table(table, file)


def _labelled(files: DemoFiles) -> Figure | None:
    """Draw held-out frames with their labels and predictions; None where a picture is missing."""
    truth = pd.read_csv(files.project / 'CollectedData_new.csv', header=[0, 1, 2], index_col=0)
    table = pd.read_csv(files.pose / 'predictions_new.csv', header=[0, 1, 2], index_col=0)
    names = truth.columns.get_level_values(1).unique().tolist()
    predicted = predicted_positions(table, truth.index.tolist(), names)
    true = truth.to_numpy(np.float64).reshape(predicted.shape)
    rows = frames_to_show(np.nanmean(np.linalg.norm(true - predicted, axis=-1), axis=1))
    pictures = []
    for row in rows:
        file = files.project / str(truth.index[row])
        if not file.is_file():
            return None
        with Image.open(file) as picture:
            pictures.append(np.asarray(picture.convert('RGB')))
    return labelled_frames(pictures, true[rows], predicted[rows]) if pictures else None


def pose_errors(project: Path, pose: Path) -> pd.DataFrame:
    """Return the mean pixel error of the model and of a constant prediction.

    The constant is each keypoint's mean position over the labelled frames, whose error needs no
    image.

    Args:
        project: folder of the demo's project.
        pose: output directory of the trained model.

    Returns:
        one row per set of labelled frames: `frames`, `model_px`, `constant_px`.
    """
    labels = pd.read_csv(project / 'CollectedData.csv', header=[0, 1, 2], index_col=0)
    rows = []
    for suffix, name in (('', 'training videos'), ('_new', 'held-out video')):
        table = pd.read_csv(pose / f'predictions_pixel_error{suffix}.csv', index_col=0)
        keypoints = table.drop(columns='set', errors='ignore')
        truth = pd.read_csv(project / f'CollectedData{suffix}.csv', header=[0, 1, 2], index_col=0)
        offset = (truth.to_numpy() - labels.to_numpy().mean(axis=0)).reshape(len(truth), -1, 2)
        rows.append(
            {
                'frames': f'{len(truth)} of the {name}',
                'model_px': float(keypoints.to_numpy().mean()),
                'constant_px': float((offset**2).sum(axis=-1).__pow__(0.5).mean()),
            }
        )
    return pd.DataFrame(rows)
