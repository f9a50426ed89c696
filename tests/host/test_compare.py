"""What `litpose compare` refuses, before the first prediction."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightning_pose.api.model_config import ModelConfig
from omegaconf import OmegaConf
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.host.compare import (
    _check_labels,
    _positions,
    _read_labels,
    _spreads,
    compare,
    find_models,
)


def _model(folder: Path, trained: bool = True, **model: Any) -> Path:
    """Write the config of a model and an empty checkpoint."""
    folder.mkdir(parents=True)
    OmegaConf.save(OmegaConf.create({
        'data': {'data_dir': str(folder), 'keypoint_names': ['nose', 'tail']},
        'model': {'model_name': 'm', 'model_type': 'heatmap', **model},
    }), folder / 'config.yaml')
    if trained:
        checkpoint = folder / 'tb_logs' / 'm' / 'version_0' / 'checkpoints' / 'a-best.ckpt'
        checkpoint.parent.mkdir(parents=True)
        checkpoint.touch()
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Return a table with one labelled frame beside it."""
    Image.new('RGB', (8, 8)).save(tmp_path / 'img0.png')
    path = tmp_path / 'labels.csv'
    path.write_text('scorer,a,a,a,a\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n'
                    'img0.png,1,2,3,4\n')
    return path


def test_a_folder_of_models_stands_for_all_in_it(tmp_path: Path) -> None:
    seeds = [_model(tmp_path / 'sweep' / f'seed_{seed}') for seed in (0, 1)]
    other = _model(tmp_path / 'other')
    found = find_models([f'beast={tmp_path / "sweep"}', f'vit={other},{_model(tmp_path / "o2")}'])
    assert found == {'beast': seeds, 'vit': [other, tmp_path / 'o2']}


@pytest.mark.parametrize(('items', 'words'), [
    (['{a}'], 'does not name a backbone'),
    (['beast={a}'], 'beast has 1 model, which makes no ensemble'),
    (['beast={a},{b}', 'beast={a},{b}'], 'beast is given twice'),
    (['beast={a},{a}'], 'a is given twice; a model counts once'),
    (['beast={a},nowhere'], 'nowhere is no trained pose model'),
])
def test_models_that_make_no_ensemble_are_refused(
    tmp_path: Path, items: list[str], words: str,
) -> None:
    a, b = _model(tmp_path / 'a'), _model(tmp_path / 'b')
    with pytest.raises(BeastError, match=words):
        find_models([item.format(a=a, b=b) for item in items])


@pytest.mark.parametrize(('second', 'words'), [
    ({'trained': False}, 'b holds no checkpoint'),
    ({'model_type': 'heatmap_multiview_transformer'}, 'needs all views at once'),
])
def test_a_model_that_cannot_predict_is_refused(
    tmp_path: Path, labels: Path, second: dict[str, Any], words: str,
) -> None:
    folders = [_model(tmp_path / 'a'), _model(tmp_path / 'b', **second)]
    with pytest.raises(BeastError, match=words):
        compare({'beast': folders}, labels, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: Path) -> None:
    models = {'beast': [_model(tmp_path / 'a'), _model(tmp_path / 'b')]}
    text = labels.read_text()
    labels.write_text(text.replace('tail', 'paw'))
    with pytest.raises(BeastError, match="2 keypoints and the labels have 2, and 'paw' is in one"):
        compare(models, labels, tmp_path / 'out')
    labels.write_text(text.replace('nose,nose,tail,tail', 'tail,tail,nose,nose'))
    with pytest.raises(BeastError, match='in another order'):
        compare(models, labels, tmp_path / 'out')
    labels.write_text(text.replace('img0', 'img1'))
    with pytest.raises(BeastError, match='labelled images are missing'):
        compare(models, labels, tmp_path / 'out')
    labels.write_text(text.replace('1,2,3,4', ',,,'))
    with pytest.raises(BeastError, match='holds no labelled keypoint'):
        compare(models, labels, tmp_path / 'out')
    # cut off before its report, a comparison goes on
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'curves.csv').touch()
    with pytest.raises(BeastError, match='holds no labelled keypoint'):
        compare(models, labels, tmp_path / 'out')
    (tmp_path / 'out' / 'report.html').touch()
    with pytest.raises(BeastError, match='already holds a comparison'):
        compare(models, labels, tmp_path / 'out')


def test_labels_of_the_training_are_warned_of(
    tmp_path: Path, labels: Path, caplog: pytest.LogCaptureFixture,
) -> None:
    read, base = _read_labels(labels, ModelConfig(OmegaConf.create({'data': {}})))
    for csv_file, warned in (('other.csv', False), (['other.csv', 'labels.csv'], True)):
        config = ModelConfig(OmegaConf.create({'data': {'csv_file': csv_file}}))
        with caplog.at_level('WARNING', 'lightning_pose'):
            _check_labels(labels, read, {tmp_path: config}, base)
        assert ('was trained on' in caplog.text) == warned


def test_predictions_follow_the_order_of_the_labels() -> None:
    columns = pd.MultiIndex.from_product([['s'], ['nose', 'tail'], ['x', 'y', 'likelihood']])
    table = pd.DataFrame(
        np.arange(12).reshape(2, 6), index=pd.Index(['b', 'a']), columns=columns
    )
    table['set'] = 'train'
    positions = _positions(table, ['a', 'b'], ['tail', 'nose'])
    assert positions.tolist() == [[[9, 10], [6, 7]], [[3, 4], [0, 1]]]


def test_one_ensemble_of_all_models_or_each_its_own() -> None:
    rng = np.random.default_rng(0)
    predictions = {'beast': rng.normal(size=(2, 3, 2, 2)), 'vit': rng.normal(size=(3, 3, 2, 2))}
    together, own = _spreads(predictions, True), _spreads(predictions, False)
    assert np.array_equal(together['beast'], together['vit'])
    for name, values in predictions.items():
        np.testing.assert_allclose(own[name] ** 2, values.var(axis=0).sum(axis=-1))
    assert not np.allclose(own['beast'], together['beast'])
