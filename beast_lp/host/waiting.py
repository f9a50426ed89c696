"""How the threads of a command wait for each other on a machine that others use too."""

import os

WAIT_POLICY_VARIABLE = 'OMP_WAIT_POLICY'


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait, unless the user decided otherwise.

    By default they spin, which takes the cores from whatever else runs. Two threads that spun
    beside two busy processes on two cores trained on 4 images/s, two that slept on 230 (a `laptop`
    model, 2026-11-29); alone on the machine, sleeping costs about a seventh.

    OpenMP reads the variable when torch is imported, so a command calls this first.
    """
    os.environ.setdefault(WAIT_POLICY_VARIABLE, 'PASSIVE')
