"""One run from its configuration to its last line: train, resume, and what a second process of the run
does."""

import contextlib
import copy
import datetime
import importlib.util
import logging
import os
import shlex
import sys
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers.logger import Logger

from vision_apps.core import assembly, checkpoint_io, hardware, metrics_file, provenance, report
from vision_apps.core.checkpoint import Interrupted, Pruned
from vision_apps.core.checkpoint_io import AtomicCheckpointIO
from vision_apps.core.command import command
from vision_apps.core.config import check, overrides, targets
from vision_apps.core.config.instantiate import build
from vision_apps.core.data import VisionData
from vision_apps.core.errors import ConfigError
from vision_apps.core.loader import BatchLoader
from vision_apps.core.metrics_logger import MetricsFile
from vision_apps.core.module import VisionModule
from vision_apps.core.plain import Choices, Config
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.seeding import seed_everything
from vision_apps.core.wandb_logger import WandbLogger

log = logging.getLogger(__name__)

PartT = TypeVar("PartT")

_NOT_FOR_USERS = (
    r".*treespec, LeafSpec.*",  # Lightning's own use of a torch interface that changes its name
    # the module reports at the last batch of every epoch as well
    r"The number of training batches .* is smaller than the logging interval",
)
# Outside of a job, where a cluster's login node is a machine like any other.
_OF_JOBS_ONLY = r"The `srun` command is available on your system but is not used"
_ERROR_LENGTH = 2000  # characters that are kept of an error; log.txt has all of it
RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def train(config: DictConfig, choices: Choices | None = None) -> dict[str, float]:
    """Start a new run; returns its test metrics (or the last validation's where nothing is tested).

    ``choices``: the name that was chosen of each group, for the run's record.
    """
    check.check(config)
    # an interactive shell within an allocation (`srun --pty bash`) is a step of one task
    of_srun = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1
    if ("TORCHELASTIC_RUN_ID" in os.environ or of_srun) and not config.run.dir:
        raise ConfigError(
            "run.dir: must be given when torchrun or srun starts the processes, so that they share "
            f"one folder; for instance run.dir=runs/{config.task.name}/my-run"
        )
    hardware.require(config)
    if _rank() == 0:
        folder = prepare(config, choices)
    else:
        folder = RunFolder(config.run.dir)
        folder.wait()
    return _run(folder.read_config(), folder, checkpoint=None)


def prepare(config: DictConfig, choices: Choices | None = None, **record: object) -> RunFolder:
    """Make the folder of a new run, with all that a process needs to train it by `replay`.

    ``record``: what ``run.json`` shall hold besides.
    """
    folder = RunFolder.create(config.run.root, config.task.name, config.run.dir)
    placed = copy.deepcopy(config)
    placed.run.dir = str(folder.path)
    final: Config = OmegaConf.to_container(placed, resolve=True)  # type: ignore[assignment]
    folder.note(
        id=uuid.uuid4().hex[:8],
        started=datetime.datetime.now(datetime.UTC).isoformat(),
        choices=dict(choices or {"task": final["task"]["name"]}),
        seed=final["seed"],
        **record,
    )
    folder.write_config(final)
    return folder


def resume(place: str, changes: list[str]) -> dict[str, float]:
    """Go on with a run where its newest readable checkpoint left it; ``changes`` are plain ``key=value``
    overrides of its saved configuration (``trainer.max_epochs=20`` trains longer)."""
    folder, path = RunFolder.find(place)
    config = overrides.apply(folder.read_config(), changes)
    config["run"]["dir"] = str(folder.path)  # the folder may have been moved
    names = (checkpoint_io.LAST, checkpoint_io.PREVIOUS, checkpoint_io.BEST)
    notes: list[str] = []
    step = 0
    if path is not None:
        step = checkpoint_io.load(path)["global_step"]
    elif any(folder.checkpoints.glob("*.ckpt")):
        path, checkpoint, problems = checkpoint_io.newest(folder.checkpoints, names)
        step = checkpoint["global_step"]
        notes = [f"{problem}; going on from {path.name}" for problem in problems]
    else:
        notes = ["the run stopped before its first checkpoint: it starts from the beginning"]
    check.check(OmegaConf.create(config))
    hardware.require(config)
    if _rank() == 0:
        folder.write_config(config)
        metrics_file.forget_after(folder.path / "metrics.csv", step)
        for unfinished in folder.checkpoints.glob(".*.tmp"):  # of a process that was killed while it wrote
            unfinished.unlink()
    return _run(config, folder, checkpoint=path, notes=notes)


