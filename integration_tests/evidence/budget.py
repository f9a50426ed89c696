"""What every backbone is given: the same work for each, stated in the output."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from beast_lp.runs.files import finished_file


@dataclass(frozen=True)
class Budget:
    """The work of pretraining and fine-tuning, equal for all backbones.

    Attributes:
        image_size: px, of pretraining, embedding and pose.
        anchors: per video, with two frames beside each.
        pretraining_epochs: passes over the anchors.
        pose_steps: of the optimiser, for any number of labelled frames.
        pose_batch: labelled frames of a step; fewer where there are fewer.
        segmentation_epochs: of the head on stored patch tokens.
        encoding_bins: of the recording, from its beginning; None for all.
        pretrainings: of each backbone, which the seeds take in turn; None for one each.
    """

    image_size: int
    anchors: int
    pretraining_epochs: int
    pose_steps: int
    pose_batch: int = 10
    segmentation_epochs: int = 60
    encoding_bins: int | None = None
    pretrainings: int | None = None

    def pretraining_seed(self, seed: int) -> int:
        """Return the seed of the pretraining that a seed takes."""
        return seed if self.pretrainings is None else seed % self.pretrainings


BUDGETS = {
    # of seconds, to see that every task runs; its scores mean nothing
    'smoke': Budget(128, 12, 1, 4, segmentation_epochs=2, encoding_bins=2400),
    'short': Budget(128, 150, 40, 600),
    'night': Budget(128, 400, 100, 600),
    # an hour of one core for each pretraining on the crops of two flies: 10,000 steps, where
    # `short` is a few hundred (on the mouse's 994 frames, 2,000 in minutes). The seeds share it:
    # they differ in labelled frames, splits and training
    'hour': Budget(128, 1000, 320, 600, pretrainings=1),
}


def keep_budget(directory: Path, budget: Budget) -> None:
    """Write a budget beside the results, which may not mix two of them.

    Raises:
        SystemExit: if the directory holds results of another.
    """
    file, text = directory / 'budget.json', json.dumps(asdict(budget), indent=2)
    if file.exists() and file.read_text() != text:
        raise SystemExit(
            f'{directory} holds results of another budget (budget.json); give another --output_dir'
        )
    directory.mkdir(parents=True, exist_ok=True)
    with finished_file(file) as part:
        part.write_text(text)
