"""Draw the page of several pretraining runs from their directories alone."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from beast_lp.errors import BeastError
from beast_lp.pretraining.module import BeastModule
from beast_lp.pretraining.pairs import Pair
from beast_lp.pretraining.pictures import EXAMPLES, example_pairs, read_pairs, reconstruct
from beast_lp.pretraining.run_files import RunFiles, read_run_config
from beast_lp.reports.pretraining_content import read_table
from beast_lp.reports.pretraining_run import load_module, retrieval_shares
from beast_lp.reports.several_runs import write_several_runs
from beast_lp.reports.several_runs_content import ComparedRun, SeveralRuns
from beast_lp.reports.style import short_paths
from beast_lp.runs.log_file import NAME as LOG_NAME
from beast_lp.runs.log_file import logged_warnings
from beast_lp.runs.settings import read_settings
from beast_lp.video.window_store import INDEX_NAME, WindowStore
from beast_lp.vit.pixels import denormalise


def report_runs(directories: Sequence[Path], output_dir: Path) -> Path:
    """Write one page of several pretraining runs, finished or not.

    Nothing is written into the runs.

    Args:
        directories: output directories of the runs.
        output_dir: folder of the page.

    Returns:
        The path of the page.

    Raises:
        BeastError: if there are fewer than two runs, one of the folders holds none or has not
            finished an epoch, or the folder of the page holds a run or a report.
    """
    files = [RunFiles(path) for path in directories]
    check_runs(files, output_dir)
    names = short_paths([str(path.resolve()) for path in directories])
    runs = [_read(each, name, output_dir) for each, name in zip(files, names, strict=True)]
    return write_several_runs(output_dir, _show_frames(runs, files), RunFiles.may_differ)


def check_runs(files: Sequence[RunFiles], output_dir: Path) -> None:
    """Check that the folders are runs, and that the page overwrites nothing.

    Args:
        files: directories of the runs.
        output_dir: folder of the page.

    Raises:
        BeastError: if not.
    """
    if len(files) < 2:
        raise BeastError(
            '--report lays two or more runs side by side; the page of a single one is its own '
            'report.html'
        )
    if len({each.directory.resolve() for each in files}) < len(files):
        raise BeastError('--report names a run twice; give each output directory once')
    for each in files:
        if not each.settings.is_file() or 'beast' not in read_settings(each.settings):
            raise BeastError(
                f'{each.directory} is no pretraining run; give the output directory of a `litpose '
                'pretrain`, which holds a beast.yaml'
            )
        if not each.metrics.is_file():
            raise BeastError(
                f'{each.directory} has not finished its first epoch, so there is nothing to show '
                'yet; wait for it, or leave it out'
            )
    target = RunFiles(output_dir)
    if target.settings.exists() or target.report.exists():
        raise BeastError(
            f'{output_dir} holds a run or a report already, which the page would overwrite; give '
            'another --output_dir'
        )


def _read(files: RunFiles, name: str, output_dir: Path) -> ComparedRun:
    config = read_run_config(files)
    settings = read_settings(files.settings)
    has_report = files.report.is_file()
    return ComparedRun(
        name,
        # with the defaults of what an older version did not write, and the weight that it chose
        {**settings, 'beast': asdict(config)},
        read_table(files.metrics, numbers=('epoch',)),
        config.training.num_epochs,
        logged_warnings(files.directory / LOG_NAME),
        os.path.relpath(files.report.resolve(), output_dir.resolve()) if has_report else '',
    )


@torch.inference_mode()
def _show_frames(runs: Sequence[ComparedRun], files: Sequence[RunFiles]) -> SeveralRuns:
    """Let every model that has a checkpoint see the frames that the first one with a store has."""
    stores = [n for n, each in enumerate(files) if (each.windows / INDEX_NAME).is_file()]
    if not stores:
        return SeveralRuns(runs)
    first = stores[0]
    store = WindowStore.open(files[first].windows)
    config = read_run_config(files[first])
    pairs = example_pairs(config, store)
    originals = read_pairs(config, store, pairs[:EXAMPLES])[:, 0]
    shown = [
        _show(run, each, store, pairs, (originals.shape[2], originals.shape[3]))
        for run, each in zip(runs, files, strict=True)
    ]
    return SeveralRuns(shown, denormalise(originals).numpy(), len(pairs), runs[first].name)


def _show(
    run: ComparedRun,
    files: RunFiles,
    store: WindowStore,
    pairs: Sequence[Pair],
    size: tuple[int, int],
) -> ComparedRun:
    if not files.last.is_file():
        return run
    module = load_module(files)
    images = read_pairs(module.config, store, pairs)
    return replace(
        run,
        reconstructed=_completed(module, images[:EXAMPLES, 0], size),
        retrieval=retrieval_shares(module, images),
    )


def _completed(
    module: BeastModule, images: Float[Tensor, 'images 3 height width'], size: tuple[int, int]
) -> Float[np.ndarray, 'images 3 shown_height shown_width'] | None:
    """Return reconstructions in [0, 1] at a common size; None without a decoder."""
    completed = reconstruct(module, images).completed
    if not len(completed):
        return None
    # antialiased where it is made smaller
    scaled = functional.interpolate(completed, size, mode='bilinear', antialias=True)
    return scaled.clamp(0, 1).numpy()
