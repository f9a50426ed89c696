"""Working ahead in a thread, by a bounded number of steps."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar('Item')

_END = object()


class Prefetch(Generic[Item]):
    """Iterates over something in a thread of its own, which waits when it is too far ahead.

    The thread helps where the work leaves Python's lock to others, as decoding does. Leaving the
    block ends it.
    """

    def __init__(self, items: Iterable[Item], ahead: int = 2) -> None:
        """Start.

        Args:
            items: what to iterate over.
            ahead: items that may wait at a time.
        """
        self._queue: queue.Queue = queue.Queue(ahead)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, args=(items,), daemon=True)
        self._thread.start()

    def _work(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    return
        except BaseException as error:
            # handed to the thread that asks for the items
            self._error = error
        self._put(_END)

    def _put(self, item: object) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[Item]:
        """Give the items in order; what went wrong in the thread is raised here."""
        while True:
            item = self._queue.get()
            if item is _END:
                if self._error is not None:
                    raise self._error
                return
            yield item

    def __enter__(self) -> 'Prefetch[Item]':
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
