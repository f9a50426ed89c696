"""Where the weights that a setting names are: on this machine, or on the model hub."""

import re
from pathlib import Path

from beast_lp.errors import BeastError

WEIGHT_SUFFIXES = ('.safetensors', '.ckpt', '.pt', '.pth', '.bin')
# names of the weights in transformers' format
_STANDARD = ('model.safetensors', 'pytorch_model.bin')


def locate(checkpoint: str | Path) -> Path:
    """Return the model directory or weight file that a checkpoint setting names.

    Args:
        checkpoint: as `beast_lp.vit.weights.read_encoder` takes it.

    Raises:
        BeastError: if there is nothing there, or the pretraining run there is unfinished.
    """
    path = Path(checkpoint).expanduser()
    if path.is_file():
        if path.suffix not in WEIGHT_SUFFIXES:
            raise BeastError(
                f'{path} is no weight file; beast reads {", ".join(WEIGHT_SUFFIXES)} files, '
                'model directories and pretraining outputs'
            )
        return path
    if path.is_dir():
        if (path / 'backbone').is_dir():
            return path / 'backbone'
        if (path / 'checkpoints').is_dir() or (path / 'windows').is_dir():
            raise BeastError(
                f'{path} holds a pretraining run that has not finished (no backbone/ in it); '
                f'finish it with `litpose pretrain <config> --output_dir {path}`'
            )
        return path
    if re.fullmatch(r'[\w.-]+/[\w.-]+', str(checkpoint)):
        return fetch_from_hub(str(checkpoint))
    raise BeastError(
        f'there is no checkpoint at {path}; give a pretraining output directory, a model '
        'directory, a weight file or a model hub name'
    )


def weight_file(directory: Path) -> Path:
    """Return the weight file of a model directory, in transformers' format or with a single file.

    Raises:
        BeastError: if it has none, or several under names of their own.
    """
    for name in _STANDARD:
        if (directory / name).is_file():
            return directory / name
    others = [path for path in directory.iterdir() if path.suffix in WEIGHT_SUFFIXES]
    if len(others) == 1:
        return others[0]
    if others:
        names = ', '.join(sorted(path.name for path in others))
        raise BeastError(f'{directory} holds several weight files ({names}); give one of them')
    raise BeastError(
        f'{directory} holds no model.safetensors or pytorch_model.bin; give a pretraining output '
        "directory, a directory in transformers' format or a weight file"
    )


def fetch_from_hub(name: str) -> Path:
    """Return the local directory of a hub model, from the hub's cache or the hub itself.

    Args:
        name: name on the hub, such as `facebook/vit-mae-base`.

    Raises:
        BeastError: if neither has it; the message names the way around a missing network.
    """
    import huggingface_hub

    files = ['config.json', *_STANDARD]
    try:
        # the cache first: a complete copy there must work, and at once, without a network
        path = Path(
            huggingface_hub.snapshot_download(name, allow_patterns=files, local_files_only=True)
        )
        weight_file(path)
        return path
    except (OSError, ValueError, BeastError):
        pass
    try:
        path = Path(huggingface_hub.snapshot_download(name, allow_patterns=files))
        if not any((path / standard).is_file() for standard in _STANDARD):
            # checkpoints of training programs have names of their own
            files = ['config.json', *(f'*{suffix}' for suffix in WEIGHT_SUFFIXES)]
            path = Path(huggingface_hub.snapshot_download(name, allow_patterns=files))
        return path
    except Exception as error:  # the hub's client raises many kinds, all of which mean "not here"
        raise BeastError(
            f'the weights {name!r} are neither a local path, nor in the local model cache, nor '
            f'could the model hub be reached ({type(error).__name__}); on a machine with a '
            f'network run `hf download {name} --local-dir {Path(name).name}` and copy that folder '
            'here (then give its path as beast.init or model.backbone_checkpoint), or set '
            'beast.init=random to pretrain from scratch'
        ) from error
