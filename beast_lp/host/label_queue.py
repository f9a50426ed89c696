"""The frames that wait for labels in the host's GUI.

The GUI keeps them in a file beside the table of labels (`CollectedData.unlabeled.jsonl`, a line of
JSON for each frame), and their pictures as `labeled-data/VIDEO/img00000012.jpg`. Nothing in them
is replaced here.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file

FOLDER = 'labeled-data'
_SUFFIX = '.unlabeled.jsonl'
_HEADER_ROWS = 3
_SCORER = 'lightning_pose'


def queue_of(table: Path) -> Path:
    """Return the queue of a table of labels."""
    return table.with_suffix(_SUFFIX)


def picture_path(video: Path, frame: int) -> str:
    """Return the path of a frame's picture in the project, as the GUI names it.

    Examples:
        >>> picture_path(Path('videos/mouse.mp4'), 12)
        'labeled-data/mouse/img00000012.jpg'
    """
    return f'{FOLDER}/{video.stem}/img{frame:08d}.jpg'


def known_frames(tables: Sequence[Path]) -> dict[str, set[int]]:
    """Return the frames of each video, by its name, that are labelled or wait for it.

    Args:
        tables: tables of labels, which need not exist.

    Raises:
        BeastError: if a queue is damaged.
    """
    known: dict[str, set[int]] = defaultdict(set)
    for table in tables:
        for row in [*_labelled(table), *_waiting(queue_of(table))]:
            path = Path(row.replace('\\', '/'))
            number = re.search(r'(\d+)$', path.stem)
            if number:
                known[path.parent.name].add(int(number[1]))
    return known


def _labelled(table: Path) -> list[str]:
    if not table.exists():
        return []
    with table.open(encoding='utf-8-sig', errors='replace', newline='') as file:
        rows = list(csv.reader(file))[_HEADER_ROWS:]
    return [row[0] for row in rows if row]


def _waiting(queue: Path) -> list[str]:
    if not queue.exists():
        return []
    try:
        lines = queue.read_text(encoding='utf-8').splitlines()
        return [str(json.loads(line)['frame_path']) for line in lines if line.strip()]
    except (ValueError, KeyError, TypeError) as error:
        raise BeastError(
            f'{queue}, where the GUI keeps the frames to label, is damaged; restore it, or rename '
            'it to begin another'
        ) from error


def append_to_queue(table: Path, pictures: Sequence[str]) -> None:
    """Add frames to the queue of a table of labels, after those that wait there.

    Args:
        table: table of labels.
        pictures: paths of their pictures in the project.
    """
    queue = queue_of(table)
    before = queue.read_text(encoding='utf-8') if queue.exists() else ''
    if before and not before.endswith('\n'):
        before += '\n'
    lines = [json.dumps({'frame_path': path, 'predictions': None}) + '\n' for path in pictures]
    with finished_file(queue) as part:
        part.write_text(before + ''.join(lines), encoding='utf-8')


def write_empty_table(table: Path, keypoints: Sequence[str]) -> None:
    """Write a table of labels with its header alone.

    Args:
        table: file that does not exist.
        keypoints: names of the keypoints.
    """
    rows = (
        ['scorer', *(_SCORER for _ in keypoints for _ in 'xy')],
        ['bodyparts', *(name for name in keypoints for _ in 'xy')],
        ['coords', *(axis for _ in keypoints for axis in 'xy')],
    )
    table.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(table) as part, part.open('w', encoding='utf-8', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows(rows)
