"""The Transformer tells word after word what it tells of all at once, and looks where something is."""

from typing import Any

import pytest
import torch

from vision_apps.applications.captioning.captioner import Seen, drawn_words
from vision_apps.applications.captioning.transformer import Attention, TransformerCaptioner, positions
from vision_apps.core import ranks
from vision_apps.core.errors import ConfigError
from vision_apps.data.captions.words import END, SPECIAL
from vision_apps.networks.backbones import Small

WORDS = [*SPECIAL, "red", "blue", "left", "right"]
CAPTIONS = torch.tensor([[[3, 5, 4, END], [4, END, 0, 0]], [[6, 6, END, 0], [0, 0, 0, 0]]])


def captioner(**settings: Any) -> TransformerCaptioner:
    torch.manual_seed(0)
    options = {"width": 16, "heads": 2, "inner": 32, "dropout": 0.0} | settings
    return TransformerCaptioner(Small(width=8), WORDS, **options).eval()


def seen(own: TransformerCaptioner) -> Seen:
    there = torch.tensor([[True] * 5 + [False], [True] * 6])
    generator = torch.Generator().manual_seed(0)
    return Seen(torch.randn(2, 6, own.features, generator=generator) * there[..., None], there, (2, 3))


def test_steps_tell_what_teaching_does() -> None:
    own = captioner(layers=3)
    with torch.no_grad():
        taught = own.teach(seen(own), CAPTIONS)
        memory, first = own.read(seen(own))
        state = tuple(part[:, None].expand(-1, 2, *part.shape[1:]) for part in first)
        word = torch.zeros(2, 2, dtype=torch.int64)
        for place in range(CAPTIONS.shape[2]):
            told = own.step(memory, word, state)
            torch.testing.assert_close(told.logits, taught.logits[:, :, place], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(told.maps, taught.maps[:, :, place], atol=1e-5, rtol=1e-5)
            state, word = told.state, CAPTIONS[:, :, place]
    assert all(part.shape[:3] == (2, 2, 4) for part in state) and len(state) == 2 * 3


def test_no_word_hears_of_later_ones_or_of_other_captions() -> None:
    own = captioner()
    with torch.no_grad():
        before = own.teach(seen(own), CAPTIONS).logits
        changed = CAPTIONS.clone()
        changed[0, 0, 1] = 6
        after = own.teach(seen(own), changed).logits
    torch.testing.assert_close(after[:, 1], before[:, 1])
    torch.testing.assert_close(after[0, 0, :2], before[0, 0, :2])
    assert (after[0, 0, 2:] - before[0, 0, 2:]).abs().amax() > 1e-3


def test_maps_sum_to_one_over_what_is_there() -> None:
    own = captioner()
    with torch.no_grad():
        maps = own.teach(seen(own), CAPTIONS).maps
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 2, 4))
    assert not maps[0, ..., 5].any() and maps[1, ..., 5].all()


def test_attention_is_torch_s() -> None:
    own, reference = Attention(8, 2), torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([own.query.weight, own.key.weight, own.value.weight]))
        reference.in_proj_bias.copy_(torch.cat([own.query.bias, own.key.bias, own.value.bias]))
        reference.out_proj.load_state_dict(own.out.state_dict())
        asking, given = torch.randn(3, 4, 8), torch.randn(3, 5, 8)
        barred = torch.zeros(4, 5, dtype=torch.bool)
        barred[1, 2:] = True
        expected = reference(asking, given, given, attn_mask=barred)
        for one, other in zip(own(asking, *own.pair(given), barred), expected, strict=True):
            torch.testing.assert_close(one, other)


def test_positions_go_on_where_the_words_before_end() -> None:
    torch.testing.assert_close(
        positions(3, 4, 8, torch.device("cpu")), positions(0, 7, 8, torch.device("cpu"))[3:]
    )
    angle = torch.tensor(2 / 10_000 ** (2 / 8))
    torch.testing.assert_close(
        positions(2, 1, 8, torch.device("cpu"))[0, 2:4], torch.stack((angle.sin(), angle.cos()))
    )


def test_own_words_are_drawn_for_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that share a batch say what one would; the first word has none before it."""
    own = captioner()
    whole_view = seen(own)

    def teach(rank: int, world: int, share: float = 0.9) -> torch.Tensor:
        monkeypatch.setattr(ranks, "rank", lambda: rank)
        monkeypatch.setattr(ranks, "world", lambda: world)
        torch.manual_seed(0)
        rows = slice(rank, None, world)
        view = Seen(whole_view.tokens[rows], whole_view.there[rows], whole_view.size)
        return own.teach(view, CAPTIONS[rows], share).logits

    whole = teach(0, 1)
    for rank in (0, 1):
        torch.testing.assert_close(teach(rank, 2), whole[rank::2])
    taught = teach(0, 1, share=0.0)
    torch.testing.assert_close(whole[..., 0, :], taught[..., 0, :])
    assert (whole - taught).abs().amax() > 1e-3


def test_words_are_drawn_by_their_probability() -> None:
    likely = torch.tensor([0.0, 0.25, 0.0, 0.75, 0.0]).log()
    chances = (torch.arange(8) + 0.5) / 8
    assert drawn_words(likely.expand(8, -1), chances).tolist() == [1, 1, 3, 3, 3, 3, 3, 3]
    edges = torch.tensor([0.0, 0.25, 1 - 2**-24])
    assert drawn_words(likely.expand(3, -1), edges).tolist() == [1, 3, 3]


@pytest.mark.parametrize("settings", [{"layers": 0}, {"width": 18, "heads": 4}])
def test_sizes_that_do_not_fit_are_told(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"model\.layers: .*model\.width: .*model\.heads: "):
        captioner(**settings)
