"""What a person sees while pictures are answered."""

import sys
import time

from vision_apps.core.neutral import visible
from vision_apps.core.progress import duration
from vision_apps.prediction.inputs import Input
from vision_apps.prediction.outputs import Product

_LIVE_SECONDS, _LINE_SECONDS = 0.5, 10


class Progress:
    """A line that changes on a terminal, a line now and then elsewhere, and every failure at once."""

    def __init__(self, inputs: list[Input]) -> None:
        self.inputs = inputs
        self.pictures = self.frames = self.failures = 0
        self.videos: set[int] = set()  # inputs of which there were frames
        self._noun = "answers" if any(source.kind == "words" for source in inputs) else "pictures"
        self._live = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def update(self, product: Product) -> None:
        item = product.item
        if "error" in product.row:
            self.failures += 1
            self.clear()
            print(
                f"failed  {visible(self.inputs[item.source].name, kept='')}: {visible(product.row['error'])}",
                flush=True,
            )
        elif item.frame is None:
            self.pictures += 1
        else:
            self.frames += 1
            self.videos.add(item.source)
        now = time.monotonic()
        if now - self._shown >= (_LIVE_SECONDS if self._live else _LINE_SECONDS):
            self._shown = now
            text = self._text(product, now - self._started)
            if self._live:
                print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            else:
                print(text, flush=True)

    def _text(self, product: Product, seconds: float) -> str:
        item, total = product.item, len(self.inputs)
        parts = [f"{item.source + 1}/{total}"]
        done = float(item.source + 1)
        if item.frame is not None and item.footage is not None:
            count = item.footage.count
            parts.append(
                f"{visible(self.inputs[item.source].name, kept='')} frame {item.frame.number + 1}"
                + f"/{count}" * bool(count)
            )
            done = item.source + (item.frame.number + 1) / count if count else 0.0
        parts.append(f"{(self.pictures + self.frames) / seconds:,.3g} {self._noun}/s")
        if done:
            parts.append(f"{duration(seconds / done * max(0.0, total - done))} left")
        return " · ".join(parts)

    def clear(self) -> None:
        """Make room for another line."""
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def summary(self) -> str:
        """What was answered, as in ``12 pictures and 1 video of 300 frames``."""
        parts = [f"{self.pictures} {self._noun}"] * (self.pictures > 0 or not self.videos)
        if self.videos:
            parts.append(f"{len(self.videos)} video{'s' * (len(self.videos) > 1)} of {self.frames} frames")
        return ", ".join(parts)
