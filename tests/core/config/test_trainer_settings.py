"""What this engine supports of Lightning's Trainer and callbacks, and what is said of the rest."""

from typing import Any

import pytest
import pytorch_lightning as pl

from vision_apps.core.config.check import accepted, find_problems
from vision_apps.core.config.compose import compose
from vision_apps.core.config.trainer_settings import _INSTEAD, seconds, spelled
from vision_apps.core.errors import ConfigError


def told(*words: str) -> list[str]:
    return list(find_problems(compose(["task=classification", *words])))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("data.batch_size=0", "data.batch_size: expected at least 1, got 0"),
        ("data.eval_batch_size=0", "data.eval_batch_size: expected at least 1, got 0"),
        ("data.workers=-1", "data.workers: expected at least 0, got -1"),
        ("data.limit_train=-1", "data.limit_train: expected at least 1, got -1"),
        ("trainer.max_epochs=0", "trainer.max_epochs: expected -1 or at least 1, got 0"),
        ("trainer.max_steps=-2", "trainer.max_steps: expected -1 or at least 1, got -2"),
        ("trainer.limit_train_batches=0", "trainer.limit_train_batches: expected more than 0, got 0"),
        ("trainer.limit_val_batches=-1", "trainer.limit_val_batches: expected at least 0, got -1"),
        (
            "trainer.limit_val_batches=1.5",
            "trainer.limit_val_batches: expected a share up to 1.0 or a whole number of batches, got 1.5",
        ),
        ("trainer.val_check_interval=0", "trainer.val_check_interval: expected more than 0, got 0"),
        ("trainer.log_every_n_steps=0", "trainer.log_every_n_steps: expected at least 1, got 0"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches: expected at least 1, got 0"),
        ("trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch: expected at least 1, got 0"),
        (
            "trainer.check_val_every_n_epoch=null",
            "trainer.check_val_every_n_epoch: null needs val_check_interval in batches, got None",
        ),
        ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val: expected at least 0, got -1"),
        (
            "+trainer.gradient_clip_algorithm=nrom",
            "trainer.gradient_clip_algorithm: expected norm or value, got nrom",
        ),
        ("test=maybe", "test: expected bool, got 'maybe'"),
        ("keep_memory=7", "keep_memory: expected bool or 'auto', got 7"),
        ("seed=first", "seed: expected int, got 'first'"),
        ("optimizer.lr=-1", "optimizer.lr: expected at least 0, got -1"),
        ("scheduler.final=-1", "scheduler.final: expected at least 0, got -1"),
        (
            "trainer.max_time='10:00:00'",
            "trainer.max_time: expected days:hours:minutes:seconds as in 00:01:30:00, got '10:00:00' "
            "('00:10:00:00'?)",
        ),
        ("trainer.max_time='00:00:00:00'", "trainer.max_time: expected more than 0 seconds"),
        (
            "trainer.max_epochs=null",
            "trainer.max_epochs: null has no end; expected a number, or -1 with max_steps or max_time",
        ),
        (
            "trainer.max_epochs=-1",
            "trainer.max_epochs: -1 has no end without trainer.max_steps or trainer.max_time",
        ),
        (
            "+trainer.overfit_batches=2",
            "trainer.overfit_batches: is not supported here; trainer=overfit trains on one batch of 32; "
            "data.limit_train limits what there is",
        ),
        (
            "+trainer.barebones=true",
            "trainer.barebones: is not supported here; trainer=profile tells where the time goes",
        ),
        (
            "+trainer.fast_dev_run=1",
            "trainer.fast_dev_run: is not supported here; trainer=smoke runs two batches of everything",
        ),
        (
            "+trainer.enable_checkpointing=false",
            "trainer.enable_checkpointing: is not supported here; ~callbacks.checkpoint leaves checkpoints "
            "out",
        ),
        (
            "trainer.strategy=ddp_spawn",
            "trainer.strategy: ddp_spawn is not supported here; expected auto, ddp, "
            "ddp_find_unused_parameters_true, ddp_find_unused_parameters_false, or the _target_ of another "
            "strategy that is started as ddp is",
        ),
        ("trainer.profiler=sample", "trainer.profiler: expected simple, advanced, pytorch, got sample"),
        (
            "scheduler._target_=torch.optim.lr_scheduler.CosineAnnealingLR",
            "scheduler: torch.optim.lr_scheduler.CosineAnnealingLR takes no total_steps, the run's length; "
            "choose scheduler=warmup_cosine, warmup_linear or constant, or a function of yours that takes it",
        ),
    ],
)
def test_one_setting(word: str, problem: str) -> None:
    assert problem in told(word)


