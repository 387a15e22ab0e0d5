"""A learning rate and a batch size to begin with."""

import contextlib
import csv
import math
import re
import shlex
from pathlib import Path

import pytest
import torch
import toy_run
from PIL import Image
from toy import ToyBatch, ToyModule

from vision_apps.cli import main
from vision_apps.core import tuning
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.tuning import Throughput, Tuner, fastest, smoothed, steepest

pytestmark = pytest.mark.usefixtures("toy")


def test_mean_without_bias() -> None:
    assert smoothed([3.0, 3.0, 3.0], 0.9) == pytest.approx([3.0] * 3)
    assert smoothed([1.0, 2.0, 4.0], 0.5) == pytest.approx([1.0, 5 / 3, 3.0])


def test_steepest_descent_over_the_logarithm() -> None:
    rates = [10 ** (-6 + 0.1 * step) for step in range(61)]
    fall = [1 / (1 + math.exp(3 * (math.log10(rate) + 2.5))) for rate in rates]  # steepest at 10 ** -2.5
    grown = [value + max(0.0, math.log10(rate) + 1) * 9 for value, rate in zip(fall, rates, strict=True)]
    found = steepest(rates, grown)
    assert found is not None and rates[found] == pytest.approx(10**-2.5)
    assert steepest(rates, list(range(61))) is None
    assert steepest(rates[:1], [1.0]) is None
    noisy = [value + 0.1 * (-1) ** (step // 2) * (step < 20) for step, value in enumerate(fall)]
    found = steepest(rates, noisy)  # not where two batches differ
    assert found is not None and abs(math.log10(rates[found]) + 2.5) < 0.3


def test_smallest_of_the_fastest() -> None:
    found = [
        Throughput(2, 50, None),
        Throughput(4, 98, None),
        Throughput(8, 100, None),
        Throughput(16, 90, None),
    ]
    assert fastest(found) == 4
    assert fastest(found[:2]) == 4
    assert not tuning._levelled(found[:3])
    assert not tuning._levelled([*found[:3], Throughput(16, 101.0, None)])  # 98 * 1.03 = 100.94
    assert tuning._levelled(found)


def rows(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text().splitlines()))


def test_rate_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The loss of each step is that of a training with that step's rate."""
    config = toy_run.configure(None, {"optimizer": {**SGD}, "data.augment": {}, "model.dropout": 0.0})
    found = Tuner(config, "tuned").rate(1e-3, 10.0, 30)
    table = rows("tuned/lr.csv")
    expected = [1e-3 * 1e4 ** (step / 29) for step in range(len(table))]
    assert [float(row["lr"]) for row in table] == pytest.approx(expected)
    assert found in [float(row["lr"]) for row in table]
    assert f"optimizer.lr={found:.2g}" in capsys.readouterr().out
    with Image.open("tuned/lr.png") as picture:
        assert picture.size[0] > 500
    assert not Path("runs").exists()
    with pytest.raises(ConfigError, match=r"^--out tuned: exists already"):
        Tuner(config, "tuned")


SGD = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 1.0}


def test_ends_where_the_loss_is_lost() -> None:
    config = toy_run.configure(None, {"optimizer": {**SGD}, "trainer.accumulate_grad_batches": 2})
    Tuner(config).rate(1e-3, 1e9, 60)
    (folder,) = Path("runs/tune").iterdir()
    means = [float(row["smoothed"]) for row in rows(str(folder / "lr.csv"))]
    assert len(means) < 60
    assert not means[-1] <= 4 * min(means) and all(value <= 4 * min(means) for value in means[:-1])


def test_a_loss_that_falls_nowhere_is_told() -> None:
    config = toy_run.configure(None, {"optimizer": {**SGD, "maximize": True}})
    with pytest.raises(RunError, match=r"the loss falls at no rate from 0.1 to 10"):
        Tuner(config).rate(0.1, 10.0, 12)


def test_frozen_as_the_run_begins_and_at_its_shares_of_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """What thaws later is frozen in all steps; a backbone's own rate is not what is looked for."""
    model = {"_target_": "toy_parts.PartsNet"}
    changes = {"model": model, "freeze": {"backbone.0": 0.1}, "optimizer.backbone_lr": 1e-7}
    seen: list[tuple[torch.Tensor, set[float]]] = []
    step = ToyModule.training_step

    def noted(self: ToyModule, batch: ToyBatch, batch_idx: int) -> torch.Tensor:
        rates = {round(group["lr"], 9) for group in self.trainer.optimizers[0].param_groups[2:]}
        seen.append((self.network.get_parameter("backbone.0.0.weight").detach().clone(), rates))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ToyModule, "training_step", noted)
    with contextlib.suppress(RunError):  # whether the loss falls is not the question
        Tuner(toy_run.configure(None, changes)).rate(1e-3, 1.0, 12)
    assert len(seen) == 12
    assert all(torch.equal(weight, seen[0][0]) and rates == {1e-7} for weight, rates in seen)


