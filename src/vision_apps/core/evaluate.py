"""Score a trained run again, from its folder or checkpoint alone."""

from typing import Any

import pytorch_lightning as pl

from vision_apps.core import assembly, check, checkpoint_io, hardware, overrides, report
from vision_apps.core.instantiate import build
from vision_apps.core.pictures import Pictures
from vision_apps.core.run_folder import RunFolder


def load(place: str) -> tuple[RunFolder, dict[str, Any]]:
    """The run folder and the checkpoint to judge it by: the named one, or the best, or the newest."""
    folder, path = RunFolder.find(place)
    if path is not None:
        return folder, checkpoint_io.load(path)
    names = (checkpoint_io.BEST, checkpoint_io.LAST, checkpoint_io.PREVIOUS)
    return folder, checkpoint_io.newest(folder.checkpoints, names)[1]


def test(place: str, changes: list[str]) -> dict[str, float]:
    """Test metrics of the best weights; ``changes`` are ``key=value`` overrides of the saved configuration
    (``data.root=...``)."""
    folder, checkpoint = load(place)
    module = assembly.rebuild(checkpoint)
    config = overrides.apply(checkpoint["config"], changes)
    check.check(config)
    settings = hardware.resolve(config)
    data = assembly.build_data(config)
    data.batch_type = module.batch_type
    node = {
        name: config["trainer"][name] for name in ("_target_", "accelerator") if name in config["trainer"]
    }
    trainer: pl.Trainer = build(
        node,
        devices=1,  # measured on one device, so that no sample is counted twice
        logger=False,
        callbacks=[Pictures(folder=folder.images)],
        precision=settings.precision,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder.path),
    )
    trainer.test(module, datamodule=data, verbose=False)
    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    report.table(values)
    folder.write_json("test.json", values)
    return values
