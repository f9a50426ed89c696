"""Predictions as files: tables per frame and per bout, and other programs' layouts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from beast_lp.features.store import read_rows
from beast_lp.runs.files import finished_file
from beast_lp.segmentation.bouts import find_bouts
from beast_lp.segmentation.classes import BACKGROUND
from beast_lp.segmentation.evaluate import HeldOut, Scores
from beast_lp.segmentation.sequences import Features

# frames whose vectors are written at a time
_PIECE_FRAMES = 256


@dataclass(frozen=True)
class Prediction:
    """What an ensemble says of one video.

    Attributes:
        name: for files.
        video: the file.
        classes: names.
        probabilities: of all frames.
        labels: class numbers after decoding.
        fps: frames per second, on average.
        times: seconds of all frames since the first one.
    """

    name: str
    video: Path
    classes: tuple[str, ...]
    probabilities: Float[np.ndarray, 'frames classes']
    labels: Int[np.ndarray, ' frames']
    fps: float
    times: Float[np.ndarray, ' frames']

    @property
    def edges(self) -> Float[np.ndarray, ' edges']:
        """Seconds at which every frame begins and, after them, at which the last one ends."""
        step = float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1 / self.fps
        return np.append(self.times, self.times[-1:] + step)


@dataclass(frozen=True)
class Outcome:
    """What a run has to show.

    Attributes:
        classes: names.
        scores: None where nothing was held out.
        held_out: stretches that were scored.
        history: one row per model and epoch; empty for an evaluation.
        summary: what was run, in words.
    """

    classes: tuple[str, ...]
    scores: Scores | None
    held_out: list[HeldOut]
    history: pd.DataFrame
    summary: Mapping[str, str]


def write_table(table: pd.DataFrame, path: Path, index: bool = False) -> None:
    """Write a table as CSV; it appears complete or not at all."""
    _write_pieces([table], path, index)


def _write_pieces(pieces: Iterable[pd.DataFrame], path: Path, index: bool) -> None:
    """Write a table that comes in pieces, none of which is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(path) as part, part.open('w', encoding='utf-8', newline='') as file:
        for number, piece in enumerate(pieces):
            piece.to_csv(file, index=index, header=number == 0, float_format='%.6g')


def one_hot(prediction: Prediction) -> pd.DataFrame:
    """Return the labels as the label files are laid out: one-hot, `background` first."""
    classes = list(prediction.classes)
    table = pd.DataFrame(
        np.eye(len(classes), dtype=np.uint8)[prediction.labels], columns=pd.Index(classes)
    )
    if BACKGROUND not in classes:
        table.insert(0, BACKGROUND, 0)
    return table


def bout_table(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """List the bouts of videos.

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
        for bout in find_bouts(p.labels)
    ]
    return pd.DataFrame(rows)


def write_bouts(table: pd.DataFrame, path: Path) -> None:
    """Write what `bout_table` gives, with milliseconds at any distance from the start."""
    seconds = {name: table[name].map('{:.3f}'.format) for name in ('start_s', 'stop_s')}
    write_table(table.assign(**seconds), path)


def write_prediction(prediction: Prediction, directory: Path) -> None:
    """Write `<video>_probabilities.csv` and `<video>_labels.csv`."""
    probabilities = pd.DataFrame(prediction.probabilities, columns=pd.Index(prediction.classes))
    write_table(probabilities, directory / f'{prediction.name}_probabilities.csv', index=True)
    write_table(one_hot(prediction), directory / f'{prediction.name}_labels.csv', index=True)


def write_outcome(outcome: Outcome, directory: Path) -> None:
    """Write the scores as tables, and the probabilities of what was held out."""
    for name, table in (outcome.scores.tables() if outcome.scores else {}).items():
        write_table(table, directory / f'{name}.csv')
    for part in outcome.held_out:
        name = f'{part.video}_{part.frame[0]}-{part.frame[-1]}.csv'
        table = pd.DataFrame(
            part.probabilities.mean(axis=0),
            columns=pd.Index(outcome.classes),
        )
        names = np.array([*outcome.classes, 'unscored'])
        table.insert(0, 'scored', names[part.target])
        table.insert(0, 'frame', part.frame)
        write_table(table, directory / 'held_out' / name)


def write_lightning_action(
    name: str,
    features: Features,
    frame: Int[np.ndarray, ' rows'],
    labels: pd.DataFrame,
    directory: Path,
) -> None:
    """Write a video as lightning-action reads it: `features/<name>.csv` and `labels/<name>.csv`.

    Both have an index column and a row per frame that has features; patch tokens are averaged, as
    the layout has one vector per frame.

    Args:
        name: of the video.
        features: vectors or patch tokens.
        frame: ordinals of the rows in the video.
        labels: one-hot, of all frames.
        directory: the data folder.
    """
    _write_pieces(_vectors(features), directory / 'features' / f'{name}.csv', index=True)
    chosen = labels.iloc[frame].reset_index(drop=True)
    write_table(chosen, directory / 'labels' / f'{name}.csv', True)


def _vectors(features: Features) -> Iterator[pd.DataFrame]:
    """Yield the mean over each frame's tokens, some frames at a time."""
    columns = pd.Index([f'feature_{number}' for number in range(features.shape[-1])])
    for start in range(0, len(features), _PIECE_FRAMES):
        part = read_rows(features, start, start + _PIECE_FRAMES).astype(np.float32)
        rows = part.reshape(len(part), -1, part.shape[-1]).mean(axis=1)
        yield pd.DataFrame(rows, pd.RangeIndex(start, start + len(rows)), columns)