def test_batch_sizes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[int] = []
    step = ToyModule.training_step

    def training_step(self: ToyModule, batch: ToyBatch, batch_idx: int) -> torch.Tensor:
        seen.append(len(batch.images))
        if len(batch.images) > 16:
            raise torch.OutOfMemoryError("out of memory")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ToyModule, "training_step", training_step)
    found = Tuner(toy_run.configure(None), "tuned").batch(2, 64)
    assert seen == [2] * 4 + [4] * 4 + [8] * 4 + [16] * 4 + [32]
    table = rows("tuned/batch.csv")
    assert [int(row["size"]) for row in table] == [2, 4, 8, 16]
    assert found == fastest([Throughput(int(row["size"]), float(row["samples"]), None) for row in table])
    said = capsys.readouterr().out
    assert "up to    16: batches of 32 do not fit the memory" in said
    assert f"fastest  data.batch_size={found} " in said
    assert Path("tuned/batch.png").is_file()


@pytest.mark.parametrize(("window", "size"), [(1, 8), (4, 8), (4, 32)])
def test_samples_a_second_are_of_what_was_seen(
    monkeypatch: pytest.MonkeyPatch, window: int, size: int
) -> None:
    """A batch takes a second. Of 50 pictures an epoch has 6 batches of 8, in windows of 4 and 2, or one of
    32."""
    seen: list[int] = []
    step = ToyModule.training_step

    def training_step(self: ToyModule, batch: ToyBatch, batch_idx: int) -> torch.Tensor:
        seen.append(len(batch.images))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ToyModule, "training_step", training_step)
    monkeypatch.setattr(tuning.time, "perf_counter", lambda: float(len(seen)))
    Tuner(toy_run.configure(None, {"trainer.accumulate_grad_batches": window}), "tuned").batch(size, size)
    (row,) = rows("tuned/batch.csv")
    assert set(seen) == {size}
    assert float(row["samples"]) == size


def test_losses_of_steps_that_sum_several_batches() -> None:
    """Rates so low that nothing moves: the loss of a step is the mean of its batches', in windows of 4 and of
    2."""
    still = {"optimizer": {**SGD}, "data.augment": {}, "model.dropout": 0.0}
    Tuner(toy_run.configure(None, still), "single").rate(1e-30, 1e-29, 12)
    Tuner(toy_run.configure(None, {**still, "trainer.accumulate_grad_batches": 4}), "summed").rate(
        1e-30, 1e-29, 10
    )
    each = [float(row["loss"]) for row in rows("single/lr.csv")]
    summed = [float(row["loss"]) for row in rows("summed/lr.csv")]
    windows = [each[:4], each[4:6], each[6:10], each[10:12]]
    assert summed[:4] == pytest.approx([sum(window) / len(window) for window in windows])


def test_no_batch_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    def training_step(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(ToyModule, "training_step", training_step)
    with pytest.raises(RunError, match="batches of 2 do not fit the memory; try a smaller --least"):
        Tuner(toy_run.configure(None)).batch(2, None)
    with pytest.raises(ConfigError, match="--least 64, but there are batches up to 50 only"):
        Tuner(toy_run.configure(None)).batch(64, None)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("tune", "tune : tune what; there are: lr, batch"),
        ("tune rate", "tune rate: tune what; there are: lr, batch"),
        ("tune batch --steps 3", "tune batch: takes no --steps, it trains four with each size"),
        ("tune lr --most -1", "--most: -1; expected a number above 0"),
        (
            "tune lr task=toy --least 2",
            "tune lr: expected --least below --most and 10 --steps or more, got 2, 1 and 100",
        ),
    ],
)
def test_wrong_words(
    command: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISION_APPS_CONF", str(toy_run.CONF))
    assert main(command.split()) == 2
    assert text in capsys.readouterr().err
    assert not Path("runs").exists()


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tune", "batch", "task=toy", "trainer=cpu", "--most", "8", "--out", "tuned"]
    words += ["--config-dir", str(toy_run.CONF)]
    assert main(words) == 0
    *_, line = capsys.readouterr().out.splitlines()
    assert line.startswith("next ") and " task=toy trainer=cpu data.batch_size=" in line
    assert line.endswith(f" --config-dir {toy_run.CONF}")
    assert sorted(path.name for path in Path("tuned").iterdir()) == ["batch.csv", "batch.png"]


def test_the_rate_that_was_found_can_be_typed_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line trains the same run at the rate that was found, instead of the one that was typed."""
    monkeypatch.setenv("VISION_APPS_CONF", str(toy_run.CONF))
    words = ["task=toy", "trainer=cpu", "optimizer.lr=0.5", "data.augment={}"]
    assert main(["tune", "lr", *words, "--steps", "20", "--out", "tuned"]) == 0
    printed = capsys.readouterr().out
    rate = re.search(r"optimizer\.lr=(\S+)", printed)
    line = next(line for line in printed.splitlines() if line.startswith("next "))
    assert rate and shlex.split(line)[-4:] == ["task=toy", "trainer=cpu", "data.augment={}", rate[0]]
    verb = shlex.split(line).index("train")
    assert main([*shlex.split(line)[verb:], "run.dir=run", "trainer.max_steps=1"]) == 0
    assert toy_run.last(Path("run"))["config"]["optimizer"]["lr"] == float(rate[1])
