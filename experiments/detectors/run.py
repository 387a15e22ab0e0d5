"""Train every detector on the same pictures, backbone and schedule; write the table and the picture sheet.

    python experiments/detectors/run.py scenes [key=value ...]
    python experiments/detectors/run.py bccd data.root=BCCD [key=value ...]

The key=value words go to every run. A run that is there and finished is not trained again; one that was
interrupted goes on where it stopped.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torchvision.ops import box_iou

from vision_apps.core import assembly
from vision_apps.core.loader import BatchLoader
from vision_apps.core.pictures import sheet, to_pil
from vision_apps.trained import evaluate

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / "train.py"
RUNS = Path("runs/detectors")
TIMED = 30  # pictures, one at a time, after a few that are not counted


class Detector(NamedTuple):
    title: str
    model: str
    words: tuple[str, ...]  # of its command line
    paper: str  # mAP on VOC 2007 test as published


SEARCH = "model.proposer._target_=vision_apps.applications.detection.proposers.External"
DETECTORS = (
    Detector("R-CNN", "detection_rcnn", (), "58.5 (AlexNet, 07)"),
    Detector("Fast R-CNN", "detection_fast_rcnn", (), "70.0 (VGG-16, 07+12)"),
    Detector("Faster R-CNN", "detection_faster_rcnn", (), "73.2 (VGG-16, 07+12)"),
    Detector("SSD", "detection_ssd", (), "74.3 (SSD300, VGG-16, 07+12)"),
    Detector("YOLO v1", "detection_yolo_v1", (), "63.4 (07+12)"),
    Detector("YOLO, anchor-free", "detection_yolo", (), "none: written from later papers"),
)
# kept beside the runs and not beside the pictures, which may be read-only
SEARCHED = (
    SEARCH,
    "data.proposals=fast",
    "data.proposals_limit=500",
    f"data.proposals_cache={RUNS}/proposals",
)
# What a data set needs: where proposals come with the pictures, R-CNN and Fast R-CNN take those.
OWN_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "scenes": {},
    "bccd": {
        "detection_rcnn": SEARCHED,
        "detection_fast_rcnn": SEARCHED,
    },
}


def train(detector: Detector, data: str, extra: list[str]) -> Path:
    run = RUNS / data / detector.model
    if not (run / "metrics.json").is_file():
        own = [*detector.words, *OWN_WORDS[data].get(detector.model, ())]
        new = [f"experiment=detectors_{data}", f"model={detector.model}", *own, f"run.dir={run}", *extra]
        started = (run / "config.yaml").is_file()
        subprocess.run([sys.executable, TRAIN, *([f"resume={run}"] if started else new)], check=True)
    return run


class Measured(NamedTuple):
    recall: float | None  # of the objects by regions before they are classified, at IoU 0.5
    milliseconds: float  # from pixels to boxes, one picture at a time
    picture: torch.Tensor  # uint8 [3, h, w]: some test pictures with truth and answer


@torch.no_grad()
def look(run: Path) -> Measured:
    """What is not in the run's own figures, from its best weights."""
    trained = evaluate.load(str(run))
    module: Any = trained.module()
    data = assembly.build_data(trained.checkpoint["config"])
    data.batch_type = module.batch_type
    loader = BatchLoader(data.samples("test"), module.batch_type, batch_size=16)
    found, total = 0, 0
    for batch in loader:
        outputs = module.outputs(module.inputs(batch))
        if not hasattr(outputs, "regions"):
            break
        for regions, target in zip(outputs.regions, module.targets(batch), strict=True):
            if len(regions):
                found += int((box_iou(target.boxes, regions) >= 0.5).any(1).sum())
            total += len(target.boxes)
    first = next(iter(loader))
    rows = module.presentation.draw_with_truth(first, module(module.inputs(first))).rows[:4]
    return Measured(found / total if total else None, 1000 * seconds(module, data), sheet(rows))


def seconds(module: Any, data: Any) -> float:
    """Median of some test pictures, as a user gives them: without the proposals that the data have kept."""
    loader = BatchLoader(data.samples("test"), module.batch_type, batch_size=1)
    times = []
    for batch, _ in zip(loader, range(TIMED + 5), strict=False):
        inputs = module.encode(batch.images, {})
        started = time.perf_counter()
        module(inputs)
        times.append(time.perf_counter() - started)
    return float(torch.tensor(times[min(5, len(times) - 1) :]).median())


def suppression(run: Path) -> str:
    """The least score of a detection, and the IoU from which the worse of two boxes goes: not the same for
    all."""
    model = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["model"]
    return f"{model['score_threshold']}, {model.get('iou_threshold', model.get('nms_iou'))}"


def table(data: str, measured: dict[str, Measured]) -> str:
    lines = [
        "| detector, one seed each | AP | AP50 | AP75 | proposal recall | ms per picture | parameters "
        "| training s | suppression | paper, VOC07 mAP |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    baseline = {}
    for detector in DETECTORS:
        result = json.loads((RUNS / data / detector.model / "metrics.json").read_text(encoding="utf-8"))
        final, own = result["final"], measured[detector.model]
        baseline = {name: final.get(f"test/mean_boxes/{name}", 0.0) for name in ("ap", "ap50", "ap75")}
        figures = " | ".join(f"{100 * final[f'test/{name}']:.1f}" for name in ("ap", "ap50", "ap75"))
        share = "" if own.recall is None else f"{100 * own.recall:.1f} %"
        lines.append(
            f"| {detector.title} | {figures} | {share} | {own.milliseconds:.1f} | {result['parameters']:,} | "
            f"{result['seconds']:.0f} | {suppression(RUNS / data / detector.model)} | {detector.paper} |"
        )
    figures = " | ".join(f"{100 * baseline[name]:.1f}" for name in ("ap", "ap50", "ap75"))
    lines.append(f"| *mean boxes, whatever the picture* | {figures} | | | | | | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in OWN_WORDS:
        raise SystemExit(__doc__)
    data, extra = sys.argv[1], sys.argv[2:]
    measured = {detector.model: look(train(detector, data, extra)) for detector in DETECTORS}
    (HERE / f"{data}.md").write_text(table(data, measured), encoding="utf-8")
    for detector in DETECTORS:
        to_pil(measured[detector.model].picture).save(HERE / f"{data}-{detector.model}.png")
    print(table(data, measured))


if __name__ == "__main__":
    main()
