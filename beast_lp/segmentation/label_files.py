"""Find and read the label files of videos, in whichever format each is."""

import logging
from collections.abc import Sequence
from pathlib import Path

from beast_lp.config import SegmentationConfig
from beast_lp.config.checks import nearest
from beast_lp.errors import BeastError
from beast_lp.segmentation.boris import coded_videos, read_boris
from beast_lp.segmentation.boris_labels import Event, events_to_labels
from beast_lp.segmentation.classes import Labels, check_class_names, class_list, project_labels
from beast_lp.segmentation.labelling import BACKGROUND, labelling_of
from beast_lp.segmentation.one_hot import check_length, read_one_hot
from beast_lp.segmentation.text_tables import read_text
from beast_lp.segmentation.videos import OpenVideo, check_stems

logger = logging.getLogger(f'lightning_pose.{__name__}')


def find_label_files(videos: Sequence[Path], labels: Path) -> dict[Path, Path]:
    """Return the label file of every video that has one, and log which have none.

    A video that a BORIS table does not name counts as unscored, not as background: nobody need
    have looked at it.

    Args:
        videos: video files, one path each.
        labels: folder of `<video_stem>.csv` or `.tsv` files, or one BORIS table with the names of
            the videos in its column of media files.

    Raises:
        BeastError: if no video has labels, one has two files, or two videos would share theirs.
    """
    if labels.is_file():
        found = dict.fromkeys(_in_table(videos, labels), labels)
    else:
        found = {video: path for video in videos if (path := _own_file(video, labels)) is not None}
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


def _own_file(video: Path, labels: Path) -> Path | None:
    """Return the label file of a video in a folder."""
    found = [
        path for suffix in ('.csv', '.tsv') if (path := labels / f'{video.stem}{suffix}').is_file()
    ]
    if len(found) > 1:
        raise BeastError(
            f'{video.name} has two label files, {found[0]} and {found[1]}; keep one of them'
        )
    return found[0] if found else None


def _in_table(videos: Sequence[Path], table: Path) -> list[Path]:
    """Return the videos whose labels are in one table."""
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
    unnamed = coded.pop('', 0)
    found = [video for video in videos if video.stem in coded]
    missing = [video.stem for video in videos if video.stem not in coded]
    if not found:
        raise BeastError(
            f'{table} has labels of {", ".join(list(coded)[:3]) or "no video"}, but of none of '
            f'the videos (looked for {videos[0].stem}); name the media files in BORIS as the '
            'videos are named, or set beast.segmentation.labels'
            f'{nearest(videos[0].stem, list(coded))}'
        )
    other = {name: count for name, count in coded.items() if name not in {v.stem for v in videos}}
    if other or unnamed:
        rows = sum(coded.values()) + unnamed
        other |= {'no media file': unnamed} if unnamed else {}
        close = [f'{name}{nearest(name, missing)}' for name in list(other)[:3]]
        logger.warning(
            f'beast: {sum(other.values())} of {rows} rows of {table} fit none of '
            f'the videos: {", ".join(close)}'
        )
    return found


def load_labels(
    videos: Sequence[OpenVideo],
    files: dict[Path, Path],
    config: SegmentationConfig,
    classes: Sequence[str] | None = None,
) -> tuple[tuple[str, ...], list[Labels]]:
    """Read the labels of videos in terms of the project's classes.

    Args:
        videos: videos, each with a label file.
        files: label file of each video.
        config: classes, and which labels count as unscored.
        classes: classes of a trained model; None takes them from the config and the files.

    Returns:
        the classes, and the labels of all frames of each video.

    Raises:
        BeastError: if labels cannot be used.
    """
    labelling = labelling_of(config)
    events: dict[str, list[Event]] = {}
    tables: dict[str, Labels] = {}
    for video in videos:
        path = files[video.path]
        if _looks_like_events(path):
            events[video.name] = read_boris(path, video.path.stem, config.subject)
        else:
            tables[video.name] = read_one_hot(path, labelling)
            check_length(len(tables[video.name]), video.frames, path, video.path)
    named = {event.behavior for own in events.values() for event in own}
    behaviors = (BACKGROUND, *sorted(named - {BACKGROUND}))
    background = config.background == 'class'
    if classes is None:
        found = [*(labels.classes for labels in tables.values()), *([behaviors] if events else [])]
        classes = class_list(found, config.classes, config.ignore, background, labelling)
    check_class_names(classes)
    result = []
    for video in videos:
        path = files[video.path]
        if video.name in tables:
            raw = tables[video.name]
        else:
            own = events[video.name]
            raw = events_to_labels(own, behaviors, video.times, path, config.ignore, labelling)
        result.append(project_labels(raw, classes, config.ignore, background, path))
    return tuple(classes), result


def _looks_like_events(path: Path) -> bool:
    """Return whether a table is one of events, which has a column Behavior, not one of frames."""
    head = read_text(path).splitlines()[:40]
    cells = [
        cell.strip(' "')
        for line in head
        for cell in line.replace('\t', ',').replace(';', ',').split(',')
    ]
    return 'Behavior' in cells
