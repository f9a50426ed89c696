"""What the children of a distributed run must know, which Lightning starts by the same command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# where the command keeps its results; a child would choose a directory by its own time, and
# `litpose train` has changed into the model directory by then
OUTPUT_DIR_VARIABLE = 'BEAST_LP_OUTPUT_DIR'


@contextmanager
def told_to_children(name: str, value: str) -> Iterator[str]:
    """Keep a value in the environment for the length of the block.

    Args:
        name: of the variable.
        value: of this process, if it is not itself a child.

    Yields:
        the value that all processes share: in a child, that of the process that started it.
    """
    before = os.environ.get(name)
    os.environ[name] = shared = before or value
    try:
        yield shared
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
