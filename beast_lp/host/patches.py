"""All changes to the host, each made only after its names were checked.

The host has no extension point for backbones or commands (as of 2.4.3). Where a name is missing or
looks different, one warning is given, the host stays as it was, and `backbone: beast` is refused
with a sentence that names the host's version.

Should the host ever ship a backbone `beast`, or a command of a name of ours, that one stays too.
One warning says how to reach ours: `backbone: beast_lp`, which always works, or
`litpose beast_lp_<command>`.
"""

import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable
from traceback import walk_tb
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, get_args

from beast_lp.errors import BeastError, sentence_of
from beast_lp.host.names import BACKBONE, OLDEST_HOST, OWN_NAME, STRIDE, host_version
from beast_lp.host.start import START_DIR, START_DIR_VARIABLE

logger = logging.getLogger(f'lightning_pose.{__name__}')


# the reason why `backbone: beast` is refused, once a name did not fit
_refusal = ''
# exit status after Ctrl-C: 128 and the number of SIGINT
_INTERRUPTED = 130
# names in a config that mean our backbone; the host may take the first one away
_own_backbones = {BACKBONE, OWN_NAME}


class HostMismatch(Exception):
    """A name of the host is missing or has changed its meaning."""


def apply(name: str, module: ModuleType) -> None:
    """Extend one module of the host, or leave it as it is and warn.

    Args:
        name: name of the function in this file that extends it.
        module: executed module of the host.
    """
    try:
        _check_version()
        globals()[name](module)
    except HostMismatch as problem:
        _refuse(str(problem))
        for function in ('build_backbone', 'train'):
            if inspect.isfunction(getattr(module, function, None)):
                _guard(module, function)


# ---------------------------------------------------------------------------------------------
# one function per module of the host
# ---------------------------------------------------------------------------------------------


def extend_backbones(module: ModuleType) -> None:
    """Make `build_backbone('beast', ...)` work, at stride 16, in multiview models too."""
    if OWN_NAME in (getattr(module, 'BACKBONE_STRIDES', None) or ()):
        # extended earlier
        return
    if _has_own_beast(module):
        _leave_beast_to_host()
    original = _function(module, 'build_backbone', ['backbone_arch', 'model_type', 'kwargs'])
    strides = _named(module, 'BACKBONE_STRIDES', dict)
    multiview = _named(module, 'ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW', object)
    if 'vitb_imagenet' not in strides or 'vitb_imagenet' not in get_args(multiview):
        raise HostMismatch(f'{module.__name__} lists no ViT-B where it used to')

    @functools.wraps(original)
    def build_backbone(backbone_arch: str, *args: Any, **kwargs: Any) -> Any:
        if backbone_arch not in (BACKBONE, OWN_NAME):
            return original(backbone_arch, *args, **kwargs)
        settings = inspect.signature(original).bind(backbone_arch, *args, **kwargs)
        settings.apply_defaults()
        checkpoint = settings.arguments['kwargs'].get('backbone_checkpoint')
        if backbone_arch not in _own_backbones:
            from beast_lp.host.backbone import ARCHITECTURE_PREFIX

            # a pose model that was trained with ours before the host had one of this name
            if not str(checkpoint).startswith(ARCHITECTURE_PREFIX):
                return original(backbone_arch, *args, **kwargs)
            if strides.get(BACKBONE) != STRIDE:
                raise BeastError(
                    f'this pose model was trained with the backbone {BACKBONE} of beast-lp, and '
                    f'lightning-pose {host_version()} has another one of that name and another '
                    'stride; open it with the version of lightning-pose that trained it'
                )
        if _refusal:
            raise BeastError(_refusal)
        from beast_lp.host.backbone import build

        return build(settings.arguments['model_type'], checkpoint)

    strides.update(dict.fromkeys(_own_backbones, STRIDE))
    _replace(module, 'build_backbone', build_backbone)
    _replace(
        module,
        'ALLOWED_TRANSFORMER_BACKBONES_MULTIVIEW',
        Literal[(*get_args(multiview), *sorted(_own_backbones))],
    )


