"""Captions in another order: what each scorer says, by hand, and what their sum does."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.applications.captioning.attention_lstm import AttentionLstm
from vision_apps.applications.captioning.beam import Beams
from vision_apps.applications.captioning.captioner import Seen
from vision_apps.applications.captioning.module import Captioning
from vision_apps.applications.captioning.reranking.coverage import Coverage
from vision_apps.applications.captioning.reranking.matching import Matching, mistaken
from vision_apps.applications.captioning.reranking.nouns import NounAgreement
from vision_apps.applications.captioning.reranking.ranker import Ranker
from vision_apps.applications.captioning.reranking.scorer import Candidates, Scorer
from vision_apps.applications.captioning.types import CaptionBatch, CaptionInputs, CaptionOutputs
from vision_apps.core import ranks
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import values
from vision_apps.data.captions.words import END, SPECIAL
from vision_apps.networks.backbones import Small

WORDS = [*SPECIAL, "red", "blue", "left", "right"]
RED, BLUE, LEFT, RIGHT = range(3, 7)


def seen(tokens: Tensor) -> Seen:
    there = torch.ones(tokens.shape[:2], dtype=torch.bool)
    return Seen(tokens, there, (1, tokens.shape[1]))


def found(words: list[list[int]], chances: list[float], places: int = 2) -> Beams:
    numbers = torch.tensor([words])
    return Beams(numbers, torch.tensor([chances]), torch.zeros(*numbers.shape, places))


class Likes(Scorer):
    """Of somebody's own: how often a word is said."""

    def __init__(self, word: int, weight: float = 0.0) -> None:
        super().__init__(weight)
        self.word = word

    def forward(self, candidates: Candidates) -> Tensor:
        return (candidates.words == self.word).sum(-1).float()


def test_looking_at_one_place_twice_covers_it_once() -> None:
    words = torch.tensor([[[RED, LEFT, END, 0], [RED, END, 0, 0]]])
    maps = torch.tensor([[[[0.7, 0.3, 0, 0], [0.6, 0, 0.4, 0], [0, 0, 0, 1], [9, 9, 9, 9]]] * 2])
    tokens = torch.ones(1, 4, 1)
    score = Coverage()(Candidates(words, torch.zeros(1, 2), maps, seen(tokens)))
    torch.testing.assert_close(score, torch.tensor([[(1 + 0.3 + 0.4) / 4, 1 / 4]]))
    # of four tokens one is none
    there = torch.tensor([[True, True, True, False]])
    score = Coverage()(Candidates(words, torch.zeros(1, 2), maps, seen(tokens)._replace(there=there)))
    torch.testing.assert_close(score, torch.tensor([[1.7 / 3, 1 / 3]]))


def classes_seen(logits: list[list[float]], **settings: Any) -> tuple[NounAgreement, Tensor]:
    """A scorer whose places say these logits of two classes."""
    scorer = NounAgreement(WORDS, ["red", "sea lion", "blue"], loss=1, **settings)
    scorer.build(3)
    assert scorer.of_places is not None
    scorer.of_places.weight.data.copy_(torch.eye(3))
    scorer.of_places.bias.data.zero_()
    return scorer, torch.tensor([logits])


def test_nouns_agree_with_the_classes_that_are_seen() -> None:
    # red is seen at the second place alone, with probability 0.8; blue with 0.5
    scorer, tokens = classes_seen([[-50, 0, -50], [1.386294, 0, 0]])
    words = torch.tensor([[[RED, END, 0], [BLUE, RED, END], [LEFT, END, 0], [BLUE, END, 0]]])
    candidates = Candidates(words, torch.zeros(1, 4), torch.zeros(1, 4, 3, 2), seen(tokens))
    expected = [2 * 0.8 / (1 + 1.3), 2 * 1.3 / (2 + 1.3), 0, 2 * 0.5 / (1 + 1.3)]
    torch.testing.assert_close(scorer(candidates), torch.tensor([expected]), atol=1e-5, rtol=0)


