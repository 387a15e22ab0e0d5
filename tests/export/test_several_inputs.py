"""An application of pictures and words as a file: every input goes in under its name, of any length."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from tiny import FORMATS, Asked, exported, here

from vision_apps.cli import main
from vision_apps.core.errors import CheckpointError
from vision_apps.trained import evaluate

GRAPHS = ["onnx", "torch-export"]
ONE_LENGTH = {"_target_": "tiny.Reads", "length": 5}


def asked(batch: int, length: int, height: int = 8, width: int = 8) -> Asked:
    generator = torch.Generator().manual_seed(batch * length)
    images = torch.randint(256, (batch, 3, height, width), generator=generator, dtype=torch.uint8)
    return Asked(images, torch.randint(1, 9, (batch, length), generator=generator))


def answer(place: Path | str, inputs: Asked) -> Any:
    with torch.inference_mode():
        return evaluate.load(str(place)).predictor().answer(inputs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_it_answers_as_the_network_does(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the batch, the size and the length; traced are 3, 21 x 13 and 5."""
    file = exported(kind, network="Reads", module="Asks")
    assert (
        "compared on 5 samples of the run's test data, one by one and 8 together:\n"
        in capsys.readouterr().out
    )
    for inputs in (asked(1, 1), asked(2, 6, 9, 4), asked(7, 3, 3, 20), asked(3, 5)):
        one, other = answer("model.ckpt", inputs), answer(file, inputs)
        torch.testing.assert_close(one.scores, other.scores)
        assert torch.equal(one.chosen, other.chosen)
    assert evaluate.load(str(file)).checkpoint["inputs"] == [
        {"name": "images", "dtype": "uint8", "shape": ["batch", 3, "height", "width"]},
        {"name": "questions", "dtype": "int64", "shape": ["batch", "questions_length"]},
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_it_predicts_as_the_run_does(kind: str) -> None:
    file = exported(kind, network="Reads", module="Asks")
    rows = [{"file": tiny.picture(), "question": words} for words in ("1", "3 8", "1 2 3 4 5 6")]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = []
    for place in ("model.ckpt", str(file)):
        assert main(["predict", place, "rows.jsonl", "--out", "out"]) == 0
        told.append([json.loads(line) for line in Path("out/predictions.jsonl").read_text().splitlines()])
    assert told[0] == told[1]
    assert [row["question"] for row in told[0]] == [row["question"] for row in rows]
    assert all("chosen" in row for row in told[0])


@pytest.mark.slow
def test_other_programs_see_the_names() -> None:
    import onnxruntime

    inputs = asked(2, 4, 9, 6)
    session = onnxruntime.InferenceSession(str(exported("onnx", network="Reads", module="Asks")))
    assert [(entry.name, entry.shape) for entry in session.get_inputs()] == [
        ("images", ["batch", 3, "height", "width"]),
        ("questions", ["batch", "questions_length"]),
    ]
    assert [entry.name for entry in session.get_outputs()] == ["scores", "chosen"]
    scores, _ = session.run(None, {name: value.numpy() for name, value in inputs._asdict().items()})
    expected = answer("model.ckpt", inputs).scores
    torch.testing.assert_close(torch.from_numpy(scores), expected)

    program = torch.export.load(exported("torch-export", network="Reads", module="Asks"))
    assert program.graph_signature.user_inputs == ("images", "questions")
    found = program.module(check_guards=False)(*inputs)
    torch.testing.assert_close(found[0], expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRAPHS)
def test_one_length_where_the_network_takes_one(kind: str) -> None:
    """The pictures are of any size still; what is shorter is filled up, as in a batch."""
    file = exported(kind, network=ONE_LENGTH, module="Asks")
    assert [entry["shape"] for entry in evaluate.load(str(file)).checkpoint["inputs"]] == [
        ["batch", 3, "height", "width"],
        ["batch", 5],
    ]
    inputs = asked(2, 3, 9, 6)
    filled = inputs._replace(questions=torch.nn.functional.pad(inputs.questions, (0, 2)))
    torch.testing.assert_close(answer(file, inputs), answer("model.ckpt", filled))
    with pytest.raises(CheckpointError) as caught:
        answer(file, asked(2, 6))
    assert str(caught.value) == (
        f"{file} takes questions of batch x 5 only, these are 2 x 6; use the run itself for others"
    )
    card = Path(f"{file}.md").read_text()
    assert "- It takes `questions` of batch x 5 only. `vision-apps predict` fits pictures" in card
    assert "It takes `images`" not in card


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRAPHS)
def test_what_is_given_is_what_is_taken(kind: str) -> None:
    file = exported(kind, network="Reads", module="Asks")
    with pytest.raises(CheckpointError) as caught:
        answer(file, Asked(asked(1, 1).images, torch.zeros(1, 0, dtype=torch.int64)))
    assert str(caught.value) == (
        f"{file} takes images, questions, and was given images; use the run itself for others"
    )
    with pytest.raises(CheckpointError, match=rf"^{file} takes questions of batch x questions_length only"):
        answer(file, asked(1, 1)._replace(questions=torch.ones(1, 2, 3, dtype=torch.int64)))


def test_the_card_says_what_goes_in() -> None:
    file = exported("torch-export", network="Reads", module="Asks")
    card = Path(f"{file}.md").read_text()
    for row in (
        "| input | `images` | uint8 | batch x 3 x height x width | sRGB, 0 to 255: red, green, blue; not "
        "normalised |",
        "| input | `questions` | int64 | batch x questions_length | numbers from 1 to 8 |",  # as it is said
        "| output | `scores` | float32 | batch x 2 |  |",
    ):
        assert f"\n{row}\n" in card
    assert "\n    vision-apps predict model.pt2 photo.jpg --with question=...\n" in card
    assert here() == {"model.ckpt", "model.pt2", "model.pt2.md"}
