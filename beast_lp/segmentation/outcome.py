"""The outcome of a training run or an evaluation, and its tables on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.evaluate import HeldOut
from beast_lp.segmentation.labelling import EXCLUSIVE, Labelling
from beast_lp.segmentation.outputs import write_table
from beast_lp.segmentation.scores import Scores


@dataclass(frozen=True)
class Outcome:
    """Scores of a run, and what they were computed from.

    Attributes:
        classes: names, in the order of the class numbers.
        scores: None where nothing was held out.
        held_out: stretches that were scored.
        history: one row per model and epoch; empty for an evaluation.
        summary: description of the run, a sentence by its heading.
        videos: path of each video by its name, of which the report shows frames.
        labelling: whether a frame has one class or any number of them.
    """

    classes: tuple[str, ...]
    scores: Scores | None
    held_out: list[HeldOut]
    history: pd.DataFrame
    summary: Mapping[str, str]
    videos: Mapping[str, Path] = field(default_factory=dict)
    labelling: Labelling = EXCLUSIVE


def write_outcome(outcome: Outcome, decoding: DecodingConfig, directory: Path) -> None:
    """Write a table for each kind of score, and one for every held-out stretch.

    The latter has a row per frame: `frame`, `scored`, `predicted` (the decoded label or labels)
    and the probabilities of the ensemble.

    Args:
        outcome: scores of the run.
        decoding: rules that turn probabilities into labels.
        directory: output directory of the run.
    """
    for name, table in (outcome.scores.tables() if outcome.scores else {}).items():
        write_table(table, directory / f'{name}.csv')
    for part in outcome.held_out:
        name = f'{part.video}_{part.frame[0]}-{part.frame[-1]}.csv'
        probabilities = part.probabilities.mean(axis=0)
        table = pd.DataFrame(probabilities, columns=pd.Index(outcome.classes))
        predicted = decode(probabilities, decoding, outcome.labelling)
        table.insert(0, 'predicted', outcome.labelling.describe(predicted, outcome.classes))
        table.insert(0, 'scored', outcome.labelling.describe(part.target, outcome.classes))
        table.insert(0, 'frame', part.frame)
        write_table(table, directory / 'held_out' / name)
