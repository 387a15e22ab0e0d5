"""One wrong bit in an exported file is noticed."""

import random
from pathlib import Path

import pytest
import tiny
import torch

from vision_apps.core.errors import CheckpointError
from vision_apps.trained import exported
from vision_apps.trained.formats import SUFFIXES


@pytest.mark.parametrize("suffix", SUFFIXES.values())
def test_a_hundred_flips(suffix: str, good: Path) -> None:
    """What passes lies in the sum or in what names it, and changes nothing else."""
    path = Path(f"bad{suffix}")
    whole = (good / f"model{suffix}").read_bytes()
    content, _ = exported.load(good / f"model{suffix}")
    chance, passed = random.Random(0), 0
    for bit in chance.sample(range(8 * len(whole)), 100):
        noisy = bytearray(whole)
        noisy[bit // 8] ^= 1 << bit % 8
        path.write_bytes(noisy)
        try:
            other, _ = exported.load(path)
        except CheckpointError:
            continue
        passed += 1
        assert other.keys() == content.keys()
        assert all(torch.equal(v, other["state_dict"][n]) for n, v in content.get("state_dict", {}).items())
    assert passed <= 3
    assert tiny.here() == {str(path)}
