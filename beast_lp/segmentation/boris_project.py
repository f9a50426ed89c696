"""Bouts as a project file of BORIS, which opens it beside the video (format 7.0)."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from beast_lp.runs.files import finished_file
from beast_lp.segmentation.labelling import BACKGROUND
from beast_lp.segmentation.outputs import Prediction

# keys of the first behaviours; further ones have none
_KEYS = '1234567890abcdefghijklmnopqrstuvwxyz'


def write_boris(prediction: Prediction, path: Path) -> None:
    """Write a project with one observation, the bouts of a video.

    Times are those of the video file, by which BORIS places events. A bout is two events of one
    state, its start and its stop; background is no behaviour there.

    Args:
        prediction: prediction of the video.
        path: `.boris` file to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(path) as part:
        part.write_text(json.dumps(boris_project(prediction), indent=1), encoding='utf-8')


def boris_project(prediction: Prediction) -> dict[str, Any]:
    """Return the content of the project.

    Args:
        prediction: prediction of a video.
    """
    media, now = str(prediction.video.absolute()), f'{datetime.now():%Y-%m-%dT%H:%M:%S}'
    names = [name for name in prediction.classes if name != BACKGROUND]
    edges = prediction.media_edges
    events = []
    for bout in prediction.bouts:
        name = prediction.classes[bout.label]
        if name != BACKGROUND:
            for frame in (bout.start, bout.stop):
                events.append([round(float(edges[frame]), 3), '', name, '', ''])
    info = {
        'length': {media: round(float(edges[-1]), 3)},
        'fps': {media: round(prediction.fps, 3)},
        'hasVideo': {media: True},
        'hasAudio': {media: False},
        'offset': {'1': 0.0},
    }
    return {
        'time_format': 'hh:mm:ss',
        'project_name': prediction.name,
        'project_date': now,
        'project_description': 'predicted by beast-lp',
        'project_format_version': '7.0',
        'subjects_conf': {},
        'behavioral_categories': [],
        'independent_variables': {},
        'coding_map': {},
        'behaviors_coding_map': [],
        'converters': {},
        'behaviors_conf': {
            str(number): {
                'type': 'State event',
                'key': _KEYS[number : number + 1],
                'code': name,
                'description': '',
                'category': '',
                'modifiers': {},
                'excluded': '',
                'coding map': '',
            }
            for number, name in enumerate(names)
        },
        'observations': {
            prediction.name: {
                'type': 'MEDIA',
                'date': now,
                'description': 'predicted by beast-lp',
                'file': {'1': [media]},
                'time offset': 0.0,
                'events': events,
                'independent_variables': {},
                'visualize_spectrogram': False,
                'close_behaviors_between_videos': False,
                'media_info': info,
            }
        },
    }
