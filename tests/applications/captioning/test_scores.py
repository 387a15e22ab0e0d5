"""CIDEr-D and ROUGE-L against published figures, cases worked by hand, and a slow reading of the formulas."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import bleu_score

from vision_apps.applications.captioning.bleu import bleu
from vision_apps.applications.captioning.cider import cider_d, frequencies
from vision_apps.applications.captioning.rouge_l import common_subsequence, rouge_l

# the example of the package aac-metrics, whose README publishes the figures (CIDEr-D .9614; each picture's
# and ROUGE-L by pycocoevalcap 1.2)
CANDIDATES = ["a man is speaking", "rain falls"]
REFERENCES = [
    ["a man speaks", "someone speaks", "a man is speaking while a bird is chirping in the background"],
    ["rain is falling hard on a surface"],
]
TEXT = st.lists(st.sampled_from("a b c d e f".split()), min_size=1, max_size=9).map(" ".join)


def best(scores: list[list[float]]) -> list[float]:
    return [own[0] for own in scores]


def test_published_figures() -> None:
    scores = best(cider_d([[text] for text in CANDIDATES], REFERENCES))
    assert scores == pytest.approx([1.3641, 0.5587], abs=5e-5)
    assert sum(scores) / 2 == pytest.approx(0.961355, abs=1e-6)
    assert sum(map(rouge_l, CANDIDATES, REFERENCES)) / 2 == pytest.approx(0.48707, abs=1e-5)
    assert bleu(CANDIDATES, REFERENCES)[0] == pytest.approx(0.4278, abs=5e-5)


def test_a_reference_said_again_is_worth_ten() -> None:
    said = ["a red cat sits", "the dog runs fast"]
    assert best(cider_d([[text] for text in said], [[text] for text in said])) == pytest.approx([10, 10])


def test_by_hand() -> None:
    # each of the words is in one picture of two and weighs log 2; the only n-grams in common are two words
    # of three and one pair of two: (2/3 + 1/2 + 0 + 0) / 4, and the lengths are equal
    scores = best(cider_d([["a b x"], ["p q r"]], [["a b c"], ["p q r"]]))
    assert scores[0] == pytest.approx(10 * (2 / 3 + 1 / 2) / 4)
    assert scores[1] == pytest.approx(10 * 3 / 4)  # three words have no four in a row
    # a word said twice counts as often as the reference has it; two pairs more: exp(-4 / 72)
    long = best(cider_d([["a a a"], ["p"]], [["a"], ["p"]]))
    assert long[0] == pytest.approx(10 * (1 / 3) / 4 * math.exp(-4 / 72))
    assert rouge_l("a x b", ["a b c d"]) == pytest.approx(2.44 * (2 / 3) * 0.5 / (0.5 + 1.44 * 2 / 3))
    assert rouge_l("x", ["a"]) == rouge_l("", ["a"]) == rouge_l("a", [""]) == 0


def test_one_picture_alone_says_nothing_and_a_table_of_many_does() -> None:
    assert cider_d([["a cat"]], [["a cat"]]) == [[0.0]]
    known = frequencies([["a cat"], ["a dog"], ["two birds"]])
    assert cider_d([["a cat"]], [["a cat"]], known)[0][0] == pytest.approx(5)  # of pairs and words


def slow(candidates: list[str], references: list[list[str]]) -> list[float]:
    """The formulas of the paper with vectors over all n-grams."""

    def grams(text: str, n: int) -> Counter[str]:
        words = text.split()
        return Counter("_".join(words[i : i + n]) for i in range(len(words) - n + 1))

    scores = []
    for candidate, own in zip(candidates, references, strict=True):
        total = 0.0
        for reference in own:
            gap = max(0, len(candidate.split()) - 1) - max(0, len(reference.split()) - 1)
            for n in range(1, 5):
                every = sorted({*grams(candidate, n), *grams(reference, n)})
                idf = {}
                for gram in every:
                    inside = sum(any(gram in grams(text, n) for text in texts) for texts in references)
                    idf[gram] = math.log(len(references)) - math.log(max(1, inside))
                g, r = ([grams(text, n)[w] * idf[w] for w in every] for text in (candidate, reference))
                lengths = math.sqrt(sum(x * x for x in g)) * math.sqrt(sum(x * x for x in r))
                clipped = sum(min(x, y) * y for x, y in zip(g, r, strict=True))
                total += (clipped / lengths if lengths else 0) * math.exp(-gap * gap / 72) / 4
        scores.append(10 * total / len(own))
    return scores


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=2, max_size=4))
def test_cider_is_the_formula(pictures: list[tuple[str, list[str]]]) -> None:
    candidates, references = [text for text, _ in pictures], [own for _, own in pictures]
    found = cider_d([[text, "a b"] for text in candidates], references)
    assert best(found) == pytest.approx(slow(candidates, references), abs=1e-9)
    assert [own[1] for own in found] == pytest.approx(slow(["a b"] * len(pictures), references), abs=1e-9)
    assert all(0 <= score <= 10 + 1e-9 for own in found for score in own)


@given(TEXT, TEXT)
def test_the_common_subsequence_is_in_both(one: str, other: str) -> None:
    a, b = one.split(), other.split()

    def recursive(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 0
        return 1 + recursive(i + 1, j + 1) if a[i] == b[j] else max(recursive(i + 1, j), recursive(i, j + 1))

    if len(a) * len(b) <= 36:
        assert common_subsequence(a, b) == recursive(0, 0)
    assert common_subsequence(a, b) == common_subsequence(b, a) <= min(len(a), len(b))
    assert common_subsequence(a, a) == len(a)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_bleu_is_that_of_others_where_something_of_each_length_is_right(
    pictures: list[tuple[str, list[str]]],
) -> None:
    said, references = (list(part) for part in zip(*pictures, strict=True))
    # of two references that are as near in length torchmetrics takes the first, COCO the shorter
    by_length = [sorted(own, key=lambda text: len(text.split())) for own in references]
    for n, value in enumerate(bleu(said, references), 1):
        other = float(bleu_score(said, by_length, n_gram=n))
        assert value == pytest.approx(other, abs=1e-6) if other else value < 0.04


def test_captions_without_four_words_have_the_trifle_of_coco() -> None:
    """Figures of pycocoevalcap 1.2: without four words BLEU-4 is the fourth root of a millionth."""
    assert bleu(["a b c"], [["a b c"]]) == pytest.approx([1, 1, 1, 0.0316228], abs=1e-6)
    assert bleu(["a b c", "b c"], [["a b d", "x"], ["b c d"]])[:2] == pytest.approx(
        [0.65498, 0.59792], abs=1e-5
    )
    assert bleu([""], [["a b"]]) == [0, 0, 0, 0]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_bleu_is_pycocoevalcap_s(pictures: list[tuple[str, list[str]]]) -> None:
    scorers = pytest.importorskip("pycocoevalcap.bleu.bleu_scorer")  # of an extra
    official = scorers.BleuScorer(n=4)
    for said, references in pictures:
        official += (said, references)
    expected, _ = official.compute_score(option="closest", verbose=0)
    assert bleu(*(list(part) for part in zip(*pictures, strict=True))) == pytest.approx(expected, abs=1e-12)
