"""Predictions as files: tables per frame and per bout, and the layout of lightning-action."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from beast_lp.runs import files
from beast_lp.runs.files import finished_file
from beast_lp.segmentation.bouts import Bout
from beast_lp.segmentation.labelling import BACKGROUND, EXCLUSIVE, Labelling
from beast_lp.segmentation.streams import Streams

# format of floating-point numbers
_DIGITS = '%.6g'
_BOUT_COLUMNS = (
    'video',
    'class',
    'start_frame',
    'stop_frame',
    'start_s',
    'stop_s',
    'probability',
)
# frames whose vectors are written at once
_PIECE_FRAMES = 256


@dataclass(frozen=True)
class Prediction:
    """Prediction of one video by an ensemble.

    Attributes:
        name: name in files.
        video: path of the video.
        classes: names, in the order of the class numbers.
        probabilities: probabilities of all frames.
        labels: codes after decoding.
        fps: frames per second in the video file, on average.
        times: seconds of all frames on the clock of the recording.
        media_times: seconds of all frames in the video file, from the first one; None where
            they are the same.
        labelling: whether a frame has one class or any number of them.
    """

    name: str
    video: Path
    classes: tuple[str, ...]
    probabilities: Float[np.ndarray, 'frames classes']
    labels: Int[np.ndarray, ' frames']
    fps: float
    times: Float[np.ndarray, ' frames']
    media_times: Float[np.ndarray, ' frames'] | None = None
    labelling: Labelling = EXCLUSIVE

    @property
    def flags(self) -> Bool[np.ndarray, 'frames classes']:
        """Which classes each frame shows."""
        return self.labelling.flags(self.labels, len(self.classes))

    @property
    def bouts(self) -> list[Bout]:
        """Bouts of each class in the order of their starts."""
        return self.labelling.bouts(self.labels, len(self.classes))

    @property
    def edges(self) -> Float[np.ndarray, ' edges']:
        """Seconds at which each frame begins, and at which the last one ends."""
        return _edges(self.times, self.fps)

    @property
    def media_edges(self) -> Float[np.ndarray, ' edges']:
        """Seconds, in the video file, at which each frame begins and the last one ends."""
        return _edges(self.times if self.media_times is None else self.media_times, self.fps)


def _edges(times: Float[np.ndarray, ' frames'], fps: float) -> Float[np.ndarray, ' edges']:
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / fps
    return np.append(times, times[-1:] + step)


def write_table(table: pd.DataFrame, path: Path, index: bool = False) -> None:
    """Write a table as CSV with six digits, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(table, path, index, _DIGITS)


def _write_pieces(pieces: Iterable[pd.DataFrame], path: Path, index: bool) -> None:
    """Write a table that comes in pieces, one of which is in memory at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(path) as part, part.open('w', encoding='utf-8', newline='') as file:
        for number, piece in enumerate(pieces):
            piece.to_csv(file, index=index, header=number == 0, float_format=_DIGITS)


def one_hot(prediction: Prediction) -> pd.DataFrame:
    """Return the labels in the layout of label files: a column per class, `background` first.

    Background is 1 where a frame shows no class.
    """
    classes, flags = list(prediction.classes), prediction.flags
    table = pd.DataFrame(flags.astype(np.uint8), columns=pd.Index(classes))
    if BACKGROUND not in classes:
        table.insert(0, BACKGROUND, np.array(~flags.any(axis=1), dtype=np.uint8))
    return table


def bout_table(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """List the bouts of videos.

    Args:
        predictions: one per video.

    Returns:
        one row per bout: `video`, `class`, `start_frame`, `stop_frame` (not included), `start_s`,
        `stop_s`, `probability` (mean of the class over the bout).
    """
    rows = [
        {
            'video': p.name,
            'class': p.classes[bout.label],
            'start_frame': bout.start,
            'stop_frame': bout.stop,
            'start_s': edges[bout.start],
            'stop_s': edges[bout.stop],
            'probability': float(p.probabilities[bout.start : bout.stop, bout.label].mean()),
        }
        for p, edges in ((p, p.edges) for p in predictions)
        for bout in p.bouts
    ]
    return pd.DataFrame(rows, columns=pd.Index(_BOUT_COLUMNS))


def write_bouts(table: pd.DataFrame, path: Path) -> None:
    """Write a table of bouts; seconds have three digits, at any distance from the start.

    Args:
        table: rows of `bout_table`.
        path: file to write.
    """
    seconds = {name: table[name].map('{:.3f}'.format) for name in ('start_s', 'stop_s')}
    write_table(table.assign(**seconds), path)


def write_prediction(prediction: Prediction, directory: Path) -> None:
    """Write `<video>_probabilities.csv` and `<video>_labels.csv`."""
    probabilities = pd.DataFrame(prediction.probabilities, columns=pd.Index(prediction.classes))
    write_table(probabilities, directory / f'{prediction.name}_probabilities.csv', index=True)
    write_table(one_hot(prediction), directory / f'{prediction.name}_labels.csv', index=True)


def write_lightning_action(
    name: str,
    features: Streams,
    frame: Int[np.ndarray, ' rows'],
    labels: pd.DataFrame,
    directory: Path,
) -> None:
    """Write a video as lightning-action reads it: `features/<name>.csv` and `labels/<name>.csv`.

    Both have an index column and a row per frame that has features; patch tokens are averaged, as
    the layout has one vector per frame.

    Args:
        name: name of the video.
        features: vectors or patch tokens, or several streams of them.
        frame: number of the frame of each row.
        labels: one-hot table of all frames.
        directory: data folder of lightning-action.
    """
    _write_pieces(_vectors(features), directory / 'features' / f'{name}.csv', index=True)
    chosen = labels.iloc[frame].reset_index(drop=True)
    write_table(chosen, directory / 'labels' / f'{name}.csv', True)


def _vectors(features: Streams) -> Iterator[pd.DataFrame]:
    """Yield the mean over the tokens of each frame, stream after stream, some frames at a time."""
    channels = sum(shape[-1] for shape in features.shapes)
    columns = pd.Index([f'feature_{number}' for number in range(channels)])
    for start in range(0, len(features), _PIECE_FRAMES):
        parts = [own.astype(np.float32) for own in features.read(start, start + _PIECE_FRAMES)]
        means = [own.reshape(len(own), -1, own.shape[-1]).mean(axis=1) for own in parts]
        rows = np.concatenate(means, axis=1)
        yield pd.DataFrame(rows, pd.RangeIndex(start, start + len(rows)), columns)
