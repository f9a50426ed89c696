"""A small part of the attack: bad inputs of all commands, none of which ends in a traceback."""

import os
import re
import subprocess
import sys
from pathlib import Path

ATTACK = Path(__file__).parent / 'quality' / 'attack.py'
INPUTS = 30


def test_bad_inputs_get_a_sentence_each() -> None:
    result = subprocess.run(
        [sys.executable, ATTACK, '--count', str(INPUTS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    (last,) = re.findall('^all +([0-9 ]+)$', result.stdout, re.MULTILINE)
    sentences, accepted, *others = map(int, last.split())
    assert sentences + accepted == INPUTS and not any(others)
    # most are refused, or the attack is none
    assert sentences > INPUTS / 2
