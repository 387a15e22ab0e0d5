"""CIDEr-D: how like what several people say of a picture a caption is (Vedantam, Zitnick, Parikh, CVPR 2015,
sections 4 and 5), as COCO's evaluation computes it: n-grams of 1 to 4 words, sigma 6, times 10."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

N = 4
SIGMA = 6.0
SCALE = 10.0

Gram = tuple[str, ...]
Weights = list[dict[Gram, float]]  # one dictionary for each length of n-gram


@dataclass(frozen=True)
class Frequencies:
    """In how many pictures' references each n-gram stands, and how many pictures there are. An n-gram of one
    picture weighs as much as one of none, so that it may be left out."""

    counts: dict[Gram, int]
    pictures: int

    def to_json(self, **origin: str) -> str:
        """``{"pictures": 3, "counts": {"a": 3, "a cat": 2}}``, with where it comes from before."""
        counts = {" ".join(gram): count for gram, count in self.counts.items() if count > 1}
        return json.dumps({**origin, "pictures": self.pictures, "counts": counts}, ensure_ascii=False)

    @classmethod
    def of_json(cls, text: str) -> "Frequencies":
        """As `to_json` has it. ``ValueError`` where it is none."""
        content = json.loads(text)
        if not isinstance(content, dict) or not isinstance(content.get("counts"), dict):
            raise ValueError('expected {"pictures": ..., "counts": {...}}')
        pictures, counts = content.get("pictures"), content["counts"]
        if type(pictures) is not int or pictures < 1:
            raise ValueError(f"pictures is {pictures!r}, expected how many there are")
        for gram, count in counts.items():
            if type(count) is not int or not 0 < count <= pictures or not 1 <= len(gram.split()) <= N:
                raise ValueError(
                    f"{gram!r} has {count!r}, expected of each 1 to {N} words a number from 1 to {pictures}"
                )
        return cls({tuple(gram.split()): count for gram, count in counts.items()}, pictures)


@dataclass(frozen=True)
class _Vector:
    weights: Weights
    norms: list[float]
    length: int  # in pairs of words


def frequencies(references: Sequence[Sequence[str]]) -> Frequencies:
    """Of the references of each picture, whose words stand between spaces."""
    counts: Counter[Gram] = Counter()
    for own in references:
        counts.update({gram for text in own for gram in grams_of(text)})
    return Frequencies(dict(counts), len(references))


def cider_d(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]], known: Frequencies | None = None
) -> list[list[float]]:
    """CIDEr-D of each caption, 0 to 10; the figure of a corpus is the mean over its pictures.

    Args:
        candidates: of each picture its captions, words between spaces.
        references: of each picture one or more, likewise.
        known: how often n-grams are said; by default in ``references``. Of one picture alone every n-gram is
            in all pictures and weighs nothing: the score is 0 whatever is said.
    """
    known = known or frequencies(references)
    scores = []
    for captions, own in zip(candidates, references, strict=True):
        wanted = [_vector(reference, known) for reference in own]
        found = (_vector(caption, known) for caption in captions)
        scores.append([SCALE * sum(_similarity(one, other) for other in wanted) / len(own) for one in found])
    return scores


def grams_of(text: str) -> Counter[Gram]:
    words = text.split()
    return Counter(
        tuple(words[start : start + n]) for n in range(1, N + 1) for start in range(len(words) - n + 1)
    )


def _vector(text: str, known: Frequencies) -> _Vector:
    """How often each n-gram is said, times how rare it is."""
    weights: Weights = [{} for _ in range(N)]
    everywhere, grams = math.log(known.pictures), grams_of(text)
    for gram, count in grams.items():
        rare = everywhere - math.log(max(1, known.counts.get(gram, 0)))
        weights[len(gram) - 1][gram] = count * rare
    norms = [math.sqrt(sum(weight**2 for weight in own.values())) for own in weights]
    return _Vector(weights, norms, sum(count for gram, count in grams.items() if len(gram) == 2))


def _similarity(candidate: _Vector, reference: _Vector) -> float:
    """The mean over n of the cosine, in which no n-gram counts more often than the reference has it, less
    where the lengths differ."""
    cosines = 0.0
    for n in range(N):
        own, theirs = candidate.weights[n], reference.weights[n]
        both = sum(min(weight, theirs[gram]) * theirs[gram] for gram, weight in own.items() if gram in theirs)
        if candidate.norms[n] and reference.norms[n]:
            cosines += both / (candidate.norms[n] * reference.norms[n])
    return cosines / N * math.exp(-((candidate.length - reference.length) ** 2) / (2 * SIGMA**2))
