"""What was trained on what, in a few sentences."""

from collections.abc import Sequence

import numpy as np

from beast_lp.config import SegmentationConfig
from beast_lp.segmentation.classes import Labels
from beast_lp.segmentation.split import Fold
from beast_lp.segmentation.streams import shapes_in_words
from beast_lp.segmentation.videos import OpenVideo

# by whether a frame may have several
_LABELS = {False: 'one in each frame', True: 'any number in each frame'}


def run_summary(
    settings: SegmentationConfig,
    videos: Sequence[OpenVideo],
    labels: Sequence[Labels],
    classes: Sequence[str],
    folds: Sequence[Fold],
) -> dict[str, str]:
    """Return what the report says of a training run, a sentence by its heading.

    Args:
        settings: settings of the run.
        videos: videos with labels.
        labels: labels of each video.
        classes: names, in the order of the class numbers.
        folds: divisions of the frames.
    """
    shown = [own.labelling.flags(own.target, len(classes)).sum(axis=0) for own in labels]
    counts = dict(zip(classes, np.sum(shown, axis=0).tolist(), strict=True))
    per_hour = videos[0].frame_bytes * 3600 * videos[0].fps / 1e9
    return {
        'features': videos[0].source,
        'size of a frame': shapes_in_words(videos[0].features.shapes),
        'disk per hour of video': f'{per_hour:.2f} GB',
        'videos': ', '.join(f'{v.name} ({v.frames} frames)' for v in videos),
        'scored frames': ', '.join(f'{name} {count}' for name, count in counts.items()),
        'held out': f'by {settings.split.by}: '
        + '; '.join(
            f'{fold.name}: {sum(int(mask.sum()) for mask in fold.test.values())} of '
            f'{sum(len(mask) for mask in fold.test.values())} frames'
            for fold in folds
        ),
        'models': f'{settings.fitting.ensemble} in each of {len(folds)} fold(s)',
        'labels': _LABELS[labels[0].labelling.allows_several],
        'decoding': settings.decoding.method,
    }
