"""What scene graphs count before the first step: of all training pictures, none of which is read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vision_apps.applications.scene_graphs.types import SceneGraphBatch
from vision_apps.core import preparation
from vision_apps.data.boxes.samples import BoxSamples
from vision_apps.data.relations.coco import CocoRelations


@pytest.mark.parametrize("at_once", [3, 1000])
@pytest.mark.parametrize("in_memory", [False, True])
def test_all_annotations_are_there_and_pictures_in_files_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, in_memory: bool
) -> None:
    given: dict[str, Any] = CocoRelations.fake(tmp_path)
    data = CocoRelations(**given, in_memory=in_memory)
    data.prepare_data()
    data.batch_type = SceneGraphBatch
    data.samples("train")
    monkeypatch.setattr(BoxSamples, "picture", lambda *_: pytest.fail("a picture was read"))
    monkeypatch.setattr(preparation, "AT_ONCE", at_once)
    module: Any = SimpleNamespace(prepare_without=("images",), batch_type=SceneGraphBatch)
    batch = preparation.batch_of(data, module)
    items = data.annotations["train"]
    assert batch.images.shape == (len(items), 0)
    for row, item in enumerate(items):
        told = batch.relations[row]
        assert told[told[:, 0] >= 0].tolist() == item.relations.tolist()
        assert batch.box_labels[row, : len(item.labels)].tolist() == item.labels.tolist()
    assert torch.equal(batch.sizes, torch.tensor([[item.height, item.width] for item in items]))
