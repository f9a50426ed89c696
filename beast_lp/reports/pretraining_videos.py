"""Sections of the pretraining report about the videos and the frames chosen from them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from beast_lp.reports.anchor_sheets import contact_sheet, thumbnail_sheet
from beast_lp.reports.page import Section, draw_jpeg
from beast_lp.reports.pretraining_content import PretrainingRun
from beast_lp.reports.style import short_paths
from beast_lp.runs.files import finished_file

# `status` of a video that was read to its end
_WHOLE = 'ok'
# columns of videos.csv that the page shows -> their words
_VIDEO_COLUMNS = {
    'video': 'video',
    'video_id': 'name',
    'width': 'width (px)',
    'height': 'height (px)',
    'fps': 'frames/s',
    'frames_read': 'frames',
    'anchors': 'anchors',
    'status': 'status',
    'message': 'message',
}


def videos_section(run: PretrainingRun) -> Iterator[Section]:
    """List the videos, those that were not read to their end first."""
    statuses = [str(status) for status in run.videos['status']]
    broken = Counter(status for status in statuses if status != _WHOLE)
    problems = ', '.join(f'{count} {status}' for status, count in broken.most_common())
    text = f'{statuses.count(_WHOLE)} of {len(statuses)} videos were read from start to end.'
    if problems:
        text += (
            f' The others ({problems}) come first and are marked: check these files, since '
            'behaviour that occurs only in them is under-represented in the model.'
        )
    # problems first, so that a long table cannot hide them
    order = sorted(range(len(statuses)), key=lambda row: statuses[row] == _WHOLE)
    table = run.videos.assign(video=short_paths(run.videos['video'].tolist())).take(order)
    columns = {
        words: table[name]
        for name, words in _VIDEO_COLUMNS.items()
        if name in table and bool(table[name].notna().to_numpy().any())
    }
    if [Path(video).stem for video in columns['video']] == list(columns.get('name', ())):
        # it would say everything twice
        del columns['name']
    table = pd.DataFrame(columns)
    yield Section('Videos', text, table=table, marked_rows=frozenset(range(broken.total())))


def sheets_section(run: PretrainingRun) -> Iterator[Section]:
    """Show the anchors: the sheet of a single video, or else a few pictures of each video."""
    sheets = _filled_sheets(run)
    if not sheets:
        return
    text = (
        'The anchors, the frames chosen for training, should cover what the animal does: many '
        'different postures and places, few near-duplicates. Empty, black or blurred pictures '
        'point to parts of the video that are better cut out.'
    )
    videos = list(dict.fromkeys([*sheets, *run.anchors['video']]))
    titles = dict(zip(videos, short_paths(videos), strict=True))
    if not _has_files(run):
        ((video, (images, captions)),) = sheets.items()
        yield Section(
            f'Anchors: {titles[video]}',
            f'Anchors shown: {_shown(run.anchors, video, len(images))}.\n\n{text}',
            {sheet_name(0, video): contact_sheet(images, captions)},
        )
        return
    if len(sheets) < len(videos):
        text += f' Only {len(sheets)} of the {len(videos)} videos with anchors are shown here.'
    names = [titles[video] for video in sheets]
    links = {
        f'{titles[video]} ({_shown(run.anchors, video, len(images))})': (
            f'figures/{sheet_name(index, video)}.jpg'
        )
        for index, (video, (images, _)) in enumerate(sheets.items())
    }
    yield Section(
        'Anchors',
        f'{text}\n\nBelow are a few of each video. The full sheets, with the numbers of the '
        'frames, are files beside this page:',
        {'anchors': thumbnail_sheet([images for images, _ in sheets.values()], names)},
        links=links,
    )


def write_sheets(run: PretrainingRun, folder: Path) -> list[str]:
    """Write the sheets that `sheets_section` links to, and remove those of an earlier run.

    Args:
        run: content of the report.
        folder: folder of the report's figures.

    Returns:
        The names of the files, without suffix.
    """
    sheets = _filled_sheets(run)
    names = [sheet_name(index, video) for index, video in enumerate(sheets)]
    for old in folder.glob('anchors_*'):
        if re.match(r'anchors_\d+_.*\.(png|jpg)$', old.name):
            old.unlink()
    if not _has_files(run):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    for name, (images, captions) in zip(names, sheets.values(), strict=True):
        with finished_file(folder / f'{name}.jpg') as part:
            part.write_bytes(draw_jpeg(contact_sheet(images, captions)))
    return names


def sheet_name(index: int, video: str) -> str:
    """Return a file name without suffix; the number keeps videos of equal names apart."""
    stem = re.sub(r'[^\w.-]+', '_', Path(video).stem, flags=re.ASCII)
    return f'anchors_{index + 1:02d}_{stem[:60]}'


def _has_files(run: PretrainingRun) -> bool:
    """Return whether the sheets are files beside the page, not in it."""
    sheets = _filled_sheets(run)
    return bool(sheets) and len({*sheets, *run.anchors['video']}) > 1


def _filled_sheets(
    run: PretrainingRun,
) -> dict[str, tuple[UInt8[np.ndarray, 'n height width 3'], Sequence[str]]]:
    return {video: sheet for video, sheet in run.pictures.anchor_sheets.items() if len(sheet[0])}


def _shown(anchors: pd.DataFrame, video: str, shown: int) -> str:
    total = int((anchors['video'] == video).sum())
    return f'{shown} of {total}' if total else f'{shown}, none of them in anchors.csv'
