"""A short piece of a video with the predicted behaviour written into it."""

from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import numpy as np
from jaxtyping import Int
from PIL import Image, ImageDraw, ImageFont

from beast_lp.runs.files import finished_file
from beast_lp.segmentation.outputs import Prediction
from beast_lp.video.read import PictureConverter, PictureReader

# frames shown are at least so wide, px, for the text to be read
_LEAST_WIDTH = 256
_BAND = 26


def busiest_stretch(labels: Int[np.ndarray, ' frames'], length: int) -> int:
    """Return the start of the stretch of this length in which labels change most often."""
    if len(labels) <= length:
        return 0
    changes = np.concatenate([[0], np.cumsum(np.diff(labels) != 0)])
    return int(np.argmax(changes[length - 1 :] - changes[: len(changes) - length + 1]))


def write_clip(prediction: Prediction, path: Path, seconds: float) -> None:
    """Write the busiest piece of a video, with the name and probability of each frame's class.

    Args:
        prediction: of the video.
        path: an mp4 file.
        seconds: length of the clip, at most.
    """
    length = max(1, round(seconds * prediction.fps))
    start = busiest_stretch(prediction.labels, length)
    stop = min(len(prediction.labels), start + length)
    reader, convert = PictureReader(prediction.video), PictureConverter()
    scale = max(1, -(-_LEAST_WIDTH // reader.info.width))
    height, width = (side * scale // 2 * 2 for side in (reader.info.height, reader.info.width))
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        finished_file(path) as part,
        av.open(str(part), 'w', format='mp4') as container,
    ):
        rate = Fraction(prediction.fps).limit_denominator(1000)
        stream = container.add_stream('libx264', rate=rate, options={'crf': '20'})
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height + _BAND, 'yuv420p'
        for ordinal, picture in enumerate(reader):
            if ordinal >= stop:
                break
            if ordinal >= start:
                frame = convert(picture, (height, width), ordinal)
                shown = _with_text(frame, prediction, ordinal)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format='rgb24')))
        container.mux(stream.encode())


def _with_text(frame: np.ndarray, prediction: Prediction, ordinal: int) -> np.ndarray:
    canvas = Image.new('RGB', (frame.shape[1], frame.shape[0] + _BAND))
    canvas.paste(Image.fromarray(frame), (0, _BAND))
    label = prediction.labels[ordinal]
    text = (
        f'{prediction.classes[label]}  '
        f'{prediction.probabilities[ordinal, label]:.2f}   frame {ordinal}'
    )
    ImageDraw.Draw(canvas).text((6, 5), text, 'white', ImageFont.load_default(15))
    return np.asarray(canvas)