def extend_models(module: ModuleType) -> None:
    """Check a pose config with `backbone: beast` before the host builds its model."""
    original = _function(module, 'get_model', ['cfg'])

    @functools.wraps(original)
    def get_model(cfg: Any, *args: Any, **kwargs: Any) -> Any:
        if cfg.model.backbone in _own_backbones:
            from beast_lp.host.pose import check_pose_config

            check_pose_config(cfg)
        return original(cfg, *args, **kwargs)

    _replace(module, 'get_model', get_model)


def extend_commands(module: ModuleType) -> None:
    """Add the package's commands to `litpose`."""
    commands = _named(module, 'COMMANDS', dict)
    train = commands.get('train')
    if not all(hasattr(train, name) for name in ('register_parser', 'get_parser', 'handle')):
        raise HostMismatch('lightning_pose.cli.commands no longer keeps modules in COMMANDS')
    from beast_lp.host.commands import COMMANDS

    if any(commands.get(name) is own for name, own in COMMANDS.items()):
        # extended earlier
        return
    taken = [name for name in COMMANDS if name in commands]
    for name, command in COMMANDS.items():
        commands.update(_renamed(name, command) if name in taken else {name: command})
    if taken:
        logger.warning(
            f'beast: lightning-pose {host_version()} has commands of its own by the name of '
            f'{", ".join(taken)}, which are left as they are; those of beast-lp are '
            + ', '.join(f'`litpose {OWN_NAME}_{name}`' for name in taken)
        )


def extend_main(module: ModuleType) -> None:
    """Let `litpose` print an error that the user can mend as one sentence, with exit status 1.

    So does Ctrl-C within a command of ours, with the status that shells expect. Errors of the
    host's own commands stay as they are. A process that Lightning starts changes into the
    directory where the user started the command, not into the model directory.
    """
    original = _function(module, 'main', [])

    @functools.wraps(original)
    def main() -> None:
        if START_DIR_VARIABLE in os.environ:
            os.chdir(START_DIR)
        from beast_lp.runs.log_file import remember_warnings

        remember_warnings()
        try:
            original()
        except Exception as error:
            sentence = sentence_of(error) if _is_ours(error) else None
            if sentence is None or '--debug' in sys.argv:
                raise
            _leave_progress_line()
            sys.exit(f'error: {sentence}')
        except KeyboardInterrupt as interrupt:
            if not _is_ours(interrupt) or '--debug' in sys.argv:
                raise
            sys.stderr.write(
                '\nbeast: interrupted; start the same command again, with the same --output_dir\n'
            )
            sys.exit(_INTERRUPTED)

    _replace(module, 'main', main)


def extend_train(module: ModuleType) -> None:
    """Run the pretraining stage first where the config asks for it."""
    original = _function(module, 'train', ['cfg', 'model_dir'])

    @functools.wraps(original)
    def train(cfg: Any, *args: Any, **kwargs: Any) -> Any:
        if cfg.model.backbone in _own_backbones:
            if _refusal:
                raise BeastError(_refusal)
            from beast_lp.host.pose import prepared_training

            settings = inspect.signature(original).bind(cfg, *args, **kwargs)
            evaluates = not settings.arguments.get('skip_evaluation', False)
            with prepared_training(cfg, settings.arguments.get('model_dir'), evaluates):
                return original(cfg, *args, **kwargs)
        return original(cfg, *args, **kwargs)

    _replace(module, 'train', train)


def extend_app(module: ModuleType) -> None:
    """Offer the backbone in the dialog of the host's GUI."""
    from beast_lp.host.gui import offer_backbone

    offer_backbone(module)


# ---------------------------------------------------------------------------------------------
# checking and replacing
# ---------------------------------------------------------------------------------------------


def _check_version() -> None:
    numbers = tuple(int(part) for part in host_version().split('.')[:3] if part.isdigit())
    if numbers and numbers < OLDEST_HOST:
        raise HostMismatch(f'it needs {".".join(map(str, OLDEST_HOST))} or newer')


