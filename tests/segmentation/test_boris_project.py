"""Bouts as BORIS opens them."""

import json
from pathlib import Path

import numpy as np

from beast_lp.segmentation.boris_project import write_boris
from beast_lp.segmentation.outputs import Prediction


def test_a_bout_is_a_start_and_a_stop_on_the_clock_of_the_file(tmp_path: Path) -> None:
    labels = np.repeat([0, 1, 0, 2], [20, 5, 15, 10])
    classes, media = ('background', 'walk', 'groom'), np.arange(50) / 25
    video = tmp_path / 'a b.mp4'
    shares = np.eye(3)[labels]
    prediction = Prediction('a b', video, classes, shares, labels, 25.0, 40 * media, media)
    write_boris(prediction, tmp_path / 'boris' / 'a b.boris')
    project = json.loads((tmp_path / 'boris' / 'a b.boris').read_text(encoding='utf-8'))
    (observation,) = project['observations'].values()
    assert observation['events'] == [
        [0.8, '', 'walk', '', ''],
        [1.0, '', 'walk', '', ''],
        [1.6, '', 'groom', '', ''],
        [2.0, '', 'groom', '', ''],
    ]
    assert observation['file'] == {'1': [str(video)]}
    assert observation['media_info']['length'] == {str(video): 2.0}
    coded = project['behaviors_conf'].values()
    assert [(item['code'], item['type'], item['key']) for item in coded] == [
        ('walk', 'State event', '1'),
        ('groom', 'State event', '2'),
    ]
