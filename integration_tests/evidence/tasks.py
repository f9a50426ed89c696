"""The tasks: what each reads, trains and is scored by."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backbones import embedded, frame_components, pretrained
from budget import Budget
from cells import Cell, claimed
from encoding import Neurons, encoding_scores
from pose import pose_scores
from readout import readout_scores
from recordings import FLY, MALE, MOUSE, OPEN_FIELD, PROJECTS, REACH, RECORDINGS
from segmentation import segmentation_scores

from beast_lp.config import SegmentationConfig

# directory of the cell's own files, cell, backbone, directory of all, budget
Scores = Callable[[Path, Cell, Path, Path, Budget], dict[str, float]]


@dataclass(frozen=True)
class Task:
    """A column of the table.

    Attributes:
        title: for its figure.
        unit: of the score.
        better: `higher` or `lower`.
        reference: what the line in the figure is.
        recording: whose videos the backbones are pretrained on.
        scores: computes a cell.
        labels: numbers of labelled frames; 0 alone where they do not vary.
    """

    title: str
    unit: str
    better: str
    reference: str
    recording: str
    scores: Scores
    labels: tuple[int, ...] = (0,)


def _pose(project: Path) -> Scores:
    def scores(own: Path, cell: Cell, backbone: Path, _: Path, budget: Budget) -> dict[str, float]:
        return pose_scores(project, backbone, cell.labels, cell.seed, budget, own)

    return scores


def _readout(project: Path) -> Scores:
    def scores(own: Path, cell: Cell, backbone: Path, _: Path, budget: Budget) -> dict[str, float]:
        return readout_scores(project, backbone, cell.labels, cell.seed, budget)

    return scores


def _segmentation(
    own: Path,
    cell: Cell,
    backbone: Path,
    directory: Path,
    budget: Budget,
) -> dict[str, float]:
    def scores(store: Path, features: str, output: Path) -> dict[str, float]:
        return segmentation_scores(
            store.parent, features, MALE, FLY / 'labels', cell.seed, budget, output
        )

    (features,) = embedded(directory, backbone, [MALE], SegmentationConfig().patch_grid)
    (components,) = frame_components(directory, TASKS[cell.task].recording, [MALE])
    floor = own.parent / f'{cell.task}_components_{cell.seed}'
    with claimed(floor):
        floor_scores = scores(components, 'cls', floor)
    return {
        **scores(features, 'patches', own / 'segmentation'),
        'floor_components': floor_scores['score'],
    }


def _encoding(neurons: Neurons, recording: str) -> Scores:
    def scores(
        own: Path,
        cell: Cell,
        backbone: Path,
        directory: Path,
        budget: Budget,
    ) -> dict[str, float]:
        videos = RECORDINGS[recording]
        stores = embedded(directory, backbone, videos)
        components = frame_components(directory, recording, videos)
        return encoding_scores(neurons, stores, components, cell.seed, budget, own)

    return scores


# labelled frames that pose is trained on
LABELS = (10, 25, 50)
POSE = 'mean error on frames never used, px'
READ = 'mean error of a linear reading, px'
BITS = "bits per spike beyond the training part's rates"
TASKS = {
    'pose_mouse': Task(
        'Pose of a running mouse, 17 keypoints',
        POSE,
        'lower',
        'constant prediction',
        'mouse',
        _pose(MOUSE),
        LABELS,
    ),
    'pose_fly': Task(
        'Pose of a courting fly, 13 keypoints',
        POSE,
        'lower',
        'constant prediction',
        'fly',
        _pose(FLY),
        LABELS,
    ),
    'pose_crops': Task(
        'Pose of a courting fly, pretrained on crops of both flies',
        POSE,
        'lower',
        'constant prediction',
        'crops',
        _pose(FLY),
        LABELS,
    ),
    'pose_openfield': Task(
        'Pose of a mouse in an open field, 4 keypoints',
        POSE,
        'lower',
        'constant prediction',
        'openfield',
        _pose(OPEN_FIELD),
        LABELS,
    ),
    'pose_openfield_crops': Task(
        'Pose of a mouse in an open field, crops around what moves',
        POSE,
        'lower',
        'constant prediction',
        'openfield_crops',
        _pose(PROJECTS['openfield_crops']),
        LABELS,
    ),
    'readout_mouse': Task(
        'Keypoints of a running mouse, read from frozen features',
        READ,
        'lower',
        'constant prediction',
        'mouse',
        _readout(MOUSE),
        LABELS,
    ),
    'readout_fly': Task(
        'Keypoints of a courting fly, read from frozen features',
        READ,
        'lower',
        'constant prediction',
        'fly',
        _readout(FLY),
        LABELS,
    ),
    'readout_crops': Task(
        'Keypoints of a courting fly, frozen, pretrained on crops of both',
        READ,
        'lower',
        'constant prediction',
        'crops',
        _readout(FLY),
        LABELS,
    ),
    'readout_openfield': Task(
        'Keypoints of a mouse in an open field, read from frozen features',
        READ,
        'lower',
        'constant prediction',
        'openfield',
        _readout(OPEN_FIELD),
        LABELS,
    ),
    'readout_openfield_crops': Task(
        'Keypoints of a mouse in an open field, frozen, crops around what moves',
        READ,
        'lower',
        'constant prediction',
        'openfield_crops',
        _readout(PROJECTS['openfield_crops']),
        LABELS,
    ),
    'segmentation_crops': Task(
        'Behaviour of a courting fly, 3 classes',
        'macro-F1 on held-out blocks',
        'higher',
        'logistic regression',
        'crops',
        _segmentation,
    ),
    'encoding_crops': Task(
        'Simulated neurons of a courting fly',
        BITS,
        'higher',
        'true movement',
        'crops',
        _encoding(Neurons(FLY / 'spikes_simulated.npz', 0.04, 150, 'rrr', 0.40), 'crops'),
    ),
    'encoding_m1': Task(
        'Motor cortex of a reaching monkey, drawn arm',
        BITS,
        'higher',
        'true movement',
        'reach',
        _encoding(Neurons(REACH / 'm1_reach.npz', 0.05, 400, 'rrr', 0.079), 'reach'),
    ),
}


def compute(directory: Path, cell: Cell, budget: Budget) -> dict[str, float]:
    """Return the scores of a cell, pretraining first where that is still to be done.

    Raises:
        BusyError: if another process makes what the cell needs.
    """
    task = TASKS[cell.task]
    backbone = pretrained(directory, task.recording, cell.backbone, cell.seed, budget)
    return task.scores(directory / 'heads' / cell.name, cell, backbone, directory, budget)