def _refuse(problem: str) -> None:
    global _refusal
    if not _refusal:
        _refusal = (
            f'beast-lp does not work with the installed lightning-pose {host_version()} '
            f'({problem}); update one of the two, or use another backbone'
        )
        logger.warning(f'beast: {_refusal}')


def _has_own_beast(module: ModuleType) -> bool:
    """Return whether any list of the host names a backbone `beast`."""
    lists = [value for name, value in vars(module).items() if name.startswith('ALLOWED_')]
    # a union of lists holds lists
    names = [
        inner for value in lists for name in get_args(value) for inner in (name, *get_args(name))
    ]
    return BACKBONE in names or BACKBONE in (getattr(module, 'BACKBONE_STRIDES', None) or ())


def _leave_beast_to_host() -> None:
    if BACKBONE in _own_backbones:
        _own_backbones.remove(BACKBONE)
        logger.warning(
            f'beast: lightning-pose {host_version()} has a backbone {BACKBONE} of its own, which '
            f'is left as it is; for that of beast-lp, write backbone: {OWN_NAME}'
        )


def _renamed(name: str, command: ModuleType) -> dict[str, Any]:
    """Return a command of ours under a name that the host leaves free."""
    new = f'{OWN_NAME}_{name}'

    def add_parser(subparsers: Any) -> Callable[..., Any]:
        def add(_: str, usage: str = '', **options: Any) -> Any:
            usage = usage.replace(f'litpose {name}', f'litpose {new}')
            return subparsers.add_parser(new, usage=usage or None, **options)

        return add

    def register_parser(subparsers: Any) -> Any:
        return command.register_parser(SimpleNamespace(add_parser=add_parser(subparsers)))

    return {
        new: SimpleNamespace(
            register_parser=register_parser,
            get_parser=command.get_parser,
            handle=command.handle,
        )
    }


def _guard(module: ModuleType, name: str) -> None:
    """Refuse `backbone: beast` at a function of a host that cannot be extended."""
    original = getattr(module, name)

    @functools.wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        first: Any = args[0] if args else kwargs.get('backbone_arch', kwargs.get('cfg'))
        if (first if isinstance(first, str) else first.model.backbone) in _own_backbones:
            raise BeastError(_refusal)
        return original(*args, **kwargs)

    _replace(module, name, guarded)


def _leave_progress_line() -> None:
    """Begin a new line where a progress bar is drawn, which would hide what follows it."""
    bars = getattr(getattr(sys.modules.get('tqdm'), 'tqdm', None), '_instances', ())
    if len(bars):
        sys.stderr.write('\n')


def _is_ours(error: BaseException) -> bool:
    """Return whether an error was raised in this package, beyond this module."""
    names = {frame.f_globals.get('__name__', '') for frame, _ in walk_tb(error.__traceback__)}
    return isinstance(error, BeastError) or any(
        name.startswith('beast_lp.') for name in names - {__name__}
    )


def _named(module: ModuleType, name: str, kind: type) -> Any:
    value = getattr(module, name, None)
    if value is None or not isinstance(value, kind):
        raise HostMismatch(f'{module.__name__}.{name} is missing or is not a {kind.__name__}')
    return value


def _function(module: ModuleType, name: str, parameters: list[str]) -> Callable[..., Any]:
    function = _named(module, name, object)
    if not inspect.isfunction(function):
        raise HostMismatch(f'{module.__name__}.{name} is no function')
    missing = [p for p in parameters if p not in inspect.signature(function).parameters]
    if missing:
        raise HostMismatch(f'{module.__name__}.{name} no longer takes {missing[0]}')
    return function


def _replace(module: ModuleType, name: str, value: Any) -> None:
    """Replace a name in its module, and wherever the host has already imported it by value."""
    original = getattr(module, name)
    for other in list(sys.modules.values()):
        if getattr(other, '__name__', '').partition('.')[0] == 'lightning_pose':
            for key in [k for k, v in vars(other).items() if v is original]:
                setattr(other, key, value)
    setattr(module, name, value)
