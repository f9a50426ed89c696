"""Names of the host and of the backbone that several files of this room share."""

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

BACKBONE = 'beast'
# a second name of the backbone, which stays ours should the host ever ship a `beast` of its own;
# before a command's name, that of our command where the host has one of the same name
OWN_NAME = 'beast_lp'
STRIDE = 16
# in the place of a checkpoint: random weights, alone or before a colon and what has their shape
RANDOM = 'random'

# the oldest host that this package was tested with; for newer ones the names decide
OLDEST_HOST = (2, 3, 0)


def is_random(checkpoint: object) -> bool:
    """Return whether `model.backbone_checkpoint` asks for random weights.

    Examples:
        >>> is_random('random'), is_random('random:laptop'), is_random('random_run')
        (True, True, False)
    """
    return str(checkpoint).partition(':')[0] == RANDOM


def host_version() -> str:
    """Return the version of the installed host, `unknown` where none is recorded."""
    try:
        return version('lightning-pose')
    except PackageNotFoundError:
        # run from a source tree
        return 'unknown'


def free_backbone_name() -> str:
    """Return the name by which a config reaches the backbone: `beast`, unless the host has one.

    It looks into the host's source, since importing that takes seconds.
    """
    spec = find_spec('lightning_pose')
    places = (spec.submodule_search_locations if spec else None) or []
    files = [Path(place, 'models', 'backbones', 'factory.py') for place in places]
    texts = [file.read_text(encoding='utf-8') for file in files if file.is_file()]
    taken = any(re.search(rf'[\'"]{BACKBONE}[\'"]', text) for text in texts)
    return OWN_NAME if taken else BACKBONE
