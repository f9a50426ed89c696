"""Identity of a video: its name among others, and the hash of its content."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.runs.keys import digest
from beast_lp.video.containers import VideoError, quarter_turns

# characters kept of a video's name
_LONGEST_ID = 80
# bytes that are read of a video to recognise it: of both ends, and of samples between
_EDGE_BYTES = 1 << 20
_SAMPLES = 32
_SAMPLE_BYTES = 1 << 16


def video_ids(videos: Sequence[Path]) -> list[str]:
    """Name videos by their stems, in characters that are safe in file names.

    Videos whose names would be equal, also if upper and lower case are ignored, get the names of
    as many parent folders in front as tell them apart, and a number where that is not enough.

    Args:
        videos: paths of the videos.

    Returns:
        one name per video, all different.

    Examples:
        >>> video_ids([Path('day1/cam 0.mp4'), Path('day1/cam 1.mp4')])
        ['cam_0', 'cam_1']
        >>> video_ids([Path('day1/cam.mp4'), Path('day2/cam.mp4')])
        ['day1_cam', 'day2_cam']
    """
    depth = [1] * len(videos)
    while True:
        names = [_safe_name(video, level) for video, level in zip(videos, depth, strict=True)]
        counts = Counter(name.lower() for name in names)
        deepen = [
            index
            for index, name in enumerate(names)
            if counts[name.lower()] > 1 and depth[index] < len(videos[index].parts)
        ]
        if not deepen:
            return _numbered(names)
        for index in deepen:
            depth[index] += 1


def _safe_name(video: Path, level: int) -> str:
    parts = (*video.parts[-level:-1], video.stem)
    name = unicodedata.normalize('NFC', '_'.join(parts))
    # the end of a long name distinguishes more than its beginning
    return re.sub(r'[^\w.-]+', '_', name)[-_LONGEST_ID:].lstrip('._-') or 'video'


def _numbered(names: list[str]) -> list[str]:
    taken: set[str] = set()
    result = []
    for name in names:
        number, unique = 1, name
        while unique.lower() in taken:
            number += 1
            unique = f'{name}_{number}'
        taken.add(unique.lower())
        result.append(unique)
    return result


def source_key(video: Path, boxes: Path | None) -> str:
    """Hash the content of a video and its bounding boxes.

    Of the video, the hash covers its size and samples of its content (head, tail and 32 evenly
    spaced pieces), not its path or date, so that a copied or moved data set is recognised. The
    rotation of a video counts where it has one, because older versions did not apply it.

    Args:
        video: video file.
        boxes: file of its bounding boxes; None if it is not cropped.

    Returns:
        32 hexadecimal digits.

    Raises:
        VideoError: if the video cannot be read.
        BeastError: if the bounding boxes cannot be read.
    """
    try:
        content = digest(boxes.read_bytes() if boxes else b'')
    except OSError as error:
        raise BeastError(
            f'the bounding boxes {boxes} cannot be read ({error.strerror}); check that the file '
            'is there and readable'
        ) from error
    try:
        size = video.stat().st_size
        content.update(str(size).encode())
        with video.open('rb') as file:
            content.update(file.read(_EDGE_BYTES))
            for sample in range(_SAMPLES):
                file.seek(size * sample // _SAMPLES)
                content.update(file.read(_SAMPLE_BYTES))
            file.seek(max(0, size - _EDGE_BYTES))
            content.update(file.read(_EDGE_BYTES))
    except OSError as error:
        raise VideoError(
            f'{video} cannot be read ({error.strerror}); check that it is there and readable'
        ) from error
    turns = _turns(video)
    if turns:
        content.update(f'{turns} quarter turns'.encode())
    return content.hexdigest()


def _turns(video: Path) -> int:
    try:
        return quarter_turns(video)
    except VideoError:
        # whoever decodes it will say so
        return 0
