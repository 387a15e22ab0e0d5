"""The command: answers of a trained network for the user's own inputs."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vision_apps.core import hardware
from vision_apps.core.errors import DataError
from vision_apps.core.module import VisionModule
from vision_apps.prediction import inputs
from vision_apps.prediction.ahead import ahead
from vision_apps.prediction.batching import Answerer, answered
from vision_apps.prediction.outputs import ROWS, Outputs
from vision_apps.prediction.progress import Progress
from vision_apps.trained import evaluate

_WRITERS = 2  # threads that draw and compress
_SIZES_TOLD = 3


def predict(
    place: str,
    words: list[str],
    out: str | None = None,
    changes: Sequence[str] = (),
    batch: int | None = None,
    every: int = 1,
    seconds: float | None = None,
) -> Path:
    """Write one drawing per picture and one video per video, what else the application writes for a picture
    (boxes, masks), and ``predictions.jsonl`` (one JSON row per picture or frame, in order).

    An input that cannot be read, or ends too early, becomes a row with ``error``. Memory does not grow with
    the number of inputs beyond their names and, where the application writes one file about all pictures,
    their rows.

    Args:
        words: what to answer for, see `inputs.find`.
        out: the folder; by default ``predictions`` of the run, else ``<checkpoint>-predictions`` here.
        changes: ``module.key=value`` settings of the trained module.
        batch: pictures at once; None finds the number.
        every: take the first of so many frames of a video.
        seconds: of each video and webcam; a webcam goes on until Ctrl-C otherwise.

    Returns:
        The folder.

    Raises:
        DataError: a word matches nothing, or no input could be read.
        KeyboardInterrupt: after everything that was answered so far was completed; not for a webcam, which is
            ended so.
    """
    trained = evaluate.load(place)
    module = _ready(trained, changes)
    found = inputs.find(words)
    target = Path(out) if out else _folder(trained)
    answerer = Answerer(module, batch)
    progress = Progress(found)
    interrupted, kind = False, ""
    with Outputs(module, found, target) as outputs:
        try:
            with closing(inputs.read(found, every, seconds)) as items:
                jobs = (partial(outputs.make, *pair) for pair in answered(items, answerer))
                with closing(ahead(jobs, _WRITERS, lambda product: product.item.pixels)) as products:
                    for product in products:
                        outputs.write(product)
                        progress.update(product)
                        kind = found[product.item.source].kind
        except KeyboardInterrupt:
            interrupted = True
        progress.clear()
    if progress.pictures:
        outputs.write_closing()
    answers = progress.pictures + progress.frames
    if not answers and not interrupted:
        raise DataError(
            f"none of the {progress.failures} files could be read; the reasons are in {target / ROWS}"
        )
    if answers and batch is None:
        print(f"batch   {_batches(answerer)}")
    print(
        f"{progress.summary()} and {ROWS} in {target}"
        + f" ({progress.failures} unreadable)" * bool(progress.failures),
        flush=True,
    )
    if interrupted and kind != "webcam":
        raise KeyboardInterrupt
    return target


def _ready(trained: evaluate.Trained, changes: Sequence[str]) -> Any:
    """The module on the device to use, with the settings of this machine that make it fast."""
    module = trained.module(changes)
    config = trained.checkpoint.get("config") or {}
    known = {"trainer", "precision", "channels_last", "keep_memory"} <= config.keys()
    if known and isinstance(config["trainer"], dict) and isinstance(module, VisionModule):
        settings = hardware.resolve(config)
        if settings.keep_memory:
            hardware.keep_freed_memory()
        if settings.channels_last:
            module.network.to(memory_format=torch.channels_last)
    return module.to("cuda" if torch.cuda.is_available() else "cpu")


def _folder(trained: evaluate.Trained) -> Path:
    return trained.run.path / "predictions" if trained.run else trained.beside("predictions")


def _batches(answerer: Answerer) -> str:
    """The batch sizes that were found, as in ``16 (64 x 64), 2 (640 x 480)``."""
    sizes = list(answerer.sizes.items())
    told = [f"{found.size} ({width} x {height})" for (height, width), found in sizes[:_SIZES_TOLD]]
    return ", ".join(told) + f" and {len(sizes) - _SIZES_TOLD} more" * (len(sizes) > _SIZES_TOLD)
