"""From the text of a question to numbers: words, and the list that numbers them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from vision_apps.data.letters import LETTER, SIGN

END, UNKNOWN = 0, 1  # past the end of a text; a word that the list has not
RESERVED = ("", "<unknown>")  # what stands in the list for these two

_WORD = re.compile(rf"{LETTER}+(?:'{LETTER}+)*|[{SIGN}]")


def words_of(text: str) -> list[str]:
    """Lower case, split at all that is neither letter, digit nor an apostrophe within a word; of scripts
    without spaces each sign."""
    whole = unicodedata.normalize("NFC", text).lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _WORD.findall(whole)


def vocabulary_of(texts: Iterable[str], least: int = 1) -> list[str]:
    """The words that stand in at least so many places of some texts, behind the two that are reserved: the
    commonest first, words that are equally common by the alphabet."""
    counts = Counter(word for text in texts for word in words_of(text))
    common = [word for word, count in counts.items() if count >= least]
    return [*RESERVED, *sorted(common, key=lambda word: (-counts[word], word))]


def numbered(vocabulary: Sequence[str]) -> dict[str, int]:
    """The number of each word."""
    return {word: number for number, word in enumerate(vocabulary) if number > UNKNOWN}


def encoded(text: str, numbers: Mapping[str, int]) -> list[int]:
    """The numbers of its words; nothing where there is none."""
    return [numbers.get(word, UNKNOWN) for word in words_of(text)]


def table(texts: Sequence[Sequence[int]], rows: int | None = None, length: int | None = None) -> Tensor:
    """Texts as int64 [rows, length], filled up with `END`; by default as many rows and as long as needed, at
    least one of each. What is longer than ``length`` is cut."""
    rows = max(1, len(texts)) if rows is None else rows
    length = max(1, *map(len, texts), 1) if length is None else length
    filled = torch.full((rows, length), END, dtype=torch.int64)
    for row, text in enumerate(texts):
        filled[row, : min(len(text), length)] = torch.tensor(text[:length], dtype=torch.int64)
    return filled


def spelled(numbers: Iterable[int], vocabulary: Sequence[str]) -> str:
    """A text of numbers as words."""
    return " ".join(vocabulary[number] for number in numbers if number != END)
