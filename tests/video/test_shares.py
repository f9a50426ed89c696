"""Sharing a number of frames among videos."""

import numpy as np
import pytest

from beast_lp.video.shares import share_out


@pytest.mark.parametrize(
    ('total', 'lengths', 'expected'),
    [
        (10, [100], [10]),
        (10, [100, 300], [3, 7]),
        (10, [100, 100, 100], [4, 3, 3]),
        (10, [1000, 1, 1], [8, 1, 1]),
        (3, [1000, 1, 1], [1, 1, 1]),
        # the third video's part is above 1 at first, but not of what the second leaves
        (10, [900, 1, 101], [8, 1, 1]),
        (10, [50, 0, 50], [5, 1, 4]),
        (5, [0, 0], [1, 1]),
        (5, [], []),
    ],
)
def test_shares_of_known_videos(total: int, lengths: list[int], expected: list[int]) -> None:
    assert share_out(total, lengths) == expected


def test_shares_add_up_and_follow_the_lengths() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        lengths = [int(length) for length in 10 ** random.uniform(0, 5, random.integers(1, 20))]
        total = len(lengths) + int(random.integers(0, 500))
        shares = share_out(total, lengths)
        assert sum(shares) == total
        assert min(shares) >= 1
        large = [at for at, share in enumerate(shares) if share > 1]
        for one in large:
            for other in large:
                # per frame, two videos differ by what rounding to whole anchors does
                scale = lengths[other] / lengths[one]
                assert abs(shares[other] - shares[one] * scale) <= 1 + scale
