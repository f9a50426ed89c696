"""Results that stay in the repository."""

import json
from pathlib import Path

import keep as kept
import pandas as pd
import pytest
from backbones import BACKBONES
from keep import RESULTS, draw, keep, read_kept
from PIL import Image
from tasks import TASKS


def _results(directory: Path) -> pd.DataFrame:
    rows = [
        ('readout_mouse', labels, backbone, seed, 'lower', 30.123456 - seed - gain, 40.25)
        for labels in (10, 25)
        for backbone, gain in (('random', 0), ('beast', 5))
        for seed in range(2)
    ]
    columns = ['task', 'labels', 'backbone', 'seed', 'better', 'score', 'reference']
    table = pd.DataFrame(rows, columns=pd.Index(columns))
    table.to_csv(directory / 'results.csv', index=False)
    (directory / 'budget.json').write_text(json.dumps({'preset': 'laptop'}))
    return table


def test_a_kept_table_says_how_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, 'RESULTS', tmp_path / 'results')
    results = _results(tmp_path)
    file = keep(tmp_path, 'laptop', 'laptop')
    head = [line for line in file.read_text().splitlines() if line.startswith('#')]
    assert [line.split(':')[0] for line in head] == [
        '# date',
        '# command',
        '# budget',
        '# versions',
    ]
    assert '--tasks readout_mouse --backbones random beast --seeds 2 --budget laptop' in head[1]
    pd.testing.assert_frame_equal(read_kept(file), results, rtol=1e-3)
    (picture,) = draw(file, tmp_path / 'pictures')
    assert picture.name == 'laptop_readout_mouse.png'
    with Image.open(picture) as image:
        assert image.width > 300


@pytest.mark.parametrize('file', sorted(RESULTS.glob('*.csv')), ids=lambda file: file.stem)
def test_what_is_kept_can_be_drawn_and_is_small(file: Path) -> None:
    results = read_kept(file)
    assert set(results['task']) <= set(TASKS)
    assert set(results['backbone']) <= set(BACKBONES)
    assert not results.duplicated(['task', 'labels', 'backbone', 'seed']).any()
    assert file.stat().st_size < 100_000
