"""Vectors of words from a file: those of the vocabulary are taken, and what is malformed is named."""

import logging
from pathlib import Path

import pytest
import torch

from vision_apps.applications.vqa import word_vectors
from vision_apps.applications.vqa.question_encoder import QuestionEncoder
from vision_apps.core.assembly import build_module, rebuild
from vision_apps.core.errors import CheckpointError, DataError

WORDS = ["", "<unknown>", "red", "größe", "at", "never"]
LINES = "the 0.1 0.2 0.3\nred 1 -2.5e-1 3\nat me@home.org 7 8 9\ngröße 4 5 6\nred 9 9 9\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text(LINES, encoding="utf-8")
    return path


def test_the_words_of_the_questions_are_taken(file: Path) -> None:
    found = word_vectors.read(file, {"red": 2, "größe": 3, "at": 4, "never": 5}, 3)
    assert {number: vector.tolist() for number, vector in found.items()} == {2: [1, -0.25, 3], 3: [4, 5, 6]}


def test_an_encoder_begins_with_them_and_tells_the_share(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    plain = QuestionEncoder(WORDS, words=3)
    torch.manual_seed(0)
    with caplog.at_level(logging.INFO):
        encoder = QuestionEncoder(WORDS, words=3, word_vectors=str(file))
    weight = encoder.embedding.weight
    assert weight[2:4].tolist() == [[1, -0.25, 3], [4, 5, 6]]
    for number in (0, 1, 4, 5):
        assert torch.equal(weight[number], plain.embedding.weight[number])
    assert not weight[0].any() and weight.requires_grad
    (told,) = caplog.messages
    assert "2 of 4 words of the questions (50%)" in told and str(file) in told


def test_what_was_trained_needs_no_file_and_only_its_own_words(file: Path) -> None:
    package = "vision_apps.applications.vqa"
    question = {"_target_": f"{package}.question_encoder.QuestionEncoder", "words": 3, "width": 4}
    backbone = {"_target_": "vision_apps.networks.backbones.Small", "width": 8}
    model = {"_target_": f"{package}.film.Film", "backbone": backbone, "width": 8, "hidden": 8}
    config = {
        "model": {**model, "question": {**question, "word_vectors": str(file)}},
        "module": {"_target_": f"{package}.module.Vqa"},
    }
    facts = {"vocabulary": WORDS, "answer_names": ["yes", "no"], "type_names": ["is it"], "image_size": 16}
    facts |= {"mean": [0.5] * 3, "std": [0.25] * 3}
    module = build_module(config, facts, trainable=False)
    file.unlink()
    checkpoint = {"config": config, "facts": facts, "state_dict": module.state_dict()}
    again = rebuild(checkpoint)
    weight = again.network.get_submodule("question.embedding").weight  # type: ignore[union-attr]
    assert weight[2].tolist() == [1, -0.25, 3]
    more = {**facts, "vocabulary": [*WORDS, "more"]}
    with pytest.raises(CheckpointError, match=r"the weights do not fit[\s\S]*question\.embedding\.weight"):
        rebuild({**checkpoint, "facts": more})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            b"red 1 2\n",
            r"line 1: 2 numbers after the word, and model\.question\.words=3; model\.question\.wor",
        ),
        (b"red 1 2 3 4\n", r"line 1: 4 numbers.*model\.question\.words=4"),
        (b"4 3\nred 1 2 3\n", "line 1: 1 numbers.*no first line that counts"),
        (b"the 1 2 3\nred 1 2\n", "line 2: 2 numbers.*every line"),
        (b"the 1 2 3\nred 1 x 3\n", "line 2: could not convert.*'x'"),
        (b"red 1 nan 3\n", "line 1: has numbers that are not finite"),
        (b"red 1  3\n", "line 1: could not convert"),
        (b"the 1 2 3\n", "a vector for none of the 4 words"),
        (b"", "a vector for none of the 4 words"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"model\.question\.word_vectors: .*bad\.txt.*{why}"):
        QuestionEncoder(WORDS, words=3, word_vectors=str(tmp_path / "bad.txt"))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt cannot be read: No such file"):
        word_vectors.read(tmp_path / "none.txt", {"red": 2}, 3)
