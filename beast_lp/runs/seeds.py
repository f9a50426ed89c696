"""Random draws that depend on names, not on history.

Every draw of a run is keyed by its purpose (seed, purpose, epoch, step, ...), so that a resumed
run repeats exactly what an uninterrupted one would have drawn, on any number of workers.
"""

import zlib

import numpy as np
import torch


def derive_seed(*key: int | str) -> int:
    """Return a seed of 63 bits for a key.

    Args:
        *key: integers (0 or more) and words.

    Examples:
        >>> derive_seed(0, 'crop', 3) == derive_seed(0, 'crop', 3)
        True
        >>> derive_seed(0, 'crop', 3) == derive_seed(0, 'flip', 3)
        False
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)


def numpy_generator(*key: int | str) -> np.random.Generator:
    """Return numpy's generator for a key, as `derive_seed` takes it."""
    return np.random.default_rng(derive_seed(*key))


def torch_generator(*key: int | str) -> torch.Generator:
    """Return torch's CPU generator for a key, as `derive_seed` takes it."""
    return torch.Generator().manual_seed(derive_seed(*key))
