"""FiLM: a picture is looked at once, and each question is answered by itself."""

from typing import Any

import pytest
import torch
from torch import Tensor

from vision_apps.applications.vqa.film import Film, looked_at, with_coordinates
from vision_apps.applications.vqa.question_encoder import QuestionEncoder
from vision_apps.networks.backbones import Small

WORDS = ["", "<unknown>", "a", "b", "c", "d"]


def film(cell: Any = "gru") -> Film:
    torch.manual_seed(0)
    question = QuestionEncoder(WORDS, cell, words=4, width=6)
    return Film(Small(width=8), question, ["x", "y", "z"], width=8, hidden=5)


def pixels(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 32, 24, generator=torch.Generator().manual_seed(1))


QUESTIONS = torch.tensor([[[2, 3, 4], [5, 2, 0], [3, 0, 0]], [[4, 0, 0], [2, 2, 5], [0, 0, 0]]])


def test_a_picture_goes_through_the_backbone_once() -> None:
    network, seen = film(), []
    network.backbone.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    network(pixels(), QUESTIONS)
    assert seen == [2]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_questions_are_answered_as_if_each_were_alone(cell: str) -> None:
    network = film(cell).eval()
    logits, places, _ = network(pixels(), QUESTIONS)
    assert logits.shape == (2, 3, 3) and places.shape == (2, 3, 4, 3)
    for picture in range(2):
        for row in range(3):
            if not (question := QUESTIONS[picture, row]).any():
                continue
            cut = question[question != 0]
            alone = network(pixels()[picture : picture + 1], cut[None, None])
            torch.testing.assert_close(logits[picture, row], alone.logits[0, 0])
            torch.testing.assert_close(places[picture, row], alone.places[0, 0])


def test_the_order_of_words_and_the_picture_matter() -> None:
    network = film().eval()
    one = network(pixels(), torch.tensor([[[2, 3]], [[2, 3]]])).logits
    other = network(pixels(), torch.tensor([[[3, 2]], [[3, 2]]])).logits
    assert not torch.allclose(one, other) and not torch.allclose(one[0], one[1])


def test_training_leaves_rows_without_words_out() -> None:
    """Statistics, logits and gradients are those of the questions that there are."""
    network, short = film().train(), film().train()
    more = torch.cat((QUESTIONS, torch.zeros(2, 2, 3, dtype=torch.int64)), 1)
    logits, expected = network(pixels(), more).logits, short(pixels(), QUESTIONS).logits
    torch.testing.assert_close(logits[:, :3], expected)
    assert not logits[:, 3:].any() and not logits[1, 2].any()
    for part in (logits, expected):
        part.square().sum().backward()
    for own, other in zip(network.parameters(), short.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)
    for own, other in zip(network.buffers(), short.buffers(), strict=True):
        torch.testing.assert_close(own, other)


def test_what_was_looked_at_is_where_the_maximum_is() -> None:
    maps = torch.zeros(2, 3, 4, 5)
    maps[0, :, 1, 2] = torch.tensor([1.0, 2.0, 3.0])
    maps[1, 0, 0, 0], maps[1, 1, 3, 4] = 1.0, 3.0
    places = looked_at(maps)
    assert places[0].argmax() == 7 and places[0].count_nonzero() == 1
    assert places[1, 3, 4] > 2.5 * places[1, 0, 0] > 0
    assert not looked_at(torch.zeros(1, 2, 3, 3)).any()


def test_coordinates_are_those_of_the_middle_of_each_place() -> None:
    maps = with_coordinates(torch.zeros(2, 3, 2, 4))
    assert maps.shape == (2, 5, 2, 4)
    torch.testing.assert_close(maps[1, 3], torch.tensor([-0.75, -0.25, 0.25, 0.75]).expand(2, 4))
    torch.testing.assert_close(maps[1, 4], torch.tensor([-0.5, 0.5])[:, None].expand(2, 4))
