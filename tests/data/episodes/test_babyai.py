"""Rooms of BabyAI as a data set, and what is kept of its demonstrations."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.core.data import SPLITS
from vision_apps.core.errors import ConfigError
from vision_apps.data.episodes import demonstrations, experts, rooms
from vision_apps.data.episodes.babyai import BabyAi


def made(root: Path, **settings: Any) -> BabyAi:
    counts = {"train_images": 12, "val_images": 6, "test_images": 6}
    data = BabyAi(**{"cache": str(root), **counts, **settings})
    data.prepare_data()
    return data


@given(
    st.integers(0, 999_999), st.integers(0, 999_999), st.lists(st.integers(1, 10**6), min_size=3, max_size=3)
)
def test_no_seed_is_in_two_splits_or_worlds(world: int, other: int, counts: list[int]) -> None:
    names = ("train_images", "val_images", "test_images")
    data, again = (
        BabyAi(world_seed=seed, **dict(zip(names, counts, strict=True))) for seed in (world, other)
    )
    own = {split: data.seeds(split) for split in SPLITS}
    for split in SPLITS:
        assert {seed % 3 for seed in (own[split][0], own[split][-1])} == {SPLITS.index(split)}
        assert len(own[split]) == data.counts[split]
        if world != other:  # of ranges with one step: these do not meet
            others = again.seeds(split)
            assert own[split][-1] < others[0] or others[-1] < own[split][0]


def test_samples_are_the_episodes_of_their_seeds(tmp_path: Path) -> None:
    data = made(tmp_path)
    samples = data.load("val", data.fields).fields
    assert isinstance(samples["starts"], torch.Tensor) and samples["starts"][:, 0].tolist() == [
        *data.seeds("val")
    ]
    first = rooms.views(samples["maps"], samples["starts"][:, 1:])
    assert samples["images"].shape == (6, 3, 56, 56) and first.shape == (6, 7, 7)
    for row, seed in enumerate(data.seeds("val")):
        (one,) = experts.demonstrations(data.level, [seed], data.shape.steps)
        taken = samples["actions"][row]
        assert taken[taken >= 0].tolist() == one.actions
        goals = samples["goals"][row]
        assert goals[goals >= 0].tolist() == one.begins.targets
        words = [data.vocabulary[number] for number in samples["instructions"][row].tolist() if number]
        assert (
            " ".join(word for word in words if word != "<unknown>") in one.begins.mission
            or "<unknown>" in words
        )


def test_demonstrations_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(tmp_path).load("train", ("actions",)).fields["actions"]
    monkeypatch.setattr(experts, "demonstrations", lambda *_: pytest.fail("made again"))
    assert torch.equal(made(tmp_path).load("train", ("actions",)).fields["actions"], first)


@pytest.mark.parametrize("damage", ["truncated", "hostile", "other"])
def test_a_damaged_cache_is_made_anew_and_that_is_told(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = made(tmp_path).load("train", ("actions",)).fields["actions"]
    for path in tmp_path.glob("*/actions.npy"):
        if damage == "truncated":
            path.write_bytes(path.read_bytes()[:-8])
        elif damage == "hostile":
            np.save(path, np.full_like(np.load(path), 99))
        else:
            np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    again = made(tmp_path).load("train", ("actions",)).fields["actions"]
    assert torch.equal(again, first)
    assert "They are made anew." in caplog.text


def test_another_code_makes_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path)
    before = {*tmp_path.iterdir()}
    monkeypatch.setattr(demonstrations, "_code", lambda: "another")
    made(tmp_path)
    assert before < {*tmp_path.iterdir()}


def test_a_run_that_goes_on_keeps_its_words(tmp_path: Path) -> None:
    data = BabyAi(train_images=12, val_images=6, test_images=6, cache=str(tmp_path))
    data.known_facts = {"vocabulary": ["", "<unknown>", "go", "to"]}
    data.prepare_data()
    told = data.load("test", ("instructions",)).fields["instructions"]
    assert (
        isinstance(told, torch.Tensor) and told[:, :2].tolist() == [[2, 3]] * 6 and (told[:, 2:4] == 1).all()
    )
    assert any("words that no training has" in line for line in data.obstacles())


def test_a_trained_agent_is_not_led_into_other_rooms(tmp_path: Path) -> None:
    known = {"world": BabyAi(level="GoToRedBallGrey")._world}
    for settings, told in (
        ({"level": "GoToLocalS6N4"}, "data.level: 'GoToLocalS6N4', where the run has learned with 'GoToRed"),
        ({"level": "GoToRedBallGrey", "max_steps": 5}, "data.max_steps: 5, where the run has learned with "),
    ):
        data = BabyAi(cache=str(tmp_path), **settings)
        data.known_facts = known
        with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
            data.prepare_data()


def test_settings_that_cannot_be_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        BabyAi(train_images=0, image_size=3, max_steps=1, world_seed=-1)
    for name in ("train_images", "image_size", "max_steps", "world_seed"):
        assert f"data.{name}: " in str(caught.value)


def test_small_rooms_begin_alike_and_that_is_told(tmp_path: Path) -> None:
    data = made(tmp_path, level="GoToObjS4", train_images=200, val_images=40)
    assert any("begin exactly as one of the training" in line for line in data.obstacles())
