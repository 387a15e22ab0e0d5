"""What people have chosen: a JSONL file, ``{"file": "a.jpg", "candidates": ["...", "..."], "chosen": "..."}``
a line."""

import json
from pathlib import Path
from typing import NamedTuple

from vision_apps.core.errors import DataError
from vision_apps.data.text import numbered_lines

ROW = '{"file": "photo.jpg", "candidates": ["a cat", "a dog"], "chosen": "a dog"}'


class Choice(NamedTuple):
    """One picture."""

    file: str  # beside the list, or from here
    candidates: tuple[str, ...]
    chosen: str | None  # one of them; None: somebody looked, and none is right


def read(path: Path) -> tuple[list[Choice], list[str]]:
    """The last choice about each file, and what is wrong with each line that is none. `DataError` where the
    file cannot be read."""
    found: dict[str, Choice] = {}
    problems = []
    for number, line in numbered_lines(path, "utf-8"):
        try:
            choice = _choice(line)
        except ValueError as error:
            problems.append(f"{path}, line {number}: {error}")
        else:
            found[choice.file] = choice
    return list(found.values()), problems


def _choice(line: str) -> Choice:
    """``ValueError`` where a line is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot be read as JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{line[:80]} is no object")
    file, candidates, chosen = row.get("file"), row.get("candidates"), row.get("chosen")
    if not isinstance(file, str) or not file:
        raise ValueError(f"'file' is {file!r}, expected the path of a picture")
    if not isinstance(candidates, list) or not all(isinstance(one, str) for one in candidates):
        raise ValueError(f"'candidates' is {str(candidates)[:80]}, expected a list of texts")
    if chosen is not None and chosen not in candidates:
        raise ValueError(f"'chosen' is {str(chosen)[:80]!r}, expected one of the candidates, or null")
    return Choice(file, tuple(dict.fromkeys(candidates)), chosen)


def append(path: Path, choice: Choice) -> None:
    """One more line, on the disk when this returns. `DataError` where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(choice._asdict()) + "\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
