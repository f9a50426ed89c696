"""The host's `train_status.json`, by which its GUI knows how far a training is."""

import json
from pathlib import Path

from beast_lp.runs.files import finished_file

NAME = 'train_status.json'


def mark_completed(path: Path) -> None:
    """Record that a run is over, as the host's own training does.

    Args:
        path: status file; what else it holds stays.
    """
    status = json.loads(path.read_text()) if path.exists() else {}
    with finished_file(path) as part:
        part.write_text(json.dumps({**status, 'status': 'COMPLETED'}))


def is_completed(model_dir: Path) -> bool:
    """Return whether the host finished training a model in this directory."""
    path = model_dir / NAME
    return path.exists() and json.loads(path.read_text()).get('status') == 'COMPLETED'
