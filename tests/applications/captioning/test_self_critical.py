"""Self-critical training follows the gradient of the expected CIDEr-D, the end of a caption included."""

import io
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from vision_apps.applications.captioning.attention_lstm import AttentionLstm
from vision_apps.applications.captioning.captioner import State, Step
from vision_apps.applications.captioning.cider import Frequencies, cider_d
from vision_apps.applications.captioning.module import Captioning
from vision_apps.applications.captioning.self_critical import (
    Drawn,
    draw,
    known_of,
    rewards,
    self_critical_losses,
)
from vision_apps.applications.captioning.types import CaptionBatch
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import values
from vision_apps.core.progress import Progress
from vision_apps.data.captions.words import END, SPECIAL
from vision_apps.networks.backbones import Small

WORDS = [*SPECIAL, "red", "blue"]
RED, BLUE = 3, 4
REFERENCES = torch.tensor([[[RED, END, 0], [RED, BLUE, END]]])
KNOWN = Frequencies({("red",): 2, ("blue",): 3, ("<end>",): 4}, pictures=5)
# of the end and both words, after each of the last ones; a grid of chances meets eighths exactly
EIGHTHS = {0: [0, 3, 5], RED: [2, 5, 1], BLUE: [4, 1, 3]}


def language() -> tuple[Tensor, Any]:
    """Logits [V, V] that say `EIGHTHS`, and the step that reads them."""
    table = torch.zeros(len(WORDS), len(WORDS), dtype=torch.float64)
    for last, chances in EIGHTHS.items():
        table[last, [END, RED, BLUE]] = torch.tensor(chances, dtype=torch.float64).log()
    table[0, END] = 1.0  # the end is not said first, whatever its logit
    table.requires_grad_()
    # what is never said would be likelier than all others
    barred = torch.tensor([2.0, 0, 2.0, 0, 0], dtype=torch.float64)

    def step(words: Tensor, state: State) -> Step:
        return Step(table[words] + barred, torch.ones(*words.shape, 1), state)

    return table, step


def every(table: Tensor, length: int) -> list[tuple[Tensor, list[int]]]:
    """All captions with their log-probability."""
    found = []
    for words in product([END, RED, BLUE], repeat=length):
        if words[0] == END:
            continue
        own = list(words[: words.index(END) + 1] if END in words else words)
        if any(own == other for _, other in found):
            continue
        value, last = table.new_zeros(()), 0
        for place, word in enumerate(own):
            allowed = [END, RED, BLUE] if place else [RED, BLUE]
            value = value + table[last, word] - table[last, allowed].logsumexp(0)
            last = word
        found.append((value, own))
    assert float(torch.stack([value.detach() for value, _ in found]).exp().sum()) == pytest.approx(1)
    return found


@pytest.mark.parametrize("greedy", [False, True])
def test_its_gradient_is_that_of_the_expected_reward(greedy: bool) -> None:
    length = 3
    table, step = language()
    expected = table.new_zeros(())
    for value, words in every(table, length):
        padded = torch.tensor([[words + [0] * (length - len(words))]])
        expected = expected + value.exp() * float(rewards(padded, REFERENCES, WORDS, KNOWN))
    (right,) = torch.autograd.grad(expected, table)

    # each of the 8 * 8 * 8 cells of equal chance once
    cells = (torch.arange(8) + 0.5) / 8
    chances = torch.cartesian_prod(*[cells] * length)[None]
    drawn = draw(step, (torch.zeros(1, 1),), chances)
    if greedy:
        drawn = drawn._replace(greedy=torch.tensor([[[BLUE, END, 0]]]))
    parts = self_critical_losses(drawn, REFERENCES, WORDS, KNOWN)
    (found,) = torch.autograd.grad(values(parts)["loss"], table)
    # cells are not drawn apart from each other: a cell's rivals are all others, it can not be among them
    factor = 1 if greedy else chances.shape[1] / (chances.shape[1] - 1)
    torch.testing.assert_close(-found, factor * right, rtol=1e-5, atol=1e-7)
    assert right.abs().max() > 0.1
    assert values(parts)["reward"] == pytest.approx(float(expected.detach()), rel=1e-5)


def test_a_reward_is_cider_with_the_end_as_a_word() -> None:
    said = torch.tensor([[[RED, BLUE, END], [RED, BLUE, 0], [BLUE, END, 0]]])
    texts = [["red blue <end>", "red blue", "blue <end>"]]
    expected = cider_d(texts, [["red <end>", "red blue <end>"]], KNOWN)
    assert rewards(said, REFERENCES, WORDS, KNOWN).tolist() == [pytest.approx(expected[0])]
    ended, broken_off, _ = expected[0]
    assert ended > broken_off


def test_n_grams_are_counted_with_the_end_once_a_picture() -> None:
    captions = torch.tensor([[[RED, END, 0], [RED, BLUE, END]], [[BLUE, END, 0], [0, 0, 0]], [[0] * 3] * 2])
    known = known_of(captions, WORDS)
    assert known.pictures == 2, "a picture without a caption is none"
    assert known.counts[("<end>",)] == 2 and known.counts[("red",)] == 1
    assert known.counts[("blue", "<end>")] == 2


