"""One run from its configuration to its last line: train, resume, and what a second process of the run
does."""

import copy
import datetime
import logging
import os
import time
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.profilers import PassThroughProfiler, Profiler

from vision_apps.core import (
    assembly,
    beginning,
    checkpoint_io,
    first_cause,
    hardware,
    known_data,
    metrics_file,
    process,
    published,
    recipe,
    report,
    run_names,
    stored,
)
from vision_apps.core import resume as going_on
from vision_apps.core.checkpoint import Interrupted, Pruned
from vision_apps.core.checkpoint_io import AtomicCheckpointIO
from vision_apps.core.config import check, fine_tuning, overrides, targets
from vision_apps.core.config.instantiate import build
from vision_apps.core.data import VisionData
from vision_apps.core.errors import ConfigError
from vision_apps.core.freezing import Freezing
from vision_apps.core.loader import require_shares
from vision_apps.core.metrics_logger import MetricsFile
from vision_apps.core.module import VisionModule
from vision_apps.core.past import Parts
from vision_apps.core.plain import Choices, Config
from vision_apps.core.plain_files import refuse_links
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.start import Start
from vision_apps.core.wandb_logger import WandbLogger

log = logging.getLogger(__name__)

PartT = TypeVar("PartT")

_NOT_FOR_USERS = (
    # the module reports at the last batch of every epoch as well
    r"The number of training batches .* is smaller than the logging interval",
)
_RUNS = ("init", "data.detector", "data.regions")  # keys that name another run
# Outside of a job, where a cluster's login node is a machine like any other.
_OF_JOBS_ONLY = r"The `srun` command is available on your system but is not used"


