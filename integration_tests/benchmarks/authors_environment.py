"""A virtual environment of its own for the authors' package.

The standard library alone, so that the process that measures others stays small.
"""

import subprocess
import sys
from pathlib import Path

# where the environment is kept
CACHE = Path.home() / '.cache/beast_lp_benchmark'
# transformers 5.9.0 renamed the weights of ViT; this is the last release with the old names
REQUIREMENTS = ('beast-backbones==1.4.0', 'transformers<5.9')


class BuildError(Exception):
    """The environment cannot be built, in one sentence."""


def authors_environment(directory: Path) -> Path:
    """Build the environment, or use the one that an earlier run built.

    Args:
        directory: outside the repository; several GB come from the package index the first time.

    Returns:
        the folder of its programs.

    Raises:
        BuildError: if there is no `uv` or the packages cannot be installed.
    """
    environment = directory / 'authors'
    # written last, so that a build that was cut off is recognised and started anew
    complete = environment / 'beast_lp_benchmark.txt'
    content = '\n'.join((sys.version, *REQUIREMENTS))
    programs = environment / ('Scripts' if sys.platform == 'win32' else 'bin')
    if not complete.exists() or complete.read_text() != content:
        print(f"building the authors' environment in {environment}", file=sys.stderr)
        directory.mkdir(parents=True, exist_ok=True)
        python = f'{sys.version_info.major}.{sys.version_info.minor}'
        _uv('venv', '--clear', '--python', python, str(environment))
        _uv('pip', 'install', '--python', str(environment), *REQUIREMENTS)
        complete.write_text(content)
    return programs


def _uv(*arguments: str) -> None:
    try:
        done = subprocess.run(['uv', *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise BuildError(
            "the authors' environment cannot be built because `uv` is missing; install it "
            '(https://docs.astral.sh/uv)'
        ) from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise BuildError(
            f"the authors' environment cannot be built (`uv {' '.join(arguments[:2])}` says: "
            f'{" ".join(lines[-3:])}); restore access to the package index'
        )
