"""Objects that a run of detection finds: its weights in the checkpoint, its classes by their names."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from smallest import SMALLEST, WORLD
from vision_apps.core import assembly, engine
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.pictures import to_pil
from vision_apps.core.seeding import seed_everything
from vision_apps.data.object_detector import ObjectDetector, numbers_of
from vision_apps.data.scenes.relations import SceneRelations
from vision_apps.prediction.predict import predict
from vision_apps.trained import evaluate

SMALL = [*SMALLEST, *WORLD, "data.image_size=32", "model.backbone.width=16"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of detection and one of scene graphs that begins with it."""
    root = tmp_path_factory.mktemp("runs")
    words = ["task=detection", "data=detection_related", "data.augment=null"]
    engine.train(compose([*words, *SMALL, f"run.dir={root / 'detection'}"]))
    engine.train(compose(graphs(root, "graphs")))
    return root


def graphs(root: Path, name: str, *more: str) -> list[str]:
    words = ["task=scene_graphs", *SMALL, "model.width=16", f"run.dir={root / name}", "data.least_score=0"]
    return [*words, f"data.detector={root / 'detection'}", "data.most_objects=6", *more]


@pytest.mark.slow
def test_all_three_protocols_are_measured_in_one_run_and_again_without_the_other_run(
    runs: Path, tmp_path: Path
) -> None:
    aside = runs / "gone"
    (runs / "detection").rename(aside)
    try:
        scored = evaluate.test(str(runs / "graphs"), [])
        for protocol in ("predcls", "sgcls", "sgdet"):
            for name in ("", "frequency/", "frequency_overlap/"):
                assert 0 <= scored[f"test/{name}{protocol}_recall_20"] <= 1
        assert scored["test/sgdet_recall_20"] <= scored["test/predcls_recall_limit_20"]
        alone = tmp_path / "alone.ckpt"
        shutil.copy(runs / "graphs" / "checkpoints" / "best.ckpt", alone)
        photo = tmp_path / "photo.png"
        to_pil(torch.randint(0, 256, (3, 50, 37), dtype=torch.uint8)).save(photo)
        out = predict(str(alone), [str(photo)], str(tmp_path / "out"), ["module.score_threshold=0"])
        (row,) = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
        assert "told" not in row and len(row["objects"]) <= 6
        assert {path.suffix for path in (out / "graphs").iterdir()} == {".jsonld", ".graphml"}
    finally:
        aside.rename(runs / "detection")


@pytest.mark.slow
def test_what_the_detector_finds_is_what_it_answers_best_first(runs: Path) -> None:
    module: Any = evaluate.load(str(runs / "graphs")).module()
    detector: ObjectDetector = module.detector
    assert not any(p.requires_grad for p in detector.parameters())
    images = torch.randint(256, (2, 3, 40, 60), dtype=torch.uint8)
    detector.least_score = 1e-4
    boxes, labels, scores = detector.objects(images)
    assert boxes.shape == (2, 6, 4) and (scores.diff(dim=1) <= 0).all()
    with torch.inference_mode():
        found = detector.module(detector.module.encode(images, {}))
    count = int((labels[0] >= 0).sum())
    assert count and torch.equal(found.boxes[0, :count], boxes[0, :count])
    assert torch.equal(found.labels[0, :count], labels[0, :count])
    detector.classes = [-1] * len(detector.classes)
    assert (detector.objects(images)[1] == -1).all(), "classes that the data do not have"
    detector.least_score = 1.0
    boxes, labels, scores = detector.objects(images)
    assert not boxes.any() and (labels == -1).all() and not scores.any()


@pytest.mark.slow
def test_a_detector_changes_nothing_of_what_the_seed_draws(runs: Path) -> None:
    drawn = []
    for own in (f"data.detector={runs / 'detection'}", "data.detector=null"):
        config: Any = OmegaConf.to_container(compose([*graphs(runs, "unused"), own]), resolve=True)
        seed_everything(config["seed"])
        drawn.append(assembly.build_module(config, assembly.build_data(config).facts, trainable=False))
    one, other = (module.network.state_dict() for module in drawn)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_run_of_something_else_and_a_run_that_has_none(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^data\.detector: .* is a run of scenegraphs, which finds no boxes"):
        engine.train(compose([*graphs(runs, "other"), f"data.detector={runs / 'graphs'}"]))
    engine.train(compose([*graphs(tmp_path, "plain", "test=false"), "data.detector=null"]))
    with pytest.raises(ConfigError, match=r"^data\.detector: .*was trained without a detector"):
        evaluate.test(str(tmp_path / "plain"), [f"data.detector={runs / 'detection'}"])


def test_a_test_takes_what_the_data_say_of_detections() -> None:
    module = SimpleNamespace(detector=SimpleNamespace(most=20, least_score=0.1))
    SceneRelations(image_size=32, most_objects=7, least_score=0.3).instruct(module)
    assert vars(module.detector) == {"most": 7, "least_score": 0.3}
    SceneRelations(image_size=32).instruct(SimpleNamespace(detector=None))


def test_classes_are_found_by_their_names(caplog: pytest.LogCaptureFixture) -> None:
    assert numbers_of(["dog", "cat"], ["cat", "dog"], "run") == [1, 0]
    assert not caplog.records
    assert numbers_of(["dog", "fish"], ["cat", "dog"], "run") == [1, -1]
    assert "left out: fish; of the data's classes it never finds: cat" in caplog.text
    with pytest.raises(DataError, match="finds fish, and none of them is among the classes of the data: cat"):
        numbers_of(["fish"], ["cat"], "run")
