"""Ways of doing the same that take turns in one process."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Ratio(NamedTuple):
    """How many times as long one way takes as another, of several rounds."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.least:.1f} to {self.greatest:.1f})"


class Turns:
    """Seconds of wall time and of processor time of each way, in rounds in which every way has its turn; the
    first round pays for what is allocated once and is thrown away."""

    def __init__(self, ways: Mapping[str, Callable[[], object]], rounds: int) -> None:
        self.wall: dict[str, list[float]] = {name: [] for name in ways}
        self.processor: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                started = time.perf_counter(), time.process_time()
                way()
                if number:
                    self.wall[name].append(time.perf_counter() - started[0])
                    self.processor[name].append(time.process_time() - started[1])

    def ratio(self, slow: str, fast: str, *, processor: bool = True) -> Ratio:
        """Taken within each round."""
        seconds = self.processor if processor else self.wall
        found = [a / b for a, b in zip(seconds[slow], seconds[fast], strict=True)]
        return Ratio(statistics.median(found), min(found), max(found))
