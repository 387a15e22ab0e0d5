"""Score a trained run again, from its folder or checkpoint alone."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch

from vision_apps.core import assembly, checkpoint_io, hardware, known_data, process, report, stored
from vision_apps.core.command import command
from vision_apps.core.config import check, overrides
from vision_apps.core.config.instantiate import build
from vision_apps.core.config.targets import resolve
from vision_apps.core.errors import CheckpointError, ConfigError
from vision_apps.core.module import VisionModule
from vision_apps.core.neutral import visible
from vision_apps.core.picture_log import Pictures
from vision_apps.core.plain import Config
from vision_apps.core.plain_files import refuse_links
from vision_apps.core.run_folder import RunFolder
from vision_apps.trained import exported

log = logging.getLogger(__name__)

_NEEDED = ("data", "trainer", "precision", "channels_last", "keep_memory")


class Trained(NamedTuple):
    """A checkpoint to judge or to use."""

    path: Path
    checkpoint: dict[str, Any]
    run: RunFolder | None  # none where the checkpoint lies outside of a run's folder
    graph: exported.Graph | None = None  # of an exported file, instead of weights

    def predictor(self, changes: Sequence[str] = ()) -> exported.Predictor:
        """What answers, from weights or from a graph; ``changes`` are ``module.key=value``, for what is
        chosen when it is used."""
        if self.graph is not None:
            return exported.predictor(self.checkpoint, self.graph, changes, str(self.path))
        module = self.module(changes)
        return exported.Predictor(module, module)

    def module(self, changes: Sequence[str] = ()) -> VisionModule:
        """The trained module, of which there has to be more than a graph; ``changes`` as for `predictor`.
        `CheckpointError` where there are no weights, or they do not fit; `ConfigError` where it can be built
        but for the changes.
        """
        checkpoint, config = self.checkpoint, self.checkpoint.get("config")
        if not changes or not isinstance(config, dict):
            return assembly.rebuild(checkpoint, str(self.path))
        try:
            changed = {**checkpoint, "config": overrides.apply(config, changes)}
            return assembly.rebuild(changed, str(self.path))
        except CheckpointError as error:
            if isinstance(error.__cause__, ConfigError):
                assembly.rebuild(checkpoint, str(self.path))  # the file's own fault comes first
                raise error.__cause__ from None
            raise

    @property
    def levels(self) -> list[float] | None:
        """What the run was trained to see as black and white, of pictures with more than 8 bits."""
        config = self.checkpoint.get("config") or {}
        data = config.get("data")
        levels = data.get("levels") if isinstance(data, dict) else None  # a file may be anybody's
        known = (
            isinstance(levels, list) and len(levels) == 2 and all(isinstance(v, int | float) for v in levels)
        )
        return levels if known else None

    def beside(self, name: str) -> Path:
        """A folder for results that belong to no run, below the current one."""
        return Path(f"{self.path.stem}-{name}")


def load(place: str) -> Trained:
    """The checkpoint to judge a run by: the named one, or the best, or the newest. Or an exported file."""
    folder, path = RunFolder.find(place)
    if path is not None and exported.is_exported(path):
        content, graph = exported.load(path)
        return Trained(path, content, None, graph)
    if path is not None:
        in_run = path.absolute().parent == folder.checkpoints.absolute()
        return Trained(path, checkpoint_io.load(path), folder if in_run else None)
    names = (checkpoint_io.BEST, checkpoint_io.LAST, checkpoint_io.PREVIOUS)
    path, checkpoint = checkpoint_io.newest_told(folder.checkpoints, names)
    return Trained(path, checkpoint, folder)


def test(place: str, changes: list[str]) -> dict[str, float]:
    """Test metrics of the best weights, written with what was tested to ``test.json`` of the run, or for a
    checkpoint outside of a run into ``<checkpoint>-test`` here.

    ``changes`` are ``key=value`` overrides of the saved configuration (``data.root=...``); `ConfigError`
    where one has no part in a test.
    """
    trained = load(place)
    if trained.run is not None:
        refuse_links(trained.run.path)
    if trained.graph is not None:
        raise CheckpointError(
            f"{place} holds an exported network, and the loss is no part of it; test the run itself, or "
            "export its weights: vision-apps export RUN --format safetensors"
        )
    module = trained.module([change for change in changes if change.startswith("module.")])
    config = overrides.apply(trained.checkpoint["config"], changes)
    for note in stored.without_downloads(config, stored.named(changes)):
        log.warning(note)
    missing = [name for name in _NEEDED if name not in config]
    if missing:
        raise CheckpointError(
            f"{trained.path}: its config lacks {', '.join(missing)}: it was not written by a vision_apps run"
        )
    overrides.require_measured(trained.checkpoint["config"], config, module.learned_with)
    config["trainer"] |= {"devices": 1}  # so that no sample is counted twice
    folder = trained.run or RunFolder(trained.beside("test"))
    check.check(config)
    if config["trainer"].get("limit_test_batches") == 0:
        raise ConfigError(
            "trainer.limit_test_batches: 0, so that there is nothing to test; say how much, as in "
            "trainer.limit_test_batches=1.0 for all"
        )
    wanted = ("_target_", "accelerator", "devices", "limit_test_batches")
    node = {name: value for name, value in config["trainer"].items() if name in wanted}
    hardware.require({"trainer": node})
    config["data"]["augment"] = {}  # a test builds nothing that only training needs
    asked = {"data": config["data"]}
    stored.require_inside(
        asked, folder, stored.named(changes), naming=lambda *words: command("test", place, *words)
    )
    settings = hardware.resolve(config)
    data = known_data.build(config, trained.run, trained.checkpoint)
    data.batch_type = module.batch_type
    data.instruct(module)
    if trained.run is not None:
        known_data.compare(trained.run, data, ("test",))
    process.quieten_lightning()
    trainer: pl.Trainer = build(
        node,
        logger=False,
        callbacks=[Pictures(folder=folder.path), *_of_application(config, folder)],
        precision=settings.precision,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder.path),
    )
    if settings.channels_last:  # as the run measured: in another layout bfloat16 rounds differently
        module.network.to(memory_format=torch.channels_last)
    trainer.test(module, datamodule=data, verbose=False)
    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    report.table(values)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_json("test.json", {"checkpoint": trained.path.name, "changes": changes, **values})
    tables = [f"{path.name}, " for path in sorted(folder.path.glob("test-*.csv"))]
    print(visible(f"{''.join(tables)}test.json and images/ in {folder.path}", kept=""))
    return values


def _of_application(config: Config, folder: RunFolder) -> list[pl.Callback]:
    """The application's own callbacks. Those that write do so into ``folder``, whatever the configuration
    says, which may be a stranger's."""
    nodes = [node for node in (config.get("callbacks") or {}).values() if node]
    own = [node for node in nodes if str(node["_target_"]).startswith("vision_apps.applications.")]
    writes = ["folder" in check.accepted(resolve(node["_target_"])).parameters for node in own]
    given = ({"folder": str(folder.path)} if one else {} for one in writes)
    return [build(node, **arguments) for node, arguments in zip(own, given, strict=True)]
