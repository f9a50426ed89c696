"""The output directory of a run, and runs that older versions wrote."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.runs.keys import file_key
from beast_lp.runs.settings import settings_yaml
from beast_lp.segmentation.run_files import (
    Description,
    SegmentationFiles,
    UseFiles,
    read_config,
    run_settings,
)
from beast_lp.segmentation.videos import Inputs

INPUTS = Inputs([Path('a.mp4')], [], Path('behavior'), None, None, None)
# settings of a run before some of them were retired
OLD = {
    'label_format': 'auto',
    'features': 'patches',
    'patch_grid': 4,
    'patch_dim': None,
    'split': {
        'by': 'video',
        'test_videos': 'videos_test',
        'block_frames': 3,
        'test_every': 9,
        'gap_frames': 0,
    },
    'head': {'pooled_size': 64, 'heads': 8, 'blocks': 2, 'lags': 4, 'dropout': 0.3},
    'fitting': {
        'epochs': 2,
        'weight_decay': 0.1,
        'loss': 'focal',
        'focal_gamma': 1.0,
        'class_weights': 'none',
        'sampling': 'balanced',
        'time_stretch': 0.1,
        'unfreeze_layers': 0,
        'unfrozen_rate': 0.5,
    },
    'decoding': {'method': 'viterbi', 'stay': 0.95},
    'seed': 7,
}


def _write_old(path: Path, **changes: Any) -> Path:
    OmegaConf.save({'segmentation': OmegaConf.merge(OLD, changes), 'source': None}, path)
    return path


def test_settings_of_an_older_run_are_read_without_those_of_training_alone(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / 'segmentation.yaml'
    wanted = parse_config(
        {
            'segmentation': {
                'patch_grid': 4,
                'split': {'test_videos': 'videos_test'},
                'head': {'blocks': 2, 'lags': 4},
                'fitting': {'epochs': 2},
                'decoding': {'method': 'viterbi'},
            }
        }
    ).segmentation
    assert read_config(_write_old(path)) == wanted
    assert not caplog.messages
    assert read_config(_write_old(path, decoding={'stay': 0.8})) == wanted
    (message,) = caplog.messages
    assert 'decoding.stay=0.8, which is no longer a setting; 0.95 is used' in message
    # settings that this version writes
    config = parse_config({'seed': 3, 'segmentation': {'fitting': {'epochs': 2}}})
    path.write_text(settings_yaml(run_settings(config, INPUTS)))
    assert read_config(path) == config.segmentation


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'fitting': {'unfreeze_layers': 2}}, 'fitting.unfreeze_layers=2'),
        ({'head': {'pooled_size': 32}}, 'head.pooled_size=32'),
        ({'head': {'heads': 4}}, 'head.heads=4'),
        ({'patch_dim': 64}, 'patch_dim=64'),
    ],
)
def test_a_model_of_another_architecture_gets_a_sentence(
    tmp_path: Path,
    change: dict[str, Any],
    words: str,
) -> None:
    path = _write_old(tmp_path / 'segmentation.yaml', **change)
    with pytest.raises(BeastError, match=f'with beast.segmentation.{words}, which .* train again'):
        read_config(path)
    # vectors are not pooled, and have no patches
    assert read_config(_write_old(path, features='cls', **change)).features == 'cls'


def test_an_unfinished_run_with_other_settings_is_not_resumed(tmp_path: Path) -> None:
    files, config = SegmentationFiles(tmp_path), BeastConfig()
    with files.claimed(run_settings(config, INPUTS)):
        pass
    often = parse_config({'segmentation': {'fitting': {'checkpoint_minutes': 1}}})
    files.check(run_settings(often, INPUTS))
    for changed, inputs, words in (
        (
            parse_config({'segmentation': {'fitting': {'epochs': 3}}}),
            INPUTS,
            'segmentation.fitting.epochs was None and is now 3',
        ),
        (BeastConfig(seed=3), INPUTS, 'beast.seed was 0 and is now 3'),
        (
            config,
            replace(INPUTS, videos=[Path('a.mp4'), Path('b.mp4')]),
            r"videos was .'a.mp4'. and is now .'a.mp4', 'b.mp4'.",
        ),
    ):
        with pytest.raises(BeastError, match=words):
            files.check(run_settings(changed, inputs))


def test_a_prediction_has_a_new_directory_or_its_own(tmp_path: Path) -> None:
    work = {'action': 'predict', 'model_dir': 'a'}
    files = UseFiles(tmp_path / 'out')
    with pytest.raises(RuntimeError), files.claimed(work):
        assert files.settings.read_text() == '{\n  "action": "predict",\n  "model_dir": "a"\n}'
        raise RuntimeError
    words = (
        'unfinished segmentation run with other settings .action was .predict. and is now .eval'
    )
    with pytest.raises(BeastError, match=words), files.claimed({**work, 'action': 'evaluate'}):
        pytest.fail('claimed')
    with files.claimed(work):
        files.report.touch()
    assert files.is_finished and not files.settings.exists()
    with pytest.raises(BeastError, match='already holds a finished segmentation run; look at its'):
        files.check(work)
    (tmp_path / 'other' / 'x').mkdir(parents=True)
    with pytest.raises(BeastError, match='other is not empty; give another'):
        UseFiles(tmp_path / 'other').check(work)
    assert [path.name for path in (tmp_path / 'other').iterdir()] == ['x']


def test_the_description_of_the_models_survives_and_damage_is_said(tmp_path: Path) -> None:
    path = SegmentationFiles(tmp_path).model
    description = Description(
        ('walk', 'rest'),
        ((4, 3), (5,)),
        'x',
        None,
        'weights',
        (('fold_0', 0), ('fold_0', 1)),
        ('key',),
    )
    path.write_text(description.to_json())
    assert Description.read(path) == description
    for text in (
        '',
        '[]',
        '{}',
        description.to_json()[:-9],
        '{"classes": 3}',
        description.to_json().replace('"made_by"', '"maker"'),
    ):
        path.write_text(text)
        with pytest.raises(BeastError, match=r'segmenter.json does not describe .*train again'):
            Description.read(path)


def test_a_description_of_one_stream_by_an_older_version_is_read(tmp_path: Path) -> None:
    path = SegmentationFiles(tmp_path).model
    description = Description(('walk', 'rest'), ((4, 3),), 'x', None, 'weights', (('all', 0),))
    values = json.loads(description.to_json())
    values['shape'] = values.pop('shapes')[0]
    path.write_text(json.dumps(values))
    assert Description.read(path) == description
    for wrong in ([], [[]], [[4, 3], [0]], [[4, 3], 5], [[1, 2, 3]], 3, None):
        path.write_text(json.dumps(json.loads(description.to_json()) | {'shapes': wrong}))
        with pytest.raises(BeastError, match='shapes cannot be'):
            Description.read(path)


def test_a_file_of_a_run_that_changed_afterwards_is_named(tmp_path: Path) -> None:
    files = SegmentationFiles(tmp_path)
    member = files.weights('all', 0)
    member.parent.mkdir(parents=True)
    member.write_bytes(b'weights')
    files.settings.write_text('segmentation: {}\n')
    keys = {
        'segmentation.yaml': file_key(files.settings),
        'models/all/seed_0/model.safetensors': file_key(member),
    }
    description = Description(
        ('walk', 'rest'), ((3,),), None, None, 'weights', (('all', 0),), (), keys
    )
    files.model.write_text(description.to_json())
    assert Description.read(files.model) == description
    description.check_files(tmp_path)
    member.write_bytes(b'weighty')
    with pytest.raises(BeastError, match=r'seed_0/model.safetensors is damaged or was changed'):
        description.check_files(tmp_path)
    member.unlink()
    with pytest.raises(BeastError, match=r'seed_0/model.safetensors.*is missing; restore it'):
        description.check_files(tmp_path)
    member.write_bytes(b'weights')
    # YAML that is cut stays YAML, and the defaults would take the place of what is lost
    files.settings.write_text('segmentation: {')
    with pytest.raises(BeastError, match=r'segmentation.yaml is damaged or was changed'):
        description.check_files(tmp_path)


@pytest.mark.parametrize(
    'files', [[], 'x', None, {'../x': 'a'}, {'/etc/passwd': 'a'}, {'a//b': 'a'}, {'a': 1}]
)
def test_files_outside_of_the_run_are_no_files_of_it(files: object, tmp_path: Path) -> None:
    description = Description(('a', 'b'), ((3,),), None, None, 'w', (('all', 0),))
    path = SegmentationFiles(tmp_path).model
    path.write_text(json.dumps(json.loads(description.to_json()) | {'files': files}))
    with pytest.raises(BeastError, match='files cannot be'):
        Description.read(path)
