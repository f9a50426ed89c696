"""What every backbone is given: the same work for each, stated in the output."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from beast_lp.runs.files import finished_file


@dataclass(frozen=True)
class Budget:
    """The work of pretraining and fine-tuning, equal for all backbones.

    Attributes:
        preset: settings of pretraining, as a user gets them.
        pose_steps: steps of the optimiser, for any number of labelled frames.
        pretraining_steps: steps of pretraining; None for those of the preset.
        image_size: px, of the pose model.
        pose_batch: labelled frames of a step; fewer where there are fewer.
        segmentation_epochs: epochs of the head on stored patch tokens; None for the default.
        encoding_bins: bins from the beginning of the recording; None for all.
    """

    preset: str
    pose_steps: int
    pretraining_steps: int | None = None
    image_size: int = 128
    pose_batch: int = 10
    segmentation_epochs: int | None = None
    encoding_bins: int | None = None


BUDGETS = {
    # of seconds, to see that every task runs; its scores mean nothing
    'smoke': Budget('laptop', 4, 4, segmentation_epochs=2, encoding_bins=2400),
    # the presets for a CPU as a user types them
    'laptop': Budget('laptop', 600),
    'night': Budget('vit_tiny', 600),
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
