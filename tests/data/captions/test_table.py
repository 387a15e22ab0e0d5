"""Captions of one's own: read as they are, with every unusable picture told."""

import json
from pathlib import Path
from typing import Any

import pytest

from vision_apps.applications.captioning.types import CaptionBatch
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.captions.fakes import fake_pictures
from vision_apps.data.captions.table import CaptionTableFiles
from vision_apps.data.captions.words import END, SPECIAL, UNKNOWN, decoded, from_bytes


def made(root: Path, lines: str, name: str = "captions.csv", pictures: int = 12) -> Path:
    fake_pictures(root / "images", [f"{number}.png" for number in range(pictures)], 32, 0)
    (root / name).write_text(lines, encoding="utf-8")
    return root


def opened(root: Path, **options: Any) -> CaptionTableFiles:
    data = CaptionTableFiles(str(root), **{"image_size": 32, **options})
    data.batch_type = CaptionBatch
    data.prepare_data()
    return data


def lines(count: int = 12) -> str:
    return "image,caption\n" + "".join(
        f'{n}.png,"A cat, number {n}."\n{n}.png,There\'s cat {n}\n' for n in range(count)
    )


def test_several_lines_are_several_captions_of_one_picture(tmp_path: Path) -> None:
    data = opened(made(tmp_path, lines()))
    counts = [len(data.load(split, ("captions",))) for split in ("train", "val", "test")]
    assert sum(counts) == 12 and all(counts)
    sample = data.load("train", ("captions", "references"))[0]
    first, second = from_bytes(sample["references"])
    assert first.startswith("a cat number ") and second.startswith("there 's cat ")
    vocabulary = data.vocabulary
    assert [" ".join(decoded(row, vocabulary)) for row in sample["captions"].tolist()] == [first, second]


def test_a_comma_in_the_last_column_needs_no_quotes(tmp_path: Path) -> None:
    made(tmp_path, "image,caption\n" + "".join(f"{n}.png,a cat, and {n}\n" for n in range(12)))
    sample = opened(tmp_path).load("train", ("references",))[0]
    assert from_bytes(sample["references"])[0].startswith("a cat and ")
    (tmp_path / "captions.csv").write_text("caption,image\na cat, and 1,1.png\n")
    with pytest.raises(DataError, match=r"line 2: expected a heading such as .* a comma in quotes"):
        opened(tmp_path)


def test_json_lines_with_splits_and_lists(tmp_path: Path) -> None:
    rows = [
        {"file_name": f"{n}.png", "captions": [f"cat {n}", "a cat"], "split": split}
        for n, split in enumerate(["train"] * 8 + ["valid"] * 2 + ["test"] * 2)
    ]
    data = opened(made(tmp_path, "\n".join(map(json.dumps, rows)), "captions.jsonl"))
    assert [len(data.load(split, ("captions",))) for split in ("train", "val", "test")] == [8, 2, 2]
    assert data.drawn == ()
    # words that only other splits have are unknown, and the references keep them
    sample = data.load("test", ("captions", "references"))[0]
    assert UNKNOWN in sample["captions"] and any(
        text in ("cat 10", "cat 11") for text in from_bytes(sample["references"])
    )


def test_files_of_splits(tmp_path: Path) -> None:
    made(tmp_path, lines(6), "train.csv")
    (tmp_path / "validation.csv").write_text("image,caption\n6.png,a cat\n7.png,a dog\n")
    (tmp_path / "test.csv").write_text("image,caption\n8.png,a cat\n")
    data = opened(tmp_path)
    assert [len(data.load(split, ("captions",))) for split in ("train", "val", "test")] == [6, 2, 1]


def test_a_caption_of_ten_thousand_words(tmp_path: Path) -> None:
    long = " ".join(["cat", "dog"] * 5000)
    more = "".join(f"{number}.png,{long}\n" for number in range(12))
    data = opened(made(tmp_path, lines() + more), max_words=20)
    assert data.facts["max_words"] == 20
    samples = data.load("train", ("captions", "references"))
    rows = list(map(samples.__getitem__, range(len(samples))))
    assert {tuple(row["captions"].shape) for row in rows} == {(3, 21)}
    for row in rows:
        assert END not in row["captions"][2] and row["captions"][2, 19], "its first words, and no end"
        assert from_bytes(row["references"])[2] == long
    told = list(data.doctor())
    assert any("have more than 20 words" in line and "data.max_words" in line for line in told)


def test_pictures_without_a_caption_or_without_a_file(tmp_path: Path) -> None:
    bad = lines() + "nowhere.png,a cat\n"
    bad = bad.replace('3.png,"A cat, number 3."\n3.png,There\'s cat 3\n', "3.png,...\n")
    made(tmp_path, bad)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    text = str(caught.value)
    assert "2 files are broken" in text and "3.png: " in text and "has no caption" in text
    assert "nowhere.png: is not there, which" in text and "data.on_corrupt=skip" in text
    data = opened(tmp_path, on_corrupt="skip")
    assert sum(len(data.load(split, ("captions",))) for split in ("train", "val", "test")) == 11


