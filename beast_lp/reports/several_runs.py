"""One page of several pretraining runs: what differs in them, and what came of it.

Adding a new section: write a function from `SeveralRuns` that yields it, or nothing where the
runs have nothing to show, and enter it in `_SECTIONS`.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beast_lp.pretraining.floors import FLOORS
from beast_lp.reports.page import Section, write_report
from beast_lp.reports.pretraining_pictures import reconstructions_of_runs
from beast_lp.reports.pretraining_verdict import last_values
from beast_lp.reports.several_runs_content import SeveralRuns
from beast_lp.reports.several_runs_curves import overlaid_curves
from beast_lp.reports.several_runs_verdict import compare_runs
from beast_lp.reports.style import three_digits
from beast_lp.runs.settings import differing

# column of metrics.csv -> its words, and the factor of its unit
_MEASURES = {
    'probe_px': ('probe: mean error of your keypoints (px)', 1),
    **{f'probe_{name}_px': (f'floor: {words} (px)', 1) for name, words in FLOORS.items()},
    'val_background_explained': ("explained beyond each video's median (%)", 100),
    'val_explained': ('explained beyond the mean picture (%)', 100),
    'val_reconstruction': ('reconstruction of held-out frames (mean squared error)', 1),
    'val_contrastive': ('contrastive loss of held-out frames (nats)', 1),
    'val_contrastive_chance': ('chance: the same where all frames look alike', 1),
}
# settings that say where things are, and not what a run does
_PLACES = ('videos', 'projects', 'beast.videos', 'beast.output_dir')


def write_several_runs(
    output_dir: Path, content: SeveralRuns, may_differ: Collection[str] = ()
) -> Path:
    """Write `report.html` and `figures/*.png` for several pretraining runs.

    Args:
        output_dir: folder of the page, which is none of the runs' own.
        content: two or more runs, and what they made of the same frames.
        may_differ: settings without an effect on the results.

    Returns:
        The path of the page.
    """
    found = compare_runs(content.runs, may_differ)
    verdict = Section('What came out', findings=[(each.good, each.text) for each in found])
    sections = [verdict, *(section for build in _SECTIONS for section in build(content))]
    names = ', '.join(run.name for run in content.runs)
    return write_report(output_dir, f'BEAST pretraining: {names}', sections)


def _reconstructions(content: SeveralRuns) -> Iterator[Section]:
    pictures = {
        run.name: run.reconstructed for run in content.runs if run.reconstructed is not None
    }
    title = 'Reconstruction of hidden patches'
    if content.originals is None or not pictures:
        yield Section(
            title,
            'Nothing to show: the frames (windows/) or the checkpoints of these runs are gone.',
        )
        return
    text = (
        f'The same frames, which {content.shown_from} held out; another run may have trained on '
        'them. Each model sees some patches and fills in the rest, each in its own size. Fine '
        'texture stays blurred even in a good model; body and posture should be in the right '
        'place.'
    )
    left = [run.name for run in content.runs if run.name not in pictures]
    if left:
        text += f' Without a checkpoint or a decoder, and so not shown: {", ".join(left)}.'
    drawing = reconstructions_of_runs(content.originals, pictures)
    yield Section(title, text, {'reconstructions': drawing})


def _numbers(content: SeveralRuns) -> Iterator[Section]:
    rows: dict[str, list[Any]] = {}
    for column, (words, factor) in _MEASURES.items():
        values = [last_values(run.metrics, column) for run in content.runs]
        if any(value is not None for value in values):
            rows[words] = [np.nan if value is None else factor * value[0] for value in values]
    shares = [run.retrieval or {} for run in content.runs]
    for name in dict.fromkeys(name for found in shares for name in found):
        rows[f'positives found by {name} (%)'] = [
            100 * found.get(name, np.nan) for found in shares
        ]
    if any(shares):
        chance = 100 / (2 * content.pairs - 1)
        rows['chance: positives found by guessing (%)'] = [chance] * len(shares)
    steps = [last_values(run.metrics, 'step') for run in content.runs]
    rows['steps trained'] = [np.nan if value is None else value[0] for value in steps]
    if all('seconds' in run.metrics for run in content.runs):
        rows['minutes trained'] = [run.metrics['seconds'].sum() / 60 for run in content.runs]
    # texts, since a column holds numbers of many units
    table = pd.DataFrame(
        [
            [words, *('–' if np.isnan(value) else three_digits(value) for value in values)]
            for words, values in rows.items()
        ],
        columns=pd.Index(['at the end of what was trained', *(run.name for run in content.runs)]),
    )
    text = (
        'Errors and losses: lower is better. Explained shares: higher is better, and 0 % is what '
        'a fixed picture explains. A run is worth something where it is better than its floors, '
        'which need no training.'
    )
    if any(shares):
        text += (
            f' Positives are sought among the same {content.pairs} pairs of whole frames for all '
            'runs; a high share is no sign of learning, since grey pixels and random weights find '
            'the frame next to an anchor, too.'
        )
    yield Section('Numbers side by side', text, table=table)


def _curves(content: SeveralRuns) -> Iterator[Section]:
    yield Section(
        'Curves',
        'Losses of runs with different images, masks or weights of the terms are not comparable; '
        'the probe and the explained shares are.',
        {'curves': overlaid_curves({run.name: run.metrics for run in content.runs})},
    )


def _settings(content: SeveralRuns) -> Iterator[Section]:
    runs = content.runs
    found = differing([run.settings for run in runs], _PLACES)
    videos = [set(run.settings.get('videos') or []) for run in runs]
    table = pd.DataFrame(
        [[name, *map(_setting, values)] for name, values in found.items()],
        columns=pd.Index(['setting', *(run.name for run in runs)]),
    )
    text = 'No setting differs.' if table.empty else 'Settings that are not named are equal.'
    shared = len(set.intersection(*videos))
    if any(len(each) != shared for each in videos):
        counts = ', '.join(
            f'{run.name} {len(each)}' for run, each in zip(runs, videos, strict=True)
        )
        text += f' Videos that all have in common: {shared} ({counts}).'
    yield Section('Settings that differ', text, table=None if table.empty else table)


def _setting(value: object) -> str:
    if isinstance(value, list):
        return ' x '.join(map(_setting, value)) or 'none'
    return 'none' if value is None else str(value)


def _warnings(content: SeveralRuns) -> Iterator[Section]:
    found = [(False, f'{run.name}: {words}') for run in content.runs for words in run.warnings]
    if found:
        yield Section('Warnings', findings=found)


def _runs(content: SeveralRuns) -> Iterator[Section]:
    table = pd.DataFrame(
        {
            'run': [run.name for run in content.runs],
            'state': [run.progress for run in content.runs],
        }
    )
    links = {f'report of {run.name}': run.report for run in content.runs if run.report}
    yield Section('The runs', table=table, links=links)


# in the order of the page, after the verdict
_SECTIONS: tuple[Callable[[SeveralRuns], Iterator[Section]], ...] = (
    _reconstructions,
    _numbers,
    _curves,
    _settings,
    _warnings,
    _runs,
)
