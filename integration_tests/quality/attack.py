"""Attack every command with bad inputs; each must end in one sentence, never in a traceback.

    python integration_tests/quality/attack.py
    python integration_tests/quality/attack.py --only weights --commands embed train --count 0

`attack_inputs.py` holds the inputs: tables of kinds x commands x fields, and what Hypothesis
draws, the same ones in every run. `--count` of them are drawn by `--seed`. A tiny demo is made
once; then each input runs in a process of its own, forked from one that has imported everything,
with a limit of time and memory.

What comes out per command: *sentence* (a refusal in one sentence), *accepted* (exit status 0),
*traceback*, *hang* (or killed), *code ran* (a pickle was opened), *litter* (a half-written file
was left), *silent* (a failure without a word), *broken* (the attack could not write the input).
Every accepted input is listed with the reason why accepting it is right; one without a reason is
to be looked at. The exit status is 1 where anything else than sentence and accepted came.
"""

import argparse
import contextlib
import importlib
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from attack_inputs import CANARY, COMMANDS, Input, Lab, all_inputs

OUTCOMES = ('sentence', 'accepted', 'traceback', 'hang', 'code ran', 'litter', 'silent', 'broken')
ALARM_SECONDS = 60
# inputs that are drawn where none are asked for: about ten minutes on one core
COUNT = 600
# exit status of an attack that could not write its input
BROKEN = 77
# what a bomb may take before it is a fault
MOST_MEMORY = 8 * 2**30
MOST_FILE = 2 * 2**30
LATE = (
    'lightning_pose.api',
    'lightning_pose.train',
    'lightning_pose.migrations.migrations',
    'lightning_pose.cli.main',
)


@dataclass(frozen=True)
class Result:
    """What came of one input.

    Attributes:
        outcome: one of `OUTCOMES`.
        words: the sentence, or the last lines of the output.
        seconds: time that it took.
    """

    outcome: str
    words: str
    seconds: float


def import_everything() -> None:
    """Import what the commands need, so that a fork has it."""
    import beast_lp

    for module in LATE:
        importlib.import_module(module)
    for found in pkgutil.walk_packages(beast_lp.__path__, 'beast_lp.'):
        if not found.name.endswith(('__main__', '.dali')):
            importlib.import_module(found.name)


def run(bad: Input, made: Path, scratch: Path, seconds: int = ALARM_SECONDS) -> Result:
    """Run one input in a process of its own.

    Args:
        bad: the input.
        made: folder of the demo, which no input changes.
        scratch: new folder for the input's files and results.
        seconds: time after which it counts as hung.
    """
    scratch.mkdir(parents=True)
    log, began = scratch / 'log', time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _child(bad, Lab(made, scratch), log)
    status = _wait(child, began + seconds)
    text = log.read_text(encoding='utf-8', errors='replace') if log.exists() else ''
    outcome, words = _judge(status, text, scratch)
    return Result(outcome, words, time.monotonic() - began)


def _child(bad: Input, lab: Lab, log: Path) -> None:
    """Become the program, and end."""
    code = BROKEN
    try:
        os.setsid()
        target = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, number in ((nothing, 0), (target, 1), (target, 2)):
            os.dup2(source, number)
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE, MOST_FILE))
        os.chdir(lab.scratch)
        program = str(Path(sys.executable).with_name('litpose'))
        sys.argv = [program, *bad.arguments(lab)]
        from lightning_pose.cli.main import main

        code = 1
        main()
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, until: float) -> int | None:
    """Return the exit status of a process; None if it was killed for its time."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            _kill(child)
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            _kill(child)
            os.waitpid(child, 0)
            return None
        time.sleep(0.005)


def _kill(child: int) -> None:
    """Kill what a process has started, and itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _judge(status: int | None, text: str, scratch: Path) -> tuple[str, str]:
    """Return the outcome of an input, and the words that show it."""
    plain = re.sub('\x1b\\[[0-9;]*m', '', text)
    lines = [line for line in plain.strip().splitlines() if line.strip()]
    tail = '\n'.join(lines[-12:])
    if any(scratch.rglob(CANARY)):
        return 'code ran', tail
    if status is None:
        return 'hang', tail
    if status == BROKEN:
        return 'broken', tail
    if 'Traceback (most recent call last)' in text:
        return 'traceback', tail
    if status < 0:
        return 'hang', f'{tail}\nkilled by signal {-status}'
    parts = [path for path in scratch.rglob('*.part') if path.name != 'theirs.part']
    if parts and not any('resume' in line for line in lines[-3:]):
        return 'litter', f'{parts[0].relative_to(scratch)}\n{tail}'
    if status == 0:
        return 'accepted', lines[-1] if lines else ''
    said = [at for at, line in enumerate(lines) if line.startswith('error:')]
    if not said:
        return 'silent', tail
    # argparse prints the help after it
    return 'sentence', ' '.join(lines[said[-1] :] if status == 1 else lines[said[-1] :][:2])


