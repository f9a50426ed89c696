"""The report of the pretraining stage: `report.html` and `figures/*.png`.

Adding a new figure: write a function from arrays or tables to a figure in `pretraining_curves` or
`pretraining_pictures`, a function that yields a `Section` with it (or nothing, where the run has
nothing to show) in `pretraining_numbers`, `pretraining_examples` or `pretraining_videos`, and
enter that function in `_SECTIONS`. What it draws beside the tables becomes a field of
`PretrainingPictures`, which `pretraining_run` fills.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from beast_lp.reports import pretraining_examples as examples
from beast_lp.reports import pretraining_numbers as numbers
from beast_lp.reports import pretraining_videos as videos
from beast_lp.reports.page import Section, write_report
from beast_lp.reports.pretraining_content import PretrainingPictures, PretrainingRun, read_table
from beast_lp.reports.run_warnings import warnings_section
from beast_lp.runs.log_file import NAME as LOG_NAME
from beast_lp.runs.log_file import logged_warnings


def write_pretraining_report(
    output_dir: Path,
    summary: Mapping[str, str],
    pictures: PretrainingPictures,
    next_command: str = '',
) -> Path:
    """Write `report.html` and `figures/*.png` for a pretraining run.

    Args:
        output_dir: folder of the run, with `metrics.csv`, `videos.csv` and `anchors.csv`.
        summary: settings, versions and times by what they are.
        pictures: pictures to draw beside the tables.
        next_command: command that trains a pose model on the backbone.

    Returns:
        The path of the page.

    Raises:
        BeastError: if one of the three tables is missing, empty or lacks a column.
    """
    tuning = output_dir / 'tune' / 'tune.csv'
    run = PretrainingRun(
        summary,
        read_table(output_dir / 'metrics.csv'),
        read_table(output_dir / 'videos.csv', needed=('video', 'status')),
        read_table(output_dir / 'anchors.csv', needed=('video', 'frame')),
        read_table(tuning, ('contrastive_weight', 'chosen')) if tuning.exists() else None,
        logged_warnings(output_dir / LOG_NAME),
        next_command,
        pictures,
    )
    sections = [section for build in _SECTIONS for section in build(run)]
    # before the page, whose links lead to them
    videos.write_sheets(run, output_dir / 'figures')
    page = write_report(output_dir, 'BEAST pretraining', sections)
    names = [name for section in sections for name in section.figures]
    _add_to_tensorboard(output_dir / 'figures', names, output_dir / 'tb_logs')
    return page


def _add_to_tensorboard(folder: Path, names: Sequence[str], logs: Path) -> None:
    """Show the figures of the page in TensorBoard too, beside the curves that training wrote."""
    if not logs.is_dir():
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(logs), filename_suffix='.report') as writer:
        for name in names:
            with Image.open(folder / f'{name}.png') as picture:
                writer.add_image(name, np.asarray(picture.convert('RGB')), dataformats='HWC')


# in the order of the page
_SECTIONS: tuple[Callable[[PretrainingRun], Iterator[Section]], ...] = (
    numbers.verdict_section,
    examples.reconstructions_section,
    numbers.probe_section,
    examples.snapshots_section,
    examples.retrieval_section,
    examples.map_section,
    numbers.curves_section,
    numbers.tuning_section,
    lambda run: warnings_section(run.warnings),
    videos.videos_section,
    numbers.summary_section,
    videos.sheets_section,
)
