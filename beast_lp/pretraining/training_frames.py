"""Check that a resumed run trains on the frames it started with.

The settings of a run name its videos by their paths alone, and a file may change.
"""

import json
import logging
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.pretraining.launch import launched_rank
from beast_lp.runs.files import finished_file
from beast_lp.runs.keys import key_of
from beast_lp.runs.settings import changed_names
from beast_lp.video.window_records import SIDECAR_SUFFIX, read_record
from beast_lp.video.window_store import WindowStore

logger = logging.getLogger(f'lightning_pose.{__name__}')

# beside the checkpoint that it belongs to
_NAME = 'windows.json'


def identity(store: WindowStore) -> dict[str, str]:
    """Hash the content of each video of a store, with the frames that are taken from it."""
    return {
        str(name): _key(
            store.directory / f'{name}{SIDECAR_SUFFIX}',
            rows['frame'].tolist(),
            rows['step'].tolist(),
        )
        for name, rows in store.table.groupby('video_id', sort=False)
    }


def _key(sidecar: Path, frames: list[int], steps: list[int]) -> str:
    record = read_record(sidecar)
    return key_of([record.source_key if record else None, frames, steps])


def check_same_windows(last: Path, store: WindowStore) -> None:
    """Check that a checkpoint, if there is one, was trained on the frames of a store.

    A checkpoint of an older version does not tell, and is resumed from.

    Args:
        last: checkpoint that the run would resume from.
        store: frames that it would train on.

    Raises:
        BeastError: if they are others; the message names the first video that changed, and how.
    """
    file = last.with_name(_NAME)
    if not (last.exists() and file.exists()):
        return
    before, now = _read_identity(file), identity(store)
    changed = changed_names(before, now)
    if not changed:
        return
    first = changed[0]
    if first not in now:
        how = 'cannot be used any more (videos.csv says why)'
    elif first not in before:
        how = 'could not be used then and can be now'
    else:
        how = 'or what is taken from it has changed'
    others = f', and {len(changed) - 1} more' if len(changed) > 1 else ''
    raise BeastError(
        f'{last} was trained on other frames: the video {first} {how}{others}; restore what '
        'changed to resume that run, or give another --output_dir'
    )


def _read_identity(file: Path) -> dict[str, str]:
    """Read the hashes that an earlier start of a run wrote.

    Raises:
        BeastError: if the file is damaged.
    """
    try:
        before = json.loads(file.read_text(encoding='utf-8'))
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise BeastError(
            f'{file}, which says on what frames the checkpoint beside it was trained, is damaged; '
            'delete it to resume the run without that check, or give another --output_dir'
        )
    return before


def keep_identity(last: Path, store: WindowStore) -> None:
    """Write the frames that a run trains on beside its checkpoint, which may come later."""
    if launched_rank() == 0:
        with finished_file(last.with_name(_NAME)) as part:
            part.write_text(json.dumps(identity(store), indent=1), encoding='utf-8')
