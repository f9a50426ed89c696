"""What the plugin's hook adds to the start of every interpreter of the environment.

Run `python integration_tests/benchmarks/startup.py`. The two kinds of start are interleaved, since
machines are shared and noisy; medians and quartiles are printed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

PTH = Path(sysconfig.get_paths()['purelib'], 'beast_lp.pth')


def start_milliseconds(code: str) -> float:
    """Return how long an interpreter without site packages takes to run some code."""
    # with bytecode, as an installed package has it
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONDONTWRITEBYTECODE'}
    begin = time.perf_counter()
    subprocess.run([sys.executable, '-S', '-c', code], check=True, env=env)
    return 1e3 * (time.perf_counter() - begin)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=200)
    repeats = parser.parse_args().repeats
    if not PTH.exists():
        sys.exit(f'beast-lp is not installed here: {PTH} is missing')
    root = str(Path(__file__).parents[2])
    # The same start, with and without the one line of beast_lp.pth. `site` runs that line, so what
    # `site` imports is there by then; and any program imports something from a file, here
    # `keyword`, which sets up the import system.
    site = f'import os, site, sys, keyword; sys.path.insert(0, {root!r})'
    codes = {'without the hook': site, 'with the hook': f'{site}\n{PTH.read_text()}'}
    times: dict[str, list[float]] = {name: [] for name in codes}
    for code in codes.values():
        start_milliseconds(code)
    for _ in range(repeats):
        for name, code in codes.items():
            times[name].append(start_milliseconds(code))
    print(f'{"start of an interpreter":26} median ms   quartiles ms')
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f'{name:26} {middle:9.2f}   {low:.2f} - {high:.2f}')
    with_hook, without = (statistics.median(times[n]) for n in reversed(codes))
    print(f'{"difference":26} {with_hook - without:9.2f}')


if __name__ == '__main__':
    main()