def test_classes_are_learned_of_boxes() -> None:
    scorer, tokens = classes_seen([[0.0, 1, -2], [-1, 0, -3]])
    batch = CaptionBatch(torch.zeros(1), torch.zeros(1), box_labels=torch.tensor([[2, 2, -1]]))
    outputs = CaptionOutputs(torch.zeros(1), torch.zeros(1), torch.zeros(1), seen(tokens))
    part = scorer.loss(outputs, batch)
    assert part is not None
    logits, truth = torch.tensor([0.0, 1, -2]), torch.tensor([0.0, 0, 1])
    expected = torch.nn.BCEWithLogitsLoss()(logits, truth)
    torch.testing.assert_close(values({"nouns": part})["nouns"], expected)
    without = scorer.loss(outputs, batch._replace(box_labels=None))
    assert without is not None and without.count == 0 == without.total.item()


@given(
    chances=st.lists(st.floats(-9, 0), min_size=4, max_size=4),
    weights=st.lists(st.sampled_from([0.0, 0.5, -1.5]), min_size=2, max_size=2),
    penalty=st.sampled_from([0.0, 0.7]),
)
def test_the_order_is_that_of_the_sum(chances: list[float], weights: list[float], penalty: float) -> None:
    words = [[RED, END, 0, 0], [RED, BLUE, LEFT, END], [BLUE, LEFT, RED, BLUE], [0] * 4]
    ranker = Ranker({"a": Likes(RED, weights[0]), "b": Likes(BLUE, weights[1]), "c": None}, 1, penalty)
    beams = found(words, chances)
    result = ranker(beams, seen(torch.ones(1, 2, 1)))
    if not any(weights):
        assert result is beams
        return

    def total(row: int) -> float:
        count = sum(map(bool, words[row]))
        said = [words[row].count(word) for word in (RED, BLUE)]
        own = float(beams.log_probabilities[0, row]) / count**penalty
        return own + sum(w * n for w, n in zip(weights, said, strict=True))

    rows = result.log_probabilities[0].tolist()
    assert sorted(rows[:3]) == sorted(beams.log_probabilities[0, :3].tolist())
    assert result.words[0, 3].tolist() == [0] * 4, "what is no caption comes last"
    totals = [total(words.index(row)) for row in result.words[0, :3].tolist()]
    assert all(one >= other - 1e-4 for one, other in pairwise(totals))


def test_equal_ones_stay_as_they_were() -> None:
    words = [[RED, END], [BLUE, END], [LEFT, END]]
    ranker = Ranker({"likes": Likes(LEFT, 1.0)}, 1)
    result = ranker(found(words, [-1.0, -1.0, -1.5]), seen(torch.ones(1, 2, 1)))
    assert result.words[0, :, 0].tolist() == [LEFT, RED, BLUE]


# ---- sentences that fit ------------------------------------------------------------------------------------


def test_a_mistake_is_one_word_that_no_reference_has() -> None:
    torch.manual_seed(0)
    captions = torch.tensor([[[RED, LEFT, END, 0], [LEFT, END, 0, 0], [0] * 4]]).repeat(40, 1, 1)
    logits = torch.randn(40, 3, 4, len(WORDS))
    references = torch.tensor([[[RED, LEFT, END]]]).repeat(40, 1, 1)
    wrong, there = mistaken(captions, logits, references, drawn=True)
    assert there.tolist() == [[True, True, False]] * 40
    differs = wrong != captions
    assert differs.sum(-1).tolist() == [[1, 1, 0]] * 40
    assert set(wrong[differs].tolist()) == {BLUE, RIGHT}
    assert ((captions != END) & (captions != 0))[differs].all(), "the end stays"
    # where every word is right there is none
    every = torch.arange(len(WORDS)).expand(40, 1, -1)
    wrong, there = mistaken(captions, logits, every, drawn=True)
    assert not there.any() and torch.equal(wrong, captions)


