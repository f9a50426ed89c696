"""The digest that recognises content: of videos, settings and weights."""

import hashlib


def digest(content: bytes) -> 'hashlib.blake2b':
    """Begin the digest that all keys are made by."""
    return hashlib.blake2b(content, digest_size=16)