def replay(place: str, checkpoint: str | None) -> None:
    """Train exactly what the folder's configuration says, never what a command line does: this is what the
    further processes of a run on several devices execute, and every run of a sweep."""
    folder, _ = RunFolder.find(place)
    config = folder.read_config()
    targets.allow(config.get("allow_targets") or [])
    hardware.require(config)
    _run(config, folder, checkpoint=Path(checkpoint) if checkpoint else None)


def _run(
    config: Config, folder: RunFolder, checkpoint: Path | None, notes: Sequence[str] = ()
) -> dict[str, float]:
    started = time.monotonic()
    with (
        warnings.catch_warnings(),
        _recorded(folder),
        _log_file(folder),
        _children_replay(folder, checkpoint),
    ):
        for message in (*_NOT_FOR_USERS, *[_OF_JOBS_ONLY] * ("SLURM_JOB_ID" not in os.environ)):
            warnings.filterwarnings("ignore", message=message)
        for note in notes:
            log.warning(note)
        settings = hardware.resolve(config)
        if settings.keep_memory:
            hardware.keep_freed_memory()
        seed_everything(config["seed"])
        data = assembly.build_data(config)
        module = assembly.build_module(config, data.facts, trainable=True, trained=checkpoint is not None)
        data.batch_type = module.batch_type
        if checkpoint is None:
            _prepare(module, data)
        if settings.channels_last:
            module.network.to(memory_format=torch.channels_last)
        if config["compile"]:
            module.network.compile()
        loggers = _loggers(config, folder)
        try:
            trainer = _trainer(config, folder, data.facts, loggers, settings)
            if trainer.is_global_zero:
                folder.write_json("data.json", data.fingerprint())
                report.header(config, folder, module, data, settings, loggers)
                for logger in loggers:
                    logger.log_hyperparams(config)
            try:
                trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
                values = _test(config, folder, trainer, module, data)
            except (Interrupted, Pruned):  # all processes stop
                raise
            except BaseException:  # those that this one started would wait for it in a collective for ever
                for process in getattr(trainer.strategy.launcher, "procs", []):
                    process.kill()
                raise
            if trainer.is_global_zero:
                report.footer(config, folder, trainer, data, values, time.monotonic() - started)
            return values
        finally:
            for logger in loggers:
                if isinstance(logger, WandbLogger):
                    logger.close()


@contextlib.contextmanager
def _recorded(folder: RunFolder) -> Iterator[None]:
    """The folder is this run's alone, and its ``run.json`` tells when the run fails."""
    if _rank():
        yield
        return
    with folder.held():
        folder.note(status=None, error=None)
        (folder.path / "metrics.json").unlink(missing_ok=True)  # a resumed run is not finished any more
        if not (folder.path / "environment.json").is_file():
            words = sys.argv[1:][sys.argv[1:2] == ["train"] :]  # Hydra is given what comes after it
            typed = folder.record.get("command") or shlex.split(command("train", *words))
            folder.write_json("environment.json", provenance.record(typed))
        try:
            yield
        except Pruned:
            folder.note(status="pruned")
            raise
        except Interrupted:
            raise
        except Exception as error:
            folder.note(status="failed", error=f"{type(error).__name__}: {error}"[:_ERROR_LENGTH])
            raise


def _prepare(module: VisionModule, data: VisionData) -> None:
    if module.prepare_samples:
        loader = BatchLoader(
            data.samples("train"),
            module.batch_type,
            batch_size=module.prepare_samples,
            shuffle=True,  # a folder may be sorted by class
            seed=data.seed,
            on_corrupt=data.on_corrupt,
        )
        module.prepare(next(iter(loader)))


def _trainer(
    config: Config, folder: RunFolder, facts: Config, loggers: list[Logger], settings: hardware.Settings
) -> pl.Trainer:
    given = {**facts, "folder": str(folder.path), "record": {"config": config, "facts": facts}}
    callbacks = _filled(config, "callbacks", given, pl.Callback)
    return build(
        config["trainer"],
        callbacks=callbacks,
        logger=loggers,
        precision=settings.precision,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=str(folder.path),
        use_distributed_sampler=False,  # the loader shares the global batch itself
    )


