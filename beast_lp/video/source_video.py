"""A video that is trained on, with the project that it belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceVideo:
    """A video and its project.

    Attributes:
        path: video file.
        project: name of the project; empty where there is one project alone.
    """

    path: Path
    project: str = ''


def source_videos(videos: Iterable[Path | SourceVideo]) -> list[SourceVideo]:
    """Return videos with their projects.

    Args:
        videos: videos, or paths of videos where there is one project alone.

    Examples:
        >>> source_videos([Path('a.mp4'), SourceVideo(Path('b.mp4'), 'mice')])[0].project
        ''
    """
    return [
        video if isinstance(video, SourceVideo) else SourceVideo(Path(video)) for video in videos
    ]
