"""Two processes are one: gradients, losses and figures of every application, by listing; and the figures of
an evaluation do not depend on its batches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import toy_run
from omegaconf import OmegaConf

import two_ranks
from vision_apps.core.config import options

# of each application its first model, and those that have a loss of their own
MODELS = {
    "classification": ["classification_googlenet"],
    "colorization": ["colorization_siggraph17", "colorization_zhang16_small module.rebalance=0.5"],
    "captioning": [
        "captioning_attention module.self_critical=1",
        "captioning_transformer module.self_critical=2",
        "captioning_transformer module.scheduled_sampling=0.5 module.alpha_c=0.1",
        "captioning_attention model.features=grid+regions data.regions=objects "
        "module.rerank.nouns.loss=0.1 module.rerank.matching.loss=0.1",
    ],
    "detection": [
        model
        for model in sorted(options.of_group("model"))
        # one is torchvision's SSD as ssdlite is, the other has only another head
        if model.startswith("detection_") and model not in ("detection_ssd300_vgg16", "detection_yolo_v1_fc")
    ],
    "multi_label": ["classification_cnn module.class_weights=[1,2,3,4,5,6,7,8,9,10,11,12]"],
    "localization": ["localization_small module.box_loss=giou"],
    "vqa": ["vqa_mcan_tiny"],
    "segmentation": [
        *(f"segmentation_unet module.loss={loss}" for loss in ("dice", "focal", "border")),
        "segmentation_fcn_resnet50 module.loss=cross_entropy+dice module.class_weights=balanced",
    ],
}


def first_model(application: str) -> str:
    defaults = OmegaConf.load(options.of_group("task")[application])["defaults"]
    (model,) = [entry["/model"] for entry in defaults if "/model" in entry]
    return str(model)


@pytest.mark.slow
@pytest.mark.parametrize("application", sorted(options.of_group("task")))
def test_two_processes_are_one(application: str, tmp_path: Path) -> None:
    models = list(dict.fromkeys([first_model(application), *MODELS.get(application, [])]))
    program = [sys.executable, two_ranks.__file__]
    started = [
        subprocess.Popen(
            [*program, str(rank), str(tmp_path), application, *models],
            env=toy_run.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    told = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(told)
    lines = (tmp_path / "rank-0.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [row["model"] for row in found] == models
    for row in found:
        for case in ("even", "one-sided"):
            assert row[case]["error"] < 1e-5, (row["model"], case)
            assert row[case]["losses"] == pytest.approx(row[case]["alone"], rel=1e-6, abs=1e-6), row["model"]
        expected = row["figures"].pop(f"batches of {two_ranks.MEASURED}")
        for case, figures in row["figures"].items():
            assert figures == pytest.approx(expected, rel=1e-6, abs=1e-6), (row["model"], case)
