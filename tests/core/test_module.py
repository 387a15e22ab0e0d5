"""What all applications share: parameter groups, gradients, schedules and logging."""

import math
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
import torch
import toy_run
from torch import Tensor, nn
from toy import ToyAnswer, ToyBatch, ToyModule, ToyNet

from vision_apps.core import engine
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.fields import Pixels, Text
from vision_apps.core.losses import values
from vision_apps.core.module import VisionModule
from vision_apps.core.rates import parameter_groups
from vision_apps.core.schedules import warmup_cosine, warmup_linear


def batch(count: int = 4) -> ToyBatch:
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)
    return ToyBatch(images, torch.arange(count) % 2)


def test_only_matrices_decay() -> None:
    net = ToyNet(2)
    decayed, kept = parameter_groups(net, 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(net.conv.weight), id(net.head.weight)}
    assert {id(p) for p in kept["params"]} == {
        id(p) for p in (net.conv.bias, net.head.bias, net.norm.weight, net.norm.bias)
    }


def test_frozen_parameters_and_empty_groups_are_left_out() -> None:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    (group,) = parameter_groups(layer, 0.1)
    assert group["params"] == [layer.weight]


def test_a_gradient_for_every_parameter() -> None:
    module = ToyModule(ToyNet(2, dropout=0.0), num_classes=2)
    inputs = batch()
    values(module.loss(module.training_outputs(inputs), inputs))["loss"].backward()
    missing = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    # batch normalisation takes the convolution's bias out again: a gradient of zero up to rounding
    assert [name for name in missing if name != "network.conv.bias"] == []
    assert module.network.conv.bias.grad is not None


def test_forward_is_pixels_in_answer_out() -> None:
    module = ToyModule(ToyNet(2), num_classes=2).eval()
    answer = module(module.inputs(batch()))
    assert isinstance(answer, ToyAnswer)
    assert torch.allclose(answer.scores.sum(1), torch.ones(4))


def test_without_an_optimizer_it_only_predicts() -> None:
    with pytest.raises(RuntimeError, match="built to predict"):
        ToyModule(ToyNet(2), num_classes=2).configure_optimizers()


@pytest.mark.parametrize("schedule", [warmup_cosine, warmup_linear])
@pytest.mark.parametrize("steps", [1, 2, 10, 101])
def test_schedules_rise_and_fall_within_the_run(schedule: Any, steps: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer, total_steps=steps, warmup=0.2, final=0.1)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(2.0)
    assert top == max(0, round(0.2 * steps) - 1)
    if steps >= 10:
        assert rates[-1] == pytest.approx(0.2)


FACTORS = {  # of 100 steps that rise over 20 and fall to .1: at 1/4, 1/2 and all of the fall
    warmup_cosine: (0.1 + 0.45 * (1 + math.cos(math.pi / 4)), 0.55, 0.1),
    warmup_linear: (0.775, 0.55, 0.1),
}


@pytest.mark.parametrize("schedule", FACTORS)
def test_factors_of_a_schedule(schedule: Any) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    (factor,) = schedule(optimizer, total_steps=100, warmup=0.2, final=0.1).lr_lambdas
    assert [factor(step) for step in (0, 9, 18, 19)] == pytest.approx([1 / 20, 10 / 20, 19 / 20, 1])
    assert [factor(step) for step in (39, 59, 99)] == pytest.approx(FACTORS[schedule])
    assert factor(100) == factor(150) == pytest.approx(0.1)  # a step more stays where it ended
    defaults = {warmup_cosine: (0.05, 0.01), warmup_linear: (0.2, 0.0)}[schedule]
    (usual,) = schedule(optimizer, total_steps=100).lr_lambdas
    (same,) = schedule(optimizer, total_steps=100, warmup=defaults[0], final=defaults[1]).lr_lambdas
    assert [usual(step) for step in range(100)] == [same(step) for step in range(100)]


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("accumulated", [1, 2, 3])
def test_a_schedule_has_as_many_steps_as_the_optimiser(accumulated: int) -> None:
    """And is advanced after each of them, not after an epoch or a batch."""
    schedule = {"_target_": "vision_apps.core.schedules.warmup_linear", "_partial_": True, "final": 0.1}
    toy_run.train(
        Path("run"), scheduler=schedule, optimizer__lr=1.0, trainer__accumulate_grad_batches=accumulated
    )
    steps = 3 * toy_run.BATCHES_PER_EPOCH // accumulated
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    (factor,) = warmup_linear(optimizer, total_steps=steps, final=0.1).lr_lambdas
    found = {step: value for step, _, name, value in toy_run.rows(Path("run")) if name == "lr"}
    assert list(found) == list(range(steps))
    assert list(found.values()) == pytest.approx([factor(step) for step in range(steps)])
    assert found[steps - 1] == pytest.approx(0.1)


