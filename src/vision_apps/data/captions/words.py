"""From captions to words and from words to numbers.

Words are those that captions are scored by: after the Penn Treebank tokenizer as COCO's evaluation uses it
(Chen et al., arXiv:1504.00325, 2015, section 3.3), in lower case and without punctuation.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

PAST, END, UNKNOWN = range(3)  # numbers that are no words; what comes before the first word is PAST too
SPECIAL = ("", "<end>", "<unknown>")

# Scripts without spaces: each sign is a word.
_SIGN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
# Neither space nor punctuation. Not ``\w``, which leaves out the vowel signs of Devanagari and others.
_MARKS = (  # ASCII, Latin-1, Arabic, Devanagari, general, CJK, full width
    r"!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u060c\u061b\u061f\u0964\u0965"
    r"\u2010-\u205e\u3000-\u303f\uff00-\uff0f\uff1a-\uff20"
)
_LETTER = rf"[^\s{_MARKS}{_SIGN}]"
_CLITIC = r"'(?:s|m|d|re|ve|ll)"
_NEGATION = re.compile(rf"(?<={_LETTER})(n't)(?!{_LETTER})")
_ENDING = re.compile(rf"(?<={_LETTER})({_CLITIC})(?!{_LETTER})")
_TOKEN = re.compile(
    rf"n't(?!{_LETTER})|{_CLITIC}(?!{_LETTER})|{_LETTER}+(?:[-.,:/']{_LETTER}+)*|[{_SIGN}]|\S"
)
_DROPPED = frozenset("'`\"().?!,:-;{}[]…“”„«»¡¿–—،؛؟।॥。，、！？；：（）「」")


def words_of(caption: str) -> list[str]:
    """The words of a caption, such as ``["a", "man", "'s", "t-shirt"]``; none where it has none."""
    text = unicodedata.normalize("NFC", caption).lower().replace("\u2019", "'").replace("\u2018", "'")
    text = _ENDING.sub(r" \1", _NEGATION.sub(r" \1", text))
    found: list[str] = []
    for word in _TOKEN.findall(text):
        if word == "cannot":
            found += ["can", "not"]
        elif word not in _DROPPED:
            found.append(word)
    return found


def vocabulary_of(captions: Iterable[Sequence[str]], least_count: int = 1) -> list[str]:
    """`SPECIAL`, then the words that stand in the captions at least so often: the commonest first, equally
    common ones sorted."""
    counts = Counter(word for words in captions for word in words)
    kept = [word for word, count in counts.items() if count >= least_count]
    return [*SPECIAL, *sorted(kept, key=lambda word: (-counts[word], word))]


def numbered(vocabulary: Sequence[str]) -> dict[str, int]:
    """The number of each word of a vocabulary."""
    return {word: number for number, word in enumerate(vocabulary) if number >= len(SPECIAL)}


def encoded(captions: Sequence[Sequence[str]], numbers: dict[str, int], rows: int, most: int) -> Tensor:
    """Captions as numbers int64 [rows, most + 1]: their words, then `END`, then `PAST`; a row of `PAST` where
    there are fewer than ``rows``. Of a longer one than ``most`` words the first are there, without an end."""
    found = torch.full((rows, most + 1), PAST, dtype=torch.int64)
    for row, words in zip(found, captions[:rows], strict=False):
        own = [numbers.get(word, UNKNOWN) for word in words[:most]]
        own += [END] if len(words) <= most else []
        row[: len(own)] = torch.tensor(own)
    return found


def decoded(numbers: Sequence[int], vocabulary: Sequence[str]) -> list[str]:
    """The words before the end."""
    found: list[str] = []
    for number in numbers:
        if number in (PAST, END):
            break
        found.append(vocabulary[number])
    return found


def as_bytes(captions: Sequence[Sequence[str]]) -> Tensor:
    """The words of captions as UTF-8, a space between two, zeros past the end, uint8 [R, M]: what is scored,
    whatever the vocabulary has."""
    texts = [" ".join(words).encode() for words in captions]
    found = torch.zeros((len(texts), max(map(len, texts), default=0)), dtype=torch.uint8)
    for row, text in zip(found, texts, strict=True):
        row[: len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return found


def from_bytes(references: Tensor) -> list[str]:
    """The captions in uint8 [R, M], words with a space between two; without rows of zeros."""
    texts = (bytes(row).rstrip(b"\0").decode() for row in references.cpu().numpy())
    return [text for text in texts if text]
