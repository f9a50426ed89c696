"""How many anchors each video of a run is asked for."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from beast_lp.config import AnchorConfig
from beast_lp.errors import BeastError
from beast_lp.video.read import VideoError, count_frames


def anchors_per_video(videos: Sequence[Path], config: AnchorConfig) -> list[int]:
    """Say how many anchors each video is asked for.

    Args:
        videos: in any order; one that cannot be read counts as having no frames.
        config: `total` over all videos, or `per_video`.

    Raises:
        BeastError: if the total is less than the number of videos.
    """
    if config.total is None:
        return [config.per_video] * len(videos)
    if config.total < len(videos):
        raise BeastError(
            f'beast.anchors.total is {config.total}, but each of the {len(videos)} videos gives '
            'at least one anchor; raise it or give fewer videos'
        )
    return share_out(config.total, [_length(video) for video in videos])


def _length(video: Path) -> int:
    try:
        return count_frames(video)
    except VideoError:
        # its turn comes later, with its reason
        return 0


def share_out(total: int, lengths: Sequence[int]) -> list[int]:
    """Share a number of anchors in proportion to the videos' lengths, at least 1 each.

    Args:
        total: anchors over all videos, at least as many as there are videos.
        lengths: frames of each video; 0 gets the 1 and no more.

    Returns:
        one number per video; they add up to `total`, unless every length is 0. What rounding
        leaves goes to the largest remainders.
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