def test_mistakes_are_drawn_by_their_probability_and_else_the_likeliest() -> None:
    torch.manual_seed(0)
    captions = torch.tensor([[[RED, LEFT, END]]])
    chances = torch.zeros(1, 1, 3, len(WORDS))
    chances[0, 0, 0, [RED, BLUE]] = torch.tensor([0.7, 0.3])
    chances[0, 0, 1, [LEFT, BLUE, RIGHT]] = torch.tensor([0.5, 0.1, 0.4])
    logits = chances.clamp_min(1e-9).log()
    assert mistaken(captions, logits, captions, drawn=False)[0].tolist() == [[[RED, RIGHT, END]]]
    many = 4000
    drawn, _ = mistaken(
        captions.expand(many, -1, -1), logits.expand(many, -1, -1, -1), captions.expand(many, -1, -1), True
    )
    expected = {(BLUE, LEFT): 0.3 / 0.8, (RED, BLUE): 0.1 / 0.8, (RED, RIGHT): 0.4 / 0.8}
    for (first, second), share in expected.items():
        hits = ((drawn[:, 0, 0] == first) & (drawn[:, 0, 1] == second)).float().mean()
        assert float(hits) == pytest.approx(share, abs=0.03)  # 4 standard deviations


def test_mistakes_are_drawn_for_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that share a batch see what one would."""
    captions = torch.tensor([[[RED, LEFT, END], [LEFT, RED, END]]]).repeat(6, 1, 1)
    logits = torch.randn(6, 2, 3, len(WORDS))

    def drawn(rank: int, world: int) -> Tensor:
        monkeypatch.setattr(ranks, "rank", lambda: rank)
        monkeypatch.setattr(ranks, "world", lambda: world)
        torch.manual_seed(0)
        rows = slice(rank, None, world)
        return mistaken(captions[rows], logits[rows], captions[rows], drawn=True)[0]

    whole = drawn(0, 1)
    for rank in (0, 1):
        assert torch.equal(drawn(rank, 2), whole[rank::2])


def test_what_is_past_the_end_does_not_fit_better() -> None:
    torch.manual_seed(0)
    scorer = Matching(WORDS, size=8, loss=1)
    scorer.build(5)
    tokens, there = torch.randn(1, 6, 5), torch.tensor([[True] * 5 + [False]])
    short = torch.tensor([[[RED, LEFT, END]]])
    long = torch.tensor([[[RED, LEFT, END, *[0] * 9], [BLUE, *[LEFT] * 11], [0] * 12]])
    fit = scorer.fit(long, tokens, there)
    torch.testing.assert_close(fit[:, :1], scorer.fit(short, tokens, there))
    assert fit[0, 2] == 0 and fit[0, 0] != fit[0, 1]
    # brute force: words from those around them, each at the place that it fits best
    words = scorer.of_words(scorer.words.weight[[RED, LEFT]].T[None])[0].T
    best = (words @ scorer.of_places(tokens[0, :5]).T / 8**0.5).amax(1)
    torch.testing.assert_close(fit[0, 0], best.mean())


# ---- the captioner -----------------------------------------------------------------------------------------


def module(**settings: Any) -> Captioning:
    torch.manual_seed(0)
    network = AttentionLstm(Small(width=16), WORDS, embedding=16, hidden=32, attention=16, dropout=0)
    facts: dict[str, Any] = {"max_words": 3, "image_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3}
    return Captioning(network, WORDS, **{**facts, "class_names": ["red", "blue"], **settings}).eval()


def test_a_scorer_of_somebody_s_own_orders_the_answer() -> None:
    images = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        plain = module()(CaptionInputs(images))
        own = module(rerank={"likes": Likes(BLUE, 100.0)})
        answer = own(CaptionInputs(images))
        parts, measured = own.evaluate(CaptionBatch(images, torch.tensor([[[RED, END]]]).expand(3, 1, 2)))
    for one, other in zip(answer, measured, strict=True):
        assert one is other is None or torch.equal(one, other), "what is answered is what is measured"
    assert set(parts) == {"words"}, "it has nothing to learn"
    often = (answer.words == BLUE).sum(-1)
    assert (often.diff(dim=1) <= 0).all() and not torch.equal(answer.words, plain.words)
    for picture in range(3):  # the same captions, each with its probability and its maps
        rows = [plain.words[picture].tolist().index(words) for words in answer.words[picture].tolist()]
        assert sorted(rows) == [0, 1, 2]
        for one, other in zip(answer, plain, strict=True):
            assert one is other is None or torch.equal(one[picture], other[picture][rows])


def test_a_caption_has_the_same_scores_by_whatever_way_it_came() -> None:
    own = module(rerank={"coverage": Coverage(), "nouns": NounAgreement(WORDS, ["red"])}, length_penalty=0.5)
    assert own.chooser is not None
    assert own.chooser.weights == ["module.rerank.coverage.weight"]
    told = "it has not learned which classes are seen; train with module.rerank.nouns.loss=0.1"
    assert own.chooser.left_out == {"module.rerank.nouns.weight": told}
    inputs = CaptionInputs(torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8))
    with torch.inference_mode():
        answer = own(inputs)
        (texts,) = own.chooser.candidates(answer)
        scores = own.chooser.scores(inputs, texts)
        foreign = own.chooser.scores(inputs, ["A purple cow, and so on and on!", ""])
    ended = (answer.words[0] == END).any(-1)  # one that was cut off gets no end again
    count = (answer.words[0] != 0).sum(-1)
    expected = answer.log_probabilities[0] / count**0.5
    torch.testing.assert_close(scores[ended, 0], expected[ended])
    had = (answer.maps[0].flatten(2) * ((answer.words[0] != END) & (answer.words[0] != 0))[..., None]).sum(1)
    torch.testing.assert_close(scores[ended, 1], had.clamp_max(1).mean(-1)[ended])
    assert foreign.shape == (2, 2) and foreign.isfinite().all()


def test_a_weight_of_what_has_not_learned_is_refused() -> None:
    rerank = {"nouns": NounAgreement(WORDS, ["red"], weight=0.5), "matching": Matching(WORDS, weight=-1.0)}
    with pytest.raises(ConfigError) as caught:
        module(rerank=rerank)
    assert str(caught.value).splitlines() == [
        "module.rerank.nouns.weight: 0.5, but it has not learned which classes are seen; train with "
        "module.rerank.nouns.loss=0.1",
        "module.rerank.matching.weight: -1.0, but it has not learned which sentences fit; train with "
        "module.rerank.matching.loss=0.1",
    ]
    with pytest.raises(ConfigError, match=r"loss=0\.1, and the data have no boxes with classes"):
        NounAgreement(WORDS, [], loss=0.1)
    told = r"rerank\.matching\.loss: 0\.1 is of teaching true captions"
    with pytest.raises(ConfigError, match=told):
        module(rerank={"matching": Matching(WORDS, loss=0.1)}, self_critical=2)


@pytest.mark.slow
def test_the_scorers_learn_beside_the_captions() -> None:
    """A red or a blue half on the left or the right: the sentence that is right fits best of all four, and
    the class that is there is seen."""
    rerank = {
        "nouns": NounAgreement(WORDS, ["red", "blue"], loss=1.0),
        "matching": Matching(WORDS, size=16, loss=1.0),
    }
    own = module(rerank=rerank)
    images = torch.full((4, 3, 16, 16), 90, dtype=torch.uint8)
    captions = torch.zeros(4, 1, 3, dtype=torch.int64)
    for number in range(4):
        color, side = divmod(number, 2)
        images[number, 2 * color, :, 8 * side : 8 * side + 8] = 250
        captions[number, 0] = torch.tensor([RED + color, LEFT + side, END])
    labels = torch.tensor([[0], [0], [1], [1]])
    batch = CaptionBatch(images, captions, boxes=torch.ones(4, 1, 4), box_labels=labels)
    own.train()
    optimizer = torch.optim.Adam(own.parameters(), 0.01)
    for _ in range(80):
        parts = values(own.loss(own.training_outputs(batch), batch))
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
    assert {"rerank_nouns", "rerank_matching"} < set(parts)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in own.rerank.parameters())
    own.eval()
    texts = ["red left", "red right", "blue left", "blue right"]
    assert own.chooser is not None
    with torch.inference_mode():
        scores = torch.stack([own.chooser.scores(CaptionInputs(images[n : n + 1]), texts) for n in range(4)])
    assert scores[..., 2].argmax(1).tolist() == [0, 1, 2, 3]
    assert (scores[:2, :2, 1] > 0.8).all() and (scores[:2, 2:, 1] < 0.2).all()
