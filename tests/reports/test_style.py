"""Tests of what all figures share."""

import subprocess
import sys


def test_pyplot_is_never_imported() -> None:
    script = (
        'import sys, beast_lp.reports.pretraining; sys.exit("matplotlib.pyplot" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', script], check=False).returncode == 0
