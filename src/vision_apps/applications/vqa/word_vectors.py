"""Vectors of words that others have learned, in the text format of GloVe (Pennington et al. 2014): on each
line a word and its numbers, with single spaces between them."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vision_apps.core.errors import DataError

KEY = "model.question.word_vectors"


def read(path: str | Path, numbers: Mapping[str, int], width: int) -> dict[int, Tensor]:
    """The vectors of those words that have a number: from the number to float32 [width]. Of a word that
    stands there twice the first counts. Some words of GloVe's own files have spaces within them; they are
    passed over, as no word of a question has one.

    Raises:
        DataError: the file cannot be read, has none of the words, or a line is malformed, which is named.
    """
    known = {word.encode(): number for word, number in numbers.items()}
    found: dict[int, Tensor] = {}
    try:
        with open(path, "rb") as file:  # lines of text also end at signs that are words here
            for line, content in enumerate(file, 1):
                row = content.rstrip()
                count = row.count(b" ")
                if count < width or (line == 1 and count > width):
                    raise DataError(_unlike(path, line, count, width))
                word, _, values = row.partition(b" ")
                number = known.get(word) if count == width else None
                if number is not None and number not in found:
                    found[number] = _vector(path, line, values)
    except OSError as error:
        raise DataError(f"{KEY}: {path} cannot be read: {error.strerror}") from error
    if not found:
        raise DataError(
            f"{KEY}: {path} has a vector for none of the {len(numbers)} words of the questions; expected "
            "words in lower case, as in glove.6B.300d.txt"
        )
    return found


def _vector(path: str | Path, line: int, values: bytes) -> Tensor:
    try:
        vector = [float(value) for value in values.split(b" ")]
    except ValueError as error:
        raise DataError(f"{KEY}: {path}, line {line}: {error}; expected a word and numbers") from error
    if not all(map(math.isfinite, vector)):
        raise DataError(f"{KEY}: {path}, line {line}: has numbers that are not finite")
    return torch.tensor(vector)


def _unlike(path: str | Path, line: int, count: int, width: int) -> str:
    text = f"{KEY}: {path}, line {line}: {count} numbers after the word, and model.question.words={width}"
    if line > 1:
        return f"{text}; every line of the file should have as many"
    if count == 1:
        return f"{text}; GloVe's format has no first line that counts: take it out"
    return f"{text}; model.question.words={count}"
