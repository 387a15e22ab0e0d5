"""A learning rate and a batch size to begin with, measured with a few steps of the run that is asked for."""

import csv
import gc
import math
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression
from typing import Any, NamedTuple, cast

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf

from vision_apps.core import assembly, figures, hardware, process
from vision_apps.core.config import check
from vision_apps.core.config.fine_tuning import BACKBONE_LR, shares, slower
from vision_apps.core.config.instantiate import build
from vision_apps.core.data import VisionData
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.freezing import Freezing
from vision_apps.core.module import VisionModule
from vision_apps.core.pictures import to_pil
from vision_apps.core.plain import Config
from vision_apps.core.rates import set_rates
from vision_apps.core.run_folder import new_folder

DIVERGED = 4.0  # times the least smoothed loss: fastai's bound
SMOOTHING = 0.9  # share of the loss before
WARM, TIMED = 1, 3  # steps with each batch size
NO_FASTER = 1.03  # a doubling of the batch that gains less is none


class Curve(NamedTuple):
    """What a range of rates did to the loss."""

    rates: list[float]
    losses: list[float]  # of each step
    smoothed: list[float]  # a mean that forgets, free of the bias of its first value


class Throughput(NamedTuple):
    """What a batch size costs."""

    size: int
    samples: float  # a second
    memory: int | None  # bytes, the most that was held


def smoothed(values: Sequence[float], keep: float = SMOOTHING) -> list[float]:
    """The exponential moving average, corrected for its start from 0 as Adam's is (Kingma and Ba 2015,
    section 3)."""
    mean, means = 0.0, []
    for count, value in enumerate(values, 1):
        mean = keep * mean + (1 - keep) * value
        means.append(mean / (1 - keep**count))
    return means


