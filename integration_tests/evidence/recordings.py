"""The real recordings: where they lie, and which of their videos a backbone is pretrained on.

The open field is DeepLabCut's own example, which anyone can fetch:

    git clone --depth 1 https://github.com/DeepLabCut/DeepLabCut
    litpose convert DeepLabCut/examples/openfield-Pranav-2018-10-30 --lp_dir DATA/openfield

Its labelled frames are of another animal than its video.
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
}
# folders with the labelled frames that belong to the videos
PROJECTS = {'mouse': MOUSE, 'fly': FLY, 'crops': FLY, 'openfield': OPEN_FIELD}


def missing(recording: str) -> list[Path]:
    """Return the videos of a recording that are not on this machine."""
    return [video for video in RECORDINGS[recording] if not video.exists()]
