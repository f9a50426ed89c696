"""The page of a recording: which frames it uses, and what it says of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import recording_pages
from intervals import summarise
from PIL import Image

FRAMES, KEYPOINTS = 12, 3
# pixel error of each backbone's predictions
ERROR = {'random': 4.0, 'beast': 1.0}
# frames that the models of each seed trained on
TRAINED = {0: [0, 1], 1: [1, 2]}


def _table(
    project: Path, positions: np.ndarray, used: list[int] | None, likelihood: bool
) -> pd.DataFrame:
    coordinates = ('x', 'y', 'likelihood') if likelihood else ('x', 'y')
    columns = pd.MultiIndex.from_tuples(
        [('someone', f'point{k}', c) for k in range(KEYPOINTS) for c in coordinates]
    )
    names = [f'labeled-data/img{frame:02}.png' for frame in range(FRAMES)]
    if likelihood:
        positions = np.concatenate([positions, np.ones((*positions.shape[:2], 1))], axis=2)
    table = pd.DataFrame(positions.reshape(FRAMES, -1), pd.Index(names), columns)
    if used is not None:
        table['set', '', ''] = ['train' if frame in used else 'test' for frame in range(FRAMES)]
    return table


@pytest.fixture
def ablation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directory of an ablation of a project with drawn frames, two seeds and one count."""
    project, directory = tmp_path / 'project', tmp_path / 'ablation'
    (project / 'labeled-data').mkdir(parents=True)
    truth = np.random.default_rng(0).uniform(5, 25, (FRAMES, KEYPOINTS, 2))
    table = _table(project, truth, None, likelihood=False)
    table.to_csv(project / 'CollectedData.csv')
    for name in table.index:
        Image.new('RGB', (30, 30)).save(project / name)
    rows = []
    for backbone, error in ERROR.items():
        for seed, used in TRAINED.items():
            own = directory / 'heads' / f'pose_mouse_10_{backbone}_{seed}'
            own.mkdir(parents=True)
            found = truth + [error + seed, 0.0]
            _table(project, found, used, likelihood=True).to_csv(own / 'predictions.csv')
            rows.append(('pose_mouse', 10, backbone, seed, 'lower', error + seed, 20.0))
    columns = ['task', 'labels', 'backbone', 'seed', 'better', 'score', 'reference']
    pd.DataFrame(rows, columns=pd.Index(columns)).to_csv(directory / 'results.csv', index=False)
    monkeypatch.setitem(recording_pages.PROJECTS, 'mouse', project)
    return directory


def test_only_frames_that_no_model_has_seen_are_used(ablation: Path) -> None:
    found = recording_pages.read_predictions(ablation, 'pose_mouse', 10, [0, 1])
    assert [path.name for path in found.pictures] == [f'img{n:02}.png' for n in range(3, FRAMES)]
    for backbone, error in ERROR.items():
        means = found.errors(backbone).mean(axis=(1, 2))
        np.testing.assert_allclose(means, [error, error + 1])


def test_a_page_says_by_how_much_and_in_how_many_seeds(ablation: Path, tmp_path: Path) -> None:
    page = recording_pages.write_recording(ablation, 'pose_mouse', tmp_path / 'page')
    text = page.read_text(encoding='utf-8')
    assert '3.0 px better than random weights' in text and 'in 2 of 2 seeds' in text
    assert {file.stem for file in (tmp_path / 'page' / 'figures').iterdir()} == {
        'labels',
        'frames_10',
        'error_curves_10',
    }


def test_a_gain_that_may_be_none_is_no_good_news() -> None:
    rows = [
        ('pose_mouse', 10, backbone, seed, 'lower', score)
        for backbone, scores in (('random', (9.0, 12.0, 10.0)), ('beast', (8.0, 8.0, 11.0)))
        for seed, score in enumerate(scores)
    ]
    results = pd.DataFrame(
        rows, columns=pd.Index(['task', 'labels', 'backbone', 'seed', 'better', 'score'])
    )
    ((good, sentence),) = recording_pages.findings(summarise(results), results)
    assert good is None and 'in 2 of 3 seeds' in sentence
