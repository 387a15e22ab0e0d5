"""A trained run in Python answers as the command does, whatever it is given."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

import vision_apps
from smallest import WORLD
from vision_apps.cli import main
from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.config import options
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import CheckpointError, ConfigError, DataError
from vision_apps.core.pictures import from_pil
from vision_apps.core.seeding import seed_everything

TASKS = sorted(options.of_group("task"))
WORDS = {"vqa": {"question": "what color is the box?"}, "navigation": {"seed": "3"}}
WITHOUT_PICTURE = ("navigation",)


def saved(task: str) -> str:
    """An untrained checkpoint of an application."""
    config: Any = OmegaConf.to_container(compose([f"task={task}", *WORLD]), resolve=True)
    seed_everything(0)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts, trainable=False)
    path = f"{task}.ckpt"
    checkpoint = {"state_dict": module.state_dict(), "config": config, "facts": data.facts}
    checkpoint_io.save(checkpoint, Path(path))
    return path


@pytest.fixture
def photos() -> list[str]:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(f"{number}.png")
    return ["0.png", "1.png"]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """What both say of an answer: a command also names the drawing, and files have names."""
    known = json.loads(json.dumps(row))
    return {name: value for name, value in known.items() if name not in ("file", "picture")}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_answers_are_those_of_the_command(task: str, photos: list[str]) -> None:
    place, words = saved(task), WORDS.get(task, {})
    pictures = [] if task in WITHOUT_PICTURE else photos
    said = [part for name, text in words.items() for part in ("--with", f"{name}={text}")]
    assert main(["predict", place, *pictures, *said, "--out", "out", "--batch", "1"]) == 0
    expected = [json.loads(line) for line in Path("out/predictions.jsonl").read_text().splitlines()]

    model = vision_apps.load(place)
    answers = model.predict(*pictures, batch=1, **words)
    assert [plain(answer.row) for answer in answers] == [plain(row) for row in expected]
    assert [answer.row.get("file") for answer in answers] == [row.get("file") for row in expected]
    for answer, row in zip(answers, expected, strict=True):
        answer.save("drawn.png")
        assert Path("drawn.png").read_bytes()[:4] == b"\x89PNG"
        with Image.open("drawn.png") as ours, Image.open(f"out/{row['picture']}") as theirs:
            assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    if pictures:
        images = [Image.open(name) for name in pictures]
        arrays = np.stack([np.asarray(image) for image in images])
        for given in (images, arrays, [from_pil(image) for image in images]):
            assert [plain(a.row) for a in model.predict(given, batch=1, **words)] == [
                plain(answer.row) for answer in answers
            ]


@pytest.fixture
def model(photos: list[str]) -> Any:
    return vision_apps.load(saved("classification"))


def test_pictures_in_memory_are_read_as_files_are(model: Any) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (40, 30), dtype=np.uint8)
    clear = np.dstack([levels, levels // 2, levels // 3, 255 - levels])
    deep = Image.fromarray(levels.astype(np.uint16) * 257)
    palette = Image.fromarray(clear[..., :3]).quantize(8)
    for name, given in {
        "grey.png": Image.fromarray(levels),
        "clear.png": Image.fromarray(clear),
        "deep.png": deep,
        "palette.png": palette,
    }.items():
        given.save(name)
        assert plain(model.predict(given)[0].row) == plain(model.predict(name)[0].row), name
    for name, array in {"grey.png": levels, "clear.png": clear}.items():
        assert plain(model.predict(array)[0].row) == plain(model.predict(name)[0].row), name


def test_a_turned_picture_is_upright(model: Any) -> None:
    turned = Image.open("0.png")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save("turned.png", exif=exif)
    with Image.open("turned.png") as given:
        (answer,) = model.predict(given)
    assert plain(answer.row) == plain(model.predict("turned.png")[0].row)
    assert (answer["width"], answer["height"]) == (48, 64)


def test_folders_patterns_and_lists_come_in_order(model: Any) -> None:
    answers = model.predict("*.png", [Path("1.png"), Image.open("0.png")])
    assert [answer.row.get("file") for answer in answers] == ["0.png", "1.png", "1.png", None]
    assert repr(model).startswith("<Classification of classification.ckpt: takes pictures")
    assert model.facts["class_names"] and model.module.training is False
    assert "nothing" not in repr(answers[0]) and answers[0]._repr_png_()[:4] == b"\x89PNG"
    with pytest.raises(KeyError, match="'colour'; the answer has file, width, height"):
        answers[0]["colour"]


def test_errors_say_what_is_expected(model: Any) -> None:
    with pytest.raises(ConfigError, match=r'which pictures\? As in predict\("photo.jpg"\)'):
        model.predict()
    with pytest.raises(ConfigError, match="question: not taken; this run takes pictures and videos"):
        model.predict("0.png", question="why?")
    with pytest.raises(DataError, match=r"an array float32 \[4, 4, 3\]: expected a path, a PIL image"):
        model.predict(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(
        DataError, match=r"a tensor torch.uint8 \[4, 4, 3\]: expected .* tensor uint8 \[3, H, W\]"
    ):
        model.predict(torch.zeros(4, 4, 3, dtype=torch.uint8))
    with pytest.raises(DataError, match="int: expected a path"):
        model.predict(3)
    with pytest.raises(DataError, match=r"no\.jpg matches no file"):
        model.predict("no.jpg")
    with pytest.raises(CheckpointError, match="runs/none does not exist"):
        vision_apps.load("runs/none")


def test_one_broken_picture_is_told_or_kept(model: Any) -> None:
    Path("broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 of 2 inputs: broken\.png: cannot be decoded"):
        model.predict("0.png", "broken.png")
    good, bad = model.predict("0.png", "broken.png", strict=False)
    assert bad.failed and not good.failed
    with pytest.raises(DataError, match=r"nothing to draw of this answer; it says .*broken\.png"):
        bad.draw()
    assert bad._repr_png_() is None


@pytest.mark.slow
def test_words_are_asked_for() -> None:
    asked = vision_apps.load(saved("vqa"))
    picture = Image.new("RGB", (32, 32))
    with pytest.raises(ConfigError, match=r'As in predict\("photo.jpg", question="..."\)'):
        asked.predict()
    with pytest.raises(DataError, match=r"no word of 'zzz' was in the questions"):
        asked.predict(picture, question="zzz")
    walked = vision_apps.load(saved("navigation"))
    with pytest.raises(DataError, match=r"seed: not said; expected .*in Python seed=.*, or a row"):
        walked.predict(instruction="go to the red ball")
    assert walked.predict(seed=3)[0]["seed"] == "3"
