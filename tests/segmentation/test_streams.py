"""Several streams of features of the same frames."""

from pathlib import Path

import numpy as np

from beast_lp.segmentation.streams import Streams


def test_frames_are_read_from_every_stream(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tokens, vectors = rng.normal(size=(9, 2, 3)).astype(np.float16), rng.normal(size=(9, 4))
    np.save(tmp_path / 'tokens.npy', tokens)
    both = Streams((np.load(tmp_path / 'tokens.npy', mmap_mode='r'), vectors))
    assert len(both) == 9 and both.shapes == ((2, 3), (4,))
    found = both.read(2, 5)
    np.testing.assert_array_equal(found[0], tokens[2:5])
    np.testing.assert_array_equal(found[1], vectors[2:5])
    flat = both.read_flat(2, 5)
    assert flat.dtype == np.float32
    for row, frame in zip(flat, range(2, 5), strict=True):
        expected = [*tokens[frame].ravel().tolist(), *vectors[frame].tolist()]
        np.testing.assert_allclose(row, expected, rtol=1e-6)
