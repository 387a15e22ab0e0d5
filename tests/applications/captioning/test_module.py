"""The captioner learns to say what it sees, only from the picture, and what it says is what is measured."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from vision_apps.applications.captioning.attention_lstm import AttentionLstm
from vision_apps.applications.captioning.module import Captioning
from vision_apps.applications.captioning.references import some_references
from vision_apps.applications.captioning.types import CaptionBatch, CaptionInputs
from vision_apps.core import ranks
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import row
from vision_apps.core.losses import values
from vision_apps.data.captions.words import END, SPECIAL
from vision_apps.networks.backbones import Small

WORDS = [*SPECIAL, "red", "blue", "left", "right"]
FACTS: dict[str, Any] = {
    "vocabulary": WORDS,
    "max_words": 3,
    "image_size": 16,
    "mean": [0.5] * 3,
    "std": [0.25] * 3,
}


def module(**settings: Any) -> Captioning:
    torch.manual_seed(0)
    network = AttentionLstm(Small(width=16), WORDS, embedding=16, hidden=32, attention=16, dropout=0)
    return Captioning(network, **{**FACTS, "class_names": ["red", "sea lion"], **settings})


def pictures() -> CaptionBatch:
    """A red or a blue half on the left or the right, and what is to be said of it: two words in one order, in
    either order."""
    images = torch.full((4, 3, 16, 16), 90, dtype=torch.uint8)
    captions = torch.zeros(4, 2, 4, dtype=torch.int64)
    for number in range(4):
        color, side = divmod(number, 2)
        images[number, 2 * color, :, 8 * side : 8 * side + 8] = 250
        captions[number, 0, :3] = torch.tensor([3 + color, 5 + side, END])
    return CaptionBatch(images, captions)


def trained(own: Captioning, steps: int = 60) -> float:
    batch, optimizer = pictures(), torch.optim.Adam(own.parameters(), 0.02)
    own.train()
    for _ in range(steps):
        loss = values(own.loss(own.training_outputs(batch), batch))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    own.eval()
    return float(loss.detach())


def said(own: Captioning, images: Tensor) -> list[list[int]]:
    with torch.inference_mode():
        return own(CaptionInputs(images)).words[:, 0].tolist()


@pytest.mark.slow
def test_it_learns_to_say_what_it_sees() -> None:
    own = module()
    trained(own)
    batch = pictures()
    assert said(own, batch.images) == batch.captions[:, 0].tolist()
    with torch.inference_mode():
        answer = own(own.inputs(batch))
        parts, measured = own.evaluate(batch)
        assert own.quality(answer, batch).tolist() == [1] * 4
    for one, other in zip(answer, measured, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)
    assert values(parts)["loss"] < 0.1
    # the probability of what is said, by the words before it
    with torch.inference_mode():
        told = own.training_outputs(batch)
    log_probabilities = (
        told.logits[:, 0].log_softmax(-1).gather(2, batch.captions[:, 0, :3, None]).sum((1, 2))
    )
    torch.testing.assert_close(answer.log_probabilities[:, 0], log_probabilities, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answer.maps[:, 0, :3].flatten(2), told.maps[:, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_blind_it_says_one_thing_of_all_pictures() -> None:
    own = module(blind=True)
    loss = trained(own)
    assert loss > 0.9 * 2 * 0.6931 / 3, "each of two words of three is a guess among two"
    assert len({tuple(words) for words in said(own, pictures().images)}) == 1


@pytest.mark.slow
def test_scheduled_sampling_feeds_its_own_words_in_training_alone() -> None:
    own = module(scheduled_sampling=0.9)
    batch = pictures()
    own.train()
    torch.manual_seed(0)
    first = own.training_outputs(batch).logits
    assert not torch.equal(first, own.training_outputs(batch).logits)
    torch.testing.assert_close(first[..., 0, :], own.training_outputs(batch).logits[..., 0, :])
    own.eval()
    assert torch.equal(own.training_outputs(batch).logits, own.training_outputs(batch).logits)
    trained(own, 120)
    assert said(own, batch.images) == batch.captions[:, 0].tolist()


def test_its_own_words_are_drawn_for_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that share a batch say what one would."""
    own = module().eval()
    batch = pictures()
    seen = own._seen(own.inputs(batch))

    def teach(rank: int, world: int) -> torch.Tensor:
        monkeypatch.setattr(ranks, "rank", lambda: rank)
        monkeypatch.setattr(ranks, "world", lambda: world)
        torch.manual_seed(0)
        rows = slice(rank, None, world)
        part = seen._replace(tokens=seen.tokens[rows], there=seen.there[rows])
        return own.network.teach(part, batch.captions[rows], 0.9).logits

    whole = teach(0, 1)
    for rank in (0, 1):
        torch.testing.assert_close(teach(rank, 2), whole[rank::2])


