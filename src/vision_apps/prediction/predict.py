"""The command: answers of a trained network for the user's own inputs."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from vision_apps.core import hardware, report
from vision_apps.core.command import command
from vision_apps.core.errors import ConfigError, DataError, some
from vision_apps.core.fields import Fields, replaced
from vision_apps.core.module import VisionModule
from vision_apps.core.neutral import visible
from vision_apps.core.plain_files import refuse_links
from vision_apps.prediction import coco_results, gradcam, inputs, reading
from vision_apps.prediction.ahead import ahead
from vision_apps.prediction.batching import Answerer, answered
from vision_apps.prediction.outputs import ROWS, Outputs
from vision_apps.prediction.progress import Progress
from vision_apps.prediction.reading import Item
from vision_apps.prediction.takes import Takes
from vision_apps.trained import evaluate
from vision_apps.trained.exported import Predictor

_WRITERS = 2  # threads that draw and compress
_SIZES_TOLD = 3
_NAMED = 3  # videos in an error


def predict(
    place: str,
    words: list[str],
    out: str | None = None,
    changes: Sequence[str] = (),
    batch: int | None = None,
    every: int = 1,
    seconds: float | None = None,
    given: Mapping[str, str] = MappingProxyType({}),
    coco: str | None = None,
    explain: str | None = None,
) -> Path:
    """Write one drawing per picture and one video per video, what else the application writes for a picture
    (boxes, masks), and ``predictions.jsonl`` (one JSON row per picture or frame, in order, with the words
    that were given beside it).

    An input that cannot be read or understood, or ends too early, becomes a row with ``error``. Memory does
    not grow with the number of inputs beyond their names and words and, where the application writes one file
    about all pictures, their rows.

    Args:
        words: what to answer for, see `inputs.find`.
        out: the folder; by default ``predictions`` of the run, else ``<checkpoint>-predictions`` here.
        changes: ``module.key=value`` settings of the trained module.
        batch: pictures at once; None finds the number.
        every: take the first of so many frames of a video.
        seconds: of each video and webcam; a webcam goes on until Ctrl-C otherwise.
        given: what the application takes beside or instead of a picture, for all inputs.
        coco: an annotation file of COCO's kind, with whose ids boxes are written as ``results.json``, too.
        explain: ``gradcam``: for each picture ``gradcam/<name>.png``, its drawing over its evidence, too.

    Returns:
        The folder.

    Raises:
        ConfigError: the run does not take what is given, or takes pictures and none is named; the network
            cannot be explained.
        DataError: a word matches nothing, or no input could be answered.
        KeyboardInterrupt: after everything that was answered so far was completed; not for a webcam, which is
            ended so.
    """
    trained = evaluate.load(place)
    predictor = ready(trained, changes)
    module, takes = predictor.module, Takes.of(predictor.module)
    takes.require(given)
    listed = None if coco is None else coco_results.listed(Path(coco))
    if listed and coco_results.ANNOTATIONS not in module.presentation.closing_files(iter(())):
        raise ConfigError(f"--coco {coco}: this run answers no boxes; leave --coco out")
    if takes.needed and not words:
        example = command("predict", place, *report.takes(module, "photo.jpg"))
        raise ConfigError(f"predict {place}: which pictures? {example}")
    explainer = None if explain is None else _explainer(trained, module)
    found = inputs.find(words, takes, given)
    films = [source.name for source in found if source.is_film]
    if explainer and films:
        raise ConfigError(
            f"--explain {explain}: {some(films, _NAMED)} is no picture but a film; expected "
            "pictures; leave --explain out, or what is no picture"
        )
    usual = trained.run.path / "predictions" if trained.run else trained.beside("predictions")
    target = Path(out) if out else usual
    if out is None and trained.run is not None:
        refuse_links(trained.run.path, usual.name)
    answerer = Answerer(predictor.answer, module.device, batch)
    progress = Progress(found)
    interrupted, kind = False, ""
    with Outputs(module.presentation, found, target) as outputs:
        try:
            with closing(reading.read(found, module.encode, every, seconds, trained.levels)) as items:
                jobs = (
                    partial(outputs.make, item, answer, _heat(explainer, item, answer))
                    for item, answer in answered(items, answerer)
                )
                with closing(ahead(jobs, _WRITERS, lambda product: product.item.pixels)) as products:
                    for product in products:
                        outputs.write(product)
                        progress.update(product)
                        kind = found[product.item.source].kind
        except KeyboardInterrupt:
            interrupted = True
        progress.clear()
        answers = progress.pictures + progress.frames
        if progress.pictures:
            outputs.write_closing(listed)
        before = (target / ROWS).is_file()
        gone = outputs.complete(replace=bool(answers) or interrupted)
    if not answers and not interrupted:
        raise DataError(
            f"none of the {progress.failures} inputs could be answered; the reasons are in {outputs.rows}"
        )
    if before and (answers or interrupted):
        others = f", and what it wrote about other inputs is gone ({gone} files)" if gone else ""
        print(f"note    {ROWS} of an earlier call was replaced{others}; --out FOLDER keeps both")
    if answers and batch is None:
        print(f"batch   {_batches(answerer)}")
    print(
        f"{progress.summary()} and {ROWS} in {visible(target, kept='')}"
        + f" ({progress.failures} failed)" * bool(progress.failures),
        flush=True,
    )
    if interrupted and kind != "webcam":
        raise KeyboardInterrupt
    return target


def usage(place: str) -> str:
    """What a run takes, with commands that it answers."""
    trained = evaluate.load(place)
    module = trained.predictor().module
    takes = Takes.of(module)
    task = trained.checkpoint["config"].get("task")
    name = task.get("name") if isinstance(task, dict) else "application"  # a file may be anybody's
    lines = [f"{place}: {name} ({type(module).__name__})", "", f"takes {takes.told()}"]
    width = max(map(len, takes.words), default=0)
    lines += [f"  {word:<{width}}  {meaning}" for word, meaning in takes.words.items()]
    lines += ["", command("predict", place, *report.takes(module, "photo.jpg"))]
    if takes.words:
        lines.append(f"{command('predict', place, 'rows.jsonl')}   with lines such as {takes.row}")
    return visible("\n".join([*lines, "", "folders, webcams and options: vision-apps predict --help"]))


def ready(trained: evaluate.Trained, changes: Sequence[str]) -> Predictor:
    """What answers, on the device to use, with the settings of this machine that make it fast."""
    predictor = trained.predictor(changes)
    module = predictor.module
    config = trained.checkpoint.get("config") or {}
    known = {"trainer", "precision", "channels_last", "keep_memory"} <= config.keys()
    if known and isinstance(config["trainer"], dict):
        settings = hardware.resolve(config)
        if settings.keep_memory:
            hardware.keep_freed_memory()
        if settings.channels_last:
            module.network.to(memory_format=torch.channels_last)
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    return predictor


def _explainer(trained: evaluate.Trained, module: VisionModule) -> gradcam.GradCam:
    if trained.graph is not None:
        raise ConfigError(
            f"--explain {gradcam.NAME}: {trained.path} is a graph, and layers are out of sight in it; "
            "explain the run itself, or its weights: vision-apps export RUN --format safetensors"
        )
    return gradcam.GradCam(module)


def _heat(explainer: gradcam.GradCam | None, item: Item, answer: Fields | str) -> Tensor | None:
    """The evidence of an answer, by the thread that owns the network."""
    if explainer is None or item.inputs is None or isinstance(answer, str):
        return None
    inputs = replaced(item.inputs, lambda value: value.to(explainer.module.device))
    return explainer.heat(inputs).cpu()


def _batches(answerer: Answerer) -> str:
    """The batch sizes that were found, as in ``16 (64 x 64), 2 (640 x 480)``."""
    sizes = [(found.size, " x ".join(map(str, shape[::-1]))) for shape, found in answerer.sizes.items()]
    return some([f"{count}" + f" ({size})" * bool(size) for count, size in sizes], _SIZES_TOLD)
