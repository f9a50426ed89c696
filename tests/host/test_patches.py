"""The host's contract: what is patched is checked first, all or nothing per module."""

import argparse
import errno
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, get_args

import pytest
from tqdm import tqdm

from beast_lp.errors import BeastError
from beast_lp.host import hook, patches
from beast_lp.host.commands import COMMANDS
from beast_lp.host.compose import compose_config
from beast_lp.host.jobs import pretrain
from beast_lp.vit.architecture import Architecture


@pytest.fixture(autouse=True)
def _clean_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, '_refusal', '')
    monkeypatch.setattr(patches, '_own_backbones', {'beast', 'beast_lp'})


def _host_module(name: str, **names: Any) -> ModuleType:
    module = ModuleType(f'lightning_pose.{name}')
    vars(module).update(names)
    return module


def _backbones(**changes: Any) -> ModuleType:
    def build_backbone(
        backbone_arch: str,
        pretrained: bool = True,
        model_type: str = 'heatmap',
        **kwargs: Any,
    ) -> tuple[str, Any]:
        return backbone_arch, model_type

    names = {
        'build_backbone': build_backbone,
        'BACKBONE_STRIDES': {'vitb_imagenet': 16},
        'ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW': Literal['vitb_imagenet'],
    }
    return _host_module('models.backbones.factory', **{**names, **changes})


def test_the_installed_host_fits() -> None:
    import lightning_pose.cli.main
    import lightning_pose.train  # noqa: F401

    for name in hook.TARGETS:
        # the GUI is no part of the host
        assert name in sys.modules or name == 'litpose_app.main'
    assert patches._refusal == ''


def test_the_backbone_is_added_and_others_are_untouched() -> None:
    module = _backbones()
    patches.apply('extend_backbones', module)
    assert dict.fromkeys(('vitb_imagenet', 'beast', 'beast_lp'), 16) == module.BACKBONE_STRIDES
    multiview = get_args(module.ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW)
    assert multiview == ('vitb_imagenet', 'beast', 'beast_lp')
    assert module.build_backbone('resnet50', model_type='regression') == ('resnet50', 'regression')
    with pytest.raises(BeastError, match='regression'):
        module.build_backbone('beast', model_type='regression')
    for name in ('beast', 'beast_lp'):
        with pytest.raises(BeastError, match='needs weights'):
            module.build_backbone(name)


# a host that ships a backbone `beast`, in any of the places where it lists those
CLASHES: dict[str, dict[str, Any]] = {
    'strides': {'BACKBONE_STRIDES': {'vitb_imagenet': 16, 'beast': 32}},
    'multiview': {'ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW': Literal['vitb_imagenet', 'beast']},
    'single view': {'ALLOWED_TRANSFORMER_BACKBONES': Literal['vitb_imagenet', 'beast']},
    'a union': {'ALLOWED_BACKBONES': Literal['resnet50'] | Literal['beast']},
}


