"""Pictures through the network, as many at once as is fast and fits."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vision_apps.core import fields, hardware
from vision_apps.core.errors import UserError
from vision_apps.core.fields import Fields
from vision_apps.prediction.reading import Item

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


# What inputs that can be answered together have in common.
Likeness = tuple[tuple[torch.dtype, int | tuple[int, ...]] | None, ...]


def likeness(inputs: Fields) -> Likeness:
    """Type and shape of each field, of those that their kind lets be filled up the number of dimensions."""
    known = fields.kinds(type(inputs))

    def of(name: str, value: Tensor | None) -> tuple[torch.dtype, int | tuple[int, ...]] | None:
        if value is None:
            return None
        fillable = name in known and known[name].padding is not None
        return value.dtype, value.ndim if fillable else tuple(value.shape[1:])

    return tuple(of(name, value) for name, value in inputs._asdict().items())


@dataclass
class Answerer:
    """Answers inputs in batches of those that are alike."""

    answer: Callable[[Fields], Fields]  # of a trained module
    device: torch.device  # where that computes
    batch: int | None = None  # inputs at once; None finds the number for each size of picture
    sizes: dict[tuple[int, ...], BatchSize] = field(default_factory=dict)  # by height and width, if any

    def size(self, inputs: Fields) -> BatchSize:
        """The batch size for inputs like these."""
        shape = _picture_size(inputs)
        if shape not in self.sizes:
            self.sizes[shape] = BatchSize(math.prod(shape), self.batch)
            if len(self.sizes) > _SIZES:
                del self.sizes[next(iter(self.sizes))]
        return self.sizes[shape]

    def answers(self, samples: Sequence[Fields]) -> list[Fields | str]:
        """One answer (of a batch of one, on the CPU) or error text for each of some inputs of one that are
        alike; where the memory does not suffice, the same inputs are answered in smaller batches."""
        found: list[Fields | str] = []
        batch_size = self.size(samples[0])
        count = len(samples)
        while len(found) < len(samples):
            part = samples[len(found) : len(found) + count]
            started = time.perf_counter()
            try:
                answered = self._attempt(part)
            except UserError as error:  # such as an exported network that takes other sizes
                if len(part) == 1:
                    found.append(str(error))
                count = 1  # it may be about one of them
                continue
            if answered is not None:
                batch_size.took(len(part), time.perf_counter() - started, _twice_fits(self.device))
                found += answered
            elif len(part) > 1:
                batch_size.too_large(len(part))
                count = batch_size.size
            else:
                size = " x ".join(map(str, _picture_size(samples[0])[::-1]))
                what = f"{size} pixels do" if size else "it does"
                found.append(f"{what} not fit the memory of {self.device}")
        return found

    def _attempt(self, samples: Sequence[Fields]) -> list[Fields] | None:
        """None where the memory does not suffice."""
        try:
            with torch.inference_mode():
                batch = fields.replaced(fields.together(samples), lambda value: value.to(self.device))
                return fields.one_by_one(fields.replaced(self.answer(batch), Tensor.cpu))
        except (RuntimeError, MemoryError) as error:
            if not hardware.out_of_memory(error):
                raise
        # outside of the handler, whose traceback would keep the tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def _picture_size(inputs: Fields) -> tuple[int, ...]:
    """Height and width; nothing where there is no picture."""
    images: Tensor | None = inputs._asdict().get("images")
    return () if images is None else tuple(images.shape[-2:])


def _twice_fits(device: torch.device) -> bool:
    """Whether there is room for as much again as was ever in use. A GPU says so itself by an error; Linux
    grants what it lacks and ends the process."""
    peak = hardware.peak_memory(device) if device.type == "cpu" else None
    try:
        with open("/proc/meminfo", encoding="utf-8") as lines:
            free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return True
    return peak is None or peak < 1024 * free


@dataclass
class _Waiting:
    item: Item
    answer: Fields | str | None = None  # or the text of an error
    likeness: Likeness = ()


def answered(items: Iterator[Item], answerer: Answerer) -> Iterator[tuple[Item, Fields | str]]:
    """Every item in order with its answer of one, or the text of an error.

    Inputs that are alike are answered together also where others come between them; what is read before it
    can be answered is bounded in number and pixels.
    """
    window: deque[_Waiting] = deque()
    while True:
        while window and (answer := window[0].answer) is not None:
            yield window.popleft().item, answer
        if not window and not _take(items, window):
            return
        first = window[0].item.inputs
        if first is None:
            continue
        wanted = answerer.size(first).size
        alike = [waiting for waiting in window if _alike(waiting, window[0])]
        pixels = sum(waiting.item.pixels for waiting in window)
        most = max(_WINDOW_PIXELS, wanted * window[0].item.pixels)
        while len(alike) < wanted and len(window) < _WINDOW * wanted and pixels < most:
            if not _take(items, window):
                break
            pixels += window[-1].item.pixels
            alike += [window[-1]] * _alike(window[-1], window[0])
        batch = alike[:wanted]
        samples = [waiting.item.inputs for waiting in batch if waiting.item.inputs is not None]
        for waiting, answer in zip(batch, answerer.answers(samples), strict=True):
            waiting.answer = answer


def _take(items: Iterator[Item], window: deque[_Waiting]) -> bool:
    item = next(items, None)
    if item is not None:
        window.append(_Waiting(item, item.error or None, likeness(item.inputs) if item.inputs else ()))
    return item is not None


def _alike(waiting: _Waiting, first: _Waiting) -> bool:
    return waiting.item.inputs is not None and waiting.answer is None and waiting.likeness == first.likeness
