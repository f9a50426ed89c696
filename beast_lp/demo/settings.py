"""How much data a demo has, and settings of its stages that suit it."""

from dataclasses import dataclass

from beast_lp.errors import BeastError


@dataclass(frozen=True)
class DemoSize:
    """How large a demo is.

    `videos` counts the held-out one, which comes last; `labeled_frames` are drawn from the others,
    and a quarter as many from the held-out one. The first one has `recorded_frames`, and neurons
    were recorded in it; the others have `frames_per_video`. `image_side` is in pixels. The rest
    goes into the config: epochs and batches that suit the amount of data.
    """

    videos: int
    frames_per_video: int
    recorded_frames: int
    image_side: int
    labeled_frames: int
    neurons: int
    fps: int
    pose_epochs: int = 60
    pose_batch: int = 16
    anchors_per_video: int = 40
    pretraining_epochs: int = 70
    pretraining_batch: int = 64
    segmentation_epochs: int = 40
    # seconds; of the blocks of time by which the encoding stage splits a session
    encoding_block: float = 6.0
    encoding_lags: int = 4
    control_draws: int = 20

    def __post_init__(self) -> None:
        least = {
            'videos': 2,
            'frames_per_video': 10,
            'recorded_frames': 10,
            'image_side': 32,
            'labeled_frames': 4,
            'neurons': 1,
            'fps': 1,
        }
        for name, value in least.items():
            if getattr(self, name) < value:
                raise BeastError(
                    f'a demo needs {name} of at least {value}, found {getattr(self, name)}; '
                    'ask for more'
                )
        if self.image_side % 2:
            raise BeastError(
                f'image_side must be even for 4:2:0 video, found {self.image_side}; '
                f'use {self.image_side + 1}'
            )
        shares = [
            share_out(self.labeled_frames, self.videos - 1, number)
            for number in range(self.videos - 1)
        ]
        for number, share in enumerate(shares):
            if share > self.frames(number):
                raise BeastError(
                    f'{self.labeled_frames} labeled_frames were asked for, {share} of them in a '
                    f'video that has {self.frames(number)} frames; ask for fewer'
                )

    def frames(self, number: int) -> int:
        """Return the frames of a video, the first one being 0."""
        return self.recorded_frames if number == 0 else self.frames_per_video


def share_out(total: int, among: int, number: int) -> int:
    """Return the share of one of several; what does not divide goes to the first ones."""
    share, rest = divmod(total, among)
    return share + (number < rest)


FULL = DemoSize(
    videos=12,
    frames_per_video=1200,
    recorded_frames=6000,
    image_side=192,
    labeled_frames=120,
    neurons=40,
    fps=25,
)
TINY = DemoSize(
    videos=2,
    frames_per_video=60,
    recorded_frames=60,
    image_side=96,
    labeled_frames=16,
    neurons=5,
    fps=25,
    pose_epochs=2,
    pose_batch=8,
    anchors_per_video=12,
    pretraining_epochs=2,
    pretraining_batch=8,
    segmentation_epochs=2,
    encoding_block=0.16,
    encoding_lags=0,
    control_draws=2,
)