def test_devices_on_the_cpu() -> None:
    (problem,) = told("trainer=cpu", "trainer.devices=[0]")
    assert problem == "trainer.devices: on the CPU, expected a number of processes, as in 2, got [0]"
    assert not told("trainer=cpu", "trainer.devices=2")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["trainer.max_epochs=-1", "trainer.max_steps=10"],
        ["trainer.max_epochs=null", "trainer.max_steps=10"],
        ["trainer.max_epochs=-1", "trainer.max_time='01:00:00:00'"],
        ["trainer.check_val_every_n_epoch=null", "trainer.val_check_interval=3"],
        ["trainer.limit_val_batches=0", "trainer.limit_train_batches=0.5", "trainer.limit_test_batches=3.0"],
        ["+trainer.overfit_batches=0", "+trainer.fast_dev_run=false", "+trainer.enable_checkpointing=true"],
        ["callbacks=[early_stop,ema,lr_monitor]", "run.dir=2025/11"],
        ["scheduler.warmup=0", "scheduler.final=0"],
        ["scheduler.warmup=1", "scheduler.final=1"],
        ["+callbacks.stats._target_=pytorch_lightning.callbacks.DeviceStatsMonitor"],
    ],
)
def test_what_is_supported(words: list[str]) -> None:
    assert told(*words) == []


@pytest.mark.parametrize(
    ("callback", "use"),
    [
        ("BatchSizeFinder", "use vision-apps tune batch"),
        ("LearningRateFinder", "use vision-apps tune lr"),
        (
            "StochasticWeightAveraging",
            "use callbacks=ema, whose average is what is measured and kept",
        ),
        ("EarlyStopping", "use callbacks=early_stop"),
        ("ModelPruning", "a class of yours that derives from it is, see allow_targets"),
    ],
)
def test_callbacks(callback: str, use: str) -> None:
    words = [f"+callbacks.x._target_=pytorch_lightning.callbacks.{callback}"]
    assert f"callbacks.x: Lightning's {callback} is not supported here; {use}" in told(*words)


def test_every_parameter_of_the_trainer_is_known() -> None:
    """A new release's parameter has to be looked at, and named here or there."""
    from vision_apps.core.config.check import _ELSEWHERE

    elsewhere = {key.removeprefix("trainer.") for key in _ELSEWHERE}
    supported = {
        *("accelerator", "strategy", "devices", "num_nodes", "max_epochs", "min_epochs", "max_steps"),
        *("min_steps", "max_time", "limit_train_batches", "limit_val_batches", "limit_test_batches"),
        *("val_check_interval", "check_val_every_n_epoch", "num_sanity_val_steps", "log_every_n_steps"),
        *("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm", "deterministic"),
        *("benchmark", "inference_mode", "profiler", "detect_anomaly", "sync_batchnorm"),
    }
    assert set(accepted(pl.Trainer).parameters) == elsewhere | supported | set(_INSTEAD)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("00:00:00:05", 5), ("01:02:03:04", 93784), ({"hours": 1, "seconds": 2}, 3602), (None, None)],
)
def test_durations(duration: Any, expected: float | None) -> None:
    assert seconds(duration) == expected
    if isinstance(duration, str):
        assert spelled(seconds(duration) or 0) == duration


@pytest.mark.parametrize("wrong", [36000, "1:00", "10:00", {"hour": 1}])
def test_no_durations(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"^expected days"):
        seconds(wrong)


V2 = "torchvision.transforms.v2"
INNER = f"{{_target_: {V2}.RandomErasing, p: -0.5}}"


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("data.augment.flip.p=2", "data.augment.flip.p: expected 0 to 1, got 2"),
        ("data.augment.flip.p=1.0", None),
        (
            "data.augment.crop.scale=[1.0,0.2]",
            "data.augment.crop.scale: expected two numbers above 0, the smaller one first, got [1.0, 0.2]",
        ),
        (
            "data.augment.crop.scale=[0.0,1.0]",
            "data.augment.crop.scale: expected two numbers above 0, the smaller one first, got [0.0, 1.0]",
        ),
        ("data.augment.crop.scale=[0.5,0.5]", None),
        (
            f"+data.augment.a={{_target_: {V2}.Compose, transforms: [{INNER}]}}",
            "data.augment.a.transforms[0].p: expected 0 to 1, got -0.5",
        ),
        (f"+data.augment.a={{_target_: {V2}.RandomChoice, transforms: [], p: [2, 1]}}", None),
    ],
)
def test_ranges_of_augmentations(word: str, problem: str | None) -> None:
    assert told("data=folder", word) == ([problem] if problem else [])
