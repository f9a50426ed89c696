"""No command runs code from a file, whoever wrote the file and under whatever name."""

import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from beast_lp.config import parse_config
from beast_lp.config.segmentation import FittingConfig, HeadConfig
from beast_lp.errors import BeastError
from beast_lp.host.backbone import build
from beast_lp.host.jobs.compare import compare
from beast_lp.host.jobs.sources import open_source
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.pretraining.trainer import build_module
from beast_lp.reports.pretraining_run import load_module
from beast_lp.segmentation.fit import fit_segmenter
from beast_lp.segmentation.model import build_segmenter
from beast_lp.segmentation.streams import Streams
from beast_lp.segmentation.training_data import TrainingData
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.model import Encoder
from beast_lp.vit.save import encoder_to_transformers

pytestmark = pytest.mark.usefixtures('no_gpu')
SHAPE = Architecture(64, 1, 1, 64, 16, (64, 64))
Content = dict[str, Any]
WriteVideo = Callable[..., Path]


TINY = {
    'init': 'random',
    'anchors': {'per_video': 8},
    'windows': {'longest_side': 48},
    'model': {
        'image_size': 32,
        'patch_size': 16,
        'hidden_size': 32,
        'num_layers': 1,
        'mask_ratio': 0.5,
        'decoder_hidden_size': 16,
        'decoder_num_layers': 1,
    },
    'training': {'epochs': 1, 'batch_size': 4, 'precision': 'fp32', 'num_workers': 0},
}
# written as safetensors, or by a test of its room
_WITHOUT_VALUES = {'embed: .safetensors', 'embed: plain pickle', 'segment: last.ckpt'}


class Payload:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, written: Path) -> None:
        self.written = written

    def __reduce__(self) -> tuple:
        return Path.touch, (self.written,)


def _weights() -> dict[str, torch.Tensor]:
    return encoder_to_transformers(Encoder(SHAPE))


def _save(content: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def _pose_model(folder: Path, content: Content, name: str = 'a-best.ckpt') -> Path:
    checkpoint = folder / 'tb_logs' / 'm' / 'version_0' / 'checkpoints' / name
    _save(content, checkpoint)
    OmegaConf.save(
        OmegaConf.create(
            {
                'data': {
                    'data_dir': str(folder),
                    'keypoint_names': ['nose'],
                    'image_resize_dims': {'height': 64, 'width': 64},
                },
                'model': {
                    'model_name': 'm',
                    'model_type': 'heatmap',
                    'backbone': 'resnet18',
                    'losses_to_use': [],
                },
            }
        ),
        folder / 'config.yaml',
    )
    return folder


# A key of CASES -> what a command does with a file that holds `content`. `content` is as Lightning
# writes it: `state_dict`, and what is evil beside it.


def _resume(content: Content, folder: Path, write_video: WriteVideo) -> None:
    _save(content, RunFiles(folder).last)
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), np.uint8)
    run_pretraining(parse_config(TINY), [write_video('a.mp4', noise)], folder)


def _report(content: Content, folder: Path, write_video: WriteVideo) -> None:
    files = RunFiles(folder)
    _save(content, files.last)
    files.settings.write_text(json.dumps({'beast': {'init': 'random', 'preset': 'laptop'}}))
    load_module(files)


def _init(content: Content, folder: Path, write_video: WriteVideo) -> None:
    path = _save(content, folder / 'start.ckpt')
    build_module(parse_config({'init': str(path), 'preset': 'laptop'}), resume=False)


def _embed(suffix: str) -> Callable[..., None]:
    def run(content: Content, folder: Path, write_video: WriteVideo) -> None:
        open_source(str(_save(content, folder / f'theirs{suffix}')))

    return run


def _embed_plain_pickle(content: Content, folder: Path, write_video: WriteVideo) -> None:
    path = folder / 'theirs.pth'
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(content, protocol=2))
    open_source(str(path))


def _embed_directory(content: Content, folder: Path, write_video: WriteVideo) -> None:
    _save(content, folder / 'pytorch_model.bin')
    (folder / 'config.json').write_text(json.dumps(SHAPE.transformers_config()))
    open_source(str(folder))


