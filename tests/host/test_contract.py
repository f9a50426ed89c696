"""What this package takes for granted about the host, name by name.

`beast_lp.host.patches` checks what it replaces when the host is imported. Here is all of it, and
what is used or relied on besides, so that a new version of the host says what it changed:
`PYTHONPATH=<another host> pytest tests/host/test_contract.py`, or
`BEAST_LP_HOSTS="2.3.0 2.4.2" pytest integration_tests/test_hosts.py`.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from beast_lp.host import patches

MODELS = 'lightning_pose.models'
FACTORY = f'{MODELS}.backbones.factory'


@dataclass(frozen=True)
class Name:
    """A name of the host, what it must be, and who needs it."""

    module: str
    path: str
    why: str
    parameters: tuple[str, ...] = ()
    kind: type = object
    # in the source of the function or class, spaces and line breaks aside
    source: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f'{self.module.removeprefix("lightning_pose.")}.{self.path}'


CONTRACT = [
    # what is replaced
    Name(
        FACTORY,
        'build_backbone',
        'builds the backbone by its name',
        ('backbone_arch', 'pretrained', 'model_type', 'image_size', 'kwargs'),
    ),
    Name(FACTORY, 'BACKBONE_STRIDES', 'heads are built for the stride 16 entered here', kind=dict),
    Name(FACTORY, 'ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW', 'multiview models look names up'),
    Name(
        f'{MODELS}.factory',
        'get_model',
        'checks the config first',
        ('cfg', 'data_module', 'loss_factories'),
        # the name holds no `vit`, so that images need not be square
        source=("if'vit'incfg.model.backbone",),
    ),
    Name('lightning_pose.train', 'train', 'pretrains first', ('cfg', 'model_dir')),
    Name('lightning_pose.cli.commands', 'COMMANDS', "gets the package's commands", kind=dict),
    Name('lightning_pose.cli.main', 'main', 'prints errors as one sentence'),
    # what the host does with what is replaced
    Name(
        f'{MODELS}.base',
        'BaseFeatureExtractor.__init__',
        'asks for the backbone',
        source=(
            'build_backbone(',
            'backbone_arch=',
            'model_type=',
            "backbone_checkpoint=kwargs.get('backbone_checkpoint')",
        ),
    ),
    Name(
        f'{MODELS}.heads',
        'HeatmapHead.__init__',
        'looks the stride up when it is built',
        ('backbone_arch', 'in_channels', 'out_channels', 'downsample_factor'),
        source=('BACKBONE_STRIDES.get(self.backbone_arch',),
    ),
    Name(
        MODELS,
        'HeatmapTrackerMHCRNN.__init__',
        'looks the stride up when it is built',
        source=('BACKBONE_STRIDES.get(backbone',),
    ),
    Name(
        MODELS,
        'HeatmapTrackerMultiviewTransformer.__init__',
        'looks the name up when built',
        source=('ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW.__args__',),
    ),
    Name(
        MODELS,
        'HeatmapTrackerMultiviewTransformer.forward_vit',
        'takes a ViTModel apart',
        source=(
            'backbone.vision_encoder.embeddings(',
            'interpolate_pos_encoding=True',
            '.layernorm(',
        ),
    ),
    Name(
        MODELS,
        'HeatmapTracker.get_parameters',
        "names the backbone's parameter group",
        source=("'name':'backbone'",),
    ),
    # what is used
    Name(
        'lightning_pose.utils.cropzoom',
        'crop_labeled_frames',
        'crops labelled frames to boxes',
        (
            'input_data_dir',
            'input_csv_file',
            'input_bbox_file',
            'output_data_dir',
            'output_csv_file',
        ),
    ),
    Name(
        'lightning_pose.callbacks',
        'JSONTrainingProgressTracker.__init__',
        'progress for the GUI',
        ('filepath',),
    ),
    Name('lightning_pose.cli.types', 'config_file', 'type of an argument'),
    Name('lightning_pose.cli.types', 'model_dir', 'type of an argument'),
    Name('lightning_pose.api', 'ModelConfig.validate', 'is asked before pretraining'),
    Name(MODELS, 'check_if_semi_supervised', 'is asked before pretraining', ('losses_to_use',)),
    Name('lightning_pose.api', 'Model.from_dir', 'opens pose models', ('model_dir',)),
    Name('lightning_pose.api', 'Model._load', 'opens their weights'),
    Name(
        'lightning_pose.api',
        'Model.predict_on_video_file',
        'keypoints of the demo',
        ('video_file', 'output_dir', 'compute_metrics'),
    ),
    Name(FACTORY, 'ALLOWED_CONVNET_BACKBONES', 'sources of `litpose embed`'),
    Name(FACTORY, 'ALLOWED_TRANSFORMER_BACKBONES', 'sources of `litpose embed`'),
    Name(
        f'{MODELS}.heads.heatmap',
        'run_subpixelmaxima',
        'is tried on a clear heatmap',
        ('heatmaps', 'downsample_factor', 'temperature'),
    ),
]


@pytest.mark.parametrize('name', CONTRACT, ids=str)
def test_the_host_has_what_this_package_takes_for_granted(name: Name) -> None:
    value = _find(name)
    assert isinstance(value, name.kind), _sentence(name, f'is a {type(value).__name__}')
    if name.parameters:
        found = tuple(inspect.signature(value).parameters)
        missing = [parameter for parameter in name.parameters if parameter not in found]
        assert not missing, _sentence(name, f'takes {found}, not {missing}')
    if name.source:
        source = _plain(value)
        missing = [part for part in name.source if _plain_text(part) not in source]
        assert not missing, _sentence(name, f'no longer says {missing}')


def test_all_that_is_replaced_is_accepted() -> None:
    """By the checks of the patches themselves, on the modules of this host."""
    importlib.import_module('lightning_pose.cli.main')
    importlib.import_module('lightning_pose.train')
    assert patches._refusal == ''
    factory = importlib.import_module(FACTORY)
    assert factory.BACKBONE_STRIDES[patches.BACKBONE] == patches.STRIDE
    assert patches.BACKBONE in get_args(factory.ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW)
    commands = importlib.import_module('lightning_pose.cli.commands').COMMANDS
    assert {'train', 'predict', 'pretrain', 'embed', 'encode', 'segment'} <= set(commands)
    for module, function in [
        (FACTORY, 'build_backbone'),
        ('lightning_pose.train', 'train'),
        (f'{MODELS}.base', 'build_backbone'),
        (MODELS, 'get_model'),
        ('lightning_pose.train', 'get_model'),
    ]:
        replaced = getattr(importlib.import_module(module), function)
        assert hasattr(replaced, '__wrapped__'), f'{module}.{function} is not the replaced one'


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        (Name('lightning_pose.gone', 'x', 'y'), 'lightning_pose.gone is missing'),
        (Name('lightning_pose.train', 'gone', 'y'), 'gone is missing'),
        (Name('lightning_pose.train', 'train', 'y', ('other',)), r"not \['other'\]"),
        (Name('lightning_pose.train', 'train', 'y', source=('if nothing',)), 'no longer says'),
        (Name('lightning_pose.cli.commands', 'COMMANDS', 'y', kind=list), 'is a dict'),
    ],
)
def test_a_change_is_named(name: Name, words: str) -> None:
    with pytest.raises(AssertionError, match=f'lightning-pose .*{words}'):
        test_the_host_has_what_this_package_takes_for_granted(name)


def _find(name: Name) -> Any:
    try:
        value: Any = importlib.import_module(name.module)
    except ImportError:
        raise AssertionError(_sentence(name, f'{name.module} is missing')) from None
    for part in name.path.split('.'):
        value = inspect.getattr_static(value, part, None)
        assert value is not None, _sentence(name, f'{part} is missing')
        value = value.__func__ if isinstance(value, staticmethod) else value
    return value


def _sentence(name: Name, change: str) -> str:
    return (
        f'lightning-pose {patches.host_version()}: {name.module}.{name.path}: {change} '
        f'(why it matters: {name.why})'
    )


def _plain(function: Callable[..., Any]) -> str:
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    return _plain_text(ast.unparse(ast.parse(source)))


def _plain_text(text: str) -> str:
    return ''.join(text.split()).replace('"', "'")