def make_demo(folder: Path) -> Path:
    """Run the tiny demo once, in a process of its own; return its folder."""
    demo = Input(
        'beast_demo', 'good', lambda lab: ['beast_demo', '--tiny', '--output_dir', 'demo']
    )
    result = run(demo, Path(), folder / 'good', seconds=600)
    if result.outcome != 'accepted':
        raise SystemExit(f'the demo itself did not work ({result.outcome}):\n{result.words}')
    return folder / 'good' / 'demo'


def draw(inputs: Sequence[Input], count: int, seed: int) -> list[Input]:
    """Draw inputs, the same number of every command where it has so many.

    Args:
        inputs: all inputs.
        count: number to draw; 0 for all.
        seed: seed of the draw.
    """
    if not count or count >= len(inputs):
        return list(inputs)
    shuffled = random.Random(seed).sample(range(len(inputs)), len(inputs))
    turns: Counter[str] = Counter()
    ranks = []
    for at in shuffled:
        turns[inputs[at].command] += 1
        ranks.append((turns[inputs[at].command], at))
    return [inputs[at] for at in sorted(at for _, at in sorted(ranks)[:count])]


def attack(inputs: Sequence[Input], folder: Path, made: Path) -> list[tuple[Input, Result]]:
    """Run all inputs, one after the other.

    Args:
        inputs: the inputs.
        folder: folder for their files.
        made: folder of the demo.
    """
    results = []
    for number, bad in enumerate(inputs):
        scratch = folder / str(number)
        result = run(bad, made, scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        results.append((bad, result))
        if result.outcome not in ('sentence', 'accepted'):
            print(f'\n{result.outcome.upper()}: {bad}\n{result.words}', flush=True)
    return results


def table(results: Iterable[tuple[Input, Result]]) -> str:
    """Return the number of inputs by command and outcome."""
    counts = Counter((bad.command, result.outcome) for bad, result in results)
    width = max(map(len, COMMANDS)) + 2
    rows = [' ' * width + ''.join(f'{name:>11}' for name in OUTCOMES)]
    for command in (*COMMANDS, 'all'):
        numbers = [
            sum(n for (c, o), n in counts.items() if o == outcome and command in (c, 'all'))
            for outcome in OUTCOMES
        ]
        if sum(numbers):
            rows.append(f'{command:{width}}' + ''.join(f'{number:>11}' for number in numbers))
    return '\n'.join(rows)


def faults(results: Iterable[tuple[Input, Result]]) -> list[tuple[Input, Result]]:
    """Return what must not be: neither a sentence nor accepted."""
    return [pair for pair in results if pair[1].outcome not in ('sentence', 'accepted')]


def accepted(results: Iterable[tuple[Input, Result]]) -> str:
    """Return the accepted inputs, each with the reason; those without one come last."""
    found = [(bad, result) for bad, result in results if result.outcome == 'accepted']
    found.sort(key=lambda pair: not pair[0].right)
    return '\n'.join(
        f'{bad}: {bad.right or "NO REASON IS GIVEN"} ({result.seconds:.1f} s)'
        for bad, result in found
    )


def main() -> None:
    """Attack, and print what came."""
    parser = argparse.ArgumentParser(description='Attack every command with bad inputs.')
    parser.add_argument('--commands', nargs='+', choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument('--only', default='', help='inputs whose description holds this text')
    parser.add_argument('--sentences', action='store_true', help='print every sentence, too')
    parser.add_argument('--made', type=Path, help='folder of a tiny demo, which is not made then')
    parser.add_argument('--count', type=int, default=COUNT, help='inputs to draw; 0 for all')
    parser.add_argument('--seed', type=int, default=0, help='of the draw')
    options = parser.parse_args()
    os.environ |= {'HF_HUB_OFFLINE': '1', 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    inputs = [
        bad for bad in all_inputs() if bad.command in options.commands and options.only in bad.what
    ]
    print(f'{len(inputs)} inputs are known', flush=True)
    inputs = draw(inputs, options.count, options.seed)
    import_everything()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        made = options.made or make_demo(Path(directory))
        # two models make an ensemble
        shutil.copytree(made / 'pose', made / 'pose_2', dirs_exist_ok=True)
        print(f'{len(inputs)} inputs', flush=True)
        results = attack(inputs, Path(directory), made)
    if options.sentences:
        print('\nsentences:')
        for bad, result in results:
            if result.outcome == 'sentence':
                print(f'{bad} ({result.seconds:.1f} s)\n    {result.words}')
    print(f'\naccepted, and why that is right:\n{accepted(results)}')
    slow = sorted(results, key=lambda pair: -pair[1].seconds)[:5]
    print('\nslowest: ' + '; '.join(f'{bad} {result.seconds:.1f} s' for bad, result in slow))
    wrong = faults(results)
    print(f'\n{table(results)}\n\n{len(results)} inputs, {time.monotonic() - began:.0f} s')
    for bad, result in wrong:
        print(f'FAULT ({result.outcome}): {bad}')
    sys.exit(bool(wrong))


if __name__ == '__main__':
    main()
