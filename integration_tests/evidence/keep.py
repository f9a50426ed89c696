"""Keep the results of an ablation in the repository, and draw their figures from what is kept.

    python integration_tests/evidence/keep.py --directory DIRECTORY --name laptop
    python integration_tests/evidence/keep.py --draw FOLDER

The first writes `integration_tests/evidence/results/laptop.csv`: a row per cell, below lines that
give the date, the command, the budget and the versions. The second draws each task of each kept
table into a folder, and prints the summaries that the page of results quotes.
"""

import argparse
import json
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from backbones import BACKBONES
from figures import small_png, task_figure
from intervals import summarise
from tasks import TASKS

from beast_lp.runs.files import finished_file

RESULTS = Path(__file__).parent / 'results'
COMMENT = '# '
PACKAGES = ('torch', 'lightning', 'lightning-pose', 'scikit-learn')
# numbers in the tables; fewer digits than any difference that matters
DECIMALS = '%.4g'


def command(results: pd.DataFrame, budget: str) -> str:
    """Return the command that computes the cells of a table."""
    tasks, backbones = (' '.join(results[name].unique()) for name in ('task', 'backbone'))
    return (
        'python integration_tests/evidence/ablation.py --output_dir DIRECTORY '
        f'--tasks {tasks} --backbones {backbones} --seeds {results["seed"].max() + 1} '
        f'--budget {budget}'
    )


def keep(directory: Path, name: str, budget: str) -> Path:
    """Write the results of an ablation as a small table.

    Args:
        directory: output directory of `ablation.py`.
        name: name of the table, without a suffix.
        budget: name of its budget.

    Returns:
        the file.
    """
    results = pd.read_csv(directory / 'results.csv')
    spent = json.loads((directory / 'budget.json').read_text())
    lines = {
        'date': date.today().isoformat(),
        'command': command(results, budget),
        'budget': ', '.join(f'{key} {value}' for key, value in spent.items()),
        'versions': ', '.join(f'{package} {version(package)}' for package in PACKAGES),
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f'{name}.csv'
    with finished_file(file) as part, part.open('w', newline='') as table:
        table.writelines(f'{COMMENT}{key}: {value}\n' for key, value in lines.items())
        results.to_csv(table, index=False, float_format=DECIMALS)
    return file


def read_kept(file: Path) -> pd.DataFrame:
    """Return a kept table, without its first lines."""
    return pd.read_csv(file, comment=COMMENT.strip())


def draw(file: Path, directory: Path) -> list[Path]:
    """Draw every task of a kept table.

    Args:
        file: what `keep` wrote.
        directory: folder of the pictures, `<name>_<task>.png`.
    """
    results = read_kept(file)
    summary = summarise(results)
    used = {name: shown for name, shown in BACKBONES.items() if name in set(results['backbone'])}
    directory.mkdir(exist_ok=True)
    drawn = []
    for name in results['task'].unique():
        task = TASKS[name]
        own, means = (pd.DataFrame(table[table['task'] == name]) for table in (results, summary))
        figure = task_figure(own, means, used, task.title, task.unit, task.reference)
        drawn.append(directory / f'{file.stem}_{name}.png')
        with finished_file(drawn[-1]) as part:
            part.write_bytes(small_png(figure))
    print(f'{file.name}\n{summary.round(3).to_string(index=False)}')
    return drawn


def main() -> None:
    """Keep the results of a directory, or draw all that are kept."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--directory', type=Path)
    parser.add_argument('--name')
    parser.add_argument('--budget', default='laptop')
    parser.add_argument('--draw', type=Path, help='folder of the pictures')
    args = parser.parse_args()
    if args.draw:
        for file in sorted(RESULTS.glob('*.csv')):
            draw(file, args.draw)
    elif args.directory and args.name:
        print(keep(args.directory, args.name, args.budget))
    else:
        parser.error('give --directory with --name, or --draw')


if __name__ == '__main__':
    main()
