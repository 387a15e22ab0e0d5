"""Figures of captions: what they count, that batches do not matter, and where a word was looked for."""

import logging
import math

import pytest
import torch
from torch import Tensor

from vision_apps.applications.captioning.metrics import CaptionMetrics, Said, commonest, evaluate, truths
from vision_apps.applications.captioning.pointing import pointing
from vision_apps.applications.captioning.types import CaptionAnswer, CaptionBatch
from vision_apps.core.fields import row
from vision_apps.data.captions.words import END, SPECIAL, as_bytes, encoded, numbered

WORDS = [*SPECIAL, "a", "cat", "dog", "sits", "here"]
PICTURES = [
    (["a cat sits", "a dog"], ["a cat sits", "a cat sits here"]),
    (["a cat sits", "a cat"], ["a zebra sits", "a dog"]),
    (["a dog"], ["a dog sits here"]),
]


def made() -> tuple[CaptionAnswer, CaptionBatch]:
    numbers = numbered(WORDS)
    words = torch.stack([encoded([text.split() for text in said], numbers, 2, 4) for said, _ in PICTURES])
    words[2, 0, 2] = 0  # cut off: no end
    references = torch.nn.utils.rnn.pad_sequence(
        [as_bytes([text.split() for text in own]).T for _, own in PICTURES], batch_first=True
    )
    padded = torch.zeros(3, 2, references.shape[1], dtype=torch.uint8)
    for number, (_, own) in enumerate(PICTURES):
        text = as_bytes([text.split() for text in own])
        padded[number, : text.shape[0], : text.shape[1]] = text
    captions = torch.stack([encoded([text.split() for text in own], numbers, 2, 4) for _, own in PICTURES])
    boxes = torch.tensor([[[0.0, 0, 8, 8]], [[8, 8, 16, 16]], [[8, 0, 16, 8]]])
    batch = CaptionBatch(
        torch.zeros(3, 3, 16, 16, dtype=torch.uint8), captions, padded, boxes, torch.tensor([[0], [0], [1]])
    )
    maps = torch.zeros(3, 2, 5, 2, 2)
    maps[..., 0, 0] = 1  # all is looked for in the upper left quarter
    return CaptionAnswer(words, torch.zeros(3, 2), maps), batch


def figures(answer: CaptionAnswer, batches: list[tuple[CaptionAnswer, CaptionBatch]]) -> dict[str, Tensor]:
    metric = CaptionMetrics(WORDS, {4: 0, 5: 1})
    for own, batch in batches:
        metric.update(own, batch)
    return metric.compute()


def test_what_is_counted() -> None:
    answer, batch = made()
    found = figures(answer, [(answer, batch)])
    assert found["exact"] == pytest.approx(1 / 3)
    assert found["ended"] == pytest.approx(2 / 3)
    assert found["distinct"] == pytest.approx(2 / 3)
    assert found["used_words"] == 4
    # of the nouns cat, cat and dog, each of which is in its picture, the first is in the upper left
    assert found["pointing"] == pytest.approx(1 / 3)
    assert found["pointing_chance"] == pytest.approx(1 / 4)
    # 7 of 8 words are in a reference; the nearest lengths of references sum to 3 + 3 + 4
    assert found["bleu1"] == pytest.approx(7 / 8 * math.exp(1 - 10 / 8))
    assert found["oracle_cider"] >= found["cider"] > 0


def test_batches_do_not_matter() -> None:
    answer, batch = made()
    apart = [(row(answer, number), row(batch, number)) for number in (2, 0, 1)]
    together = figures(answer, [(answer, batch)])
    torch.testing.assert_close(figures(answer, apart), together)


def test_references_are_words_that_the_vocabulary_lacks_too() -> None:
    _, batch = made()
    assert truths(batch, WORDS) == [own for _, own in PICTURES]
    assert truths(batch._replace(references=None), WORDS)[1] == ["a <unknown> sits", "a dog"]


def test_of_one_picture_cider_is_not_defined(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = evaluate([Said(["a cat"], True, ["a cat"])])
    assert "cider" not in found and found["exact"] == 1
    assert "CIDEr is not defined of one picture" in caplog.text
    assert evaluate([]) == {}


def test_of_references_as_near_in_length_the_shorter_counts() -> None:
    """As in COCO's evaluation: nothing is taken off for being short, whichever reference comes first."""
    for references in (["a b c d", "a b"], ["a b", "a b c d"]):
        found = evaluate([Said(["a b c"], True, references)])
        assert found["bleu1"] == pytest.approx(1)


def test_a_silent_answer_is_scored_as_nothing() -> None:
    found = evaluate([Said([""], False, ["a cat sits"]), Said(["a dog runs"], True, ["a dog runs"])])
    assert found["cider"] == pytest.approx(10 * 3 / 4 / 2) and found["rouge_l"] == 0.5


def test_data_without_boxes_have_no_pointing() -> None:
    answer, batch = made()
    found = figures(answer, [(answer, batch._replace(boxes=None, box_labels=None))])
    assert "pointing" not in found and "pointing_chance" not in found


def test_pointing_counts_nouns_whose_object_is_there() -> None:
    words = torch.tensor([[4, 5, 4, END]])
    maps = torch.zeros(1, 4, 2, 4)
    maps[0, 0, 0, 0] = maps[0, 1, 0, 0] = maps[0, 2, 1, 3] = 1
    boxes = torch.tensor([[[0.0, 0, 4, 4], [12, 4, 16, 8], [0, 0, 0, 0]]])
    found = pointing(words, maps, boxes, torch.tensor([[0, 0, -1]]), {4: 0, 5: 1}, (8, 16))
    assert found.hits.tolist() == [True, True], "either cat will do; there is no dog to look for"
    assert found.chance.tolist() == [2 / 8, 2 / 8]


def test_a_place_belongs_to_a_box_by_its_middle() -> None:
    """The middles of the places lie at x 2, 6, 10, 14 and y 2, 6: left and upper edge belong to a box, right
    and lower edge do not."""
    words, labels = torch.tensor([[4]]), torch.tensor([[0]])
    for place in range(8):
        maps = torch.zeros(1, 1, 2, 4)
        maps.view(-1)[place] = 1
        boxes = torch.tensor([[[6.0, 2, 14, 6]]])
        found = pointing(words, maps, boxes, labels, {4: 0}, (8, 16))
        assert found.hits.tolist() == [place in (1, 2)]
        assert found.chance.tolist() == [2 / 8]
    nothing = pointing(words, maps, boxes, labels, {}, (8, 16))
    assert nothing.hits.shape == nothing.chance.shape == (0,) and nothing.hits.dtype == torch.bool


def test_the_commonest_caption_is_most_like_all() -> None:
    captions = torch.tensor([[3, 4, END, 0], [5, 6, 7, END], [3, 4, 6, END], [0] * 4, [3, 4, 7, END]])
    assert commonest(captions).tolist() in ([3, 4, 6, END], [3, 4, 7, END])
