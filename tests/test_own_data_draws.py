"""Many draws of few pictures."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from scripts import REPOSITORY


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(REPOSITORY / "experiments/own_data")
    import draws

    return draws


def test_what_is_learned_from_is_not_asked(draws: ModuleType) -> None:
    labels = np.repeat(list("abcdef"), 20)
    known, asked = draws.drawn(labels, 15, seed=1)
    names, counts = np.unique(labels[known], return_counts=True)
    assert counts.tolist() == [5, 5, 5] and not {*known} & {*asked}
    assert {*known, *asked} == {*np.flatnonzero(np.isin(labels, names))}
    assert {*known} != {*draws.drawn(labels, 15, seed=2)[0]}


def test_classes_far_apart_are_told_apart(draws: ModuleType) -> None:
    labels = np.repeat(list("abc"), 10)
    features = (np.eye(3).repeat(10, 0) + 0.01 * np.random.default_rng(0).random((30, 3))).astype(np.float32)
    assert draws.accuracies(features, labels, 10, seed=0) == (1.0, 1.0, 1.0)
    turned = np.array([*"bca"])[np.unique(labels, return_inverse=True)[1]]
    assert np.array_equal(draws.fitted(features, turned, features), turned)


def test_the_table_is_written(draws: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(24):
        folder = tmp_path / "ucm96/train" / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (9 * number, 80 * (number % 3), 0)).save(folder / f"{number}.png")
    monkeypatch.setattr(draws, "HERE", tmp_path)
    monkeypatch.setattr(draws, "SIDE", 32)
    monkeypatch.setattr(draws, "DRAWS", {5: 2})
    draws.main(["--root", str(tmp_path)])
    lines = (tmp_path / "ucm96-draws.md").read_text().splitlines()
    assert len(lines) == 3 and lines[2].startswith("| 5 | 2 | ")
    with pytest.raises(SystemExit, match="there is no"):
        draws.main(["--root", str(tmp_path / "away")])
