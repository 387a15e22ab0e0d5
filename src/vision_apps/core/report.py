"""What a run says at its start and at its end."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.loggers.logger import Logger

from vision_apps.core import beginning, metrics_file, starting
from vision_apps.core.command import command
from vision_apps.core.config import fine_tuning
from vision_apps.core.config.trainer_settings import seconds, spelled
from vision_apps.core.data import VisionData
from vision_apps.core.hardware import Settings
from vision_apps.core.module import VisionModule
from vision_apps.core.neutral import visible
from vision_apps.core.plain import Config, Past
from vision_apps.core.progress import duration
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.wandb_logger import WandbLogger

YOURS = "YOUR_PICTURE.jpg"  # in printed commands: a picture or a folder, of which only the person knows


def header(
    config: Config,
    folder: RunFolder,
    module: VisionModule,
    data: VisionData,
    settings: Settings,
    loggers: Sequence[Logger],
    processes: int = 1,
) -> None:
    parameters = sum(p.numel() for p in module.network.parameters())
    model = type(module.network).__name__
    optimizer = config["optimizer"] or {}
    rates = {"lr": optimizer.get("lr"), **fine_tuning.rates(optimizer)._asdict()}
    told = " · ".join(f"{name} {value}" for name, value in rates.items() if value or name == "lr")
    frozen = fine_tuning.told(config.get("freeze"))
    print(f"task      {visible(config['task']['name'], kept='')} · {model}, {parameters:,} parameters")
    samples = len(data.samples("train"))
    batch = f"{data.batch_size}" + f" of {processes} processes" * (processes > 1)
    more = ", more than there are: each step takes all" if data.batch_size > samples else ""
    print(f"data      {type(data).__name__} · {samples:,} training samples · batch {batch}{more}")
    print(f"training  {_length(config['trainer'])} · {told} · precision {settings.precision}")
    print(f"starts from {visible(starting.told(module.starts_from), kept='')}")
    if frozen:
        print(f"frozen    {frozen}")
    if settings.reasons:
        print(f"auto      {' '.join(settings.reasons)}")
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            print(f"W&B       {logger.mode}: {logger.reason}")
            if logger.mode == "offline":
                print(f"          upload it later with: vision-apps sync {folder.path}")
    print(f"run       {folder.path}", flush=True)


def _length(trainer: Config) -> str:
    epochs, steps = trainer.get("max_epochs"), trainer.get("max_steps", -1)
    lengths = {"epoch": epochs if epochs is not None else -1, "step": steps}
    told = [f"{length} {unit}{'s' * (length > 1)}" for unit, length in lengths.items() if length > 0]
    return " or ".join(told) or "until trainer.max_time is over"


def footer(
    config: Config,
    folder: RunFolder,
    trainer: pl.Trainer,
    values: dict[str, float],
    past: Past,
) -> None:
    """Print the best value, the test figures beside the baselines, and what to do next; write
    ``metrics.json``."""
    kept = trainer.checkpoint_callback
    best, epoch = getattr(kept, "best", None), getattr(kept, "best_epoch", None)
    task = config["task"]
    series = metrics_file.summary(folder.path / "metrics.csv")
    folder.write_json(
        "metrics.json",
        {
            "monitor": task["monitor"],
            "mode": task["mode"],
            "best": {"value": best, "epoch": epoch},
            "final": {name: found["last"] for name, found in series.items()} | values,
            "series": series,
            "parameters": sum(p.numel() for p in trainer.lightning_module.parameters()),
            **past,
        },
    )
    corrupt = past["corrupt_files"]
    if corrupt:
        some = visible(", ".join(list(corrupt)[:3]), kept="")
        print(f"\nbroken files that were left out: {len(corrupt)}, all in metrics.json: {some}")
    if best is not None and epoch is not None:
        when = "before the first step" if epoch == beginning.EPOCH else f"at epoch {epoch + 1}"
        print(f"\nbest {visible(task['monitor'], kept='')} {best:.4g} {when} · {duration(past['seconds'])}")
    table(values)
    pictures = sorted(folder.images.glob("test-sheet*.png")) or sorted(folder.images.glob("val-sheet*.png"))
    if pictures:
        print(f"pictures  {pictures[-1]}")
    for written in sorted(folder.path.glob("test-*.csv")):
        print(visible(f"{written.stem.removeprefix('test-'):<9} {written}", kept=""))
    for profile in sorted(folder.path.glob("*-profile*")):
        print(f"profile   {profile}")
    print(f"run       {folder.path}")
    print(f"next      {folder.going_on(longer(trainer, config))}")
    asked = takes(cast(VisionModule, trainer.lightning_module))
    print(f"          {command('predict', folder.path, *asked, *folder.trusting)}", flush=True)


def longer(trainer: pl.Trainer, config: Config) -> str:
    """The change with which a run that has ended trains for twice as long."""
    settings = config["trainer"]
    epochs, steps, most = trainer.max_epochs, trainer.max_steps, seconds(settings.get("max_time"))
    if 0 < steps <= trainer.global_step:
        return f"trainer.max_steps={2 * steps}"
    if epochs is not None and 0 < epochs <= trainer.current_epoch:
        return f"trainer.max_epochs={2 * epochs}"
    for name, node in (config["callbacks"] or {}).items():
        if node and "patience" in node:
            return f"callbacks.{name}.patience={2 * node['patience']}"
    return f"trainer.max_time={spelled(2 * most)}" if most else f"trainer.max_epochs={2 * (epochs or 1)}"


def takes(module: VisionModule, picture: str = YOURS) -> list[str]:
    """What ``vision-apps predict`` takes after a run of this module, in placeholders; no picture where inputs
    do without."""
    inputs: Any = module.input_type
    pictures = [picture] if {"images"} & {*inputs._fields} - {*inputs._field_defaults} else []
    return pictures + [part for word in module.words for part in ("--with", f"{word}=...")]


def tested(values: Mapping[str, float]) -> tuple[list[str], dict[str, list[float | None]]]:
    """The names of the baselines (``test/<baseline>/<metric>``), and metric to the network's test figure and
    theirs, None where one has none."""
    known = {name.removeprefix("test/"): value for name, value in values.items() if name.startswith("test/")}
    baselines = sorted({name.split("/")[0] for name in known if "/" in name})
    own = [name for name in known if "/" not in name]
    return baselines, {
        name: [known[name], *(known.get(f"{baseline}/{name}") for baseline in baselines)] for name in own
    }


def table(values: Mapping[str, float]) -> None:
    """Print the test figures, one line per metric, the baselines beside the network."""
    baselines, metrics = tested(values)
    if not metrics:
        return
    titles = ("network", *baselines)
    first, *widths = (max(map(len, metrics)), *(max(12, len(title) + 2) for title in titles))
    print(f"{'test':{first}}" + "".join(f"{title:>{w}}" for title, w in zip(titles, widths, strict=True)))
    for name, row in metrics.items():
        cells = ["" if value is None else f"{value:.4g}" for value in row]
        print(f"{name:{first}}" + "".join(f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True)))
