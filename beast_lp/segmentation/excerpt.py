"""Excerpts: a few seconds of a video with the predicted behaviour written into the frames."""

from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import numpy as np
from jaxtyping import Int
from PIL import Image, ImageDraw, ImageFont

from beast_lp.runs.files import finished_file
from beast_lp.segmentation.labelling import BACKGROUND
from beast_lp.segmentation.outputs import Prediction
from beast_lp.video.read import FrameReader

# px: width below which frames are enlarged, so that the text is legible; height of its band
_LEAST_WIDTH, _BAND = 256, 26


def busiest_stretch(labels: Int[np.ndarray, ' frames'], length: int) -> int:
    """Return the start of the stretch in which labels change most often.

    Args:
        labels: codes of a video.
        length: frames of the stretch.

    Examples:
        >>> busiest_stretch(np.array([0, 0, 0, 0, 1, 0, 1, 1]), length=4)
        3
    """
    if len(labels) <= length:
        return 0
    changes = np.concatenate([[0], np.cumsum(np.diff(labels) != 0)])
    return int(np.argmax(changes[length - 1 :] - changes[: len(changes) - length + 1]))


def write_excerpt(prediction: Prediction, path: Path, seconds: float) -> None:
    """Write the busiest stretch of a video, with the class of each frame and its probability.

    Args:
        prediction: prediction of the video.
        path: mp4 file to write.
        seconds: greatest length of the excerpt.
    """
    length = max(1, round(seconds * prediction.fps))
    start = busiest_stretch(prediction.labels, length)
    stop = min(len(prediction.labels), start + length)
    reader = FrameReader(prediction.video)
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
        for frame in reader:
            if frame.ordinal >= stop:
                break
            if frame.ordinal >= start:
                shown = _with_text(frame.pixels((height, width)), prediction, frame.ordinal)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format='rgb24')))
        container.mux(stream.encode())


def _with_text(frame: np.ndarray, prediction: Prediction, ordinal: int) -> np.ndarray:
    canvas = Image.new('RGB', (frame.shape[1], frame.shape[0] + _BAND))
    canvas.paste(Image.fromarray(frame), (0, _BAND))
    code, chances = prediction.labels[ordinal : ordinal + 1], prediction.probabilities[ordinal]
    shown = prediction.labelling.flags(code, len(prediction.classes))[0]
    named = [
        f'{name}  {chance:.2f}   '
        for name, chance, flag in zip(prediction.classes, chances, shown, strict=True)
        if flag
    ]
    text = ''.join(named or [f'{BACKGROUND}   ']) + f'frame {ordinal}'
    ImageDraw.Draw(canvas).text((6, 5), text, 'white', ImageFont.load_default(15))
    return np.asarray(canvas)
