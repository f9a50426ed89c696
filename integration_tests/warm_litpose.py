"""`litpose` without its ten seconds of imports: a process that has them forks for every call.

Each call runs the host's `main` in a process of its own, with its own arguments, output and exit,
as the installed program does. Calls with another environment or directory need a new start.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

# what the fixture `litpose` gives: a function that runs the program with some arguments
Litpose = Callable[..., subprocess.CompletedProcess[str]]

PROGRAM = Path(sys.executable).with_name('litpose')
# what the commands import once they run
LATE = (
    'lightning_pose.api',
    'lightning_pose.train',
    'lightning_pose.migrations.migrations',
    'beast_lp.host.jobs.compare',
    'beast_lp.host.jobs.beast_demo',
)


class WarmLitpose:
    """A `litpose` that has been imported."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Start it; the imports go on while others work."""
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # CUDA does not survive a fork; asked so, torch sees a GPU without starting it
            env={**environment, 'PYTORCH_NVML_BASED_CUDA_CHECK': '1'},
        )

    def __call__(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with tempfile.TemporaryDirectory() as directory:
            files = [Path(directory, name) for name in ('stdout', 'stderr')]
            assert self._process.stdin is not None and self._process.stdout is not None
            order = {'arguments': list(arguments), 'files': [str(file) for file in files]}
            print(json.dumps(order), file=self._process.stdin, flush=True)
            code = int(self._process.stdout.readline())
            output = [file.read_text(encoding='utf-8') for file in files]
        return subprocess.CompletedProcess([str(PROGRAM), *arguments], code, *output)

    def close(self) -> None:
        """End it: by a word, since processes forked from here may hold its input open."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        self._process.stdin.close()
        self._process.wait()


def serve() -> bool:
    """Fork for every order; True in the child, which is to run, False when there are no more."""
    orders = sys.stdin
    while line := orders.readline().strip():
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            sys.argv = [str(PROGRAM), *order['arguments']]
            for number, file in enumerate(order['files'], 1):
                target = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
                os.dup2(target, number)
                os.close(target)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
            return True
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return False


if __name__ == '__main__':
    import importlib

    from lightning_pose.cli.main import main

    for module in LATE:
        importlib.import_module(module)
    if serve():
        sys.exit(main())
