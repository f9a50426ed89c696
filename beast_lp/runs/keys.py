"""Hashes by which content is recognised: videos, settings, labels and weights."""

import hashlib
import json
from pathlib import Path


def digest(content: bytes) -> 'hashlib.blake2b':
    """Return the hash object that all keys are made with (BLAKE2b, 16 bytes).

    Args:
        content: first bytes to hash; `update` adds more.

    Examples:
        >>> hasher = digest(b'one ')
        >>> hasher.update(b'two')
        >>> hasher.hexdigest() == digest(b'one two').hexdigest()
        True
    """
    return hashlib.blake2b(content, digest_size=16)


def file_key(path: Path) -> str:
    """Hash the content of a file; this user may read it.

    Args:
        path: file to read.
    """
    content = digest(b'')
    with path.open('rb') as file:
        while part := file.read(1 << 20):
            content.update(part)
    return content.hexdigest()


def key_of(values: object) -> str:
    """Hash values that JSON can hold; the order of the names in a mapping does not matter.

    Args:
        values: numbers, strings, None, and lists and mappings of them.

    Examples:
        >>> key_of({'seed': 0, 'step': 1})
        '813e31c460f68823df8d0bb298843118'
    """
    return digest(json.dumps(values, sort_keys=True).encode()).hexdigest()
