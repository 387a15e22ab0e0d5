"""Text of the user's own, in the encodings that programs write."""

from pathlib import Path

import pytest

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.text import numbered_lines, opened, require_encoding

TEXT = "Bär 1\r\n\r\nmy photo.jpg\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-16-be-mark"]
)
def test_utf_is_known_by_its_mark_or_its_zeros(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("-mark") else ""
    (tmp_path / "a.txt").write_bytes((mark + TEXT).encode(encoding.removesuffix("-mark")))
    assert list(numbered_lines(tmp_path / "a.txt")) == [(1, "Bär 1"), (3, "my photo.jpg")]
    with opened(tmp_path / "a.txt", "latin-1" if encoding != "utf-8" else None) as file:
        assert file.read() == TEXT  # what it says itself goes before what is declared


def test_latin_1_is_read_where_it_is_declared(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Bär".encode("latin-1"))
    assert list(numbered_lines(tmp_path / "a.txt", "latin-1")) == [(1, "Bär")]
    with pytest.raises(DataError, match=r"a\.txt: expected UTF-8 text: .*data\.encoding=latin-1"):
        list(numbered_lines(tmp_path / "a.txt"))


def test_half_a_character_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("ab".encode("utf-16")[:-1])
    with pytest.raises(DataError, match=r"a\.txt: expected UTF-16 text"):
        list(numbered_lines(tmp_path / "a.txt"))


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.encoding: latin-99; expected the name of one"):
        require_encoding("latin-99")
