"""Sharing a number of frames among videos, and spreading it over one of them."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Int


def share_out(total: int, lengths: Sequence[int]) -> list[int]:
    """Share a number of frames in proportion to the videos' lengths, at least 1 for each video.

    Args:
        total: number of frames over all videos, at least the number of videos.
        lengths: length of each video in frames; a length of 0 gets 1.

    Returns:
        one number per video; they add up to `total`, unless every length is 0. The remainder of
        rounding goes to the largest fractions.

    Examples:
        >>> share_out(10, [100, 300])
        [3, 7]
    """
    shares = [1] * len(lengths)
    # a video whose part is below 1 gets 1, which lowers the parts of the others
    rest = {at for at, length in enumerate(lengths) if length > 0}
    while rest:
        left = total - (len(lengths) - len(rest))
        frames = sum(lengths[at] for at in rest)
        parts = {at: Fraction(left * lengths[at], frames) for at in rest}
        small = {at for at in rest if parts[at] < 1}
        if not small:
            for at in rest:
                shares[at] = int(parts[at])
            by_remainder = sorted(rest, key=lambda at: (shares[at] - parts[at], at))
            for at in by_remainder[: total - sum(shares)]:
                shares[at] += 1
            break
        rest -= small
    return shares


def spread_over(length: int, most: int) -> Int[np.ndarray, ' picks']:
    """Return numbers from 0 to `length` - 1 that are spread evenly, with both ends.

    Args:
        length: how many there are, such as the frames of a video.
        most: how many are picked at most.

    Examples:
        >>> spread_over(10, 4).tolist(), spread_over(2, 4).tolist(), spread_over(0, 4).tolist()
        ([0, 3, 6, 9], [0, 1], [])
    """
    return np.linspace(0, length - 1, min(most, length)).round().astype(int)
