"""How much data a demo has, and settings of its stages that suit it.

Adding a new size: define a `DemoSize` beside `FULL` and `TINY`, export it from `beast_lp.demo`,
and give `litpose beast_demo` an option that chooses it.
"""

from dataclasses import dataclass

from beast_lp.errors import BeastError
from beast_lp.video.shares import share_out


@dataclass(frozen=True)
class DemoSize:
    """Amount of data in a demo, and steps, epochs and batches that suit it.

    Attributes:
        videos: number of videos; the last one is held out.
        frames_per_video: frames of every video except the first.
        recorded_frames: frames of the first video, the one with recorded neurons.
        image_side: height and width of the videos, px.
        labeled_frames: labelled frames of all training videos together; the held-out video has a
            quarter as many.
        neurons: number of simulated neurons.
        fps: frames per second.
        segmentation_epochs: epochs of the behaviour models; None for the default of the stage.
        encoding_block: length of the blocks by which the encoding stage splits a session, seconds.
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
    anchors_per_video: int = 100
    pretraining_steps: int = 3000
    pretraining_batch: int = 64
    segmentation_epochs: int | None = None
    encoding_block: float = 6.0
    encoding_lags: int = 4
    control_draws: int = 20

    def __post_init__(self) -> None:
        """Check that every part of the demo has enough data."""
        least = {
            'videos': 2,
            'frames_per_video': 10,
            'recorded_frames': 10,
            'image_side': 32,
            'labeled_frames': max(4, self.videos - 1),
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
        for number in range(self.videos - 1):
            labels, frames = self.labels(number), self.frames(number)
            if labels > frames:
                raise BeastError(
                    f'{self.labeled_frames} labeled_frames were asked for, {labels} of them in a '
                    f'video that has {frames} frames; ask for fewer'
                )

    def frames(self, number: int) -> int:
        """Return the number of frames of a video; the first video is number 0."""
        return self.recorded_frames if number == 0 else self.frames_per_video

    def labels(self, number: int) -> int:
        """Return the number of labelled frames of a video; the first video is number 0."""
        if number == self.videos - 1:
            return min(max(self.labeled_frames // 4, 4), self.frames(number))
        return share_out(self.labeled_frames, [1] * (self.videos - 1))[number]


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
    pretraining_steps=4,
    pretraining_batch=8,
    segmentation_epochs=2,
    encoding_block=0.16,
    encoding_lags=0,
    control_draws=2,
)
