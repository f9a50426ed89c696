"""Paths that `litpose compare` is given, checked before anything slow is imported."""

from collections.abc import Sequence
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.runs.names import split_paths
from beast_lp.runs.words import can_name_a_file

LEAST_MODELS = 2


def find_models(items: Sequence[str]) -> dict[str, list[Path]]:
    """Read `NAME=DIR,DIR`; a folder of model directories stands for all of them.

    Args:
        items: arguments of the command line.

    Returns:
        the model directories of each backbone.

    Raises:
        BeastError: if a name or a folder is missing, one is given twice, or a backbone has too few
            models to make an ensemble.
    """
    models: dict[str, list[Path]] = {}
    for item in items:
        name, separator, joined = item.partition('=')
        if not (name and separator and joined):
            raise BeastError(
                f'{item!r} does not name a backbone and its models; write NAME=DIR,DIR, for '
                'example beast=model_seed0,model_seed1'
            )
        if not can_name_a_file(name):
            raise BeastError(
                f'{name!r} cannot be the name of a backbone, since files get it too; choose one '
                'without slashes, in UTF-8'
            )
        if name in models:
            raise BeastError(f'{name} is given twice; write {name}=DIR,DIR once')
        folders = [path for part in split_paths(joined) if part for path in _in_folder(part)]
        if len(folders) < LEAST_MODELS:
            raise BeastError(
                f'{name} has {len(folders)} model, which makes no ensemble: give at least '
                f'{LEAST_MODELS} that differ by their seed (training.rng_seed_model_pt)'
            )
        models[name] = folders
    every = [folder for folders in models.values() for folder in folders]
    twice = {folder for folder in every if every.count(folder) > 1}
    if twice:
        raise BeastError(f'{min(twice)} is given twice; a model counts once')
    return models


def _in_folder(part: str) -> list[Path]:
    folder = Path(part).expanduser().resolve()
    if (folder / 'config.yaml').is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob('*/config.yaml'))
    if not found:
        raise BeastError(
            f'{folder} is no trained pose model and no folder of such: there is no config.yaml; '
            'give the --output_dir of `litpose train`'
        )
    return found


def check_labels(files: Sequence[Path]) -> None:
    """Refuse tables of labels that do not exist.

    Raises:
        BeastError: naming the first of them.
    """
    for file in files:
        if not file.is_file():
            raise BeastError(f'there is no table of labels at {file}; correct --labels')
