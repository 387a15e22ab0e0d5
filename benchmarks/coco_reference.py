"""COCO's twelve figures of real annotations and a file of results: pycocotools against ours.

    python benchmarks/coco_reference.py FOLDER

FOLDER holds one instances_*.json (COCO annotations) and one or more *bbox*_results.json. Figures of instance
masks are not computed: this package detects boxes.
"""

import argparse
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vision_apps.applications.detection.coco_ap import NAMES, coco_figures
from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable

TOLERANCE = 1e-6


def tables(
    annotations: dict[str, Any], results: list[dict[str, Any]]
) -> tuple[DetectionTable, GroundTruthTable, int]:
    """Both as flat tables in double precision, and the number of classes."""
    classes = sorted({row["id"] for row in annotations["categories"]})
    images = sorted({row["id"] for row in annotations["images"]})

    def columns(rows: list[dict[str, Any]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        boxes = torch.tensor([row["bbox"] for row in rows], dtype=torch.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = torch.tensor([classes.index(row["category_id"]) for row in rows], dtype=torch.int64)
        return boxes, labels, torch.tensor([images.index(row["image_id"]) for row in rows], dtype=torch.int64)

    boxes, labels, numbers = columns(results)
    scores = torch.tensor([row["score"] for row in results], dtype=torch.float64)
    found = DetectionTable(boxes, scores, labels, numbers)
    rows = annotations["annotations"]
    boxes, labels, numbers = columns(rows)
    ignored = torch.tensor([bool(row.get("iscrowd", 0)) for row in rows], dtype=torch.bool)
    areas = torch.tensor([row["area"] for row in rows], dtype=torch.float64)
    return found, GroundTruthTable(boxes, labels, ignored, numbers, areas), len(classes)


def reference(annotations: Path, results: Path) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluator = COCOeval(truth, truth.loadRes(str(results)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(value) for value in evaluator.stats]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    folder = parser.parse_args().folder
    if folder is None:  # as `make bench` calls it
        print("nothing to compare: name a FOLDER")
        return
    truths = sorted(folder.glob("instances_*[!s].json"))
    results = sorted(folder.glob("*bbox*_results.json"))
    if len(truths) != 1 or not results:
        sys.exit(f"{folder}: expected one instances_*.json and at least one *bbox*_results.json")
    annotations = json.loads(truths[0].read_text(encoding="utf-8"))
    worst = 0.0
    for path in results:
        figures = coco_figures(*tables(annotations, json.loads(path.read_text(encoding="utf-8")))).figures
        print(f"{path.name}\n{'':10} {'pycocotools':>12} {'ours':>12} {'difference':>12}")
        for name, theirs in zip(NAMES, reference(truths[0], path), strict=True):
            ours = figures[name]
            difference = 0.0 if theirs == -1 and ours != ours else abs(theirs - ours)
            worst = max(worst, difference) if difference == difference else float("inf")
            print(f"{name:10} {theirs:12.6f} {ours:12.6f} {difference:12.1e}")
    print(f"largest difference {worst:.1e}; masks: not computed, this package detects boxes")
    if worst > TOLERANCE:
        sys.exit(f"more than {TOLERANCE:g}")


if __name__ == "__main__":
    main()
