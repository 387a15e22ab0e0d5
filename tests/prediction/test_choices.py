"""The file of choices: what is written is read, and what is no choice is named with its line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.core.errors import DataError
from vision_apps.prediction.choices import ROW, Choice, append, read

FILE = Path("choices.jsonl")
TEXT = st.text()  # line ends of any system, quotes, half characters of names that are no UTF-8


@given(
    file=TEXT.filter(bool),
    candidates=st.lists(TEXT, min_size=1, unique=True),
    none=st.booleans(),
)
def test_what_is_written_is_read(file: str, candidates: list[str], none: bool) -> None:
    FILE.unlink(missing_ok=True)
    choice = Choice(file + "\udcff", tuple(candidates), None if none else candidates[-1])
    append(FILE, choice)
    assert read(FILE) == ([choice], [])


def test_the_last_choice_about_a_picture_counts() -> None:
    for chosen in ("a", None, "b"):
        append(FILE, Choice("1.png", ("a", "b"), chosen))
    append(FILE, Choice("2.png", ("a", "b"), "a"))
    assert read(FILE)[0] == [Choice("1.png", ("a", "b"), "b"), Choice("2.png", ("a", "b"), "a")]


def test_the_row_that_errors_show_is_one() -> None:
    FILE.write_text(ROW)
    assert read(FILE) == ([Choice("photo.jpg", ("a cat", "a dog"), "a dog")], [])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[1]", "[1] is no object"),
        ('{"candidates": ["a", "b"], "chosen": "a"}', "'file' is None, expected the path of a picture"),
        ('{"file": "x", "candidates": "ab", "chosen": "a"}', "'candidates' is ab, expected a list of texts"),
        ('{"file": "x", "candidates": ["a", 1], "chosen": "a"}', "'candidates' is ['a', 1]"),
        ('{"file": "x", "candidates": ["a"], "chosen": "c"}', "'chosen' is 'c', expected one of the"),
        ('{"file": "x", "candidates": ["a"], "chosen": 0}', "'chosen' is '0', expected one of the"),
        ('{"file": "x", "candidates": ["a"], "chosen": ["a"]}', "'chosen' is \"['a']\""),
    ],
)
def test_a_line_that_is_no_choice_is_named(line: str, problem: str) -> None:
    FILE.write_text(f"\n{ROW}\n{line}\n")
    found, problems = read(FILE)
    assert len(found) == 1
    (told,) = problems
    assert told.startswith(f"choices.jsonl, line 3: {problem}"), told


def test_an_answer_that_stands_twice_is_one() -> None:
    FILE.write_text(json.dumps({"file": "x", "candidates": ["a", "a", "b"], "chosen": "a"}))
    assert read(FILE)[0] == [Choice("x", ("a", "b"), "a")]


def test_a_file_that_cannot_be_read_or_written_is_told() -> None:
    FILE.write_bytes(b'{"file": "\xff"}')
    with pytest.raises(DataError, match=r"choices\.jsonl: expected UTF-8 text: .*; save it as UTF-8$"):
        read(FILE)
    with pytest.raises(DataError, match="cannot be written"):
        append(FILE / "below", Choice("x", (), None))
