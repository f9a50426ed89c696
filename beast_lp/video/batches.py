"""Division of the pairs of an epoch into batches of equal size."""

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any, Protocol

from torch.utils.data import Sampler


class Order(Protocol):
    """Order of the items of a pass; a list is one."""

    def __len__(self) -> int:
        """Return the number of items of a whole pass."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yield the items, without those that an attribute `left`, if there is one, leaves out."""
        ...


def batch_bounds(count: int, size: int) -> list[int]:
    """Divide items into batches that differ by one item at most.

    A last batch of few pairs has hardly any negatives, and a step on it counts as much as others.
    Less than half a batch is therefore shared out among the batches before; more than that is
    filled up from them.

    Args:
        count: number of items.
        size: items that a batch should have.

    Returns:
        place of the first item of each batch, and the number of items: ascending, from 0.

    Examples:
        >>> batch_bounds(66, 32), batch_bounds(90, 32)
        ([0, 33, 66], [0, 30, 60, 90])
    """
    batches = max(min(count, 1), (2 * count + size) // (2 * size))
    return [number * count // batches for number in range(batches)] + [count]


class EvenBatches(Sampler[list[Any]]):
    """Batches of an order, as `batch_bounds` divides it; torch's `batch_sampler`.

    Where the next pass of the order leaves out its beginning, which must be whole batches, the
    others are the same as in a whole pass.
    """

    def __init__(self, order: Order, size: int) -> None:
        """Divide an order.

        Args:
            order: items of a pass. Its attribute `left`, where it has one, is the number of items
                that the next pass yields.
            size: items that a batch should have.
        """
        self._order = order
        self._bounds = batch_bounds(len(order), size)

    @property
    def largest(self) -> int:
        """Items of the largest batch."""
        return max((stop - start for start, stop in pairwise(self._bounds)), default=0)

    def __len__(self) -> int:
        """Return the batches of a whole pass."""
        return len(self._bounds) - 1

    def __iter__(self) -> Iterator[list[Any]]:
        """Yield the batches of the next pass."""
        done = len(self._order) - getattr(self._order, 'left', len(self._order))
        items = iter(self._order)
        for start, stop in pairwise(self._bounds):
            if start >= done:
                yield list(islice(items, stop - start))
