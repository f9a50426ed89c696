"""Identity of a video: its name among others, and the hash of its content."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
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


def video_names(videos: Sequence[Path], safe: bool = False) -> list[str]:
    """Name videos by their stems; only those whose names would be equal get longer ones.

    Names are compared as file systems do that ignore upper and lower case. Videos of one stem in
    one folder also get their suffix, others the names of as many parent folders in front as tell
    them apart. Where that is not enough, they are numbered.

    Args:
        videos: paths of the videos.
        safe: replace characters other than letters, digits and `._-`, and shorten long names.

    Returns:
        one name per video, all different.

    Examples:
        >>> video_names([Path('day1/cam 0.mp4'), Path('day1/cam 0.avi'), Path('day1/top.avi')])
        ['cam 0_mp4', 'cam 0_avi', 'top']
        >>> video_names([Path('day1/cam.mp4'), Path('day2/cam.mp4')])
        ['day1_cam', 'day2_cam']
    """
    names = [_spelled([video.stem], safe) for video in videos]
    counts = Counter(map(_folded, names))
    taken = {key for key, count in counts.items() if count == 1}
    for key in [key for key, count in counts.items() if count > 1]:
        places = [place for place, name in enumerate(names) if _folded(name) == key]
        longer = _told_apart([videos[place] for place in places], safe, taken)
        for place, name in zip(places, longer, strict=True):
            names[place] = name
    return names


def video_ids(videos: Sequence[Path]) -> list[str]:
    """Name videos in characters that are safe in file names; see `video_names`.

    Args:
        videos: paths of the videos.

    Returns:
        one name per video, all different.

    Examples:
        >>> video_ids([Path('day1/cam 0.mp4'), Path('day1/cam 1.mp4')])
        ['cam_0', 'cam_1']
    """
    return video_names(videos, safe=True)


def names_in_use(
    videos: Sequence[Path], is_in_use: Callable[[str, Path], bool], safe: bool = False
) -> list[str]:
    """Name videos as `video_names`, but as an older version did where its files are there.

    Args:
        videos: paths of the videos.
        is_in_use: returns whether there are files of a name that belong to a video.
        safe: as in `video_names`.
    """
    names = video_names(videos, safe)
    others = set(map(_folded, names))
    for place, older in enumerate(_older_names(videos, safe)):
        free = _folded(older) not in others
        if free and is_in_use(older, videos[place]) and not is_in_use(names[place], videos[place]):
            names[place] = older
    return names


def _told_apart(videos: Sequence[Path], safe: bool, taken: set[str]) -> list[str]:
    """Name videos of one stem, and add their names to those that are taken."""
    folders = [[part for part in video.parent.parts if part != video.anchor] for video in videos]
    # where folders tell them apart, nobody keeps the stem, by which another was known alone
    depths = [0 if len({video.parent for video in videos}) == 1 else 1] * len(videos)
    while True:
        names = [
            _spelled([*own[max(0, len(own) - depth) :], video.stem, *_suffix(video, videos)], safe)
            for video, own, depth in zip(videos, folders, depths, strict=True)
        ]
        keys = list(map(_folded, names))
        deepen = [
            place
            for place, video in enumerate(videos)
            if depths[place] < len(folders[place])
            and (
                keys[place] in taken
                or any(
                    key == keys[place] and video.parent != other.parent
                    for key, other in zip(keys, videos, strict=True)
                )
            )
        ]
        if not deepen:
            return [_numbered(name, taken) for name in names]
        for place in deepen:
            depths[place] += 1


def _suffix(video: Path, videos: Sequence[Path]) -> list[str]:
    beside = {other.suffix.lower() for other in videos if other.parent == video.parent}
    return [video.suffix[1:]] if len(beside) > 1 else []


def _spelled(parts: Sequence[str], safe: bool) -> str:
    name = '_'.join(parts)
    if not safe and name.strip('.'):
        return name
    name = unicodedata.normalize('NFC', name)
    # the end of a long name distinguishes more than its beginning
    return re.sub(r'[^\w.-]+', '_', name)[-_LONGEST_ID:].lstrip('._-') or 'video'


def _folded(name: str) -> str:
    return unicodedata.normalize('NFC', name).lower()


def _numbered(name: str, taken: set[str]) -> str:
    number, unique = 1, name
    while _folded(unique) in taken:
        number += 1
        unique = f'{name}_{number}'
    taken.add(_folded(unique))
    return unique


def _older_names(videos: Sequence[Path], safe: bool) -> list[str]:
    """Name videos as before: one collision of stems gave all of them longer, safe names."""
    stems = [video.stem for video in videos]
    if not safe and len({stem.lower() for stem in stems}) == len(stems):
        return stems
    depths = [1] * len(videos)
    while True:
        names = [
            _spelled([*video.parts[-depth:-1], video.stem], safe=True)
            for video, depth in zip(videos, depths, strict=True)
        ]
        counts = Counter(name.lower() for name in names)
        deepen = [
            place
            for place, name in enumerate(names)
            if counts[name.lower()] > 1 and depths[place] < len(videos[place].parts)
        ]
        if not deepen:
            taken: set[str] = set()
            return [_numbered(name, taken) for name in names]
        for place in deepen:
            depths[place] += 1


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
