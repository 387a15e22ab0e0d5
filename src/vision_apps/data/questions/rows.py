"""The user's own pictures with questions, which JSONL or CSV files list."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.data.files import SPLIT_NAMES, split_files
from vision_apps.data.on_disk import OnDisk
from vision_apps.data.questions.data import Asked, QuestionData
from vision_apps.data.questions.fakes import fake_pictures

_PICTURE = ("image", "file", "filename", "file_name", "image_name", "path")
_TYPE = ("type", "question_type")
_SPLIT = ("split", "set", "subset")
_SUFFIXES = (".jsonl", ".csv")
_BETWEEN = ";"  # two people's answers in a cell of a CSV file
_NAMED = 5  # files in an error


class QuestionRows(QuestionData):
    """Questions in JSONL or CSV files of ``root``, a line each: the picture's file (``image`` or ``file``),
    the ``question``, and its ``answer``, or in ``answers`` what each of several people said (a list; in CSV
    with ``;`` between them). A line may say the question's ``type`` and its ``split``.

    ``train``, ``val`` and ``test`` with these endings are the splits; a split that none gives is drawn from
    the training pictures. Pictures are looked for in ``root/images`` and ``root``.

    Args:
        rows: one file, below ``root``; by default those that are there.
        images: folder of the pictures, below ``root``.
    """

    layout = (
        "root/questions.jsonl, or train.jsonl, val.jsonl and test.jsonl (or .csv), with lines such as "
        '{"image": "a.jpg", "question": "is it red?", "answer": "yes"}; and root/images/'
    )
    remedy = "Say where it is: data.root=/path/to/it    Or name the file: data.rows=my.jsonl"

    def __init__(self, root: str, *, rows: str | None = None, images: str = "images", **asked: Any) -> None:
        super().__init__(root, **asked)
        self.rows = rows
        self.images = self.root / images
        self.disk = OnDisk()  # as it is when the files are read

    def files(self) -> dict[Split | None, Path]:
        """The file of each split; one file for no split in particular."""
        if self.rows is not None:
            if not (self.root / self.rows).is_file():
                raise self.problem(f"data.rows: there is no file {(self.root / self.rows).absolute()}")
            return {None: self.root / self.rows}
        there = {p.stem.lower(): p for p in sorted(self.root.iterdir()) if p.suffix.lower() in _SUFFIXES}
        if splits := split_files(there):
            return splits
        if len(there) == 1:
            return {None: next(iter(there.values()))}
        if there:
            names = [path.name for path in there.values()]
            raise self.problem(f"which one is it? data.rows={names[0]}; there are {some(names, _NAMED)}")
        raise self.problem("there is no JSONL or CSV file")

    def read(self) -> dict[Split, list[Asked]]:
        found: dict[Split, list[Asked]] = {}
        for of_file, path in self.files().items():
            for source, row in rows_of(path):
                split = of_file or _split(source, row)
                found.setdefault(split, []).append(self._asked(source, row))
        return found

    def _asked(self, source: str, row: Mapping[str, Any]) -> Asked:
        name, question = _first(row, _PICTURE), row.get("question")
        answers = row.get("answers", row.get("answer"))
        if answers is None or isinstance(answers, bool | int | float | str):
            answers = [] if answers is None else [_text(answers)]
        if not isinstance(name, str) or not name.strip() or not isinstance(question, str):
            raise DataError(f"{source}: has no image or no question; expected {_EXAMPLE}")
        if not isinstance(answers, list) or not all(
            isinstance(one, bool | int | float | str) for one in answers
        ):
            raise DataError(f"{source}: its answers are {answers!r:.80}; expected {_EXAMPLE}")
        kind = _first(row, _TYPE)
        places = [self.disk.find(folder / name.strip()) for folder in (self.images, self.root)]
        path = next(filter(None, places), str(self.images / name.strip()))
        return Asked(path, question, tuple(map(_text, answers)), str(kind or "").strip(), source)

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, count: int = 24) -> dict[str, object]:
        """Small pictures with one to three questions each."""
        names = [f"{number:04d}{('.jpg', '.png')[number % 2]}" for number in range(count)]
        colors = fake_pictures(root / "images", names, size, seed=0)
        lines = []
        for number, (name, color) in enumerate(zip(names, colors, strict=True)):
            answers = (
                ("what color is it?", color),
                ("is it red?", color == "red"),
                ("how many are there?", 1),
            )
            for question, answer in answers[: 1 + number % 3]:
                lines.append(json.dumps({"image": name, "question": question, "answer": answer}))
        (root / "questions.jsonl").write_text("\n".join(lines) + "\n")
        return {"root": str(root), "image_size": size}


_EXAMPLE = (
    'a row such as {"image": "a.jpg", "question": "is it red?", "answer": "yes"}, or with "answers": ["yes", '
    '"no", ...] of several people'
)


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line that is not blank, with where it stands; names in lower case. `DataError` where the file
    cannot be read, or a line is no row."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = list(file)
            if path.suffix.lower() == ".csv":
                table = csv.DictReader(lines, strict=True)
                read: list[tuple[int, Any]] = [(table.line_num, row) for row in table]
            else:
                read = [(n, json.loads(line)) for n, line in enumerate(lines, 1) if line.strip()]
    except (OSError, UnicodeDecodeError, ValueError, csv.Error, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}; expected {_EXAMPLE}") from error
    for number, row in read:
        source = f"{path}, line {number}"
        if not isinstance(row, dict) or None in row:
            raise DataError(f"{source}: expected {_EXAMPLE}")
        named = {str(name).strip().lower(): value for name, value in row.items()}
        if path.suffix.lower() == ".csv" and named.get("answers"):
            named["answers"] = named["answers"].split(_BETWEEN)
        yield source, named


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if name in row), None)


def _split(source: str, row: Mapping[str, Any]) -> Split:
    word = _first(row, _SPLIT)
    if word is None:
        return "train"
    for split, names in SPLIT_NAMES.items():
        if str(word).strip().lower() in names:
            return split
    raise DataError(f"{source}: {word!r} is no split; expected train, val or test")


def _text(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