@pytest.mark.parametrize('place', CLASHES)
def test_a_backbone_beast_of_the_host_is_left_to_it(
    place: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = _backbones(**CLASHES[place])
    strides = dict(module.BACKBONE_STRIDES)
    multiview = get_args(module.ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW)
    with caplog.at_level(logging.WARNING, 'lightning_pose'):
        patches.apply('extend_backbones', module)
        patches.apply('extend_backbones', module)
    assert len(caplog.records) == 1
    assert 'has a backbone beast of its own' in caplog.text
    assert 'write backbone: beast_lp' in caplog.text
    # the host's own
    assert module.build_backbone('beast', model_type='regression') == ('beast', 'regression')
    assert module.build_backbone('beast', backbone_checkpoint='x.ckpt') == ('beast', 'heatmap')
    assert {**strides, 'beast_lp': 16} == module.BACKBONE_STRIDES
    assert get_args(module.ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW) == (*multiview, 'beast_lp')
    # ours
    with pytest.raises(BeastError, match='regression'):
        module.build_backbone('beast_lp', model_type='regression')
    backbone, width = module.build_backbone('beast_lp', backbone_checkpoint=POSE_CHECKPOINT)
    assert (type(backbone).__name__, width) == ('BeastBackbone', 64)

    # neither its config is checked nor its training prepared
    models = _host_module('models.factory', get_model=lambda cfg: cfg.model.backbone)
    train = _host_module('train', train=lambda cfg, model_dir=None: cfg.model.backbone)
    patches.apply('extend_models', models)
    patches.apply('extend_train', train)
    refuse = {'check_pose_config': 'checked', 'prepared_training': 'prepared'}
    for name, word in refuse.items():

        def refused(*args: object, word: str = word) -> None:
            raise BeastError(word)

        monkeypatch.setattr(f'beast_lp.host.pose.{name}', refused)
    assert models.get_model(_cfg('beast')) == train.train(_cfg('beast')) == 'beast'
    with pytest.raises(BeastError, match='checked'):
        models.get_model(_cfg('beast_lp'))
    with pytest.raises(BeastError, match='prepared'):
        train.train(_cfg('beast_lp'))


# as a pose model that was trained with our backbone states it
POSE_CHECKPOINT = f'beast-architecture:{Architecture(64, 1, 1, 256, 16, (32, 32)).to_json()}'


def test_a_pose_model_from_before_the_clash_opens_or_gets_a_sentence() -> None:
    module = _backbones(BACKBONE_STRIDES={'vitb_imagenet': 16, 'beast': 16})
    patches.apply('extend_backbones', module)
    backbone, _ = module.build_backbone('beast', backbone_checkpoint=POSE_CHECKPOINT)
    assert type(backbone).__name__ == 'BeastBackbone'
    other = _backbones(BACKBONE_STRIDES={'vitb_imagenet': 16, 'beast': 32})
    patches.apply('extend_backbones', other)
    with pytest.raises(BeastError, match='trained with the backbone beast of beast-lp.*stride'):
        other.build_backbone('beast', backbone_checkpoint=POSE_CHECKPOINT)


def test_a_changed_host_keeps_its_own_backbone_beast() -> None:
    module = _backbones(BACKBONE_STRIDES={'beast': 32})
    patches.apply('extend_backbones', module)
    assert module.build_backbone('beast') == ('beast', 'heatmap')
    with pytest.raises(BeastError, match='lists no ViT-B'):
        module.build_backbone('beast_lp')


def test_commands_of_the_host_are_left_to_it(caplog: pytest.LogCaptureFixture) -> None:
    import lightning_pose.cli.commands.train

    own, train = ModuleType('embed'), lightning_pose.cli.commands.train
    module = _host_module('cli.commands', COMMANDS={'train': train, 'embed': own})
    with caplog.at_level(logging.WARNING, 'lightning_pose'):
        patches.apply('extend_commands', module)
        patches.apply('extend_commands', module)
    assert module.COMMANDS['embed'] is own
    assert module.COMMANDS['train'] is train
    assert module.COMMANDS.keys() == {*COMMANDS, 'train', 'beast_lp_embed'}
    assert all(module.COMMANDS[name] is COMMANDS[name] for name in COMMANDS if name != 'embed')
    assert caplog.text.count('`litpose beast_lp_embed`') == 1

    renamed = module.COMMANDS['beast_lp_embed']
    parser = argparse.ArgumentParser(prog='litpose')
    command = renamed.register_parser(parser.add_subparsers(dest='command'))
    args = parser.parse_args(['beast_lp_embed', 'pca', 'a.mp4'])
    assert args.command == 'beast_lp_embed'
    assert 'litpose beast_lp_embed' in command.format_usage()
    assert 'litpose embed' not in command.format_usage()
    assert renamed.handle is COMMANDS['embed'].handle


@pytest.mark.parametrize(
    'changes',
    [
        {'BACKBONE_STRIDES': None},
        {'BACKBONE_STRIDES': ['vitb_imagenet']},
        {'BACKBONE_STRIDES': {}},
        {'ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW': None},
        {'build_backbone': lambda name: (name, 'new signature')},
    ],
)
def test_a_changed_host_is_left_alone_and_beast_refused(
    changes: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = _backbones(**changes)
    before = {k: v for k, v in vars(module).items() if k != 'build_backbone'}
    with caplog.at_level(logging.WARNING, 'lightning_pose'):
        patches.apply('extend_backbones', module)
        patches.apply('extend_backbones', module)
    assert {k: v for k, v in vars(module).items() if k != 'build_backbone'} == before
    # warned once; a handler that the host left behind may hand the same record on once more
    assert len({id(record) for record in caplog.records}) == 1
    assert 'factory' in caplog.text
    assert module.build_backbone('resnet50')[0] == 'resnet50'
    with pytest.raises(BeastError, match=r'lightning-pose 2\.\d+\.\d+ .*factory'):
        module.build_backbone('beast')


def test_an_old_host_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('beast_lp.host.names.version', lambda name: '2.2.0')
    module = _host_module('train', train=lambda cfg, model_dir=None: 'trained')
    patches.apply('extend_train', module)
    assert module.train(_cfg('resnet50')) == 'trained'
    with pytest.raises(BeastError, match=r'lightning-pose 2\.2\.0 .*2\.3\.0 or newer'):
        module.train(_cfg('beast'))


def _cfg(backbone: str) -> SimpleNamespace:
    return SimpleNamespace(model=SimpleNamespace(backbone=backbone))


def test_training_another_backbone_never_touches_the_plugin() -> None:
    module = _host_module('train', train=lambda cfg, model_dir=None: (cfg, model_dir))
    patches.apply('extend_train', module)
    cfg = _cfg('resnet50')
    assert module.train(cfg, model_dir='x') == (cfg, 'x')


@pytest.mark.parametrize(
    ('argv', 'raised'),
    [
        (['litpose'], SystemExit),
        (['litpose', '--debug'], BeastError),
    ],
)
def test_a_user_error_is_one_sentence_without_traceback(
    argv: list[str],
    raised: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def main() -> None:
        raise BeastError('the sentence')

    module = _host_module('cli.main', main=main)
    patches.apply('extend_main', module)
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(raised, match='the sentence') as error:
        module.main()
    if isinstance(error.value, SystemExit):
        # a string as the code means: print it, exit with status 1
        assert error.value.code == 'error: the sentence'


def test_an_error_does_not_stand_at_the_end_of_a_progress_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = []

    def main() -> None:
        bars.append(tqdm(range(9), 'Epoch 0'))
        raise BeastError('the sentence')

    module = _host_module('cli.main', main=main)
    patches.apply('extend_main', module)
    monkeypatch.setattr(sys, 'argv', ['litpose'])
    with pytest.raises(SystemExit, match='the sentence'):
        module.main()
    assert capsys.readouterr().err.endswith('\n')
    bars[0].close()


@pytest.mark.parametrize('argv', [['litpose'], ['litpose', '--debug']])
@pytest.mark.parametrize('ours', [True, False])
def test_ctrl_c_in_a_command_of_ours_is_a_sentence(
    ours: bool,
    argv: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr('hydra.initialize_config_dir', interrupt)
    main = partial(compose_config, Path('c.yaml'), []) if ours else interrupt
    module = _host_module('cli.main', main=lambda: main())
    patches.apply('extend_main', module)
    monkeypatch.setattr(sys, 'argv', argv)
    caught = ours and argv == ['litpose']
    with pytest.raises(SystemExit if caught else KeyboardInterrupt) as stopped:
        module.main()
    if caught:
        assert getattr(stopped.value, 'code', None) == 130
    assert ('interrupted; start the same command' in capsys.readouterr().err) == caught


@pytest.mark.parametrize('number', [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_forbidden_folder_is_one_sentence(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / 'c.yaml').write_text(f'data: {{video_dir: {tmp_path}}}\nbeast: {{}}\n')

    def refuse(path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, 'iterdir', refuse)
    cfg = compose_config(tmp_path / 'c.yaml', [])
    module = _host_module(
        'cli.main',
        main=lambda: pretrain.pretrain(cfg, tmp_path / 'out', tmp_path / 'status.json'),
    )
    patches.apply('extend_main', module)
    monkeypatch.setattr(sys, 'argv', ['litpose', 'pretrain'])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == (
        f'error: {tmp_path} may not be used ({os.strerror(number)}); check who may read and '
        'write there, or choose another folder'
    )
    monkeypatch.setattr(sys, 'argv', ['litpose', 'pretrain', '--debug'])
    with pytest.raises(OSError, match=str(tmp_path)):
        module.main()


@pytest.mark.parametrize(
    'error',
    [
        PermissionError(errno.EACCES, 'Permission denied', '/model'),
        FileNotFoundError('x'),
    ],
)
def test_errors_of_the_host_stay_as_they_are(
    error: OSError,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def main() -> None:
        raise error

    module = _host_module('cli.main', main=main)
    patches.apply('extend_main', module)
    monkeypatch.setattr(sys, 'argv', ['litpose'])
    with pytest.raises(type(error)) as raised:
        module.main()
    assert raised.value is error


def test_names_imported_by_value_are_replaced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _backbones()
    other = _host_module('models.other', renamed=module.build_backbone)
    stranger = ModuleType('other_package')
    stranger.build_backbone = module.build_backbone  # type: ignore[attr-defined]
    original: Callable[..., Any] = module.build_backbone
    monkeypatch.setitem(sys.modules, other.__name__, other)
    monkeypatch.setitem(sys.modules, stranger.__name__, stranger)
    patches.apply('extend_backbones', module)
    assert other.renamed is module.build_backbone is not original
    assert stranger.build_backbone is original  # type: ignore[attr-defined]