def _embed_pose(content: Content, folder: Path, write_video: WriteVideo) -> None:
    open_source(str(_pose_model(folder, content)))


def _embed_pose_with_weights(content: Content, folder: Path, write_video: WriteVideo) -> None:
    """A harmless checkpoint names a file that the host opens again."""
    weights = _save(content, folder / 'weights.pth')
    settings = {'backbone': 'vits_dino', 'backbone_checkpoint': str(weights)}
    harmless = {'state_dict': {'w': torch.ones(1)}, 'hyper_parameters': settings}
    open_source(str(_pose_model(folder, harmless)))


def _compare(content: Content, folder: Path, write_video: WriteVideo) -> None:
    models = [_pose_model(folder / 'a', content), _pose_model(folder / 'b', content)]
    compare({'x': models}, [folder / 'labels.csv'], folder / 'out')


def _pose_backbone(content: Content, folder: Path, write_video: WriteVideo) -> None:
    build('heatmap', str(_save(content, folder / 'backbone.ckpt')))


def _segmenter(content: Content, folder: Path, write_video: WriteVideo) -> None:
    path = _save({**content, 'model': content['state_dict']}, folder / 'last.ckpt')
    features, target = np.zeros((40, 3), np.float16), np.arange(40) % 2
    data = TrainingData([Streams((features,))], [target], [np.ones(40, dtype=bool)])
    model = build_segmenter([(3,)], 2, HeadConfig(hidden_size=8, blocks=1), seed=0)
    fit_segmenter(model, data, ('a', 'b'), FittingConfig(epochs=1), 0, path)


CASES: dict[str, Callable[..., None]] = {
    'pretrain: last.ckpt': _resume,
    'pretrain: report': _report,
    'pretrain: beast.init': _init,
    'train: model.backbone_checkpoint': _pose_backbone,
    **{f'embed: {suffix}': _embed(suffix) for suffix in ('.ckpt', '.pt', '.pth', '.bin')},
    'embed: .safetensors': _embed('.safetensors'),
    'embed: plain pickle': _embed_plain_pickle,
    'embed: directory': _embed_directory,
    'embed, segment: pose model': _embed_pose,
    'embed, segment: weights of a pose model': _embed_pose_with_weights,
    'compare: pose model': _compare,
    'segment: last.ckpt': _segmenter,
}


@pytest.mark.parametrize('case', CASES)
def test_a_pickle_that_writes_a_file_is_refused_in_one_sentence(
    case: str,
    tmp_path: Path,
    write_video: WriteVideo,
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = tmp_path / 'written'
    content = {'state_dict': _weights(), 'callbacks': Payload(written)}
    # it does what it says where nothing keeps it from doing so
    _save(content, tmp_path / 'tried.ckpt')
    torch.load(tmp_path / 'tried.ckpt', weights_only=False)
    assert written.exists()
    written.unlink()

    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(BeastError, match='code|is damaged') as error,
    ):
        CASES[case](content, tmp_path / 'evil', write_video)
    assert not written.exists()
    assert '\n' not in str(error.value) and str(tmp_path / 'evil') in str(error.value)
    # the host's words before it opens a file without any care
    assert 'weights_only=False' not in caplog.text


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('case', sorted(set(CASES) - _WITHOUT_VALUES))
def test_weights_that_are_not_finite_are_refused(
    case: str,
    value: float,
    tmp_path: Path,
    write_video: WriteVideo,
) -> None:
    weights = _weights()
    weights['layernorm.weight'][3] = value
    content = {'state_dict': weights}
    with pytest.raises(BeastError, match=r'not finite \(layernorm.weight'):
        CASES[case](content, tmp_path / 'broken', write_video)


def test_a_checkpoint_that_names_code_to_be_called_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'evil_module.py').write_text('raise SystemExit')
    content = {
        'state_dict': {'w': torch.ones(1)},
        'hyper_parameters': {'_instantiator': 'evil_module.build'},
    }
    with pytest.raises(BeastError, match='names code that is to be run'):
        open_source(str(_pose_model(tmp_path / 'pose', content)))
