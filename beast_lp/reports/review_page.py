"""A page on which a person looks at a predicted video and corrects its bouts.

It needs no server: the prediction is in the page, the video beside it, and the button that saves
writes a table of labels as `litpose segment train` reads them, from the browser. Only bouts that
the person accepted or changed are scored in that table; all other frames are not. Where a frame
may show several behaviours, each has a row of bouts, and to accept one is to accept what all rows
show in its frames.
"""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Float
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from beast_lp.reports.segmentation_figures import class_colours
from beast_lp.runs.files import finished_file
from beast_lp.segmentation.bouts import find_bouts
from beast_lp.segmentation.outputs import Prediction

# rows of probabilities in a page; a longer video has the mean of several frames in each
_MOST_ROWS = 200_000


def write_review_page(prediction: Prediction, path: Path) -> None:
    """Write the page of one video.

    Args:
        prediction: prediction of the video.
        path: HTML file to write.
    """
    environment = Environment(
        loader=PackageLoader('beast_lp.reports'), autoescape=True, undefined=StrictUndefined
    )
    # no tag can begin inside of the data
    data = json.dumps(review_data(prediction)).replace('<', '\\u003c')
    page = environment.get_template('review.html').render(
        title=prediction.name,
        video=_address(prediction.video, path.parent),
        data=Markup(data),
        several=prediction.labelling.allows_several,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(path) as part:
        part.write_bytes(page.encode('utf-8', 'backslashreplace'))


def review_data(prediction: Prediction) -> dict[str, Any]:
    """Return what the page knows of a prediction, as JSON holds it.

    Args:
        prediction: prediction of a video.
    """
    frames, classes = prediction.probabilities.shape
    labelling = prediction.labelling
    answers = labelling.answers(prediction.labels, classes)
    stride = max(1, -(-frames // _MOST_ROWS))
    edges = np.arange(0, frames, stride)
    sums = np.add.reduceat(prediction.probabilities.astype(np.float64), edges, axis=0)
    means = sums / np.diff(np.append(edges, frames))[:, None]
    shares = np.clip(np.round(255 * means), 0, 255).astype(np.uint8)
    media = prediction.times if prediction.media_times is None else prediction.media_times
    return {
        'file': f'{prediction.video.stem}.csv',
        'frames': frames,
        'classes': list(prediction.classes),
        'colours': class_colours(classes),
        # class number, or -1 for none, of each answer to a question; and the bouts of answers
        'questions': labelling.questions(classes),
        'bouts': [[[b.start, b.stop, b.label] for b in find_bouts(own)] for own in answers],
        'stride': stride,
        'probabilities': b64encode(shares.tobytes()).decode(),
        'media': _clock(media, 1 / prediction.fps),
        'clock': _clock(prediction.times, 1 / prediction.fps),
    }


def _clock(times: Float[np.ndarray, ' frames'], step: float) -> dict[str, Any]:
    """Return times as a start and a step where that says it, else one by one.

    Args:
        times: seconds of all frames.
        step: seconds between two frames, for a video that has one.
    """
    if len(times) > 1:
        step = float((times[-1] - times[0]) / (len(times) - 1))
    even = times[0] + step * np.arange(len(times))
    clock: dict[str, Any] = {'start': float(times[0]), 'step': step}
    if np.abs(times - even).max() > 0.1 * abs(step):
        clock['values'] = b64encode(times.astype('<f8').tobytes()).decode()
    return clock


def _address(video: Path, folder: Path) -> str:
    """Return the address of a video as a page in a folder names it."""
    try:
        relative = os.path.relpath(video.absolute(), folder.absolute())
    except ValueError:
        # on another drive
        return video.absolute().as_uri()
    return quote(Path(relative).as_posix(), errors='surrogateescape')
