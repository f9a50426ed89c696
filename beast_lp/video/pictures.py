"""Conversion of decoded pictures to arrays: cropping, scaling and colours."""

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from jaxtyping import UInt8

from beast_lp.video.boxes import Box, crop


class PictureConverter:
    """Convert decoded pictures to full-range uint8 arrays.

    Colour ranges are converted explicitly: `tv` range (16-235) is stretched, `pc` range and the
    yuvj formats are kept, and an untagged picture counts as its format's usual range.
    """

    def __init__(self, pixel_format: str = 'rgb24', turns: int = 0) -> None:
        """Set up the scalers, which FFmpeg rebuilds only when their parameters change.

        Args:
            pixel_format: `rgb24` or `gray`.
            turns: quarter turns, counter-clockwise, that make a decoded picture upright.
        """
        self._pixel_format = pixel_format
        self._turns = turns
        self._whole = VideoReformatter()
        self._cropped = VideoReformatter()

    def __call__(
        self, picture: av.VideoFrame, size: tuple[int, int], box: Box | None = None
    ) -> UInt8[np.ndarray, 'h w ...']:
        """Convert one picture.

        Args:
            picture: decoded picture.
            size: (height, width) of the result in px. Where it is smaller than the picture, each
                pixel is the average of the area it covers.
            box: region of the upright picture to crop to before scaling; None keeps all of it.

        Returns:
            an array that owns its memory, (H, W, 3) for `rgb24`, (H, W) for `gray`.
        """
        if box is None:
            height, width = size
            return self._upright(picture, size if self._turns % 2 == 0 else (width, height))
        frame = self._upright(picture, (picture.height, picture.width))
        inside = np.ascontiguousarray(crop(frame, box))
        part = av.VideoFrame.from_ndarray(inside, format=self._pixel_format)
        part.color_range = ColorRange.JPEG
        return self._scaled(part, size, self._cropped)

    def _upright(
        self, picture: av.VideoFrame, size: tuple[int, int]
    ) -> UInt8[np.ndarray, 'h w ...']:
        """Scale a picture as it was decoded, and turn it."""
        scaled = self._scaled(picture, size, self._whole)
        return np.ascontiguousarray(np.rot90(scaled, self._turns)) if self._turns else scaled

    def _scaled(
        self, picture: av.VideoFrame, size: tuple[int, int], reformatter: VideoReformatter
    ) -> UInt8[np.ndarray, 'h w ...']:
        height, width = size
        shrinks = height < picture.height and width < picture.width
        converted = reformatter.reformat(
            picture,
            width=width,
            height=height,
            format=self._pixel_format,
            interpolation='AREA' if shrinks else 'BILINEAR',
            src_color_range=picture.color_range,
            dst_color_range=ColorRange.JPEG,
            # libswscale would start a thread per core for every small picture
            threads=1,
        )
        array = converted.to_ndarray()
        # an unconverted picture is the decoder's own memory, from which it predicts later frames
        return array.copy() if converted is picture else np.ascontiguousarray(array)
