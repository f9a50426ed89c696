"""Division of an epoch's pairs into batches."""

from itertools import pairwise

import pytest

from beast_lp.video.batches import EvenBatches, batch_bounds


@pytest.mark.parametrize('size', [2, 5, 32])
def test_batches_are_even_whole_and_near_their_size(size: int) -> None:
    for count in range(300):
        bounds = batch_bounds(count, size)
        assert bounds[0] == 0 and bounds[-1] == count
        sizes = [stop - start for start, stop in pairwise(bounds)]
        assert sum(sizes) == count
        if not count:
            continue
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= 1.5 * size
        if count >= size:
            assert min(sizes) >= size // 2
        if count % size == 0:
            assert set(sizes) == {size}


def test_a_small_rest_makes_no_batch_of_its_own() -> None:
    # two pairs have two negatives each
    assert list(map(len, EvenBatches(range(66), 32))) == [33, 33]
    assert list(map(len, EvenBatches(range(2), 32))) == [2]
    assert EvenBatches(range(66), 32).largest == 33
    assert EvenBatches([], 32).largest == len(EvenBatches([], 32)) == 0


class Resumed:
    """An order whose next pass leaves out its beginning."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __len__(self) -> int:
        return 100

    def __iter__(self):
        return iter(range(100 - self.left, 100))


def test_what_is_left_of_a_pass_comes_in_the_batches_of_the_whole() -> None:
    whole = list(EvenBatches(range(100), 11))
    assert sum(whole, []) == list(range(100)) and len(whole) == 9
    for done in range(10):
        left = 100 - batch_bounds(100, 11)[done]
        assert list(EvenBatches(Resumed(left), 11)) == whole[done:]