@pytest.mark.usefixtures("toy")
class TestLogging:
    def test_names(self) -> None:
        engine.train(toy_run.configure(Path("run"), {"test": True}))
        assert {name for _, _, name, _ in toy_run.rows(Path("run"))} == {
            "lr", "train/loss", "val/loss", "val/accuracy",
            "test/loss", "test/accuracy", "test/constant/accuracy",
        }  # fmt: skip

    @pytest.mark.slow
    @pytest.mark.parametrize("every", [1, 2, 4])
    @pytest.mark.parametrize("accumulate", [1, 2])
    def test_a_line_is_the_mean_since_the_line_before(
        self, every: int, accumulate: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        losses: list[float] = []
        original = ToyModule.training_step

        def training_step(self: ToyModule, batch: Any, batch_idx: int) -> torch.Tensor:
            loss = original(self, batch, batch_idx)
            losses.append(float(loss.detach()))
            return loss

        monkeypatch.setattr(ToyModule, "training_step", training_step)
        toy_run.train(
            Path("run"),
            data__count=64,
            trainer__max_epochs=1,
            trainer__log_every_n_steps=every,
            trainer__accumulate_grad_batches=accumulate,
        )
        lines = {step: value for step, _, name, value in toy_run.rows(Path("run")) if name == "train/loss"}
        steps, batches = len(losses) // accumulate, every * accumulate
        assert list(lines) == list(range(every - 1, steps, every))
        expected = [sum(losses[i : i + batches]) / batches for i in range(0, len(losses), batches)]
        assert list(lines.values()) == pytest.approx(expected, rel=1e-5)

    def test_every_sample_counts_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The last small batch of an evaluation weighs what its samples weigh."""
        results = []
        for size in (50, 16, 7):
            values = toy_run.train(
                Path(f"size-{size}"), trainer__max_epochs=1, data__eval_batch_size=size, precision="32-true"
            )
            results.append((values["val/loss"], values["val/accuracy"]))
        assert results[1:] == [pytest.approx(results[0], rel=1e-5)] * 2


class Words(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    words: Annotated[Tensor, Text()]


def test_a_module_that_does_not_say_its_types_is_refused() -> None:
    class Silent(VisionModule):  # type: ignore[type-arg]
        pass

    with pytest.raises(
        ConfigError, match=r"^module: Silent does not say what it takes and gives: expected class"
    ):
        Silent(ToyNet(2))


def test_inputs_that_no_batch_has_are_refused() -> None:
    class Asks(VisionModule[ToyBatch, Words, Tensor, ToyAnswer]):
        pass

    class Makes(Asks):
        def inputs(self, batch: ToyBatch) -> Words:
            return Words(batch.images, batch.labels)

    with pytest.raises(
        ConfigError, match=r"^module: Words has words, which ToyBatch has not: expected fields of"
    ):
        Asks(ToyNet(2))
    with pytest.raises(
        DataError, match=r"^Makes takes words, and does not say how they are typed: expected words"
    ):
        Makes(ToyNet(2)).encode(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), {})
