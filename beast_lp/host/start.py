"""Directories that the processes of one command share: where it was started, where it writes.

Read at the start of every interpreter, so it imports only what each has imported by then.
"""

import os


def _start_dir() -> str:
    try:
        # pathlib would add to the start of every interpreter
        return os.getcwd()  # noqa: PTH109
    except OSError:
        # the directory was deleted under us; nothing relative can be meant
        return os.sep


# `litpose train` changes into the model directory before any code of ours runs, so the directory
# is read here; the processes that Lightning starts inherit the variable.
START_DIR_VARIABLE = 'BEAST_LP_START_DIR'
START_DIR = os.environ.get(START_DIR_VARIABLE) or _start_dir()

# Output directory of the command. A process that Lightning starts would choose one by its own
# clock, and `litpose train` has changed into the model directory by then.
OUTPUT_DIR_VARIABLE = 'BEAST_LP_OUTPUT_DIR'

NO_SHARED_DIRECTORY = 'several processes need one directory of results: give --output_dir'


class InheritedVariable:
    """Environment variable that the processes inherit which Lightning starts in the block.

    Lightning starts the other processes of a distributed run by the same command. Entering the
    block returns the shared value: in such a process, that of the process that started it.

    A class, since `contextlib` would add to the start of every interpreter.
    """

    def __init__(self, name: str, value: str) -> None:
        """Name a variable and the value that it gets where it has none.

        Args:
            name: name of the variable.
            value: value of this process, which counts unless another process started it.
        """
        self.name, self.value = name, value
        self.inherited: str | None = None

    def __enter__(self) -> str:
        """Set the variable where this process has not inherited it; return its value."""
        self.inherited = os.environ.get(self.name)
        os.environ[self.name] = shared = self.inherited or self.value
        return shared

    def __exit__(self, *error: object) -> None:
        """Put the variable back."""
        del os.environ[self.name]
        if self.inherited is not None:
            os.environ[self.name] = self.inherited
