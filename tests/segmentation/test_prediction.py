"""Trained models, also those that an older version wrote."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.numpy import load_file, save_file

from beast_lp.config import SegmentationConfig
from beast_lp.errors import BeastError, sentence_of
from beast_lp.features.info import FeatureInfo
from beast_lp.features.source import FeatureSource, hash_files
from beast_lp.segmentation.prediction import load_trained, predict_video
from beast_lp.segmentation.videos import Inputs, open_videos

FRAMES, TOKENS, CHANNELS, HIDDEN, CLASSES = 40, 3, 5, 8, ('still', 'walk')
# shapes in the file of a model before any setting was retired
WEIGHTS = {
    'difference_gain': (),
    'pool.out.bias': (64,),
    'pool.out.weight': (64, 64),
    'pool.query': (64,),
    'pool.to_key.weight': (64, CHANNELS),
    'pool.to_query.bias': (64,),
    'pool.to_query.weight': (64, 64),
    'pool.to_value.bias': (64,),
    'pool.to_value.weight': (64, CHANNELS),
    'standardise.mean': (CHANNELS,),
    'standardise.scale': (CHANNELS,),
    'tcn.blocks.0.first.bias': (HIDDEN,),
    'tcn.blocks.0.first.parametrizations.weight.original0': (HIDDEN, 1, 1),
    'tcn.blocks.0.first.parametrizations.weight.original1': (HIDDEN, 128, 9),
    'tcn.blocks.0.second.bias': (HIDDEN,),
    'tcn.blocks.0.second.parametrizations.weight.original0': (HIDDEN, 1, 1),
    'tcn.blocks.0.second.parametrizations.weight.original1': (HIDDEN, HIDDEN, 9),
    'tcn.blocks.0.skip.bias': (HIDDEN,),
    'tcn.blocks.0.skip.weight': (HIDDEN, 128, 1),
    'tcn.classify.bias': (2,),
    'tcn.classify.weight': (2, HIDDEN, 1),
}
MADE_BY = 'weights abc, images None, patches (1, 3), basis None'


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """Return the directory of a run that an older version trained."""
    run = tmp_path / 'run'
    for number in range(2):
        member = run / 'models' / 'all' / f'seed_{number}'
        member.mkdir(parents=True)
        rng = np.random.default_rng(number)
        weights = {name: rng.normal(0, 0.3, shape) for name, shape in WEIGHTS.items()}
        save_file(
            {name: np.asarray(value, np.float32) for name, value in weights.items()},
            member / 'model.safetensors',
        )
    OmegaConf.save(
        {
            'segmentation': {
                'labels': 'behavior',
                'label_format': 'auto',
                'features': 'patches',
                'features_dir': str(tmp_path / 'features'),
                'patch_dim': None,
                'split': {'by': 'video', 'block_frames': 150, 'test_every': 4, 'gap_frames': 15},
                'head': {
                    'pooled_size': 64,
                    'heads': 8,
                    'hidden_size': HIDDEN,
                    'blocks': 1,
                    'lags': 4,
                    'dropout': 0.3,
                },
                'fitting': {'epochs': 2, 'weight_decay': 0.1, 'unfreeze_layers': 0},
                'decoding': {'method': 'viterbi', 'stay': 0.95, 'min_bout_frames': 1},
                'seed': 4,
            },
            'videos': ['/lab/a.mp4'],
            'source': None,
        },
        run / 'segmentation.yaml',
    )
    description = {
        'classes': CLASSES,
        'shape': [TOKENS, CHANNELS],
        'source': None,
        'source_hash': None,
        'made_by': MADE_BY,
        'members': [['all', 0], ['all', 1]],
    }
    (run / 'segmenter.json').write_text(json.dumps(description))
    return run


def _no_source(name: str) -> Any:
    pytest.fail(f'opened {name}')


def test_a_segmenter_of_an_older_version_predicts(
    old_run: Path,
    tmp_path: Path,
    save_store: Callable[..., None],
) -> None:
    trained = load_trained(old_run, _no_source, _no_source)
    assert trained.classes == CLASSES and len(trained.models) == 2
    assert trained.config.decoding.method == 'viterbi'
    video = tmp_path / 'b.mp4'
    video.write_bytes(b'b')
    assert not trained.has_seen(video)
    rng = np.random.default_rng(0)
    save_store(
        tmp_path / 'features' / 'b',
        FeatureInfo('b.mp4', 'x', 'vit', 'abc', 2, grid=(1, 3), patch_dim=CHANNELS, fps=20),
        cls=np.zeros((FRAMES, 2)),
        frame=np.arange(FRAMES),
        time=np.arange(FRAMES) / 20,
        patches=rng.normal(size=(FRAMES, TOKENS, CHANNELS)),
    )
    inputs = Inputs([video], [], tmp_path, None, tmp_path / 'features', None)
    (opened,) = open_videos([video], trained.config, inputs, tmp_path, None)
    prediction = predict_video(trained, opened)
    assert prediction.probabilities.shape == (FRAMES, 2)
    np.testing.assert_allclose(prediction.probabilities.sum(axis=1), 1, atol=1e-5)
    # computed by the code that wrote such runs
    np.testing.assert_allclose(
        prediction.probabilities[[0, 20, 39], 0], [0.3592, 0.4137, 0.4071], atol=1e-4
    )


def test_a_run_that_has_not_finished_or_is_none_gets_a_sentence(
    old_run: Path,
    tmp_path: Path,
) -> None:
    (old_run / 'segmenter.json').unlink()
    with pytest.raises(BeastError, match='has not finished; run the same'):
        load_trained(old_run, _no_source, _no_source)
    with pytest.raises(BeastError, match='is none; give the --output_dir'):
        load_trained(tmp_path / 'other', _no_source, _no_source)


def test_features_of_another_kind_are_refused(
    old_run: Path,
    tmp_path: Path,
    save_store: Callable[..., None],
) -> None:
    trained = load_trained(old_run, _no_source, _no_source)
    video = tmp_path / 'b.mp4'
    video.write_bytes(b'b')
    rows = {'cls': np.zeros((4, 2)), 'frame': np.arange(4), 'time': np.arange(4.0)}
    save_store(tmp_path / 'features' / 'b', FeatureInfo('b.mp4', 'x', 'vit', 'abc', 2), **rows)
    inputs = Inputs([video], [], tmp_path, None, tmp_path / 'features', None)
    config = SegmentationConfig(features='cls')
    (opened,) = open_videos([video], config, inputs, tmp_path, None)
    with pytest.raises(BeastError, match=r'the features of b .* are not like those .* trained on'):
        predict_video(trained, opened)


class Harm:
    """An object that writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        """Write `file`."""
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle calls."""
        return Path.touch, (self.file,)


def _describe(**changes: Any) -> Callable[[Path], None]:
    """Return what changes values of the description; None removes one."""

    def damage(run: Path) -> None:
        path = run / 'segmenter.json'
        values = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in values.items() if v is not ...}))

    return damage


def _settings(**changes: Any) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        path = run / 'segmentation.yaml'
        OmegaConf.save(OmegaConf.merge(OmegaConf.load(path), {'segmentation': changes}), path)

    return damage


def _replace(name: str, content: bytes | None) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).unlink()
        if content is not None:
            (run / name).write_bytes(content)

    return damage


def _cut(name: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:-9])


def _weights(**changes: Any) -> Callable[[Path], None]:
    """Return what changes tensors of the second model; None removes one."""

    def damage(run: Path) -> None:
        weights = load_file(run / MEMBER) | changes
        save_file({k: v for k, v in weights.items() if v is not None}, run / MEMBER)

    return damage


def _pickled(run: Path) -> None:
    torch.save({'a': Harm(run / 'harmed')}, run / MEMBER)


MEMBER = 'models/all/seed_1/model.safetensors'
YAML, JSON = 'segmentation.yaml', 'segmenter.json'
DAMAGE: dict[str, Callable[[Path], object]] = {
    # segmenter.json
    'empty description': _replace(JSON, b''),
    'description cut off': _cut(JSON),
    'description of a list': _replace(JSON, b'[]'),
    'description of a word': _replace(JSON, b'"x"'),
    'description in latin-1': _replace(JSON, b'{"classes": ["g\xe4hnen"]}'),
    'description nested': _replace(JSON, b'[' * 100_000),
    'a folder as description': lambda run: _folder(run / JSON),
    **{
        f'no {name}': _describe(**{name: ...})
        for name in ('classes', 'shape', 'source', 'source_hash', 'made_by', 'members')
    },
    'more': _describe(more=1),
    'no classes': _describe(classes=[]),
    'one class': _describe(classes=['walk']),
    'a class too many': _describe(classes=['still', 'walk', 'run']),
    'a class twice': _describe(classes=['walk', 'walk']),
    'a class without a name': _describe(classes=['walk', '']),
    'classes as a word': _describe(classes='ab'),
    'classes as numbers': _describe(classes=[1, 2]),
    'classes as null': _describe(classes=None),
    'classes as a mapping': _describe(classes={'still': 0, 'walk': 1}),
    'no shape': _describe(shape=[]),
    'shape of vectors': _describe(shape=[CHANNELS]),
    'shape of three': _describe(shape=[1, TOKENS, CHANNELS]),
    'shape of other channels': _describe(shape=[TOKENS, CHANNELS + 1]),
    'shape of 1e12': _describe(shape=[TOKENS, 10**12]),
    'shape of 1e30': _describe(shape=[TOKENS, 10**30]),
    'shape below 0': _describe(shape=[TOKENS, -CHANNELS]),
    'shape of fractions': _describe(shape=[TOKENS, 5.5]),
    'shape of a truth value': _describe(shape=[True, CHANNELS]),
    'shape of words': _describe(shape=['3', '5']),
    'shape as a number': _describe(shape=3),
    'no members': _describe(members=[]),
    'a member that is not there': _describe(members=[['all', 7]]),
    'a fold that is not there': _describe(members=[['fold_3', 0]]),
    'a member twice': _describe(members=[['all', 0], ['all', 0]]),
    'a member elsewhere': _describe(members=[['../../other', 0]]),
    'a member anywhere': _describe(members=[['/tmp', 0]]),
    'members as numbers': _describe(members=[0, 1]),
    'members of three': _describe(members=[['all', 0, 1]]),
    'a member of a word': _describe(members=[['all', 'x']]),
    'a member below 0': _describe(members=[['all', -1]]),
    'a member of a fraction': _describe(members=[['all', 0.5]]),
    'members as a mapping': _describe(members={'all': 0}),
    'made by a number': _describe(made_by=3),
    'source as a number': _describe(source=3),
    'source as a list': _describe(source=['a']),
    'hash as a number': _describe(source_hash=3),
    'hash of files as a list': _describe(source_files=[]),
    'trained on a word': _describe(trained_on='a'),
    # segmentation.yaml
    'no settings': _replace(YAML, None),
    'empty settings': _replace(YAML, b''),
    'settings cut off': _replace(YAML, b'segmentation: {head: ['),
    'settings of a word': _replace(YAML, b'walk'),
    'settings of a number': _replace(YAML, b'3'),
    'settings of a list': _replace(YAML, b'- 3'),
    'settings in latin-1': _replace(YAML, b'segmentation: {labels: \xe4}'),
    'settings with NUL': _replace(YAML, b'\0'),
    'no section': _replace(YAML, b'videos: []'),
    'section as a word': _replace(YAML, b'segmentation: walk'),
    'section as null': _replace(YAML, b'segmentation:'),
    'head as a word': _replace(YAML, b'segmentation: {head: walk}'),
    'decoding as a list': _replace(YAML, b'segmentation: {decoding: [1]}'),
    'an object in the settings': _replace(YAML, b'a: !!python/object/apply:os.getcwd []'),
    'unknown features': _settings(features='pictures'),
    'features of vectors': _settings(features='cls'),
    'more features': _settings(features=['patches', 'cls']),
    'keypoints beside': _settings(features=['patches', 'keypoints'], keypoints_dir='kp'),
    'an unknown setting': _settings(magic=1),
    'another size': _settings(head={'hidden_size': HIDDEN + 1}),
    'a size of 1e12': _settings(head={'hidden_size': 10**12}),
    'a size of 0': _settings(head={'hidden_size': 0}),
    'a size of a word': _settings(head={'hidden_size': 'x'}),
    'another number of blocks': _settings(head={'blocks': 2}),
    'blocks of 1e9': _settings(head={'blocks': 10**9}),
    'lags of 1e9': _settings(head={'lags': 10**9}),
    # the models
    'no model': _replace(MEMBER, None),
    'an empty model': _replace(MEMBER, b''),
    'a model cut off': _cut(MEMBER),
    'a model of noise': _replace(MEMBER, bytes(range(256)) * 9),
    'a model with a giant header': _replace(MEMBER, b'\xff' * 7 + b'\x7f{}'),
    'a folder as model': lambda run: _folder(run / MEMBER),
    'a pickle as model': _pickled,
    'a tensor less': _weights(**{'tcn.classify.bias': None}),
    'a tensor more': _weights(more=np.zeros(2, np.float32)),
    'a tensor of another shape': _weights(**{'tcn.classify.bias': np.zeros(3, np.float32)}),
    'NaN weights': _weights(**{'tcn.classify.bias': np.full(2, np.nan, np.float32)}),
    'infinite weights': _weights(**{'pool.query': np.full(64, np.inf, np.float32)}),
}


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize('kind', DAMAGE)
def test_a_damaged_segmenter_gets_a_sentence(old_run: Path, kind: str) -> None:
    DAMAGE[kind](old_run)
    try:
        load_trained(old_run, _no_source, _no_source)
    except (BeastError, OSError) as error:
        # the command line has a sentence for what the operating system says of a file
        words = sentence_of(error)
        assert words and str(old_run) in words or 'beast.segmentation' in (words or ''), error
        assert words and '\n' not in words
    else:
        pytest.fail('opened')
    assert not (old_run / 'harmed').exists()


def test_no_source_is_opened_for_models_that_are_damaged(old_run: Path) -> None:
    _settings(features_dir=None)(old_run)
    _describe(source='/lab/backbone', source_hash='abc')(old_run)
    opened = []

    def refuse(name: str) -> FeatureSource:
        opened.append(name)
        raise BeastError('no such source')

    with pytest.raises(BeastError, match='no such source'):
        load_trained(old_run, refuse, _no_source)
    assert opened.pop() == '/lab/backbone'
    _cut(MEMBER)(old_run)
    with pytest.raises(BeastError, match='cannot be read'):
        load_trained(old_run, refuse, _no_source)
    assert not opened


def test_files_of_a_source_are_compared_before_it_is_opened(
    old_run: Path,
    tmp_path: Path,
) -> None:
    weights = tmp_path / 'weights.pt'
    weights.write_bytes(b'as trained with')
    _settings(features_dir=None)(old_run)
    _describe(source=str(weights), source_hash='abc', source_files=hash_files([weights]))(old_run)
    opened = []

    def refuse(name: str) -> FeatureSource:
        opened.append(name)
        raise BeastError('opened')

    with pytest.raises(BeastError, match='opened'):
        load_trained(old_run, refuse, lambda name: [Path(name)])
    assert opened.pop() == str(weights)
    weights.write_bytes(b'of someone else')
    with pytest.raises(BeastError, match='holds other weights than the model in'):
        load_trained(old_run, refuse, lambda name: [Path(name)])
    assert not opened
