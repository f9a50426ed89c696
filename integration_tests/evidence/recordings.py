"""The real recordings: where they lie, and which of their videos a backbone is pretrained on."""

import os
from pathlib import Path

DATA = Path(os.environ.get('BEAST_LP_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
MOUSE, FLY, REACH = DATA / 'mirror_mouse', DATA / 'fly_courtship', DATA / 'm1_reach'
MALE = FLY / 'crops' / 'male.mp4'
RECORDINGS = {
    'mouse': [MOUSE / 'videos' / 'test_vid.mp4'],
    'fly': [FLY / 'videos' / 'fly_pair.mp4', MALE],
    'crops': [MALE, FLY / 'crops' / 'female.mp4'],
    'reach': [REACH / 'hand.mp4'],
}
# folders with the labelled frames that belong to the videos
PROJECTS = {'mouse': MOUSE, 'fly': FLY, 'crops': FLY}
