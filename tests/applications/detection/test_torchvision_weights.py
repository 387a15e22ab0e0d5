"""torchvision's published detectors: their weights in ours, and what is said where they cannot be had."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from vision_apps.applications.detection import torchvision_models as published
from vision_apps.applications.detection.torchvision_models import TorchvisionDense, TorchvisionFasterRcnn
from vision_apps.core.errors import RunError
from vision_apps.networks.backbones import Small

K = 3


@pytest.fixture
def coco(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Random values in place of the published ones, with no network; statistics are not trivial."""
    torch.manual_seed(0)
    name = "ssdlite320_mobilenet_v3_large"
    model = models.get_model(name, weights=None, weights_backbone=None, num_classes=91)
    state = model.state_dict()
    for key in state:
        if key.endswith("running_mean"):
            state[key] = torch.randn_like(state[key])
    weights = models.get_model_weights(name)
    monkeypatch.setattr(weights, "get_state_dict", lambda self, *_, **__: dict(state))
    return state


@pytest.mark.slow
def test_classes_with_a_published_name_start_from_it(coco: dict[str, Tensor]) -> None:
    names = ["unheard of", "Dog", "person"]
    found = TorchvisionDense("ssdlite320_mobilenet_v3_large", K, names, weights="DEFAULT", input_size=320)
    categories = models.get_model_weights("ssdlite320_mobilenet_v3_large").DEFAULT.meta["categories"]
    own = found.model.state_dict()
    key = "head.classification_head.module_list.2.1.weight"
    ours, theirs = own[key].unflatten(0, (-1, K + 1)), coco[key].unflatten(0, (-1, 91))
    for row, name in ((0, "__background__"), (2, "dog"), (3, "person")):
        assert torch.equal(ours[:, row], theirs[:, categories.index(name)]), name
    assert not torch.equal(ours[:, 1], theirs[:, 1])
    key = "backbone.features.0.0.1.running_mean"
    assert torch.equal(own[key], coco[key])
    assert found.mean == [0.5] * 3 and found.std == [0.5] * 3

    # kept statistics, also when the weights come back from a checkpoint
    rebuilt = TorchvisionDense("ssdlite320_mobilenet_v3_large", K, names, input_size=320)
    rebuilt.load_state_dict(found.state_dict())
    for detector in (found, rebuilt):
        detector.train()(torch.randn(2, 3, 64, 64))
        assert torch.equal(detector.model.state_dict()[key], coco[key])
    fresh = TorchvisionDense("ssdlite320_mobilenet_v3_large", K, names, input_size=320).train()
    before = fresh.model.state_dict()[key].clone()
    fresh(torch.randn(2, 3, 64, 64))
    assert not torch.equal(fresh.model.state_dict()[key], before)


@pytest.mark.slow
def test_frozen_norms_become_ordinary_ones_that_answer_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the epsilon of 0 that some were published with, and classes by region."""
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    torch.manual_seed(0)
    model = models.get_model(name, weights=None, weights_backbone=None, num_classes=91)
    state = {k: v for k, v in model.state_dict().items() if "num_batches" not in k}
    for key in state:
        if key.endswith("running_var"):
            state[key] = torch.rand_like(state[key]) + 1e-4
    weights = models.get_model_weights(name)
    monkeypatch.setattr(weights, "get_state_dict", lambda self, *_, **__: dict(state))
    original = models.get_model(name, weights=weights.DEFAULT).eval()
    for part in original.modules():
        if hasattr(part, "eps"):
            part.eps = 0.0
    get_model = models.get_model

    def with_zero_epsilon(name: str, **arguments: Any) -> nn.Module:
        built = get_model(name, **arguments)
        if arguments.get("weights"):
            for part in built.modules():
                if hasattr(part, "eps"):
                    part.eps = 0.0
        return built

    monkeypatch.setattr(published.models, "get_model", with_zero_epsilon)
    categories = weights.DEFAULT.meta["categories"]
    found = TorchvisionFasterRcnn(name, 2, ["person", "dog"], weights="DEFAULT").eval()
    images = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        theirs, ours = original.backbone(images), found.model.backbone(images)
        for level, maps in theirs.items():
            torch.testing.assert_close(ours[level], maps, rtol=1e-3, atol=1e-4)
    own = found.model.state_dict()
    for key, per in (("cls_score.weight", 1), ("bbox_pred.weight", 4), ("bbox_pred.bias", 4)):
        rows = own[f"roi_heads.box_predictor.{key}"].unflatten(0, (3, per))
        published_rows = state[f"roi_heads.box_predictor.{key}"].unflatten(0, (91, per))
        for row, name_of in ((0, "__background__"), (1, "person"), (2, "dog")):
            assert torch.equal(rows[row], published_rows[categories.index(name_of)])


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ssdlite320_mobilenet_v3_large"

    def offline(self: Any, *_: Any, **__: Any) -> Any:
        raise OSError("no route to host")

    monkeypatch.setattr(models.get_model_weights(name), "get_state_dict", offline)
    with pytest.raises(RunError) as caught:
        TorchvisionDense(name, K, ["a", "b", "c"], weights="DEFAULT")
    text = str(caught.value)
    assert "cannot get the weights of ssdlite320" in text and "no route to host" in text
    assert "Put that file at" in text and "model.weights=null" in text


def test_the_backbone_is_named_as_in_the_classifier() -> None:
    found = TorchvisionDense("fcos_resnet50_fpn", K)
    names = [name for name in found.backbone.state_dict() if not name.endswith("num_batches_tracked")]
    assert names[0] == "network.conv1.weight" and len(names) == 265
    assert set(names) <= {f"network.{name}" for name in models.resnet50().state_dict()}
    assert found.starts_from == "random numbers"


def test_the_backbone_of_an_ssd_is_the_one_that_it_was_given() -> None:
    backbone = Small(16, 2)
    found = published.Ssd(K, 64, backbone)
    assert found.backbone is backbone