def train(
    config: DictConfig,
    choices: Choices | None = None,
    callbacks: Sequence[pl.Callback] = (),
    **record: object,
) -> dict[str, float]:
    """Start a new run; returns its test metrics (or the last validation's where nothing is tested).

    Args:
        choices: the name that was chosen of each group, for the run's record.
        callbacks: of this process, that the configuration has nothing of.
        record: what ``run.json`` shall hold besides.
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
    start = Start()
    if process.rank():
        folder = RunFolder(config.run.dir)
        return _run(folder.wait(), folder, start, own=callbacks)
    folder = prepare(config, choices, **record)
    with start.or_no_folder(folder):
        return _run(folder.read_config(), folder, start, own=callbacks)


def prepare(config: DictConfig, choices: Choices | None = None, **record: object) -> RunFolder:
    """Make the folder of a new run, with all that a process needs to train it by `replay`.

    ``record``: what ``run.json`` shall hold besides.
    """
    placed = copy.deepcopy(config)
    for key in _RUNS:  # of today, not of the day when the run is read again
        if run_names.is_name(name := OmegaConf.select(placed, key)):
            OmegaConf.update(placed, key, str(run_names.named(name)))
    folder = RunFolder.create(config.run.root, config.task.name, config.run.dir)
    placed.run.dir = str(folder.path)
    final: Config = OmegaConf.to_container(placed, resolve=True)  # type: ignore[assignment]
    with Start().or_no_folder(folder):
        folder.note(
            id=uuid.uuid4().hex[:8],
            started=datetime.datetime.now(datetime.UTC).isoformat(),
            choices=dict(choices or {"task": final["task"]["name"]}),
            seed=final["seed"],
            fold=final["data"].get("fold"),
            **record,
        )
        folder.write_config(final)
    return folder


def resume(place: str, changes: list[str], callbacks: Sequence[pl.Callback] = ()) -> dict[str, float]:
    """Go on with a run where its newest readable checkpoint left it; ``changes`` are plain ``key=value``
    overrides of its saved configuration (``trainer.max_epochs=20`` trains longer), of the keys that may
    change. Whatever is refused leaves the folder as it was."""
    if any(change.partition("=")[0] == "init" for change in changes):
        raise ConfigError(
            f"init: resume={place} goes on with that run's own weights; leave one of the two out"
        )
    folder, path = RunFolder.find(place)
    refuse_links(folder.path)
    names = (checkpoint_io.LAST, checkpoint_io.PREVIOUS, checkpoint_io.BEST)
    notes: list[str] = []
    checkpoint: dict[str, Any] | None = None
    if path is not None:
        checkpoint = checkpoint_io.load(path)
    elif any(folder.checkpoints.glob("*.ckpt")):
        path, checkpoint, problems = checkpoint_io.newest(folder.checkpoints, names)
        notes = [f"{problem}; going on from {path.name}" for problem in problems]
    else:
        notes = ["the run stopped before its first checkpoint: it starts from the beginning"]
    saved, problems = going_on.configuration(folder, checkpoint)
    config = _changed(folder, saved, changes)
    known = stored.named(changes)
    stored.require_inside(config, folder, known, begins=checkpoint is None)
    notes += stored.without_downloads(config, known)
    notes += [*problems, *(f"{folder.path}: {problem}; it is left out" for problem in folder.problems)]
    check.check(OmegaConf.create(config))
    hardware.require(config)
    step = 0
    if checkpoint is not None:
        going_on.require_possible(config, checkpoint, str(path))
        step = checkpoint["global_step"]
    start = Start(waits=True)
    if process.rank():
        return _run(config, folder, start, path, notes, own=callbacks)

    def clear() -> None:
        metrics_file.forget_after(folder.path / "metrics.csv", step or beginning.STEP)
        for unfinished in folder.checkpoints.glob(".*.tmp"):  # of a process that was killed while it wrote
            unfinished.unlink()
        before = folder.record.get("resumed", [])
        folder.note(resumed=[*before, {"step": step, "changes": changes}])

    start.then(clear)
    with start.or_as_before(folder):
        return _run(config, folder, start, path, notes, changes, callbacks)


def replay(place: str, checkpoint: str | None, changes: Sequence[str] = ()) -> None:
    """Train exactly what the folder's configuration says, with the changes with which it was resumed, never
    what a command line does: this is what the further processes of a run on several devices execute, and
    every run of a sweep."""
    folder, _ = RunFolder.find(place)
    saved = checkpoint_io.load(checkpoint) if checkpoint else None
    config = _changed(folder, going_on.configuration(folder, saved)[0], changes)
    targets.require_allowed(config.get("allow_targets") or [], f"{folder.path}, as it was saved,")
    hardware.require(config)
    _run(config, folder, Start(), Path(checkpoint) if checkpoint else None)


def _changed(folder: RunFolder, saved: Config, changes: Sequence[str]) -> Config:
    config = overrides.apply(saved, changes)
    if config["run"] != saved["run"]:
        raise ConfigError(
            f"run: a run goes on in its own folder, {folder.path}; leave run.dir and run.root out, or move "
            "the folder and resume it where it is then"
        )
    if Path(config["run"]["dir"]).absolute() != folder.path.absolute():  # it was moved
        stored.moved(config, config["run"]["dir"], str(folder.path))
    return config


def _run(
    config: Config,
    folder: RunFolder,
    start: Start,
    checkpoint: Path | None = None,
    notes: Sequence[str] = (),
    changes: Sequence[str] = (),
    own: Sequence[pl.Callback] = (),
) -> dict[str, float]:
    started = time.monotonic()
    with (
        warnings.catch_warnings(),
        process.recorded(folder, start),
        process.log_file(folder, start),
        process.explained(folder),
        process.children_replay(folder, checkpoint, changes),
        first_cause.told(folder, process.rank()),
    ):
        for message in (*_NOT_FOR_USERS, *[_OF_JOBS_ONLY] * ("SLURM_JOB_ID" not in os.environ)):
            warnings.filterwarnings("ignore", message=message)
        for note in notes:
            log.warning(note)
        settings = hardware.resolve(config)
        config |= settings.chosen  # the record, and every checkpoint, say what was used
        if settings.keep_memory:
            hardware.keep_freed_memory()
        saved = checkpoint_io.load(checkpoint) if checkpoint is not None else None
        data, module = assembly.prepared(
            config,
            settings.channels_last,
            trained=saved is not None,
            make_data=lambda: known_data.build(config, folder, saved),
            settle=lambda: published.settle(config, folder),
        )
        if checkpoint is not None and saved is not None:
            going_on.require_weights(module, saved, checkpoint)
            module.starts_from = {"weights": f"{checkpoint.name}, step {saved['global_step']:,}"}
        of_data = {f"data.{name}": value for name, value in data.chosen.items()}
        least = 0 if "freeze" in module.chosen else data.least_steps  # what little is left is soon learned
        of_length = recipe.settle(config, data, module.knows, least)
        settings = settings.with_reasons({**of_data, **of_length, **module.chosen})
        loggers = _loggers(config, folder)
        try:
            parts = Parts(data, started)
            freezing = Freezing(fine_tuning.shares(config.get("freeze")), config.get("batch_norm"))
            ours = [freezing, going_on.Restored(), start, parts, beginning.Beginning(), *own]
            trainer = _trainer(config, folder, data, loggers, settings, ours)
            if saved is not None and saved["global_step"]:  # the beginning is over
                trainer.num_sanity_val_steps = 0
            # before further processes are started
            world = trainer.num_devices * trainer.num_nodes
            require_shares(len(data.samples("train")), data.batch_size, world)
            if trainer.is_global_zero:
                if checkpoint is None:
                    record = {"starts_from": dict(module.starts_from), "warnings": [*module.warnings] or None}
                    start.then(lambda: folder.note(**record))
                start.then(lambda: folder.write_config(config))
                fingerprint = known_data.compare(folder, data)
                start.then(lambda: known_data.keep(folder, data, fingerprint))
                report.header(config, folder, module, data, settings, loggers, world)
                for warning in module.warnings:
                    log.warning(warning)
                for logger in loggers:
                    logger.log_hyperparams(config)
            try:
                trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
                start.now()  # where no step was left
                values = _test(config, folder, trainer, module, data)
            except (Interrupted, Pruned):  # all processes stop
                raise
            except BaseException:  # those that this one started would wait for it in a collective for ever
                children = getattr(trainer.strategy.launcher, "procs", [])
                for child in children:
                    child.kill()
                for child in children:  # what one still writes is there before the folder is left as it was
                    child.wait()
                raise
            if trainer.is_global_zero:
                report.footer(config, folder, trainer, values, parts.so_far(trainer))
            return values
        finally:
            for logger in loggers:
                if isinstance(logger, WandbLogger):
                    logger.close()


def _trainer(
    config: Config,
    folder: RunFolder,
    data: VisionData,
    loggers: list[Logger],
    settings: hardware.Settings,
    own: list[pl.Callback],
) -> pl.Trainer:
    facts = data.facts_of_run
    given = {**facts, "folder": str(folder.path), "record": {"config": config, "facts": facts}}
    callbacks = _filled(config, "callbacks", given, pl.Callback)
    trainer: pl.Trainer = build(
        config["trainer"],
        callbacks=[*own, *callbacks],
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        logger=loggers,
        precision=settings.precision,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=str(folder.path),
        use_distributed_sampler=False,  # the loader shares the global batch itself
    )
    # a run with max_steps that goes on after a whole epoch would count that epoch twice
    trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
    profiler: Profiler = trainer.profiler  # type: ignore[attr-defined]
    if not isinstance(profiler, PassThroughProfiler):  # which would write that there is nothing
        profiler.dirpath, profiler.filename = profiler.dirpath or folder.path, profiler.filename or "profile"
    return trainer


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
        names = (checkpoint_io.BEST, checkpoint_io.LAST)
        module.load_state_dict(checkpoint_io.newest_told(folder.checkpoints, names)[1]["state_dict"])
        trainer.test(module, datamodule=data, verbose=False)
        values |= {name: float(value) for name, value in trainer.callback_metrics.items()}
    return values
