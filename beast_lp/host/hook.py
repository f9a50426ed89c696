"""Post-import hook that extends Lightning Pose's modules right after they execute.

It runs at the start of every interpreter of the environment, so it imports only modules that each
has imported by then, and nothing happens until one of the host's modules is imported.
"""

from __future__ import annotations

import os
import sys

# imported for its side effect: it reads the directory before anything changes it
import beast_lp.host.start  # noqa: F401

# `typing` alone would double the cost
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# host module -> function of beast_lp.host.patches that extends it
TARGETS = {
    'lightning_pose.models.backbones.factory': 'extend_backbones',
    'lightning_pose.models.factory': 'extend_models',
    'lightning_pose.cli.commands': 'extend_commands',
    'lightning_pose.cli.main': 'extend_main',
    'lightning_pose.train': 'extend_train',
    'litpose_app.main': 'extend_app',
}


def install() -> None:
    """Extend the host's modules, those imported so far now and others after their import.

    `BEAST_LP_DISABLE=1` in the environment switches the plugin off.
    """
    if os.environ.get('BEAST_LP_DISABLE', '') not in ('', '0'):
        return
    if any(isinstance(finder, _HostFinder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _HostFinder())
    for name in TARGETS:
        if name in sys.modules:
            _extend(sys.modules[name])


class _HostFinder:
    """Finds the host's modules by the other finders, and extends them once they have run."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module of the host, with a loader that extends it."""
        if name not in TARGETS:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _extend(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _extend(module: ModuleType) -> None:
    from beast_lp.host import patches

    patches.apply(TARGETS[module.__name__], module)
