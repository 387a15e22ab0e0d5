"""A table of document frequencies is counted in one split, kept as JSON and weighs CIDEr."""

import json
import logging
from pathlib import Path

import pytest
import torch

from vision_apps.applications.captioning.attention_lstm import AttentionLstm
from vision_apps.applications.captioning.cider import Frequencies, cider_d, frequencies
from vision_apps.applications.captioning.document_frequencies import read, write
from vision_apps.applications.captioning.metrics import Said, evaluate
from vision_apps.applications.captioning.module import Captioning
from vision_apps.core.errors import DataError
from vision_apps.data.captions.words import SPECIAL
from vision_apps.networks.backbones import Small

LINES = {
    "train": {"a": ["A cat.", "A cat!"], "b": ["a dog"], "c": ["a dog sits"]},
    "val": {"d": ["a bird"]},
    "test": {"e": ["a bird flies"]},
}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    rows = ["image,caption,split"]
    for split, pictures in LINES.items():
        for name, captions in pictures.items():
            (tmp_path / "images" / f"{name}.png").touch()  # no pixel is read
            rows += [f"{name}.png,{text},{split}" for text in captions]
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.slow
def test_the_references_of_a_split_are_counted(album: Path) -> None:
    file = album / "rare.json"
    words = ["task=captioning", "data=csv", f"data.root={album}", "data.image_size=32"]
    counted = write(file, *words)
    known = read(file)
    assert known.pictures == counted.pictures == 3
    assert known.counts[("a",)] == 3 and known.counts[("<end>",)] == 3 and known.counts[("a", "dog")] == 2
    assert ("cat",) not in known.counts, "said of one picture, twice"
    assert not any("bird" in gram for gram in counted.counts), "nothing of other splits"
    content = json.loads(file.read_text())
    assert content["source"].startswith("train: task=captioning") and "Penn" in content["tokenizer"]
    # what is left out weighs the same
    said, truths = [["a cat sits"]], [["a cat sits here", "a dog sits"]]
    assert cider_d(said, truths, known) == cider_d(said, truths, counted)


def test_with_a_table_one_picture_has_a_cider(caplog: pytest.LogCaptureFixture) -> None:
    known = frequencies([["a cat <end>"], ["a dog <end>"], ["two birds <end>"]])
    one = [Said(["a cat"], True, ["a cat"])]
    with caplog.at_level(logging.WARNING):
        # cat and a cat are in one of three pictures, a in two: cosines of pairs and words are 1, two of four
        assert evaluate(one, known)["cider"] == pytest.approx(5)
        assert not caplog.records
        assert "cider" not in evaluate(one)
    assert "module.document_frequencies=FILE" in caplog.text


def test_a_module_measures_and_rewards_with_it(tmp_path: Path) -> None:
    file = tmp_path / "rare.json"
    file.write_text(frequencies([["red <end>"], ["red left <end>"]]).to_json())
    words = [*SPECIAL, "red", "left"]
    network = AttentionLstm(Small(width=8), words, embedding=4, hidden=4, attention=4)
    facts = {"max_words": 2, "image_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3}
    own = Captioning(network, words, **facts, self_critical=2, document_frequencies=str(file))  # type: ignore[arg-type]
    (metric,) = own.build_metrics().values()
    assert metric.known.pictures == 2
    own.prepare(own.example())
    assert (
        own.known is own.table and own.known is not None and own.known.counts == {("red",): 2, ("<end>",): 2}
    )
    gone = Captioning(network, words, **facts, document_frequencies="gone.json")  # type: ignore[arg-type]
    with torch.inference_mode():
        gone.eval()(gone.inputs(gone.example()))  # nothing is measured, so that nobody needs it
    with pytest.raises(DataError, match=r"module\.document_frequencies: gone\.json: cannot be read"):
        gone.setup("fit")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "expected"),
        ('{"pictures": 0, "counts": {}}', "pictures is 0"),
        ('{"pictures": true, "counts": {}}', "pictures is True"),
        ('{"pictures": 3, "counts": {"a": 4}}', "'a' has 4"),
        ('{"pictures": 3, "counts": {"a": "2"}}', "'a' has '2'"),
        ('{"pictures": 3, "counts": {"a b c d e": 2}}', "1 to 4 words"),
        ('{"pictures": 3, "counts": {"": 2}}', "1 to 4 words"),
    ],
)
def test_what_is_no_table_is_told(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "rare.json"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read(file)
    assert str(file) in str(caught.value) and reason in str(caught.value)


def test_a_table_survives_json() -> None:
    known = Frequencies({("ein", "hügel"): 2, ("日",): 3, ("once",): 1}, pictures=4)
    assert Frequencies.of_json(known.to_json(source="x")) == Frequencies({("ein", "hügel"): 2, ("日",): 3}, 4)
