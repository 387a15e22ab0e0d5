"""Randomness as a function of where a run is.

Before every training batch the generators are seeded from (seed, epoch, batch). Augmentation and dropout then
depend on nothing that happened before: a run that was killed and resumed, or that validates more often, draws
exactly the same numbers, and no generator state has to be stored.

There are two: one that is alike in all processes, of which `core.draws` takes what is drawn for each sample,
and the global ones, whose seed has the process's number as well, for all else.
"""

import random

import numpy as np
import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def mix(*keys: int) -> int:
    """A well-spread 63-bit integer from a sequence of integers (the splitmix64 finaliser over each key)."""
    state = 0
    for key in keys:
        state = (state + _GOLDEN + (key & _MASK)) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def permutation(count: int, *keys: int) -> Tensor:
    """The numbers below ``count``, int64, in an order that the keys draw."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(mix(*keys)))


_of_batch = torch.Generator()
_beside: int | None = None  # the seed of the global generator while a batch is trained on


def seed_batch(seed: int, epoch: int, batch: int, rank: int) -> None:
    """Seed all generators for one training batch."""
    global _beside
    seed_everything(seed, epoch, batch, 1 + rank)
    _of_batch.manual_seed(mix(seed, epoch, batch, 0))
    _beside = torch.default_generator.initial_seed()


def generator() -> torch.Generator:
    """Of the CPU: the one that is alike in all processes, while a batch is trained on; the global one where
    that was seeded otherwise since."""
    return _of_batch if torch.default_generator.initial_seed() == _beside else torch.default_generator


def seed_everything(*keys: int) -> None:
    """Seed Python, NumPy and torch (CPU, and CUDA where it is in use) from the keys.

    ``torch.manual_seed`` is not used: without CUDA it formats a stack trace at each call, which costs more
    than a small training step.
    """
    value = mix(*keys)
    random.seed(value)
    np.random.seed(value & 0xFFFFFFFF)
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(value)
