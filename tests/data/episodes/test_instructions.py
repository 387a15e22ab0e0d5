"""Files of R2R and RxR, and what is none."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from vision_apps.core.errors import DataError
from vision_apps.data.episodes.instructions import Route, read_routes

R2R: dict[str, Any] = {
    "distance": 4.0,
    "scan": "house",
    "path_id": 12,
    "path": ["a", "b", "c"],
    "heading": 1.5,
    "instructions": ["Go left.", "Turn left.", "Left, then stop."],
}
RXR: dict[str, Any] = {
    "path_id": 3,
    "split": "train",
    "scan": "house",
    "heading": 2.5,
    "path": ["a", "b"],
    "instruction_id": 77,
    "annotator_id": 1,
    "language": "en-IN",
    "instruction": "You are facing a door.",
    "timed_instruction": [{"word": "You"}],
}


def test_each_instruction_of_r2r_is_one(tmp_path: Path) -> None:
    file = tmp_path / "R2R_train.json"
    file.write_text(json.dumps([R2R]))
    found = read_routes(file)
    assert [route.id for route in found] == ["12_0", "12_1", "12_2"]
    assert found[1] == Route("12_1", "house", ("a", "b", "c"), 1.5, "Turn left.", f"{file}, entry 0")


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_lines_of_rxr_packed_or_not(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"rxr_train_guide.{ending}"
    lines = "\n".join(json.dumps(RXR | {"language": own}) for own in ("en-IN", "hi-IN", "en-US")) + "\n\n"
    file.write_bytes(gzip.compress(lines.encode()) if ending.endswith("gz") else lines.encode())
    assert len(read_routes(file)) == 3
    found = read_routes(file, ["en"])
    assert [(route.id, route.source) for route in found] == [
        ("77", f"{file}, line 1"),
        ("77", f"{file}, line 3"),
    ]
    with pytest.raises(DataError, match="no instruction in te is in it"):
        read_routes(file, ["te"])


def lines(content: bytes) -> tuple[str, bytes]:
    return "own.jsonl", content


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (R2R | {"path": []}, r"entry 0: its path is \[\]"),
        (R2R | {"path": ["a"] * 5000}, "entry 0: its path is"),
        (R2R | {"path": [1, 2]}, "entry 0: its path is"),
        (R2R | {"scan": 4}, "entry 0: its scan is 4"),
        (R2R | {"heading": "north"}, "entry 0: its heading is 'north'"),
        (R2R | {"heading": float("nan")}, "entry 0: its heading is nan"),
        (R2R | {"instructions": "Go left."}, "entry 0: it has distance, scan"),
        (R2R | {"instructions": [3]}, "an instruction is 3"),
        (5, "entry 0: it is 5"),
    ],
)
def test_an_entry_that_is_none_is_told(content: object, text: str, tmp_path: Path) -> None:
    file = tmp_path / "R2R_train.json"
    file.write_text(json.dumps([content]))
    with pytest.raises(DataError, match=text) as caught:
        read_routes(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"not json"),
        ("a.json", b"{}"),
        ("a.json", b"[]"),
        ("a.json", b"[" * 100_000),
        ("a.json", b"\xff\xfe\x00"),
        ("a.jsonl", b"{]\n"),
        ("a.jsonl", b""),
        ("a.jsonl.gz", b"no gzip"),
        ("a.jsonl.gz", gzip.compress(json.dumps(RXR).encode())[:-20]),
    ],
)
def test_a_file_that_is_none_is_told(name: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(file))):
        read_routes(file)


def test_a_line_without_an_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vision_apps.data.episodes.instructions._MOST_LINE", 1000)
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(gzip.compress(b" " * 1_000_000))
    with pytest.raises(DataError, match="line 1: more than 1000 bytes"):
        read_routes(file)
