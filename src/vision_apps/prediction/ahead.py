"""Work that threads do ahead of whoever needs it."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_MOST = 32  # results that wait at most, and their pixels:
_MOST_PIXELS = 8_000_000


def ahead(
    jobs: Iterator[Callable[[], T | None]], threads: int, pixels: Callable[[T], int]
) -> Generator[T, None, None]:
    """The results of ``jobs`` in order, computed ahead, until a job gives None. Few are held at a time.

    Args:
        pixels: of a result: those that follow are taken to be as large.
    """
    waiting: deque[Future[T | None]] = deque()
    room = 1  # until a result has told how large they are
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                while len(waiting) < room and (job := next(jobs, None)) is not None:
                    waiting.append(pool.submit(job))
                if not waiting or (result := waiting.popleft().result()) is None:
                    return
                room = max(1, min(_MOST, _MOST_PIXELS // max(1, pixels(result))))
                yield result
        finally:
            for future in waiting:
                future.cancel()
