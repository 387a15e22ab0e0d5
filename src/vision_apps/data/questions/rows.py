"""The user's own pictures with questions, which JSONL or CSV files list."""

import json
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.data.named_splits import split_files
from vision_apps.data.on_disk import OnDisk
from vision_apps.data.questions.answers import SAID, as_text
from vision_apps.data.questions.data import Asked, QuestionData
from vision_apps.data.questions.fakes import fake_pictures
from vision_apps.data.rows import (
    PICTURE,
    SPLIT,
    Line,
    files_below,
    lines_of,
    picture_of,
    places_of,
    split_of,
    told_as_unread,
    value_of,
)

_TYPE = ("type", "question_type")
_READ = ("question", "answer", "answers", *_TYPE, *PICTURE, *SPLIT)
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
        there = files_below(self.root, _SUFFIXES)
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
            if of_file:
                found[of_file] = []  # a file without lines gives its split, too
            left: dict[str, None] = {}  # names of which nothing is read
            for line in lines_of(path, _EXAMPLE, encoding=self.encoding):
                split = split_of(line)
                if of_file and split and split != of_file:
                    raise DataError(f"{line.source}: its split is {split}, in the file of {of_file}")
                left |= dict.fromkeys(line.values.keys() - {*_READ})
                found.setdefault(of_file or split or "train", []).append(self._asked(line, path))
            told_as_unread(path, sorted(left))
        return found

    def _asked(self, line: Line, file: Path) -> Asked:
        name, question = picture_of(line, _EXAMPLE), line.values.get("question")
        if not isinstance(question, str):
            raise DataError(f"{line.source}: its question is {question!r:.80}; expected {_EXAMPLE}")
        several = line.values.get("answers")
        answers = line.values.get("answer") if several is None else several
        if several and file.suffix.lower() == ".csv":
            answers = [part for part in several.split(_BETWEEN) if part.strip()]
        if answers is None or isinstance(answers, SAID):
            answers = [] if answers is None else [answers]
        if not isinstance(answers, list) or not all(isinstance(one, SAID) for one in answers):
            raise DataError(f"{line.source}: its answers are {answers!r:.80}; expected {_EXAMPLE}")
        places = places_of(name, (self.images, self.root))
        path = next(filter(None, map(self.disk.find, places)), places[0])
        kind = str(value_of(line, _TYPE) or "").strip()
        return Asked(path, question, tuple(map(as_text, answers)), kind, line.source)

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
        (root / "questions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"root": str(root), "image_size": size}


_EXAMPLE = (
    'a row such as {"image": "a.jpg", "question": "is it red?", "answer": "yes"}, or with "answers": ["yes", '
    '"no", ...] of several people'
)
