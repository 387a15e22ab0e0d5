"""The moving average of the weights."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import toy_run
from torch import nn
from torch.utils.data import DataLoader

from vision_apps.core import checkpoint_io
from vision_apps.core.ema import EMA
from vision_apps.core.errors import ConfigError


def test_it_starts_as_a_mean_and_ends_with_its_decay() -> None:
    ema = EMA(0.9)
    values = torch.randn(200, dtype=torch.float64)
    average = values[0].clone()
    for step, value in enumerate(values[1:], 1):
        average = ema.average(average, value, torch.tensor(step))
    expected = values[0]
    for n, value in enumerate(values[1:], 1):
        kept = min(0.9, (1 + n) / (10 + n))
        expected = kept * expected + (1 - kept) * value
    torch.testing.assert_close(average, expected)
    assert 1 - min(0.9, 2 / 11) > 0.8  # of the first weights nothing is left soon


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_counts_are_not_averaged(dtype: torch.dtype) -> None:
    current = torch.ones(3, dtype=dtype)
    assert torch.equal(EMA().average(torch.zeros(3, dtype=dtype), current, 5), current)


class Small(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return self.layers(batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Watch(pl.Callback):
    """Both states after each batch; the callback of the average comes first."""

    def __init__(self, ema: EMA) -> None:
        self.ema = ema
        self.seen: list[tuple[int, dict[str, torch.Tensor], dict[str, torch.Tensor]]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        averaged = self.ema._average_model.module  # type: ignore[union-attr]
        states = [{k: v.clone() for k, v in each.state_dict().items()} for each in (module, averaged)]
        self.seen.append((trainer.global_step, *states))


@pytest.mark.parametrize("accumulated", [1, 2])
def test_every_step_of_the_average_buffers_too(accumulated: int) -> None:
    """The nth step, from 0, keeps (1 + n) / (10 + n) of the average up to the decay; the running statistics
    of a norm are averaged as weights are, its count of batches is taken as it is."""
    torch.manual_seed(0)
    ema = EMA(0.4)
    watch = Watch(ema)
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[ema, watch], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accumulate_grad_batches=accumulated,
    )  # fmt: skip
    trainer.fit(Small(), DataLoader(torch.randn(12 * accumulated, 8, 3), batch_size=None))
    steps = [states for number, states in enumerate(watch.seen, 1) if number % accumulated == 0]
    assert [step for step, _, _ in steps] == list(range(1, 13))
    expected = {name: value.double() for name, value in steps[0][1].items()}
    assert {"layers.1.running_mean", "layers.1.running_var"} < expected.keys()
    for n, (_, current, averaged) in enumerate(steps):
        kept = min(0.4, (1 + n) / (10 + n))  # from the sixth step on .4
        for name, value in averaged.items():
            if value.is_floating_point():
                if n:
                    expected[name] = kept * expected[name] + (1 - kept) * current[name]
                torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-7)
            else:
                assert value == current[name] == (n + 1) * accumulated, name


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
def test_the_average_is_what_a_run_keeps() -> None:
    toy_run.train(Path("plain"))
    toy_run.train(Path("averaged"), callbacks__ema={"_target_": "vision_apps.core.ema.EMA", "decay": 0.5})
    plain, averaged = (
        checkpoint_io.load(Path(name) / "checkpoints" / checkpoint_io.LAST) for name in ("plain", "averaged")
    )
    for name, value in plain["state_dict"].items():
        trained = averaged["current_model_state"][name]
        assert torch.equal(value, trained), name  # training itself is the same
        if name.endswith("weight") and value.ndim > 1:
            assert not torch.equal(value, averaged["state_dict"][name]), name
            assert (value - averaged["state_dict"][name]).abs().max() < 1


def test_a_share_is_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"callbacks\.ema\.decay: 1\.5; expected 0 or more and below 1"):
        EMA(1.5)
