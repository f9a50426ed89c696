"""Names of the host and of the backbone that several files of this room share."""

from importlib.metadata import PackageNotFoundError, version

BACKBONE = 'beast'
STRIDE = 16

# the oldest host that this package was tested with; for newer ones the names decide
OLDEST_HOST = (2, 3, 0)


def host_version() -> str:
    """Return the version of the installed host, `unknown` where none is recorded."""
    try:
        return version('lightning-pose')
    except PackageNotFoundError:
        # run from a source tree
        return 'unknown'
