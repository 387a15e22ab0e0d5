"""Samples that are decoded once: what is kept, in which order, and when there would be too many."""

import threading

import pytest
import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError, CorruptSample
from vision_apps.data import memory
from vision_apps.data.memory import decode


class Numbers:
    """Sample ``n`` holds its number; some are broken."""

    def __init__(self, count: int, broken: set[int]) -> None:
        self.count, self.broken = count, broken
        self.seen: set[str] = set()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        self.seen.add(threading.current_thread().name)
        if index in self.broken:
            raise CorruptSample(f"{index}.png", "broken")
        return {
            "images": torch.full((3, 2, 2), index % 256, dtype=torch.uint8),
            "labels": torch.tensor(index),
        }


@pytest.mark.parametrize("broken", [set(), {0, 1}, {5}, {0, 3, 4, 11}, {10, 11}])
def test_what_can_be_read_is_kept_in_its_order(broken: set[int]) -> None:
    found = decode(Numbers(12, broken), "train")
    left = [number for number in range(12) if number not in broken]
    assert found.rows == left == found.fields["labels"].tolist()
    assert found.fields["images"].dtype == torch.uint8
    assert found.fields["images"].shape == (len(left), 3, 2, 2)
    assert found.fields["images"][:, 1, 0, 1].tolist() == left
    assert [problem.path for problem in found.broken] == [f"{number}.png" for number in sorted(broken)]


def test_nothing_can_be_read() -> None:
    found = decode(Numbers(3, {0, 1, 2}), "train")
    assert found.rows == [] and found.fields == {} and len(found.broken) == 3


def test_other_threads_read() -> None:
    samples = Numbers(50, set())
    decode(samples, "train")
    assert len(samples.seen) > 1


def test_more_than_the_machine_has_is_refused_at_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = Numbers(1000, {0})
    monkeypatch.setattr(memory, "_memory", lambda: 25_000)  # bytes: 1000 samples take 12 + 8 each, 20,000
    assert len(decode(samples, "val").rows) == 999
    monkeypatch.setattr(memory, "_memory", lambda: 24_999)
    with pytest.raises(
        ConfigError, match=r"data\.in_memory: 1000 samples of val \(images \[3, 2, 2\], labels \[\]\) take"
    ):
        decode(samples, "val")
