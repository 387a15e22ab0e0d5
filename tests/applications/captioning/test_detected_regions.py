"""The regions of a run of detection: found once, kept, and found anew by the checkpoint alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from smallest import SMALLEST
from vision_apps.core import engine
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import DataError
from vision_apps.data import detector as detectors
from vision_apps.data.captions import detected
from vision_apps.data.captions.table import CaptionTableFiles
from vision_apps.prediction.predict import predict
from vision_apps.trained import evaluate


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of detection, one of captioning on its regions, and their pictures."""
    root = tmp_path_factory.mktemp("runs")
    words = ["model=detection_yolo", "model.backbone.width=16", "data.image_size=32"]
    words.append("module.score_threshold=0")
    world = ["data.train_images=8", "data.val_images=4", "data.test_images=4"]
    engine.train(compose(["task=detection", *SMALLEST, *words, *world, f"run.dir={root / 'detection'}"]))
    CaptionTableFiles.fake(root / "album")
    engine.train(compose(captioning(root)))
    return root


def captioning(root: Path, *more: str) -> list[str]:
    return [
        *("task=captioning", "data=captioning_csv", "model=captioning_attention", "model.backbone.width=16"),
        *("model.features=grid+regions", f"data.regions={root / 'detection'}", "data.most_regions=5"),
        *(f"data.root={root / 'album'}", "data.image_size=32", "data.workers=0", "data.augment=null"),
        *("trainer.max_epochs=1", "trainer.limit_train_batches=1", "data.batch_size=4", "logger=csv"),
        *(f"run.dir={root / 'captioning'}", *more),
    ]


def opened(root: Path) -> detectors.RegionDetector:
    return detectors.opened(str(root / "detection"), 5)[0]


@pytest.mark.slow
def test_boxes_are_found_once_and_kept(runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = sorted(map(str, (runs / "album" / "images").iterdir()))[:6]
    shutil.copy(files[0], tmp_path / "broken.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files.append(str(tmp_path / "broken.png"))
    cache = tmp_path / "cache"
    names = [Path(file).name for file in files]
    given = (files, names, cache, 10**7, "regions")
    boxes, sizes = detected.kept_regions(opened(runs), *given)
    assert boxes.shape == (7, 5, 4) and not boxes[-1].any() and not sizes[-1].any()
    assert boxes[:-1].any(), "something is found"
    assert (boxes[:-1, :, 2] <= sizes[:-1, 1:]).all() and (boxes[:-1, :, 3] <= sizes[:-1, :1]).all()

    def never(*_: Any) -> None:
        raise AssertionError("found again")

    monkeypatch.setattr(detectors.RegionDetector, "forward", never)
    again, _ = detected.kept_regions(opened(runs), *given)
    assert torch.equal(boxes, again)
    with pytest.raises(AssertionError, match="found again"):  # of another picture under the same name
        detected.kept_regions(opened(runs), files[::-1], names[::-1], cache, 10**7, "regions")


@pytest.mark.slow
def test_the_checkpoint_alone_says_what_the_test_of_the_run_said(
    runs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = evaluate.test(str(runs / "captioning"), [])
    alone = tmp_path / "alone.ckpt"
    shutil.copy(runs / "captioning" / "checkpoints" / "best.ckpt", alone)
    module: Any = evaluate.load(str(runs / "captioning")).module()
    regions = {"regions": str(runs / "detection"), "most_regions": 5}
    data: Any = CaptionTableFiles(str(runs / "album"), image_size=32, **regions)  # type: ignore[arg-type]
    data.prepare_data()
    samples = data.load("test", ("images", "regions"))
    said, files = [], data.picture_files("test")
    with torch.inference_mode():
        for index in range(len(files)):
            batch = {name: value[None] for name, value in samples[index].items()}
            answer = module(module.input_type(**batch))
            said.append(module.presentation.describe(module.input_type(**batch), answer)[0]["caption"])
    aside = runs / "gone"
    (runs / "detection").rename(aside)
    try:
        out = predict(str(alone), files, str(tmp_path / "out"))
        rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
        assert [row["caption"] for row in rows] == said
        again = evaluate.test(str(runs / "captioning"), [])
    finally:
        aside.rename(runs / "detection")
    assert "is gone; the detector in the checkpoint finds the boxes anew" in caplog.text
    assert again.keys() == expected.keys()


@pytest.mark.slow
def test_boxes_of_a_detector_can_be_given_instead(runs: Path) -> None:
    module: Any = evaluate.load(str(runs / "captioning")).module()
    images = torch.randint(256, (1, 3, 40, 60), dtype=torch.uint8)
    own = module.encode(images, {"regions": "1,2,30,30"})
    assert own.regions.shape == (1, 1, 4)
    with torch.inference_mode():
        assert module(own).region_boxes.shape == (1, 1, 4)
        assert module(module.encode(images, {})).region_boxes.shape == (1, 5, 4)
    assert not any(p.requires_grad for p in module.detector.parameters())
    before = module.detector(images)
    module.train()
    assert torch.equal(module.detector(images), before), "it learns no more, and knows no other mode"


@pytest.mark.slow
def test_what_is_no_detector_is_refused(runs: Path) -> None:
    with pytest.raises(DataError, match="a run of captioning, which finds no boxes"):
        detectors.opened(str(runs / "captioning"), 5)
    detector = opened(runs)
    detector.identity = "another"
    with pytest.raises(DataError, match="has changed since"):
        detector.load()
