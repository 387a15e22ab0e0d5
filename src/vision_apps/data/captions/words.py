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

from vision_apps.data.letters import LETTER, SIGN

PAST, END, UNKNOWN = range(3)  # numbers that are no words; what comes before the first word is PAST too
SPECIAL = ("", "<end>", "<unknown>")

_CLITIC = r"'(?:s|m|d|re|ve|ll)"
_CUT_OFF = re.compile(rf"(?<={LETTER}) ({_CLITIC}|n't)(?= |$)")
_NEGATION = re.compile(rf"(?<={LETTER})(n't)(?!{LETTER})")
_ENDING = re.compile(rf"(?<={LETTER})({_CLITIC})(?!{LETTER})")
_ABBREVIATION = rf"(?:(?!\d){LETTER}\.){{2,}}(?!{LETTER})"  # u.s., p.m.
_WITHIN = r"(?:[-./'_]|(?<=\d)[,:](?=\d))"  # a word; a comma or colon only within a number
_TOKEN = re.compile(
    rf"n't(?!{LETTER})|{_CLITIC}(?!{LETTER})|{_ABBREVIATION}|{LETTER}+(?:{_WITHIN}{LETTER}+)*|[{SIGN}]|\S"
)
_TWO = {  # words that are written as one
    "cannot": ["can", "not"],
    "gimme": ["gim", "me"],
    "gonna": ["gon", "na"],
    "gotta": ["got", "ta"],
    "lemme": ["lem", "me"],
    "wanna": ["wan", "na"],
}
_DROPPED = frozenset("'`\"().?!,:-;{}[]…“”„«»¡¿–—،؛؟।॥。，、！？；：（）「」")


def words_of(caption: str) -> list[str]:
    """The words of a caption, such as ``["a", "man", "'s", "t-shirt"]``; none where it has none."""
    caption = caption.replace("\0", " ")  # which ends a text in `as_bytes`
    text = unicodedata.normalize("NFC", caption).lower().replace("\u2019", "'").replace("\u2018", "'")
    text = _ENDING.sub(r" \1", _NEGATION.sub(r" \1", text))
    found: list[str] = []
    for word in _TOKEN.findall(text):
        if word not in _DROPPED:
            found += _TWO.get(word, [word])
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


def sentence(words: Sequence[str]) -> str:
    """Words as a person writes them, ``there's`` for ``there 's``; `words_of` cuts it into the same words."""
    return _CUT_OFF.sub(r"\1", " ".join(words))


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
