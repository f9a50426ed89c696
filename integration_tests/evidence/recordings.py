"""The real recordings: where they lie, and which of their videos a backbone is pretrained on.

The open field is DeepLabCut's own example, which anyone can fetch:

    git clone --depth 1 https://github.com/DeepLabCut/DeepLabCut
    litpose convert DeepLabCut/examples/openfield-Pranav-2018-10-30 --lp_dir DATA/openfield

Its labelled frames are of another animal than its video. For its crops, `litpose motion_bbox
CONFIG` writes `DATA/openfield/boxes`, with a config whose `data.data_dir` is `DATA/openfield`.
"""

import os
from pathlib import Path

DATA = Path(os.environ.get('BEAST_LP_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
MOUSE, FLY, REACH = DATA / 'mirror_mouse', DATA / 'fly_courtship', DATA / 'm1_reach'
OPEN_FIELD = DATA / 'openfield'
MALE = FLY / 'crops' / 'male.mp4'
RECORDINGS = {
    'mouse': [MOUSE / 'videos' / 'test_vid.mp4'],
    'fly': [FLY / 'videos' / 'fly_pair.mp4', MALE],
    'crops': [MALE, FLY / 'crops' / 'female.mp4'],
    'reach': [REACH / 'hand.mp4'],
    'openfield': [OPEN_FIELD / 'videos' / 'm3v1mp4.mp4'],
    'openfield_crops': [OPEN_FIELD / 'videos' / 'm3v1mp4.mp4'],
}
# folders of boxes that frames are cropped to
BOXES = {'openfield_crops': OPEN_FIELD / 'boxes'}
# folders with the labelled frames that belong to the videos
PROJECTS = {
    'mouse': MOUSE,
    'fly': FLY,
    'crops': FLY,
    'openfield': OPEN_FIELD,
    'openfield_crops': BOXES['openfield_crops'] / 'cropped',
}


def missing(recording: str) -> list[Path]:
    """Return the videos and boxes of a recording that are not on this machine."""
    files = [*RECORDINGS[recording], *([BOXES[recording]] if recording in BOXES else [])]
    return [file for file in files if not file.exists()]
