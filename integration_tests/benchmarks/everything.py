"""All benchmarks but two, one after the other, into one page and one picture.

    uv run python integration_tests/benchmarks/everything.py --output DIRECTORY

The most of an hour on two cores, which should have nothing else to do. `benchmarks.md` holds what
each of them printed, `benchmarks.png` by how much ours is better, measure by measure. What is done
is not measured again: the same command continues, and deleting `NAME.md` repeats one. The two
are `loaders`, which needs a GPU, and `wall_clock`, which compares with nothing and uses all cores.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from measures import note

from beast_lp.runs.files import finished_file

HERE = Path(__file__).parent
# what each takes to write its values beside its page; `startup` has nothing to compare with, and
# `training_step` writes a page of its own, which is there before all is measured
OUTPUT = {
    'startup': None,
    'video': 'video.csv',
    'training_step': 'training_step',
    'embedding': 'embedding.csv',
    'segment_predict': 'segment_predict.csv',
}


def run(name: str, directory: Path, repeats: int | None) -> bool:
    """Run a benchmark unless it is done; return whether it is done."""
    page = directory / f'{name}.md'
    if page.exists():
        return True
    command = [sys.executable, str(HERE / f'{name}.py')]
    if (output := OUTPUT[name]) is not None:
        command += ['--output', str(directory / output)]
        if repeats is not None:
            command += ['--repeats', str(repeats)]
    try:
        with finished_file(page) as part, part.open('w', encoding='utf-8') as file:
            subprocess.run(command, stdout=file, check=True)
    except subprocess.CalledProcessError:
        return False
    return True


def ratios(directory: Path) -> pd.DataFrame:
    """Collect by how much ours is better: measure, least, median and greatest of the repeats."""
    rows = []
    for name, output in OUTPUT.items():
        file = directory / (output or name)
        file = file / f'{name}.csv' if file.is_dir() else file
        if not file.is_file():
            continue
        values = pd.read_csv(file)
        if name == 'training_step':
            rows += [
                {
                    'measure': f'training step, {model}, {precision}',
                    'low': ratio,
                    'middle': ratio,
                    'high': ratio,
                }
                for model, precision, ratio in zip(
                    values['model'], values['precision'], values['ratio'], strict=True
                )
            ]
            continue
        compared = pd.DataFrame(values[values['side'] == 'ratio'])
        for measure in dict.fromkeys(compared['measure']):
            own = pd.Series(compared.loc[compared['measure'] == measure, 'value'])
            rows.append(
                {
                    'measure': f'{name}: {measure}',
                    'low': own.min(),
                    'middle': own.median(),
                    'high': own.max(),
                }
            )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Figure:
    """Draw a bar per measure, from 1 (equal) to the median, with the range of the repeats."""
    figure = Figure(figsize=(9, 0.28 * len(table) + 1.2), layout='constrained')
    axes = figure.subplots()
    places = range(len(table))
    axes.barh(places, table['middle'] - 1, left=1)
    axes.hlines(places, table['low'], table['high'], color='black')
    axes.axvline(1, color='black', linewidth=0.8)
    axes.set_xscale('log')
    axes.set_yticks(places, list(table['measure']), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ours better than the authors' package by")
    ticks = [0.5, 1, 2, 5, 10, 20]
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    return figure


def main() -> None:
    """Run what is missing, then write the page and the picture of all there is."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--output', type=Path, required=True, help='folder of the results')
    parser.add_argument('--only', nargs='+', choices=OUTPUT, default=list(OUTPUT))
    parser.add_argument('--repeats', type=int, help="of each; default: each one's own")
    options = parser.parse_args()
    directory: Path = options.output.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.only:
        note(f'=== {name}')
        if not run(name, directory, options.repeats):
            failed.append(name)
    pages = [directory / f'{name}.md' for name in OUTPUT if (directory / f'{name}.md').exists()]
    (directory / 'benchmarks.md').write_text(
        '\n\n'.join(
            f'## {page.stem}\n\n{page.read_text(encoding="utf-8").strip()}' for page in pages
        )
        + '\n',
        encoding='utf-8',
    )
    table = ratios(directory)
    if len(table):
        draw(table).savefig(directory / 'benchmarks.png', dpi=150)
    print((directory / 'benchmarks.md').read_text(encoding='utf-8'))
    if failed:
        raise SystemExit(f'failed, and said why above: {", ".join(failed)}')


if __name__ == '__main__':
    main()
