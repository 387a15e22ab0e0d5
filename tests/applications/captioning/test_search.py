"""What each network's captions are searched for is what all captions there are would be ranked as, of a batch
as of each picture alone."""

from itertools import product

import pytest
import torch
from torch import Tensor

from vision_apps.applications.captioning.attention_lstm import AttentionLstm
from vision_apps.applications.captioning.captioner import Captioner
from vision_apps.applications.captioning.module import Captioning
from vision_apps.applications.captioning.transformer import TransformerCaptioner
from vision_apps.applications.captioning.types import CaptionInputs
from vision_apps.data.captions.words import END, SPECIAL
from vision_apps.networks.backbones import Small

WORDS = [*SPECIAL, "red", "blue", "left"]
LENGTH = 4  # three words and the end
NETWORKS = {
    "lstm": lambda: AttentionLstm(Small(width=8), WORDS, embedding=8, hidden=16, attention=8),
    "transformer": lambda: TransformerCaptioner(Small(width=8), WORDS, width=16, heads=2, inner=16, layers=2),
}


def made(name: str, **settings: float) -> Captioning:
    torch.manual_seed(3)
    network: Captioner = NETWORKS[name]()  # type: ignore[no-untyped-call]
    for parameter in network.parameters():  # far from all words alike
        parameter.data *= 2
    facts = {"max_words": LENGTH - 1, "image_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3}
    options = {"beam_width": 3**LENGTH, "best": 6, **settings}
    return Captioning(network, WORDS, **facts, **options).eval()  # type: ignore[arg-type]


def pictures() -> CaptionInputs:
    generator = torch.Generator().manual_seed(0)
    return CaptionInputs(torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8, generator=generator))


def every() -> Tensor:
    """All captions, int64 [R, L]: those that end, then those that are cut off."""
    said = range(len(SPECIAL), len(WORDS))
    ended = [
        [*words, END, *[0] * (LENGTH - count - 1)]
        for count in range(1, LENGTH)
        for words in product(said, repeat=count)
    ]
    return torch.tensor(ended + [list(words) for words in product(said, repeat=LENGTH)])


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_beam_of_all_captions_ranks_them_as_brute_force_does(name: str, penalty: float) -> None:
    own, captions = made(name, length_penalty=penalty), every()
    with torch.inference_mode():
        answer = own(pictures())
        taught = own.network.teach(own._seen(pictures()), captions.expand(3, -1, -1))
    likely = taught.logits.log_softmax(-1).gather(-1, taught.captions[..., None])[..., 0]
    values = (likely * (captions > 0)).sum(-1)
    scores = values / (captions > 0).sum(-1) ** penalty
    scores[:, ~(captions == END).any(-1)] -= 1000  # only fill up where too few end
    best = scores.topk(own.best).indices
    assert torch.equal(answer.words, captions[best])
    torch.testing.assert_close(answer.log_probabilities, values.gather(1, best), atol=1e-4, rtol=1e-4)
    for picture, rows in enumerate(best):
        shown = taught.maps[picture, rows] * (captions[rows] > 0)[..., None]
        torch.testing.assert_close(answer.maps[picture].flatten(2), shown, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("width", [1, 2, 5, 9])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_answered_as_each_picture_alone(name: str, width: int) -> None:
    """Also with more beams than there are words."""
    own, inputs = made(name, beam_width=width, best=min(width, 3)), pictures()
    with torch.inference_mode():
        together = own(inputs)
        alone = [own(CaptionInputs(inputs.images[number : number + 1])) for number in range(3)]
    for number, answer in enumerate(alone):
        assert torch.equal(together.words[number], answer.words[0])
        torch.testing.assert_close(together.log_probabilities[number], answer.log_probabilities[0])
        torch.testing.assert_close(together.maps[number], answer.maps[0])
    assert together.words[:, 0, 0].gt(END).all()
