"""Results of `litpose beast_demo`: a few numbers, and one page that links all reports."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from beast_lp.encoding.stage import EncodingFiles
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.reports.encoding_verdict import table_for_people
from beast_lp.reports.page import Section, write_page
from beast_lp.runs.files import write_table
from beast_lp.segmentation.evaluate import ENSEMBLE
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
    def videos(self) -> list[Path]:
        """All videos of the project, with the held-out one."""
        return find_videos([self.project / 'videos', self.project / 'videos_test'])

    @property
    def spikes(self) -> list[Path]:
        """Recordings of neurons, each with the name of its video."""
        return sorted((self.project / 'spikes').glob('*.npz'))


def write_results(files: DemoFiles, seconds: Mapping[str, float]) -> Path:
    """Log the results of a demo, and write `index.html` and `pose_error.csv`.

    Args:
        files: paths of a demo whose stages are all done.
        seconds: duration of each stage by its name.

    Returns:
        the path of the page.
    """
    directory = files.directory
    page = directory / 'index.html'
    errors = pose_errors(files.project, files.pose)
    write_table(errors, directory / 'pose_error.csv')
    metrics = pd.read_csv(RunFiles(files.pretraining).metrics)
    retrieval = metrics.iloc[[-1]].filter(['epoch', 'val_retrieval', 'val_retrieval_chance'])
    encoding = table_for_people(pd.read_csv(EncodingFiles(files.encoding).comparison))
    scores = pd.read_csv(files.segmentation / 'scores.csv')
    behavior = scores.loc[scores['model'] == ENSEMBLE, ['macro_f1', 'accuracy', 'bout_f1']]
    times = pd.DataFrame({'stage': list(seconds), 'seconds': [round(s) for s in seconds.values()]})
    videos = {
        f'labelled video of {path.stem.removesuffix("_labeled")}': path.relative_to(
            directory
        ).as_posix()
        for path in sorted((files.pose / 'video_preds').rglob('*.mp4'))
    }
    write_page(
        page,
        'BEAST demo: a drawn animal',
        [
            Section(
                'Pretraining',
                'How often the frame nearest to an anchor is its positive, among '
                'all held-out frames.',
                table=retrieval,
                links={'report of the pretraining': 'pretraining/report.html'},
            ),
            Section(
                'Pose',
                'Mean pixel error, beside that of a constant prediction.',
                table=errors,
                links=videos,
            ),
            Section(
                'Neural encoding',
                'How well features of the video predict simulated neurons, with controls.',
                table=encoding,
                links={'report of the encoding': 'encoding/report.html'},
            ),
            Section(
                'Behaviour',
                'Scores on the held-out video.',
                table=behavior,
                links={'report of the segmentation': 'segmentation/report.html'},
            ),
            Section('Time', 'A stage that was done before takes none.', table=times),
        ],
    )
    tables = '\n\n'.join(
        table.round(3).to_string(index=False) for table in (retrieval, errors, encoding, behavior)
    )
    logger.info(
        f'beast: the demo is done ({sum(seconds.values()) / 60:.1f} min: '
        + ', '.join(f'{name} {value:.0f} s' for name, value in seconds.items())
        + f').\n\n{tables}'
    )
    return page


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
