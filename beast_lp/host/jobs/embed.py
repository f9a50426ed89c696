"""The job of `litpose embed`: from the name of a source and videos to feature stores."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.features.settings import ExtractionSettings
from beast_lp.runs.log_file import run_log
from beast_lp.video.boxes import AUTO, BOXES_DIR
from beast_lp.video.read import find_videos

logger = logging.getLogger(f'lightning_pose.{__name__}')


def embed(
    name: str,
    videos: Sequence[Path],
    output_dir: Path,
    settings: ExtractionSettings,
    image_size: tuple[int, int] | None = None,
    precision: str = 'auto',
    pca_components: int = 100,
) -> None:
    """Write a feature store for every video, or resume an interrupted run.

    Args:
        name: source of the features: `pca`, or anything that `open_source` takes.
        videos: video files, or folders of them.
        output_dir: holds one folder per video, and the log.
        settings: options of the extraction.
        image_size: size in px, (height, width), to which frames are scaled; None for the
            source's own.
        precision: `auto`, `fp32` or `bf16`.
        pca_components: number of features of the source `pca`.

    Raises:
        BeastError: for anything that the user can mend.
    """
    files = find_videos(videos)
    if name == 'pca':
        _check_frame_pca(settings)
    # imported here because torch takes seconds, and mistakes in the options are reported first
    from beast_lp.features.extract import extract_features
    from beast_lp.features.pca import FRAME_PCA_NAME, FramePCA, frame_pca
    from beast_lp.host.jobs.sources import open_source

    given = None if name == 'pca' else open_source(name, image_size, precision)
    if isinstance(given, FramePCA):
        _check_frame_pca(settings)
    with run_log(output_dir):
        source = given or frame_pca(output_dir / FRAME_PCA_NAME, files, pca_components, image_size)
        if settings.bbox_dir == Path(AUTO):
            # imported here because scipy's filters take half a second
            from beast_lp.video.animal_boxes import animal_boxes

            settings = replace(settings, bbox_dir=animal_boxes(files, output_dir / BOXES_DIR))
        extract_features(source, files, output_dir, settings)
        logger.info(f'beast: the features are in {output_dir}')


def _check_frame_pca(settings: ExtractionSettings) -> None:
    """Refuse options that frame PCA does not have.

    Raises:
        BeastError: naming them.
    """
    given = [f'--{name}' for name in ('bbox_dir', 'patches') if getattr(settings, name)]
    if given:
        raise BeastError(
            f'frame PCA takes whole frames and has no patches; leave out {" and ".join(given)}'
        )
