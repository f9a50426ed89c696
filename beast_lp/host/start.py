"""Where the person started the command; read at the start of every interpreter."""

import os


def _start_dir() -> str:
    try:
        return os.getcwd()
    except OSError:
        # the directory was deleted under us; nothing relative can be meant
        return os.sep


# `litpose train` changes into the model directory before any code of ours runs. Children of a
# distributed run inherit the variable.
START_DIR_VARIABLE = 'BEAST_LP_START_DIR'
START_DIR = os.environ.get(START_DIR_VARIABLE) or _start_dir()
