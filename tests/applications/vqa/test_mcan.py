"""MCAN: each question is answered by itself, and tells by way of which word it looked where."""

import pytest
import torch
from torch import Tensor, nn

from vision_apps.applications.vqa.mcan import Guided, Mcan, Reduced
from vision_apps.applications.vqa.question_encoder import QuestionEncoder
from vision_apps.core.errors import ConfigError
from vision_apps.networks.backbones import Small

WORDS = ["", "<unknown>", "a", "b", "c", "d"]
QUESTIONS = torch.tensor([[[2, 3, 4], [5, 2, 0], [3, 0, 0]], [[4, 0, 0], [2, 2, 5], [0, 0, 0]]])


def mcan(layers: int = 2, heads: int = 2) -> Mcan:
    torch.manual_seed(0)
    question = QuestionEncoder(WORDS, "lstm", words=4, width=6)
    sizes = {"width": 8, "inner": 10, "reduced": 12, "dropout": 0.0}
    return Mcan(Small(width=8), question, ["x", "y", "z"], layers, heads=heads, **sizes)  # type: ignore[arg-type]


def pixels(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 32, 24, generator=torch.Generator().manual_seed(1))


def test_questions_are_answered_as_if_each_were_alone() -> None:
    network, seen = mcan().eval(), []
    network.backbone.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    logits, places, by_word = network(pixels(), QUESTIONS)
    assert seen == [2], "a picture goes through the backbone once"
    assert logits.shape == (2, 3, 3) and places.shape == (2, 3, 4, 3) and by_word.shape == (2, 3, 3, 4, 3)
    assert logits.isfinite().all()
    for picture in range(2):
        for row in range(3):
            if not (question := QUESTIONS[picture, row]).any():
                continue
            cut = question[question != 0]
            alone = network(pixels()[picture : picture + 1], cut[None, None])
            torch.testing.assert_close(logits[picture, row], alone.logits[0, 0])
            torch.testing.assert_close(places[picture, row], alone.places[0, 0])
            torch.testing.assert_close(by_word[picture, row, : len(cut)], alone.by_word[0, 0])
            assert not by_word[picture, row, len(cut) :].any(), "nothing past the end"


def test_where_it_looked_is_the_sum_over_the_words() -> None:
    _, places, by_word = mcan().eval()(pixels(), QUESTIONS)
    torch.testing.assert_close(places.sum((2, 3)), torch.ones(2, 3))
    torch.testing.assert_close(by_word.sum(2), places)


def test_training_answers_as_evaluation_does_where_nothing_is_dropped() -> None:
    network = mcan().eval()
    expected = network(pixels(), QUESTIONS).logits
    network.train()
    network.backbone.eval()
    logits, places, by_word = network(pixels(), QUESTIONS)
    there = QUESTIONS.any(-1)
    torch.testing.assert_close(logits[there], expected[there])
    assert not logits[~there].any() and places.shape == (2, 3, 1, 1) and by_word is None


def test_training_leaves_rows_without_words_out() -> None:
    network, short = mcan().train(), mcan().train()
    more = torch.cat((QUESTIONS, torch.zeros(2, 2, 3, dtype=torch.int64)), 1)
    logits, expected = network(pixels(), more).logits, short(pixels(), QUESTIONS).logits
    torch.testing.assert_close(logits[:, :3], expected)
    for part in (logits, expected):
        part.square().sum().backward()
    for own, other in zip(network.parameters(), short.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def test_a_share_of_a_batch_without_questions_teaches_nothing() -> None:
    network = mcan().train()
    logits = network(pixels(), torch.zeros_like(QUESTIONS)).logits
    assert logits.shape == (2, 3, 3) and not logits.any()
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name


def test_words_place_and_order_matter() -> None:
    network = mcan().eval()
    one = network(pixels(), torch.tensor([[[2, 3]], [[2, 3]]])).logits
    other = network(pixels(), torch.tensor([[[3, 2]], [[3, 2]]])).logits
    mirrored = network(pixels().flip(-1), torch.tensor([[[2, 3]], [[2, 3]]])).logits
    assert not torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(one[0], one[1], atol=1e-4)
    assert not torch.allclose(one, mirrored, atol=1e-4)


def test_a_guided_layer_is_torchs_layer_of_a_decoder() -> None:
    torch.manual_seed(0)
    layer = Guided(8, 2, 10, dropout=0.0).eval()
    theirs = nn.TransformerDecoderLayer(8, 2, 10, dropout=0.0, batch_first=True).eval()
    pairs = {"own": "self_attn", "words": "multihead_attn", "alone.0": "linear1", "alone.3": "linear2"}
    pairs |= {f"norms.{number}": f"norm{number + 1}" for number in range(3)}
    for own, other in pairs.items():
        theirs.get_submodule(other).load_state_dict(layer.get_submodule(own).state_dict())
    places, words = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    past = torch.tensor([[False] * 4, [False, True, True, True], [False, False, True, True]])
    expected = theirs(places, words, memory_key_padding_mask=past)
    for told in (False, True):
        found, looked = layer.after(layer.before(places), words, past, told)
        torch.testing.assert_close(found, expected)
    assert looked is not None and looked.shape == (3, 5, 4) and not looked[1, :, 1:].any()
    torch.testing.assert_close(looked.sum(-1), torch.ones(3, 5))


def test_what_is_reduced_is_a_mean() -> None:
    torch.manual_seed(0)
    reduced = Reduced(4, 3, dropout=0.0)
    values, past = torch.randn(2, 5, 4), torch.tensor([[False] * 5, [False, False, True, True, True]])
    merged, weights = reduced(values, past)
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    assert not weights[1, 2:].any()
    torch.testing.assert_close(merged[1], reduced(values[1:, :2])[0][0])
    alike = values[:1, :1].expand(-1, 3, -1)
    torch.testing.assert_close(reduced(alike)[0], reduced.merge(values[:1, 0]))


@pytest.mark.parametrize(("layers", "heads"), [(0, 2), (2, 3)])
def test_sizes_that_do_not_fit_are_refused(layers: int, heads: int) -> None:
    with pytest.raises(ConfigError, match=f"model.layers: {layers}.*model.heads: {heads}"):
        mcan(layers, heads)
