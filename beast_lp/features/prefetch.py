"""Work ahead in a thread, by a bounded number of items."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar('Item')

_END = object()


def prefetch(items: Iterable[Item], ahead: int = 3) -> Generator[Item, None, None]:
    """Iterate in a thread over items while the caller works on earlier ones.

    It helps where computing an item releases Python's lock, as decoding does.

    Args:
        items: iterable that the thread alone may use.
        ahead: number of items that the thread may be ahead.

    Yields:
        the items in their order; an error in the thread is raised here. Closing the generator
        (`contextlib.closing`) ends the thread after the item that it works on.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(1, 'prefetch')
    try:
        waiting = deque(pool.submit(next, remaining, _END) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, remaining, _END))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)
