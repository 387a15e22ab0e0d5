"""Many draws of few pictures with boxes."""

import csv
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from scripts import REPOSITORY
from vision_apps.networks.backbones import Small


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(REPOSITORY / "experiments/own_data")
    import box_draws

    return box_draws


def known(draws: ModuleType, number: int) -> object:
    """Boxes that their features tell."""
    places = torch.rand(number, 2, generator=torch.Generator().manual_seed(0))
    left, top = 0.5 * places[:, 0], 0.5 * places[:, 1]
    boxes = torch.stack((left, top, left + 0.4, top + 0.4), 1).double().numpy()
    mirrored = torch.stack((1.2 - places[:, 0], places[:, 1]), 1)  # of the box from 0.6 - left on
    labels = np.array(list("abc") * number)[:number]
    means = torch.eye(3).repeat(number, 1)[:number] + 0.1
    return draws.Pool(draws.baselines.Located(boxes, labels), means, places, mirrored)


def test_what_is_learned_from_is_not_asked(draws: ModuleType) -> None:
    labels = np.repeat(list("abc"), 20)
    every, kept, asked = draws.drawn(labels, 5, seed=1)
    assert sorted({*every, *asked}) == list(range(60)) and not {*every} & {*asked}
    assert sorted(np.unique(labels[every], return_counts=True)[1].tolist()) == [1, 2, 2]
    assert {*kept} < {*every} and {*every} != {*draws.drawn(labels, 5, seed=2)[0]}


def test_boxes_that_features_tell_are_told(draws: ModuleType) -> None:
    blind, told, whole, own, accuracy = draws.errors(known(draws, 300), 100, 0)
    assert accuracy == 1 and max(whole, own) < 0.01 * min(blind, told)


def test_the_table_is_written(draws: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "boxes96"
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    rows = [[f"{number}.png", 2, 3, 12, 9, "abc"[number % 3]] for number in range(18)]
    for number, row in enumerate(rows):
        Image.new("RGB", (16, 12), (9 * number, 80 * (number % 3), 0)).save(folder / "images" / str(row[0]))
    rows[7][4] = rows[7][2]  # no height
    with open(folder / "annotations/train.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    monkeypatch.setattr(draws, "HERE", tmp_path)
    monkeypatch.setattr(draws, "SIZE", (32, 32))
    monkeypatch.setattr(draws, "DRAWS", {5: 2})
    monkeypatch.setattr(draws, "Timm", lambda *_: Small(width=8))
    draws.main(["--root", str(tmp_path)])
    lines = (tmp_path / "boxes96-draws.md").read_text().splitlines()
    assert len(lines) == 3 and lines[2].startswith("| 5 | 2 | ")
    with pytest.raises(SystemExit, match="there is no"):
        draws.main(["--root", str(tmp_path / "away")])
