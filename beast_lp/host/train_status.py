"""The host's `train_status.json`, by which its GUI knows how far a training is."""

import json
import time
from pathlib import Path
from typing import Any

from beast_lp.runs.files import finished_file

NAME = 'train_status.json'


def mark_training(path: Path) -> None:
    """Record that a run has begun, as the host's tracker does when it is built.

    That one is built once the videos are scanned, since its import takes seconds.

    Args:
        path: status file; what else it holds stays.
    """
    progress = {'completed': 0, 'total': 1, 'timestamp': time.time()}
    _update(path, {'status': 'TRAINING', 'progress': progress})


def mark_completed(path: Path) -> None:
    """Record that a run is over, as the host's own training does.

    Args:
        path: status file; what else it holds stays.
    """
    _update(path, {'status': 'COMPLETED'})


def is_completed(model_dir: Path) -> bool:
    """Return whether the host finished training a model in this directory."""
    return _read(model_dir / NAME).get('status') == 'COMPLETED'


def _update(path: Path, values: dict[str, Any]) -> None:
    status = _read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(path) as part:
        part.write_text(json.dumps({**status, **values}))


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a status file; nothing where there is none, or it is damaged."""
    try:
        status = json.loads(path.read_text(encoding='utf-8'))
    except (FileNotFoundError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}
