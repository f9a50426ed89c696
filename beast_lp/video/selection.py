"""Selection of the anchor frames of one video."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from threadpoolctl import threadpool_limits

from beast_lp.config import AnchorConfig
from beast_lp.errors import BeastError
from beast_lp.video.anchors import STRATEGIES, Footage
from beast_lp.video.thumbnails import is_motionless


@dataclass(frozen=True)
class Anchors:
    """Anchors of one video, as arrays of one length K.

    Attributes:
        frame: ordinals in the video, ascending.
        motion_energy: mean absolute difference to the frame k before, in grey levels (0-255).
        cluster: number of the k-means cluster, -1 where the strategy does not cluster.
        distance: distance to the cluster's centre, in grey levels in the space of the principal
            components; NaN where the strategy does not cluster.
    """

    frame: Int[np.ndarray, ' k']
    motion_energy: Float32[np.ndarray, ' k']
    cluster: Int[np.ndarray, ' k']
    distance: Float32[np.ndarray, ' k']

    def __len__(self) -> int:
        """Return the number of anchors."""
        return len(self.frame)


def select_anchors(
    thumbnails: UInt8[np.ndarray, 'n p'],
    motion_energy: Float[np.ndarray, ' n'],
    config: AnchorConfig,
    seed: int,
    step: int = 1,
    spool_dir: Path | None = None,
) -> Anchors:
    """Choose the anchors of one video.

    Anchors are among the frames k to n-1-k, so that every window (t-k, t, t+k) is complete, and
    no two windows share a frame. Fewer anchors than asked for come back where the spacing leaves
    no room, or, with `distinct` and `farthest`, where there are fewer distinct frames.

    Args:
        thumbnails: (frames, pixels), which may be a memory map.
        motion_energy: (frames,) motion energy in grey levels.
        config: strategy, and number of anchors.
        seed: equal seeds give equal anchors.
        step: number of frames, the windows' k.
        spool_dir: folder of a temporary file (128 bytes per candidate); None for the system's.

    Raises:
        BeastError: if there are fewer than 2 k + 1 frames or nothing moves.

    Examples:
        >>> from beast_lp.video.thumbnails import motion_energy
        >>> thumbnails = np.random.default_rng(0).integers(0, 256, (60, 1024), np.uint8)
        >>> config = AnchorConfig(strategy='uniform', per_video=4)
        >>> select_anchors(thumbnails, motion_energy(thumbnails), config, seed=0).frame
        array([ 1, 20, 39, 58])
    """
    count = len(thumbnails)
    least = 2 * step + 1
    if count < least:
        raise BeastError(
            f'found {count} frame{"s" * (count != 1)}, but an anchor needs a frame {step} before '
            f'and one {step} after it; use a video of at least {least} frames'
            + (', or lower the offset in beast.pairs' if step > 1 else '')
        )
    if is_motionless(thumbnails):
        raise BeastError(
            f'nothing moves in any of its {count} frames, so there is nothing to learn; '
            'remove the video or check the recording'
        )
    footage = Footage(thumbnails, motion_energy, step, spool_dir)
    # Several threads would sum in an order that changes from run to run. Where processes share
    # cores, threads also wait for each other: 14 s were measured instead of 0.2 s.
    with threadpool_limits(limits=1):
        frame, cluster, distance = STRATEGIES[config.strategy](footage, config.per_video, seed)
    return Anchors(
        frame=frame,
        motion_energy=motion_energy[frame].astype(np.float32),
        cluster=np.full(len(frame), -1, np.int64) if cluster is None else cluster,
        distance=np.full(len(frame), np.nan, np.float32) if distance is None else distance,
    )