def test_a_step_draws_references_that_are_there() -> None:
    captions = torch.tensor([[[3, 1], [4, 1], [5, 1]], [[0, 0], [6, 1], [0, 0]]]).repeat(50, 1, 1)
    torch.manual_seed(0)
    (one,) = some_references(captions, 1).unbind(1)
    assert (one[1::2] == torch.tensor([6, 1])).all()
    assert set(one[::2, 0].tolist()) == {3, 4, 5}
    assert some_references(captions, 2).any(-1).sum(1).tolist() == [2, 1] * 50
    assert some_references(captions, 9).shape == captions.shape


def test_any_picture_is_seen_at_the_network_s_size() -> None:
    own = module(image_size=[16, 24], resize_mode="letterbox").eval()
    with torch.inference_mode():
        answer = own(CaptionInputs(torch.randint(256, (2, 3, 50, 20), dtype=torch.uint8)))
    assert answer.words.shape == (2, 3, 4) and answer.maps.shape == (2, 3, 4, 2, 3)
    torch.testing.assert_close(answer.maps[:, 0, 0].sum((1, 2)), torch.ones(2))
    inputs = CaptionInputs(torch.randint(256, (1, 3, 50, 20), dtype=torch.uint8))
    (drawn,) = own.presentation.draw_answer(inputs, row(answer, 0))
    assert drawn.dtype == torch.uint8 and drawn.shape[0] == 3


def test_words_that_name_a_class_are_looked_for_in_its_boxes() -> None:
    assert module().classes == {3: 0}, "a sea lion is two words"


def test_results_are_written_as_coco_reads_them() -> None:
    rows = [
        {"file": "x/COCO_val2014_000000391895.jpg", "caption": "a cat"},
        {"file": "b/garden.png", "caption": "ein Hügel"},
    ]
    (content,) = module().presentation.closing_files(rows).values()
    expected = '[{"image_id": 391895, "caption": "a cat"}, {"image_id": "garden", "caption": "ein Hügel"}]'
    assert content.decode() == expected


def test_settings_out_of_range_are_all_told() -> None:
    settings = {
        "vocabulary": ["a"],
        "max_words": 0,
        "best": 4,
        "length_penalty": -1,
        "alpha_c": -1,
        "alpha_target": "two",
        "label_smoothing": 1,
        "scheduled_sampling": -0.1,
        "references_per_step": 0,
    }
    with pytest.raises(ConfigError) as caught:
        module(**settings)
    for name in settings:
        assert f"module.{name}: " in str(caught.value), name


@pytest.mark.parametrize("penalty", [math.nan, math.inf, 1000, 10.1])
def test_a_length_penalty_that_no_power_bears(penalty: float) -> None:
    with pytest.raises(ConfigError, match=r"module\.length_penalty: .*; expected 0 to 10$"):
        module(length_penalty=penalty)


def test_a_narrow_beam_says_what_goes_with_it() -> None:
    with pytest.raises(ConfigError, match=r"module\.best: 3 of module\.beam_width=1; .* module\.best=1$"):
        module(beam_width=1)
