"""What a server takes of whoever asks: so large, so often, so many at once."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple


class Limits(NamedTuple):
    """Args:
    megabytes: of one request.
    per_minute: requests that are answered.
    waiting: requests at a time, one of which is answered.
    connections: at a time.
    pixels: of one picture.
    seconds: that a request may take to come in.
    """

    megabytes: float = 16
    per_minute: int = 60
    waiting: int = 8
    connections: int = 64
    pixels: int = 25_000_000
    seconds: float = 30


class Rate:
    """At most ``per_minute`` in any minute, all of them at once if need be; from any thread."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = per_minute, clock
        self._left, self._at = float(per_minute), clock()
        self._lock = threading.Lock()

    def wait(self) -> float:
        """0 where one more is taken, else the seconds until then."""
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) * self._most / 60)
            self._at = now
            if self._left < 1:
                return (1 - self._left) * 60 / self._most
            self._left -= 1
            return 0.0
