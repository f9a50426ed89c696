"""What the page of a video knows; that it works in a browser is tested in integration_tests."""

import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest

import beast_lp.reports.review_page as under_test
from beast_lp.reports.review_page import review_data, write_review_page
from beast_lp.segmentation.outputs import Prediction


def _prediction(tmp_path: Path, frames: int = 50) -> Prediction:
    labels = np.arange(frames) // 10 % 2
    shares = np.random.default_rng(0).dirichlet([1, 1], frames)
    times = np.arange(frames) / 1000
    return Prediction(
        'v</script>',
        tmp_path / 'a #1.mp4',
        ('</script>', 'b'),
        shares,
        labels,
        25.0,
        times,
        np.arange(frames) / 25,
    )


def test_no_name_ends_the_data_of_a_page(tmp_path: Path) -> None:
    prediction = _prediction(tmp_path)
    write_review_page(prediction, tmp_path / 'review' / 'v.html')
    page = (tmp_path / 'review' / 'v.html').read_text(encoding='utf-8')
    assert page.count('</script>') == 2 and 'src="../a%20%231.mp4"' in page
    found = re.search(r'type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    assert json.loads(found.group(1)) == json.loads(json.dumps(review_data(prediction)))


@pytest.mark.parametrize('most', [200_000, 7])
def test_long_videos_have_the_mean_of_several_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(under_test, '_MOST_ROWS', most)
    prediction = _prediction(tmp_path)
    data = review_data(prediction)
    rows = np.frombuffer(b64decode(data['probabilities']), np.uint8).reshape(-1, 2)
    stride = 1 if most > 50 else 8
    assert data['stride'] == stride and len(rows) == -(-50 // stride)
    for number, row in enumerate(rows):
        own = prediction.probabilities[number * stride : (number + 1) * stride]
        np.testing.assert_allclose(row / 255, own.mean(axis=0), atol=0.003)
    assert data['questions'] == [(0, 1)]
    assert data['bouts'] == [[[start, start + 10, start // 10 % 2] for start in range(0, 50, 10)]]


def test_each_clock_is_its_own(tmp_path: Path) -> None:
    data = review_data(_prediction(tmp_path))
    assert data['media']['step'] == pytest.approx(0.04)
    assert data['clock']['step'] == pytest.approx(0.001)
    times = np.concatenate([np.arange(25), np.arange(25) + 60]) / 25
    uneven = under_test._clock(times, 0.04)
    np.testing.assert_array_equal(np.frombuffer(b64decode(uneven['values']), '<f8'), times)