def test_a_picture_without_a_reference_teaches_nothing() -> None:
    _, step = language()
    chances = torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(0))
    drawn = draw(step, (torch.zeros(2, 1),), chances)
    both = torch.cat((REFERENCES, torch.zeros_like(REFERENCES)))
    parts = self_critical_losses(drawn, both, WORDS, KNOWN)
    one = Drawn(drawn.words[:1], drawn.log_probabilities[:1])
    assert values(parts) == values(self_critical_losses(one, both[:1], WORDS, KNOWN))
    assert parts["reward"].count == 4


def test_what_is_drawn_ends_once_and_has_its_probability() -> None:
    table, step = language()
    chances = torch.rand(3, 50, 4, generator=torch.Generator().manual_seed(1))
    drawn = draw(step, (torch.zeros(3, 1),), chances)
    known = {tuple(words): float(value) for value, words in every(table.detach(), 4)}
    said, likely = drawn.words.flatten(0, 1).tolist(), drawn.log_probabilities.flatten().tolist()
    for words, value in zip(said, likely, strict=True):
        own = tuple(word for word in words if word)
        assert words == [*own, *[0] * (len(words) - len(own))]
        assert value == pytest.approx(known[own], abs=1e-5)


def module(**settings: Any) -> Captioning:
    torch.manual_seed(0)
    network = AttentionLstm(Small(width=16), WORDS, embedding=16, hidden=32, attention=16, dropout=0.1)
    facts = {"vocabulary": WORDS, "max_words": 3, "image_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3}
    return Captioning(network, **{**facts, **settings})


def pictures(first: int, second: int) -> CaptionBatch:
    """One dark and one light, of each of which one thing is said."""
    images = torch.tensor([10, 250], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 16, 16)
    return CaptionBatch(images, torch.tensor([[[first, END]], [[second, END]]]))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4])
def test_what_scores_higher_is_said_in_the_end(count: int) -> None:
    own, batch = module(self_critical=count), pictures(RED, BLUE)
    own.prepare(batch)
    own.train()
    optimizer = torch.optim.Adam(own.parameters(), 0.01)
    told = []
    for _ in range(60):
        parts = values(own.loss(own.training_outputs(batch), batch))
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        told.append(float(parts["reward"]))
    assert sum(told[-10:]) > 1.5 * sum(told[:10])
    own.eval()
    with torch.inference_mode():
        assert own(own.inputs(batch)).words[:, 0, :2].tolist() == batch.captions[:, 0].tolist()
        # measured as ever: the loss is that of the references
        assert set(own.evaluate(batch)[0]) == {"words"}


def test_what_n_grams_weigh_is_in_the_checkpoint() -> None:
    own, batch = module(self_critical=2), pictures(RED, BLUE)
    own.prepare(batch)
    checkpoint: dict[str, Any] = {}
    own.on_save_checkpoint(checkpoint)
    file = io.BytesIO()
    torch.save(checkpoint, file)
    file.seek(0)
    other = module(self_critical=2)
    other.on_load_checkpoint(torch.load(file, weights_only=True))
    assert other.known is not None
    said = torch.tensor([[[RED, END], [RED, RED]]])
    assert torch.equal(
        *(rewards(said, batch.captions[:1], WORDS, one.known) for one in (own, other) if one.known)
    )


def test_settings_of_teaching_have_no_part_in_it() -> None:
    with pytest.raises(ConfigError) as caught:
        module(self_critical=5, label_smoothing=0.1, scheduled_sampling=0.25, alpha_c=1)
    for name in ("label_smoothing", "scheduled_sampling", "alpha_c"):
        assert f"module.{name}=0" in str(caught.value)
    with pytest.raises(ConfigError, match=r"module\.self_critical: -1; expected"):
        module(self_critical=-1)


def test_a_captioner_that_has_learned_nothing_is_told() -> None:
    own = module(self_critical=2)
    (line,) = own.check(pictures(RED, BLUE))
    assert "init=RUN" in line
    own.starts_from = {"taken": 9}
    assert own.check(pictures(RED, BLUE)) == module().check(pictures(RED, BLUE)) == []


@pytest.mark.parametrize(("drawn", "followed"), [(0, "train/loss 2"), (2, "train/reward 3")])
def test_the_progress_line_has_the_reward(
    drawn: int, followed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer: Any = SimpleNamespace(is_global_zero=True, max_epochs=4, current_epoch=0)
    trainer.callback_metrics = {"train/loss": torch.tensor(2.0), "train/reward": torch.tensor(3.0)}
    progress = Progress()
    progress.on_train_epoch_start()
    progress.on_train_epoch_end(trainer, module(self_critical=drawn))
    assert capsys.readouterr().out.strip().endswith(f"samples/s · {followed}")