def _loggers(config: Config, folder: RunFolder) -> list[Logger]:
    record = folder.record
    names = record.get("choices", {})
    given = {
        "folder": str(folder.path),
        "run_name": record.get("title") or folder.name,
        "run_id": record.get("id"),
        "run_group": record.get("group"),
        "tags_of_run": [str(names[group]) for group in ("task", "model", "data") if group in names],
    }
    own = _filled(config, "logger", given, Logger)  # type: ignore[type-abstract] # it is only asked for
    return [MetricsFile(folder.path / "metrics.csv"), *own]


def _filled(config: Config, group: str, given: Config, kind: type[PartT]) -> list[PartT]:
    """The callbacks or loggers, each with those of the given values that its signature names and the
    configuration does not say."""
    parts = []
    for name, node in ((name, node) for name, node in (config[group] or {}).items() if node):
        known = check.accepted(targets.resolve(node["_target_"])).parameters
        missing = {parameter for parameter in known if node.get(parameter) is None}
        part = build(node, **{key: value for key, value in given.items() if key in missing})
        if not isinstance(part, kind):
            raise ConfigError(f"{group}.{name}: {node['_target_']} is none of Lightning's {kind.__name__}s")
        parts.append(part)
    return parts


def _test(
    config: Config, folder: RunFolder, trainer: pl.Trainer, module: VisionModule, data: VisionData
) -> dict[str, float]:
    """Score the best weights on the test split; the last where no validation chose any."""
    best = folder.checkpoints / checkpoint_io.BEST
    best = best if best.is_file() else folder.checkpoints / checkpoint_io.LAST
    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    if config["test"] and best.is_file() and len(data.samples("test")):
        module.load_state_dict(checkpoint_io.load(best)["state_dict"])
        trainer.test(module, datamodule=data, verbose=False)
        values |= {name: float(value) for name, value in trainer.callback_metrics.items()}
    return values


@contextlib.contextmanager
def _log_file(folder: RunFolder) -> Iterator[None]:
    """Everything that is logged in this process also goes to the run's ``log.txt``."""
    handler = logging.FileHandler(folder.path / "log.txt")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    roots = [logging.getLogger(name) for name in ("vision_apps", "pytorch_lightning", "lightning_fabric")]
    for library in roots[1:]:
        # its notes on devices, tips and settings say nothing that our header does not
        library.setLevel(logging.WARNING)
    roots[0].addHandler(terminal)  # Lightning's have one of their own
    for root in roots:
        root.addHandler(handler)
    try:
        yield
    except Exception as error:
        roots[0].removeHandler(terminal)  # the command line prints it
        log.error("%s: %s", type(error).__name__, error)
        raise
    finally:
        roots[0].removeHandler(terminal)
        for root in roots:
            root.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _children_replay(folder: RunFolder, checkpoint: Path | None) -> Iterator[None]:
    """Lightning starts the further processes of a node by running this process's command line again. In a
    sweep that line is the whole sweep, and each rank would train on other hyperparameters without an error
    (Lightning issue 11300). Here the line that they run names this run's saved configuration; afterwards
    everything is as before."""
    if "LOCAL_RANK" in os.environ:
        yield
        return
    saved_arguments, hydra_config = sys.argv, HydraConfig.instance().cfg
    before = {name: os.environ.get(name) for name in RANK_VARIABLES}
    sys.argv = [sys.argv[0], "train", "--replay", str(folder.path.absolute())]
    sys.argv += [f"--checkpoint={checkpoint.absolute()}"] if checkpoint else []
    main = sys.modules["__main__"]
    # run as `python -m`
    spec, main.__spec__ = main.__spec__, importlib.util.find_spec("vision_apps.__main__")
    HydraConfig.instance().cfg = None  # Lightning would otherwise add Hydra's overrides to the line
    try:
        yield
    finally:
        sys.argv, main.__spec__ = saved_arguments, spec
        HydraConfig.instance().cfg = hydra_config
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _rank() -> int:
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", os.environ.get("LOCAL_RANK", "0"))))
