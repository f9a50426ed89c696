"""What the page of predicted behaviour says."""

import re
from pathlib import Path

import numpy as np

from beast_lp.reports.segmentation import write_prediction_report
from beast_lp.segmentation.outputs import Prediction


def test_seconds_are_those_of_the_frames(tmp_path: Path) -> None:
    labels = np.array([0, 0, 1])
    prediction = Prediction(
        'a',
        tmp_path / 'a.mp4',
        ('rest', 'walk'),
        np.eye(2, dtype=np.float32)[labels],
        labels,
        25.0,
        np.array([0.0, 1.0, 11.0]),
    )
    page = write_prediction_report(tmp_path, [prediction]).read_text(encoding='utf-8')
    rows = [re.findall('<td[^>]*>([^<]*)', row) for row in re.findall('<tr.*?</tr>', page)]
    found = {row[0]: (float(row[1]), float(row[2])) for row in rows if row}
    # the last frame lasts as long as those before it do in the median
    assert found == {'rest': (2, 11), 'walk': (1, 5.5)}
