"""Sections of the pretraining report about the videos and the frames chosen from them."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from beast_lp.reports.page import Section
from beast_lp.reports.pretraining_content import PretrainingRun
from beast_lp.reports.pretraining_pictures import contact_sheet
from beast_lp.reports.style import short_paths

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
    table = pd.DataFrame(columns)
    yield Section('Videos', text, table=table, marked_rows=frozenset(range(broken.total())))


def sheets_section(run: PretrainingRun) -> Iterator[Section]:
    """Show the anchors of each video that has a sheet, one section for each."""
    sheets = {name: sheet for name, sheet in run.pictures.anchor_sheets.items() if len(sheet[0])}
    videos = list(dict.fromkeys([*sheets, *run.anchors['video']]))
    titles = dict(zip(videos, short_paths(videos), strict=True))
    for index, (video, (images, captions)) in enumerate(sheets.items()):
        text = [_sheet_sentence(run.anchors, video, len(images))]
        if index == 0:
            text.append(
                'The anchors should cover what the animal does: many different postures and '
                'places, few near-duplicates. Empty, black or blurred pictures point to parts of '
                'the video that are better cut out.'
            )
            if len(sheets) < len(videos):
                text.append(
                    f'Only {len(sheets)} of the {len(videos)} videos with anchors are shown here.'
                )
        yield Section(
            f'Anchors: {titles[video]}',
            '\n\n'.join(text),
            {_sheet_name(index, video): contact_sheet(images, captions)},
        )


def _sheet_sentence(anchors: pd.DataFrame, video: str, shown: int) -> str:
    frames = anchors.loc[anchors['video'] == video, 'frame']
    if frames.empty:
        return f'{shown} anchors; anchors.csv has no row for this video.'
    return (
        f'{shown} of the {len(frames)} anchors of this video, which lie between frames '
        f'{frames.min()} and {frames.max()}.'
    )


def _sheet_name(index: int, video: str) -> str:
    """Return a file name without suffix; the number keeps videos of equal names apart."""
    stem = re.sub(r'[^\w.-]+', '_', Path(video).stem, flags=re.ASCII)
    return f'anchors_{index + 1:02d}_{stem[:60]}'
