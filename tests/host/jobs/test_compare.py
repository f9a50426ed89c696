"""What `litpose compare` refuses, before the first prediction."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_pose.api.model_config import ModelConfig
from omegaconf import OmegaConf
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.host.jobs.compare import _keypoint_table, _spread, compare
from beast_lp.host.jobs.compared_models import (
    View,
    joined_positions,
    predicted_positions,
    read_views,
)
from beast_lp.host.jobs.model_folders import check_labels, find_models
from beast_lp.video.labelled import LabelledFrames


def _model(folder: Path, trained: bool = True, views: Any = None, **model: Any) -> Path:
    """Write the config of a model and a checkpoint of one tensor."""
    folder.mkdir(parents=True)
    OmegaConf.save(
        OmegaConf.create(
            {
                'data': {
                    'data_dir': str(folder),
                    'keypoint_names': ['nose', 'tail'],
                    'view_names': views,
                },
                'model': {'model_name': 'm', 'model_type': 'heatmap', **model},
            }
        ),
        folder / 'config.yaml',
    )
    if trained:
        checkpoint = folder / 'tb_logs' / 'm' / 'version_0' / 'checkpoints' / 'a-best.ckpt'
        checkpoint.parent.mkdir(parents=True)
        torch.save({'state_dict': {'head.weight': torch.ones(2)}}, checkpoint)
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Return a table with one labelled frame beside it."""
    Image.new('RGB', (8, 8)).save(tmp_path / 'img0.png')
    path = tmp_path / 'labels.csv'
    path.write_text(
        'scorer,a,a,a,a\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\nimg0.png,1,2,3,4\n'
    )
    return path


def test_a_folder_of_models_stands_for_all_in_it(tmp_path: Path) -> None:
    seeds = [_model(tmp_path / 'sweep' / f'seed_{seed}') for seed in (0, 1)]
    other = _model(tmp_path / 'other')
    found = find_models([f'beast={tmp_path / "sweep"}', f'vit={other},{_model(tmp_path / "o2")}'])
    assert found == {'beast': seeds, 'vit': [other, tmp_path / 'o2']}


def test_a_comma_in_the_name_of_a_model_does_not_split_it(tmp_path: Path) -> None:
    odd, other = _model(tmp_path / 'size=8,seed=0'), _model(tmp_path / 'b')
    assert find_models([f'beast={odd},{other}']) == {'beast': [odd, other]}


@pytest.mark.parametrize(
    ('items', 'words'),
    [
        (['{a}'], 'does not name a backbone'),
        (['beast={a}'], 'beast has 1 model, which makes no ensemble'),
        (['beast={a},{b}', 'beast={a},{b}'], 'beast is given twice'),
        (['beast={a},{a}'], 'a is given twice; a model counts once'),
        (['beast={a},nowhere'], 'nowhere is no trained pose model'),
    ],
)
def test_models_that_make_no_ensemble_are_refused(
    tmp_path: Path,
    items: list[str],
    words: str,
) -> None:
    a, b = _model(tmp_path / 'a'), _model(tmp_path / 'b')
    with pytest.raises(BeastError, match=words):
        find_models([item.format(a=a, b=b) for item in items])


@pytest.mark.parametrize(
    ('second', 'words'),
    [
        ({'trained': False}, 'b holds no checkpoint'),
        (
            {'model_type': 'heatmap_multiview_transformer', 'views': ['left', 'right']},
            r'b predicts 2 views together \(left, right\), and --labels names 1 file',
        ),
    ],
)
def test_a_model_that_cannot_predict_is_refused(
    tmp_path: Path,
    labels: Path,
    second: dict[str, Any],
    words: str,
) -> None:
    folders = [_model(tmp_path / 'a'), _model(tmp_path / 'b', **second)]
    with pytest.raises(BeastError, match=words):
        compare({'beast': folders}, [labels], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: Path) -> None:
    models = {'beast': [_model(tmp_path / 'a'), _model(tmp_path / 'b')]}
    text = labels.read_text()
    labels.write_text(text.replace('tail', 'paw'))
    with pytest.raises(BeastError, match="2 keypoints and the labels have 2, and 'paw' is in one"):
        compare(models, [labels], tmp_path / 'out')
    labels.write_text(text.replace('nose,nose,tail,tail', 'tail,tail,nose,nose'))
    with pytest.raises(BeastError, match='in another order'):
        compare(models, [labels], tmp_path / 'out')
    labels.write_text(text.replace('img0', 'img1'))
    with pytest.raises(BeastError, match='labelled images are missing'):
        compare(models, [labels], tmp_path / 'out')
    labels.write_text(text.replace('1,2,3,4', ',,,'))
    with pytest.raises(BeastError, match='holds no labelled keypoint'):
        compare(models, [labels], tmp_path / 'out')
    # cut off before its report, a comparison goes on
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'curves.csv').touch()
    with pytest.raises(BeastError, match='holds no labelled keypoint'):
        compare(models, [labels], tmp_path / 'out')
    (tmp_path / 'out' / 'report.html').touch()
    with pytest.raises(BeastError, match='already holds a comparison'):
        compare(models, [labels], tmp_path / 'out')


