"""The label files of a project's videos, in terms of its classes."""

import logging
from collections.abc import Sequence
from pathlib import Path

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError
from beast_lp.segmentation.boris import coded_videos, events_to_labels, read_boris
from beast_lp.segmentation.classes import BACKGROUND, Labels, class_list, scored
from beast_lp.segmentation.one_hot import check_length, read_one_hot
from beast_lp.segmentation.sessions import Session, check_stems

logger = logging.getLogger(f'lightning_pose.{__name__}')


def find_label_files(videos: Sequence[Path], labels: Path) -> dict[Path, Path]:
    """Return the label file of every video that has one, and log which have none.

    Args:
        videos: files.
        labels: a folder of `<video_stem>.csv` or `.tsv` files, or one BORIS table, of which
            those videos have labels whose names are in its column of media files. Nobody need
            have looked at the others, so that they are not background.

    Raises:
        BeastError: if there is none at all, or two videos would share their labels.
    """
    if labels.is_file():
        found = dict.fromkeys(_in_table(videos, labels), labels)
    else:
        found = {
            video: path
            for video in videos
            for suffix in ('.tsv', '.csv')
            if (path := labels / f'{video.stem}{suffix}').is_file()
        }
        if not found:
            raise BeastError(
                f'no label file in {labels} belongs to a video: looked for '
                f'{videos[0].stem}.csv (or .tsv) and the like; set beast.segmentation.labels'
            )
    check_stems(list(found), f'labels in {labels}')
    for video in videos:
        if video not in found:
            logger.info(f'beast: {video.name} has no labels and is left out')
    return found


def _in_table(videos: Sequence[Path], table: Path) -> list[Path]:
    """Return the videos that one file has labels of."""
    coded = coded_videos(table) if _looks_like_events(table) else None
    if coded is None:
        if len(videos) > 1:
            raise BeastError(
                f'{table} does not name the videos that its labels belong to (no column Media '
                f'file name), but there are {len(videos)} videos; export events from BORIS with '
                'that column, or give one file <video_stem>.csv per video and their folder as '
                'beast.segmentation.labels'
            )
        return list(videos)
    found = [video for video in videos if video.stem in coded]
    if not found:
        raise BeastError(
            f'{table} has labels of {", ".join(coded[:3]) or "no video"}, but of none of the '
            f'videos (looked for {videos[0].stem}); name the media files in BORIS as the videos '
            'are named, or set beast.segmentation.labels'
        )
    return found


def load_labels(
    sessions: Sequence[Session],
    files: dict[Path, Path],
    config: SegmentationConfig,
    classes: Sequence[str] | None = None,
) -> tuple[tuple[str, ...], list[Labels]]:
    """Read the labels of videos in terms of the project's classes.

    Args:
        sessions: each with a label file.
        files: by video.
        config: formats, classes, what counts as unscored.
        classes: of a trained model; None takes them from the config and the files.

    Returns:
        the classes, and the labels of all frames of each video.

    Raises:
        BeastError: for labels that cannot be used.
    """
    events = {}
    one_hot = {}
    for session in sessions:
        path = files[session.video]
        kind = config.label_format
        if kind == 'auto':
            kind = 'boris' if _looks_like_events(path) else 'one_hot'
        if kind == 'boris':
            events[session.video] = read_boris(path, session.video.stem, config.subject)
        else:
            one_hot[session.video] = read_one_hot(path)
            check_length(len(one_hot[session.video]), session.frames, path, session.video)
    background = config.background == 'class'
    behaviors = sorted({event.behavior for found in events.values() for event in found})
    found = [labels.classes for labels in one_hot.values()]
    if events:
        found.append((BACKGROUND, *behaviors))
    if classes is None:
        classes = class_list(found, config.classes, config.ignore, background)
    result = []
    for session in sessions:
        path = files[session.video]
        raw = one_hot.get(session.video)
        if raw is None:
            raw = events_to_labels(
                events[session.video], (BACKGROUND, *behaviors), session.times, path
            )
        result.append(scored(raw, classes, config.ignore, background, path))
    return tuple(classes), result


def _looks_like_events(path: Path) -> bool:
    """Tell a table of events from one of frames: it has a column Behavior."""
    try:
        with path.open(encoding='utf-8-sig') as file:
            head = [line for line, _ in zip(file, range(40), strict=False)]
    except (OSError, UnicodeDecodeError) as error:
        raise BeastError(f'{path} cannot be read as text ({error}); replace it') from error
    cells = [
        cell.strip(' "\n')
        for line in head
        for cell in line.replace('\t', ',').replace(';', ',').split(',')
    ]
    return 'Behavior' in cells
