"""Pictures through the network, as many at once as is fast and fits."""

import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vision_apps.core import hardware
from vision_apps.core.errors import UserError
from vision_apps.prediction.inputs import Item

_TRIES = 3  # batches of a size that are timed: the quickest counts, since the first also warms up
_GAIN = 1.05  # a larger batch has to be so many times as fast per picture
_MOST = 64  # pictures of a batch that is found: more gains little; and their pixels:
_MOST_PIXELS = 8_000_000
_SIZES = 64  # picture sizes that are remembered
_WINDOW = 4  # batches that are read to find pictures of equal size, and their pixels:
_WINDOW_PIXELS = 16_000_000


class BatchSize:
    """Of pictures of one size: doubles for as long as that makes a picture quicker, unless it is given."""

    def __init__(self, pixels: int, given: int | None = None) -> None:
        self.size = given or 1
        self.settled = given is not None
        self._limit = min(_MOST, max(1, _MOST_PIXELS // pixels))
        self._best = (float("inf"), 1)  # s per picture, and the size that it was measured at
        self._times: list[float] = []

    def took(self, count: int, seconds: float, fits: bool = True) -> None:
        """Learn from a batch; ``fits``: a batch of twice the size would fit the memory."""
        if self.settled or count != self.size:
            return
        self._times.append(seconds / count)
        if len(self._times) < _TRIES:
            return
        gained = min(self._times) * _GAIN <= self._best[0]
        if not gained and len(self._times) < 2 * _TRIES:
            return  # once more: other work on the machine may have been in the way
        if gained:
            self._best = (min(self._times), self.size)
        self._times = []
        if gained and fits and 2 * self.size <= self._limit:
            self.size *= 2
        else:
            self.size, self.settled = self._best[1], True

    def too_large(self, count: int) -> None:
        """``count`` pictures did not fit the memory."""
        self.size, self.settled = max(1, count // 2), True


class Answerer:
    """Answers pictures in batches of equal size.

    Args:
        module: a trained module, on the device to use.
        batch: pictures at once; None finds the number for each size of picture.
    """

    def __init__(self, module: Any, batch: int | None) -> None:
        self.module = module
        self.batch = batch
        self.sizes: OrderedDict[tuple[int, ...], BatchSize] = OrderedDict()

    def size(self, image: Tensor) -> BatchSize:
        """The batch size for pictures like this one."""
        shape = tuple(image.shape[-2:])
        if shape not in self.sizes:
            self.sizes[shape] = BatchSize(shape[0] * shape[1], self.batch)
            if len(self.sizes) > _SIZES:
                self.sizes.popitem(last=False)
        return self.sizes[shape]

    def answers(self, images: Sequence[Tensor]) -> list[Any]:
        """One answer (of a batch of one, on the CPU) or error text for each of some pictures of equal size;
        where the memory does not suffice, the same pictures are answered in smaller batches."""
        found: list[Any] = []
        batch_size = self.size(images[0])
        count = len(images)
        while len(found) < len(images):
            part = images[len(found) : len(found) + count]
            started = time.perf_counter()
            answered = self._attempt(part)
            if answered is not None:
                batch_size.took(len(part), time.perf_counter() - started, _twice_fits(self.module.device))
                found += answered
            elif len(part) > 1:
                batch_size.too_large(len(part))
                count = batch_size.size
            else:
                height, width = images[0].shape[-2:]
                found.append(f"{width} x {height} pixels do not fit the memory of {self.module.device}")
        return found

    def _attempt(self, images: Sequence[Tensor]) -> list[Any] | None:
        """None where the memory does not suffice."""
        try:
            with torch.inference_mode():
                answer = self.module(torch.stack(list(images)).to(self.module.device))
                fields = [None if field is None else field.cpu() for field in answer]
        except UserError as error:  # such as an exported network that takes other sizes
            return [str(error)] * len(images)
        except (RuntimeError, MemoryError) as error:
            if not hardware.out_of_memory(error):
                raise
        else:
            return [
                type(answer)(*(None if field is None else field[i : i + 1] for field in fields))
                for i in range(len(images))
            ]
        # outside of the handler, whose traceback would keep the tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def _twice_fits(device: torch.device) -> bool:
    """Whether there is room for as much again as was ever in use. A GPU says so itself by an error; Linux
    grants what it lacks and ends the process."""
    peak = hardware.peak_memory(device) if device.type == "cpu" else None
    try:
        with open("/proc/meminfo") as lines:
            free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return True
    return peak is None or peak < 1024 * free


@dataclass
class _Waiting:
    item: Item
    answer: Any = None  # or the text of an error


def answered(items: Iterator[Item], answerer: Answerer) -> Iterator[tuple[Item, Any]]:
    """Every item in order with its answer of one, or the text of an error.

    Pictures of equal size are answered together also where others come between them; what is read before it
    can be answered is bounded in number and pixels.
    """
    window: deque[_Waiting] = deque()
    while True:
        while window and window[0].answer is not None:
            ready = window.popleft()
            yield ready.item, ready.answer
        if not window and not _take(items, window):
            return
        first = window[0].item.image
        if first is None:
            continue
        wanted = answerer.size(first).size
        alike = [waiting for waiting in window if _fits(waiting, first)]
        pixels = sum(waiting.item.pixels for waiting in window)
        most = max(_WINDOW_PIXELS, wanted * first[0].numel())
        while len(alike) < wanted and len(window) < _WINDOW * wanted and pixels < most:
            if not _take(items, window):
                break
            pixels += window[-1].item.pixels
            alike += [window[-1]] * _fits(window[-1], first)
        batch = alike[:wanted]
        images = [waiting.item.image for waiting in batch if waiting.item.image is not None]
        for waiting, answer in zip(batch, answerer.answers(images), strict=True):
            waiting.answer = answer


def _take(items: Iterator[Item], window: deque[_Waiting]) -> bool:
    item = next(items, None)
    if item is not None:
        window.append(_Waiting(item, item.error or None))
    return item is not None


def _fits(waiting: _Waiting, image: Tensor) -> bool:
    other = waiting.item.image
    return other is not None and waiting.answer is None and other.shape == image.shape
