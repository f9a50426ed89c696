"""Weight files and checkpoints, read without running code from them, whoever wrote them.

A file is not trusted because this package wrote one under that name: someone may have replaced it.
"""

import importlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from beast_lp.errors import BeastError
from beast_lp.runs.readable import check_readable

# Classes that training programs pickle beside the weights and that only hold values: settings,
# paths and arrays. Building one runs no code of the file.
_HARMLESS = {
    'argparse': ('Namespace',),
    'builtins': (
        'bool',
        'bytes',
        'complex',
        'dict',
        'float',
        'frozenset',
        'int',
        'list',
        'set',
        'str',
        'tuple',
    ),
    'collections': ('OrderedDict', 'defaultdict'),
    'datetime': ('date', 'datetime', 'timedelta', 'timezone'),
    'numpy': ('dtype', 'ndarray'),
    'numpy._core.multiarray': ('_reconstruct', 'scalar'),
    'numpy.dtypes': (
        'BoolDType',
        'Float32DType',
        'Float64DType',
        'Int32DType',
        'Int64DType',
        'StrDType',
        'UInt8DType',
    ),
    'omegaconf.base': ('ContainerMetadata', 'Metadata'),
    'omegaconf.dictconfig': ('DictConfig',),
    'omegaconf.listconfig': ('ListConfig',),
    'omegaconf.nodes': (
        'AnyNode',
        'BooleanNode',
        'BytesNode',
        'FloatNode',
        'IntegerNode',
        'PathNode',
        'StringNode',
    ),
    'pathlib': ('Path', 'PosixPath', 'PurePath', 'PurePosixPath'),
    'typing': ('Any',),
}
# names under which other versions pickle the same classes
_OTHER_NAMES = {
    'numpy.core.multiarray': 'numpy._core.multiarray',
    'pathlib._local': 'pathlib',
}

# key under which a checkpoint of this package names its encoder's shape
ARCHITECTURE_KEY = 'beast_architecture'

# Keys under which checkpoints keep their weights, the first that holds tensors is read: Lightning;
# facebookresearch/mae, DeiT and timm; DINO, whose authors use the teacher.
_WEIGHT_KEYS = ('state_dict', 'model', 'teacher', 'student')


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read the tensors of a `.safetensors` file or a pickled one, Lightning checkpoints included.

    Args:
        path: weight file; of a checkpoint, only the weights are read.

    Returns:
        the tensors by name, and the encoder's shape that a checkpoint of this package states (for
        `Architecture.from_json`; empty for other files).

    Raises:
        BeastError: if the file is damaged, holds no tensors or broken ones, or needs a class that
            is not known to be harmless, which the message names.
    """
    check_readable(path)
    # the system says best what is wrong with a link, and safetensors does not hand it on
    with path.open('rb'):
        pass
    content: Any = _load_safetensors(path) if path.suffix == '.safetensors' else _unpickle(path)
    content = content if isinstance(content, Mapping) else {}
    groups = [_tensors(content.get(key)) for key in _WEIGHT_KEYS]
    tensors = next((group for group in groups if group), _tensors(content))
    if not tensors:
        raise BeastError(f'{path} holds no tensors; give a file with model weights')
    check_finite(tensors, path)
    return tensors, str(content.get(ARCHITECTURE_KEY, ''))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a Lightning checkpoint whole, with its settings and the states of a run.

    Args:
        path: pickled file.

    Raises:
        BeastError: if it is damaged, holds no weights or broken ones, or needs a class that is not
            known to be harmless, which the message names.
    """
    check_readable(path)
    part = damaged_part(path)
    if part:
        raise BeastError(
            f'{path} is damaged: its part {part} is not what was written; restore the file, or '
            'delete it and run the same command again'
        )
    content = _unpickle(path)
    weights = _tensors(content.get('state_dict')) if isinstance(content, dict) else {}
    if not weights:
        raise BeastError(
            f'{path} is no checkpoint of Lightning: it holds no state_dict; restore the file, or '
            'run anew in another output directory'
        )
    check_finite(weights, path)
    return content


def damaged_part(path: Path) -> str:
    """Return the name of a part of a checkpoint whose checksum is wrong; empty if there is none.

    torch writes the checksums and does not look at them.

    Args:
        path: file that `torch.save` wrote; any other file has no such parts.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() or ''
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error):
        # torch says what is wrong with it, or it is of an older format
        return ''


def check_finite(state: Mapping[str, Tensor], source: Path) -> None:
    """Check that no weight is NaN or infinite.

    Args:
        state: tensors by their names.
        source: their file, for the message.

    Raises:
        BeastError: naming the first tensor that holds one.
    """
    broken = first_broken(state)
    if broken:
        raise BeastError(
            f'{source} holds weights that are not finite ({broken}, for one), as of a training '
            'that diverged; give a file from before that'
        )


def first_broken(state: Mapping[str, Tensor]) -> str:
    """Return the name of the first tensor with a non-finite value; empty if there is none.

    Examples:
        >>> first_broken({'a': torch.ones(2), 'b': torch.tensor([1.0, torch.inf])})
        'b'
    """
    return next(
        (
            name
            for name, value in state.items()
            if value.is_floating_point() and not bool(torch.isfinite(value).all())
        ),
        '',
    )


def _tensors(state: object) -> dict[str, Tensor]:
    state = state if isinstance(state, Mapping) else {}
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path, device='cpu')
    except OSError:
        # the operating system says better why it cannot be opened
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _unpickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(harmless_classes()):
            return torch.load(path, map_location='cpu', weights_only=True)
    except OSError:
        raise
    except Exception as error:
        unknown = _unknown_classes(path)
        if unknown:
            raise BeastError(
                f'{path} needs code to be run that is not known to be harmless '
                f'({", ".join(unknown[:3])}), which beast does not do; save its tensors as '
                '.safetensors where the file was written'
            ) from error
        raise _unreadable(path, error) from error


def harmless_classes() -> list[Any]:
    """Return the classes that a file may build, each with the names that it may have."""
    classes: list[Any] = []
    for module, names in _HARMLESS.items():
        aliases = [other for other, own in _OTHER_NAMES.items() if own == module]
        try:
            loaded = importlib.import_module(module)
        except ImportError:
            # numpy before 2 has only the older name
            loaded = importlib.import_module(aliases[0])
        for name in names:
            found = getattr(loaded, name, None)
            if found is not None:
                classes += [(found, f'{place}.{name}') for place in (module, *aliases)]
    return classes


def _unknown_classes(path: Path) -> list[str]:
    try:
        needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # a damaged file, or one of a format that torch cannot look into
        return []
    known = {name for _, name in harmless_classes()}
    return sorted(set(needed) - known)


def _unreadable(path: Path, error: Exception) -> BeastError:
    return BeastError(
        f'{path} cannot be read as weights ({type(error).__name__}); it is damaged, or needs '
        'code to be run, which beast does not do: save its tensors as .safetensors'
    )