@pytest.mark.parametrize(
    ('views', 'words'),
    [
        (None, r'a knows no views, and --labels names 2 files; give one'),
        (['left', 'right', 'top'], r'a predicts 3 views together \(left, right, top\)'),
        (['right', 'left'], 'b predicts the views left, right, others right, left'),
        (['left', 'right'], 'the views have different numbers of labelled frames'),
    ],
)
def test_views_that_do_not_fit_are_refused(
    tmp_path: Path,
    labels: Path,
    views: list[str] | None,
    words: str,
) -> None:
    models = {
        'beast': [
            _model(tmp_path / 'a', views=views),
            _model(tmp_path / 'b', views=['left', 'right']),
        ]
    }
    other = tmp_path / 'other.csv'
    other.write_text(labels.read_text() + 'img0.png,1,2,3,4\n')
    with pytest.raises(BeastError, match=words):
        compare(models, [labels, other], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_views_of_two_folders_are_refused(tmp_path: Path, labels: Path) -> None:
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    for file in (labels, tmp_path / 'img0.png'):
        (elsewhere / file.name).write_bytes(file.read_bytes())
    models = {'beast': [_model(tmp_path / name, views=['left', 'right']) for name in 'ab']}
    with pytest.raises(BeastError, match='in one project, found them in .*elsewhere'):
        compare(models, [labels, elsewhere / labels.name], tmp_path / 'out')


def test_labels_of_the_training_are_warned_of(
    tmp_path: Path,
    labels: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for csv_file, warned in (('other.csv', False), (['other.csv', 'labels.csv'], True)):
        config = ModelConfig(
            OmegaConf.create(
                {
                    'data': {'csv_file': csv_file, 'keypoint_names': ['nose', 'tail']},
                }
            )
        )
        with caplog.at_level('WARNING', 'lightning_pose'):
            read_views([labels], {tmp_path: config})
        assert ('was trained on' in caplog.text) == warned


def _view(name: str, base: Path) -> View:
    images = [base / f'{name}{frame}.png' for frame in range(2)]
    first = 10.0 if name == 'right' else 0.0
    positions = first + np.arange(8.0).reshape(2, 2, 2)
    names = [image.name for image in images]
    labels = LabelledFrames(images, ['nose', 'tail'], positions, names)
    return View(name, base / f'{name}.csv', base, labels)


def test_keypoints_of_all_views_stand_side_by_side(tmp_path: Path) -> None:
    views = [_view('left', tmp_path), _view('right', tmp_path)]
    truth = joined_positions(views)
    assert truth[1].tolist() == [[4, 5], [6, 7], [14, 15], [16, 17]]
    errors = np.arange(8.0).reshape(1, 2, 4)
    errors[0, 1, 2] = np.nan
    table = _keypoint_table(views, {'beast': errors}, {'beast': 100 + errors[0]})
    rows = table[['view', 'image', 'keypoint', 'error_px']].to_numpy().tolist()
    assert rows == [
        ['left', 'left0.png', 'nose', 0],
        ['left', 'left0.png', 'tail', 1],
        ['right', 'right0.png', 'nose', 2],
        ['right', 'right0.png', 'tail', 3],
        ['left', 'left1.png', 'nose', 4],
        ['left', 'left1.png', 'tail', 5],
        ['right', 'right1.png', 'tail', 7],
    ]
    assert (table['ensemble_deviation_px'] == 100 + table['error_px']).all()
    assert 'view' not in _keypoint_table(
        views[:1], {'b': errors[..., :2]}, {'b': errors[0, :, :2]}
    )


def test_predictions_follow_the_order_of_the_labels() -> None:
    columns = pd.MultiIndex.from_product([['s'], ['nose', 'tail'], ['x', 'y', 'likelihood']])
    table = pd.DataFrame(np.arange(12).reshape(2, 6), index=pd.Index(['b', 'a']), columns=columns)
    table['set'] = 'train'
    positions = predicted_positions(table, ['a', 'b'], ['tail', 'nose'])
    assert positions.tolist() == [[[9, 10], [6, 7]], [[3, 4], [0, 1]]]


def test_all_models_are_one_ensemble() -> None:
    rng = np.random.default_rng(0)
    beast, vit = rng.normal(size=(2, 3, 2, 2)), rng.normal(size=(3, 3, 2, 2))
    spread = _spread({'beast': beast, 'vit': vit})
    both = [*beast, *vit]
    centre = sum(both) / 5
    variance = sum(((one - centre) ** 2).sum(axis=-1) for one in both) / 5
    np.testing.assert_allclose(spread, np.sqrt(variance))


def test_labels_that_do_not_exist_are_refused(labels: Path, tmp_path: Path) -> None:
    check_labels([labels])
    with pytest.raises(BeastError, match=f'no table of labels at {tmp_path}/none.csv'):
        check_labels([labels, tmp_path / 'none.csv'])


@pytest.mark.parametrize('name', ['../x', '..', 'a/b', '/tmp/x', 'a\\b'])
def test_a_name_of_a_backbone_does_not_leave_the_output_directory(
    name: str, tmp_path: Path
) -> None:
    for folder in ('m1', 'm2'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'config.yaml').touch()
    models = f'{tmp_path / "m1"},{tmp_path / "m2"}'
    assert list(find_models([f'x={models}'])) == ['x']
    with pytest.raises(BeastError, match='cannot be the name of a backbone'):
        find_models([f'{name}={models}'])
