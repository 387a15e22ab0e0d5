"""Seconds to evaluate detections: our COCO figures against torchmetrics' with its default backend.

    OMP_NUM_THREADS=1 python benchmarks/coco_metric.py [--rounds 5] [--images 1000] [--boxes 50]

The same random pictures with as many objects as answers; both in this process with one thread, from tensors
per picture to the twelve figures, taking turns. ``everything`` is all that a validation computes: also VOC's
averages, errors and confusion, which torchmetrics does not have.

The backend is pycocotools. torchmetrics is given the thresholds in double precision: its own are rounded to
single, which moves the figures by up to 1e-4.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from vision_apps.applications.detection.coco_ap import NAMES, coco_figures
from vision_apps.applications.detection.metrics import DetectionMetrics
from vision_apps.applications.detection.types import DetectionAnswer, DetectionBatch

SIDE = 640  # px
PEERS = (  # torchmetrics' names of ours
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)


def pictures(images: int, boxes: int, classes: int) -> tuple[DetectionAnswer, DetectionBatch]:
    """Objects anywhere, and answers around them: most of the right class, some misplaced."""
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.rand(images, boxes, *shape, generator=generator)

    corner = rand(2) * 0.8 * SIDE
    objects = torch.cat([corner, corner + 8 + rand(2) * 0.3 * SIDE], 2).round()
    labels = (rand() * classes).long()
    moved = objects + ((rand(4) - 0.5) * 60 * rand(1)).round()
    moved = torch.cat([moved[..., :2], torch.maximum(moved[..., 2:], moved[..., :2] + 1)], 2)
    marks = torch.where(rand() < 0.8, labels, (rand() * classes).long())
    answer = DetectionAnswer(moved, rand(), marks)
    batch = DetectionBatch(
        torch.zeros(images, 3, 1, 1, dtype=torch.uint8).expand(-1, -1, SIDE, SIDE),
        objects,
        labels,
        torch.zeros(images, boxes, dtype=torch.bool),
        torch.full((images, 2), SIDE),
        torch.zeros(images, 0, 4),
    )
    return answer, batch


def theirs(answer: DetectionAnswer, batch: DetectionBatch) -> list[float]:
    metric = MeanAveragePrecision(
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(), rec_thresholds=np.linspace(0, 1, 101).tolist()
    )
    found = [dict(zip(("boxes", "scores", "labels"), row, strict=True)) for row in zip(*answer, strict=True)]
    truth = [{"boxes": b, "labels": k} for b, k in zip(batch.boxes, batch.box_labels, strict=True)]
    metric.update(found, truth)
    values = metric.compute()
    return [float(values[name]) for name in PEERS]


def ours(answer: DetectionAnswer, batch: DetectionBatch, classes: int) -> list[float]:
    metric = DetectionMetrics(classes)
    metric.update(answer, batch)
    figures = coco_figures(*metric.tables(), classes).figures
    return [figures[name] for name in NAMES]


def everything(answer: DetectionAnswer, batch: DetectionBatch, classes: int) -> list[float]:
    metric = DetectionMetrics(classes)
    metric.update(answer, batch)
    values = metric.compute()
    return [float(values[name]) for name in NAMES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("rounds", 5), ("images", 1000), ("boxes", 50), ("classes", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    answer, batch = pictures(arguments.images, arguments.boxes, arguments.classes)
    variants: dict[str, Callable[[], list[float]]] = {
        "torchmetrics": lambda: theirs(answer, batch),
        "ours": lambda: ours(answer, batch, arguments.classes),
        "everything": lambda: everything(answer, batch, arguments.classes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    values: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for name, run in variants.items():
            start = time.perf_counter()
            values[name] = run()
            seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["torchmetrics"], times, strict=True))
        print(f"{name:13} {statistics.median(times):8.2f} s   {ratio:6.1f} times as fast as torchmetrics")
    difference = max(abs(a - b) for a, b in zip(values["torchmetrics"], values["ours"], strict=True))
    print(f"AP {values['ours'][0]:.4f}, largest difference of the twelve figures {difference:.1e}")


if __name__ == "__main__":
    main()