def test_rare_words_are_unknown_and_many_of_them_are_told(tmp_path: Path) -> None:
    data = opened(made(tmp_path, lines()), least_count=3)
    assert "0" not in data.vocabulary and "cat" in data.vocabulary
    (line,) = [line for line in data.obstacles() if "of train" in line]
    assert "data.least_count=3" in line
    with pytest.raises(DataError, match=r"data\.least_count: no word .* data\.least_count=1 takes all"):
        _ = opened(tmp_path, least_count=10**6).facts


def test_a_run_s_vocabulary_is_kept(tmp_path: Path) -> None:
    data = CaptionTableFiles(str(made(tmp_path, lines())), image_size=32)
    words = [*SPECIAL, "cat", "elephant"]
    data.known_facts = {"vocabulary": words, "max_words": 4}
    data.prepare_data()
    assert data.facts["vocabulary"] == words and data.facts["max_words"] == 4
    row = data.load("train", ("captions",))[0]["captions"][0].tolist()
    assert row[:3] == [UNKNOWN, 3, UNKNOWN] and len(row) == 5


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "captions.csv",
            "name,words\n0.png,a\n",
            "captions.csv, line 2: names no picture (image, filename,",
        ),
        (
            "captions.csv",
            "image,caption\n,a cat\n",
            "line 2: its image is ''; expected the name of a file",
        ),
        (
            "captions.csv",
            "image,caption,split\n0.png,a,later\n",
            "its split is 'later'; expected train, val or test",
        ),
        ("captions.jsonl", "{", "captions.jsonl, line 1: cannot be read as JSON"),
        ("captions.jsonl", '{"image": "0.png", "caption": 3}', "expected text, or a list of texts"),
        (
            "captions.jsonl",
            '{"image_id": 7, "caption": "a"}',
            "its image_id is 7; expected the name of a file",
        ),
        ("captions.jsonl", '{"image": "0.png"}', "line 1: says no caption (caption, captions, "),
        ("captions.jsonl", "[1]", "captions.jsonl, line 1: expected a heading such as"),
        ("other.md", "", "there is no CSV file or JSON lines"),
    ],
)
def test_what_is_malformed_is_named(name: str, text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        opened(made(tmp_path, text, name))
    assert told in str(caught.value)


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        CaptionTableFiles("x", least_count=0, max_words=0, val_fraction=0.7, image_size=0)
    for key in ("least_count", "max_words", "val_fraction", "image_size"):
        assert f"data.{key}: " in str(caught.value)


def test_names_without_an_ending_and_columns_that_are_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [f"{number},a cat {number},not read,nor this\n" for number in range(12)]
    data = opened(made(tmp_path, "image_name,comment,caption_2,url\n" + "".join(rows)))
    assert sum(len(data.load(split, ("captions",))) for split in ("train", "val", "test")) == 12
    assert not {"not", "nor"} & {*data.vocabulary}
    assert "data: of captions.csv, nothing is read of the columns caption_2, url" in caplog.text


def test_what_is_read_is_counted_and_what_is_not_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made(tmp_path, lines())
    for name in ("captions.jsonl", "test.csv", "notes.txt"):
        (tmp_path / name).write_text("")
    with caplog.at_level("INFO"):
        data = opened(tmp_path)
    for name in ("captions.jsonl", "test.csv"):
        assert f"data: {name} is not read, captions.csv is; data.file={name} reads it instead" in caplog.text
    assert "notes.txt" not in caplog.text
    pictures = [len(data.load(split, ("captions",))) for split in ("train", "val", "test")]
    told = " · ".join(
        f"{split} {2 * count} of {count} pictures"
        for split, count in zip(("train", "val", "test"), pictures, strict=True)
    )
    assert f"captions  {told}" in caplog.text


def test_a_quote_that_is_never_closed_loses_nothing_silently(tmp_path: Path) -> None:
    made(tmp_path, lines() + '5.png,"never closed\n6.png,a cat\n')
    with pytest.raises(
        DataError, match=r"cannot be read: line \d+: unexpected end of data; is a quote opened"
    ):
        opened(tmp_path)


@pytest.mark.parametrize("between", [";", "\t"])
def test_other_signs_between_columns(tmp_path: Path, between: str) -> None:
    rows = f"image{between}caption\n" + "".join(f"{n}.png{between}a cat, {n}\n" for n in range(12))
    sample = opened(made(tmp_path, rows)).load("train", ("references",))[0]
    assert from_bytes(sample["references"])[0].startswith("a cat ")


def test_text_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    made(tmp_path, "")
    text = lines().replace("cat", "Bär")
    (tmp_path / "captions.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"captions\.csv.*save it as UTF-8, .*data\.encoding=latin-1"):
        opened(tmp_path)
    assert "bär" in opened(tmp_path, encoding="latin-1").vocabulary


@pytest.mark.parametrize("lost", ["8.png,\n", ""])
def test_a_split_of_which_nothing_is_left_is_not_drawn_in_its_place(tmp_path: Path, lost: str) -> None:
    made(tmp_path, lines(8), "train.csv")
    (tmp_path / "test.csv").write_text("image,caption\n" + lost)
    with pytest.raises(DataError, match=r"data: nothing of test in .* can be used; expected some that can"):
        opened(tmp_path, on_corrupt="skip")
    (tmp_path / "test.csv").unlink()
    assert "test" in opened(tmp_path).drawn
