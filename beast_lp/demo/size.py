"""How much data a demo has, and settings of its stages that suit it."""

from dataclasses import dataclass

from beast_lp.errors import BeastError


@dataclass(frozen=True)
class DemoSize:
    """How large a demo is.

    `videos` counts the held-out one, which comes last; `labeled_frames` are drawn from the others,
    and a quarter as many from the held-out one. `image_side` is in pixels. The rest goes into the
    config: epochs and batches that suit the amount of data.
    """

    videos: int
    frames_per_video: int
    image_side: int
    labeled_frames: int
    neurons: int
    fps: int
    pose_epochs: int = 80
    pose_batch: int = 16
    anchors_per_video: int = 150
    pretraining_epochs: int = 100
    pretraining_batch: int = 64
    segmentation_epochs: int = 60
    # seconds; of the blocks of time by which the encoding stage splits a session
    encoding_block: float = 2.0
    encoding_lags: int = 4
    control_draws: int = 20

    def __post_init__(self) -> None:
        least = {'videos': 2, 'frames_per_video': 10, 'image_side': 32, 'labeled_frames': 4,
                 'neurons': 1, 'fps': 1}
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
        if self.labeled_frames > (self.videos - 1) * self.frames_per_video:
            raise BeastError(
                f'{self.labeled_frames} labeled_frames were asked for, but the training videos '
                f'have {(self.videos - 1) * self.frames_per_video} frames; ask for fewer'
            )


FULL = DemoSize(videos=4, frames_per_video=600, image_side=192, labeled_frames=120, neurons=40,
                fps=25)
TINY = DemoSize(videos=2, frames_per_video=60, image_side=96, labeled_frames=16, neurons=5, fps=25,
                pose_epochs=2, pose_batch=8, anchors_per_video=12, pretraining_epochs=2,
                pretraining_batch=8, segmentation_epochs=2, encoding_block=0.16,
                encoding_lags=0, control_draws=2)