def steepest(rates: Sequence[float], losses: Sequence[float]) -> int | None:
    """Where the loss falls fastest over the logarithm of the rate, before it is least (Smith 2017, section
    3.3): the index of a step; None where it does not fall. A slope is that of a line through a fifth of the
    steps: between two neighbours it would be the noise of their batches."""
    half = max(1, len(losses) // 10)
    least = min(range(len(losses)), key=losses.__getitem__)
    logs = [math.log(rate) for rate in rates]
    slopes = {
        i: linear_regression(logs[i - half : i + half + 1], losses[i - half : i + half + 1]).slope
        for i in range(half, min(least + 1, len(losses) - half))
    }
    best = min(slopes, key=slopes.__getitem__, default=None)
    return best if best is not None and slopes[best] < 0 else None


class _Rising(pl.Callback):
    """Raises the rate from step to step by a constant factor and notes the loss, until that is lost."""

    def __init__(self, least: float, most: float, steps: int) -> None:
        self.rates = [least * (most / least) ** (step / (steps - 1)) for step in range(steps)]
        self.losses: list[float] = []
        self._window: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        module, lr = cast(VisionModule, trainer.lightning_module), self.rates[trainer.global_step]
        rates = module.rates
        if rates.backbone_lr and BACKBONE_LR in module.chosen:  # it follows
            rates = rates._replace(backbone_lr=slower(lr, module.backbone_share))
        set_rates(trainer.optimizers[0], rates, lr)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        assert isinstance(module, VisionModule)
        self._window.append(float(module.losses.latest["loss"]))  # Lightning's is a share of its window's
        if trainer.global_step == len(self.losses):  # gradients are being summed
            return
        self.losses.append(sum(self._window) / len(self._window))
        self._window = []
        means = smoothed(self.losses)
        if not means[-1] <= DIVERGED * min(means):  # or it is no number
            trainer.should_stop = True


class _Clock(pl.Callback):
    """The batches after the first step, and their seconds: the last step of an epoch may have fewer of them
    than the others."""

    def __init__(self) -> None:
        self.batches = 0
        self.seconds = 0.0
        self._began: float | None = None

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        device = trainer.strategy.root_device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.perf_counter()
        if self._began is not None:
            self.batches, self.seconds = self.batches + 1, now - self._began
        elif trainer.global_step == WARM:
            self._began = now


class Tuner:
    """Trains the run that a configuration describes for a few steps, on one device and without a run folder.

    Args:
        config: composed as for ``train``.
        out: gets the curve as a picture and as a table; by default a new folder below ``run.root``. It has to
            be new, too.
    """

    def __init__(self, config: DictConfig, out: str | None = None) -> None:
        check.check(config)
        hardware.require(config)
        self.config: Config = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        self.config["scheduler"] = None  # the rate is constant, or what is tried
        # as the run begins: what thaws later stays frozen
        self.config["freeze"] = [name for name, share in shares(self.config.get("freeze")).items() if share]
        self.settings = hardware.resolve(self.config)
        self._out = out
        if out is not None and Path(out).exists():
            raise ConfigError(f"--out {out}: exists already; choose a new folder")

    def rate(self, least: float, most: float, steps: int) -> float:
        """Train ``steps`` steps at rates from ``least`` to ``most``, each a constant factor above the one
        before; returns the rate at which the loss fell fastest. `RunError` where it fell nowhere."""
        if not least < most or steps < 10:
            raise ConfigError(
                f"tune lr: expected --least below --most and 10 --steps or more, got {least:g}, {most:g} and "
                f"{steps}"
            )
        data, module = self._parts()
        rising = _Rising(least, most, steps)
        self._train(data, module, rising, steps)
        means = smoothed(rising.losses)
        curve = Curve(rising.rates[: len(means)], rising.losses, means)
        found = steepest(curve.rates, curve.smoothed)
        best = None if found is None else curve.rates[found]
        folder = self._folder()
        _write(folder / "lr.csv", ("lr", "loss", "smoothed"), zip(*curve, strict=True))
        _draw_rates(curve, best, folder / "lr.png")
        if best is None:
            raise RunError(
                f"tune lr: the loss falls at no rate from {least:g} to {most:g} ({folder / 'lr.png'}); try "
                "more --steps, or another range"
            )
        low = curve.rates[min(range(len(means)), key=means.__getitem__)]
        print(f"falls fastest  at {best:.2g}: optimizer.lr={best:.2g}")
        print(f"is least       at {low:.2g}")
        print(f"curve          {folder / 'lr.png'}, lr.csv", flush=True)
        return best

    def batch(self, least: int, most: int | None) -> int:
        """Train a few steps with batches of ``least`` samples and each double of it up to ``most``, the
        training set or the memory; without a ``most``, on the CPU, until two doublings in a row gain nothing.
        Returns the smallest that is as fast as the fastest but for 3 %."""
        data, module = self._parts()
        samples = len(data.samples("train"))
        largest = min(samples, most or samples)
        if least > largest:
            raise ConfigError(f"tune batch: --least {least}, but there are batches up to {largest} only")
        found: list[Throughput] = []
        size, ended = least, f"--most {most}" if most and most <= samples else f"{samples} training samples"
        while size <= largest:
            measured = self._measure(data, module, size)
            if measured is None:
                ended = f"batches of {size} do not fit the memory"
                break
            found.append(measured)
            memory = "" if measured.memory is None else f" · {measured.memory / 2**20:,.0f} MiB"
            print(f"batch {size:>6} · {measured.samples:>9,.1f} samples/s{memory}", flush=True)
            if most is None and not torch.cuda.is_available() and _levelled(found):
                ended = "larger ones are no faster"
                break
            size *= 2
        if not found:
            raise RunError(f"tune batch: {ended}; try a smaller --least, or a smaller model")
        best = fastest(found)
        folder = self._folder()
        _write(folder / "batch.csv", Throughput._fields, found)
        _draw_batches(found, best, folder / "batch.png")
        print(f"up to    {found[-1].size}: {ended}")
        print(f"fastest  data.batch_size={best} (a larger one gains less than 3 %)")
        print(f"curve    {folder / 'batch.png'}, batch.csv", flush=True)
        return best

    def _parts(self) -> tuple[VisionData, VisionModule]:
        if self.settings.keep_memory:
            hardware.keep_freed_memory()
        return assembly.prepared(self.config, self.settings.channels_last)

    def _train(self, data: VisionData, module: VisionModule, callback: pl.Callback, steps: int) -> None:
        process.quieten_lightning()
        trainer: pl.Trainer = build(
            self.config["trainer"],
            callbacks=[Freezing(shares(self.config["freeze"]), self.config["batch_norm"]), callback],
            devices=1,
            num_nodes=1,
            strategy="auto",
            precision=self.settings.precision,
            max_epochs=-1,
            max_steps=steps,
            max_time=None,
            log_every_n_steps=1,
            limit_val_batches=0,
            val_check_interval=None,
            check_val_every_n_epoch=1,
            num_sanity_val_steps=0,
            profiler=None,
            logger=False,
            enable_checkpointing=False,
            use_distributed_sampler=False,
        )
        trainer.fit(module, datamodule=data)

    def _measure(self, data: VisionData, module: VisionModule, size: int) -> Throughput | None:
        """None where the memory does not hold a batch of this size."""
        clock = _Clock()
        data.batch_size = size
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        try:
            self._train(data, module, clock, WARM + TIMED)
            memory = hardware.peak_memory(torch.device("cuda" if cuda else "cpu"))
            return Throughput(size, clock.batches * size / clock.seconds, memory)
        except Exception as error:
            if not hardware.out_of_memory(error):
                raise
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()
        return None

    def _folder(self) -> Path:
        """Made when there is something to keep."""
        if self._out is None:
            return new_folder(Path(self.config["run"]["root"]) / "tune")
        Path(self._out).mkdir(parents=True)
        return Path(self._out)


def fastest(found: Sequence[Throughput]) -> int:
    """The smallest batch than which none is more than 3 % faster."""
    most = max(one.samples for one in found)
    return next(one.size for one in found if one.samples * NO_FASTER >= most)


def _levelled(found: Sequence[Throughput]) -> bool:
    """Whether the last two gained nothing over all before."""
    before = [one.samples for one in found[:-2]]
    return bool(before) and max(one.samples for one in found[-2:]) < NO_FASTER * max(before)


def _write(path: Path, columns: Sequence[str], rows: Any) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def _draw_rates(curve: Curve, best: float | None, path: Path) -> None:
    figure, axes = figures.page(7, 4)
    axes.plot(curve.rates, curve.losses, color="lightgrey", label="each step")
    axes.plot(curve.rates, curve.smoothed, color="tab:blue", label="smoothed")
    if best is not None:
        axes.axvline(best, color="tab:red", linestyle="--", label=f"falls fastest: {best:.2g}")
    least, start = min(curve.smoothed), curve.smoothed[0]
    axes.set(xscale="log", xlabel="optimizer.lr", ylabel="train/loss")
    if math.isfinite(start + least) and start > least:
        axes.set_ylim(least - 0.1 * (start - least), start + 0.5 * (start - least))
    axes.legend()
    to_pil(figures.pixels(figure)).save(path)


def _draw_batches(found: Sequence[Throughput], best: int, path: Path) -> None:
    figure, axes = figures.page(7, 4)
    sizes = [one.size for one in found]
    axes.plot(sizes, [one.samples for one in found], marker="o", color="tab:blue", label="samples/s")
    axes.axvline(best, color="tab:red", linestyle="--", label=f"data.batch_size={best}")
    axes.set_xscale("log", base=2)
    axes.set(xlabel="data.batch_size", ylabel="samples/s", ylim=(0, None))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    if all(one.memory is not None for one in found):
        right = axes.twinx()
        right.plot(sizes, [(one.memory or 0) / 2**20 for one in found], marker="s", color="tab:grey")
        right.set(ylabel="most memory, MiB (grey)", ylim=(0, None))
    axes.legend(loc="lower right")
    to_pil(figures.pixels(figure)).save(path)
