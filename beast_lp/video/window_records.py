"""Records of finished clips, by which a clip is recognised as still valid."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.config.retired import retired_group
from beast_lp.runs.files import finished_file
from beast_lp.runs.keys import key_of
from beast_lp.video.containers import VideoError, open_container
from beast_lp.video.selection import Anchors
from beast_lp.video.window_clip import WINDOW

# part of every key; raise it when the same settings give other anchors or other clips
STORE_VERSION = 3
SIDECAR_SUFFIX = '.json'

# the number of processes changes nothing, and the content of the boxes counts with the video
_WITHOUT_EFFECT = ('processes', 'bbox_dir')
_ANCHOR_TYPES = {
    'frame': np.int64,
    'motion_energy': np.float32,
    'cluster': np.int64,
    'distance': np.float32,
}


@dataclass(frozen=True)
class ClipRecord:
    """Record of a finished clip, which is written beside it as JSON.

    Attributes:
        source_key: hash of the content of the video and its boxes.
        settings_key: hash of every setting that shaped the clip.
        video_id: name of the clip without its suffix.
        clip: file name of the clip.
        clip_bytes: size of the clip in bytes.
        header: width, height, fps, codec and declared frames of the video.
        frames_read: number of frames of the video that could be decoded.
        error: why not all frames could be decoded, or None.
        step: number of frames, k of the windows (t-k, t, t+k).
        anchors: chosen frames, in the order of the windows.
    """

    source_key: str
    settings_key: str
    video_id: str
    clip: str
    clip_bytes: int
    header: dict[str, Any]
    frames_read: int
    error: str | None
    step: int
    anchors: Anchors


def settings_key(anchors: AnchorConfig, windows: WindowConfig, step: int, seed: int) -> str:
    """Hash every setting that, with the video itself, determines a clip.

    A retired setting counts with the value now in use, so that older clips stay valid.

    Args:
        anchors: strategy, and number of anchors.
        windows: longest side of the frames. The number of processes changes no clip, and boxes
            count by their content, in the source key.
        step: number of frames, k.
        seed: seed of the choice of anchors.
    """
    chosen = {**retired_group('beast.anchors'), **asdict(anchors)}
    shape = {**retired_group('beast.windows'), **asdict(windows)}
    shape = {name: value for name, value in shape.items() if name not in _WITHOUT_EFFECT}
    return key_of([STORE_VERSION, chosen, shape, step, seed])


def write_record(directory: Path, record: ClipRecord) -> None:
    """Write the record of a clip beside it.

    Args:
        directory: folder of the clips.
        record: record to write.
    """
    content = asdict(record)
    content['anchors'] = {name: values.tolist() for name, values in content['anchors'].items()}
    with finished_file(directory / f'{record.video_id}{SIDECAR_SUFFIX}') as part:
        part.write_text(json.dumps(content), encoding='utf-8')


def read_record(sidecar: Path) -> ClipRecord | None:
    """Read the record of a clip.

    Args:
        sidecar: JSON file beside the clip.

    Returns:
        the record, or None if the file is missing or not a record, so that the clip must be built.
    """
    try:
        content = json.loads(sidecar.read_text(encoding='utf-8'))
        anchors = content.pop('anchors')
        arrays = {name: np.array(anchors[name], kind) for name, kind in _ANCHOR_TYPES.items()}
        return ClipRecord(**content, anchors=Anchors(**arrays))
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):
        return None


def changed_since(record: ClipRecord, source: str, settings: str) -> str | None:
    """Describe what has changed since a clip was built, None if nothing has.

    Args:
        record: record of the clip.
        source: present hash of the video and its boxes.
        settings: present hash of the settings.
    """
    if record.source_key != source:
        return 'the video or its bounding boxes have changed'
    if record.settings_key != settings:
        return 'the settings of anchors or windows have changed'
    return None


def damage(record: ClipRecord, directory: Path) -> str | None:
    """Describe the damage of a clip by its size and header, None if there is none.

    Args:
        record: record of the clip.
        directory: folder of the clips.
    """
    clip = directory / record.clip
    try:
        size = clip.stat().st_size
        if size != record.clip_bytes:
            return f'it has {size} bytes instead of {record.clip_bytes}'
        with open_container(clip) as container:
            frames = container.streams.video[0].frames if container.streams.video else 0
    except OSError as error:
        return error.strerror or 'it cannot be opened'
    except VideoError as error:
        return str(error)
    expected = WINDOW * len(record.anchors)
    return f'it has {frames} frames instead of {expected}' if frames != expected else None
