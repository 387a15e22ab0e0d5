"""Networks from elsewhere: any size, batches of two, weights, and messages for what does not exist."""

import re
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from vision_apps.applications.segmentation import zoo
from vision_apps.applications.segmentation.zoo import Smp, Torchvision
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.networks.auxiliary import AuxiliaryLogits

MOBILE = "deeplabv3_mobilenet_v3_large"


@pytest.fixture(scope="module")
def mobile() -> Torchvision:
    return Torchvision(MOBILE, 5)


@pytest.mark.parametrize("size", [(33, 64), (16, 70)])
def test_torchvision_answers_at_the_input_s_size(mobile: Torchvision, size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert mobile.eval()(torch.rand(1, 3, *size)).shape == (1, 5, *size)


def test_the_auxiliary_head_counts_half_and_in_training_only(mobile: Torchvision) -> None:
    found = mobile.train()(torch.rand(2, 3, 32, 32))
    assert isinstance(found, AuxiliaryLogits)
    (auxiliary,) = found.auxiliary
    assert found.weight == 0.5
    assert auxiliary.shape == found.logits.shape == (2, 5, 32, 32)
    assert isinstance(mobile.eval()(torch.rand(1, 3, 32, 32)), torch.Tensor)


def test_lraspp_has_no_auxiliary_head() -> None:
    network = Torchvision("lraspp_mobilenet_v3_large", 4).train()
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 4, 32, 32)


def published_by(monkeypatch: pytest.MonkeyPatch, model: nn.Module) -> dict[str, Any]:
    """Let downloads give this model's values."""
    state = {name: torch.randn_like(value.float()) for name, value in model.state_dict().items()}
    monkeypatch.setattr(zoo, "download", lambda entry, key, name: dict(state))
    return state


def test_published_weights_come_with_their_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    make = models.segmentation.deeplabv3_mobilenet_v3_large
    state = published_by(monkeypatch, make(weights=None, weights_backbone=None, aux_loss=True))
    network = Torchvision(MOBILE, 5, weights="DEFAULT")
    own = network.model.state_dict()
    differing = [name for name in own if own[name].shape != state[name].shape]
    assert {name.rpartition(".")[0] for name in differing} == {"classifier.4", "aux_classifier.4"}
    assert all(
        torch.equal(own[name].float(), state[name])
        for name in own
        if own[name].is_floating_point() and name not in differing
    )
    assert network.mean == [0.485, 0.456, 0.406] and network.std == [0.229, 0.224, 0.225]
    assert Torchvision(MOBILE, 5).mean is None


@pytest.mark.parametrize(("name", "backbone"), [(MOBILE, "mobilenet_v3_large"), ("fcn_resnet50", "resnet50")])
def test_backbones_start_from_a_classifier(monkeypatch: pytest.MonkeyPatch, name: str, backbone: str) -> None:
    state = published_by(monkeypatch, models.get_model(backbone, weights=None))
    network = Torchvision(name, 5, weights_backbone="DEFAULT")
    first = "features.0.0.weight" if "mobile" in backbone else "conv1.weight"
    own = network.model.backbone.state_dict()
    assert torch.equal(own[first.removeprefix("features.")], state[first])
    assert network.std == [0.229, 0.224, 0.225]


def test_a_backbone_of_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "download", lambda entry, key, name: {"other": torch.zeros(1)})
    with pytest.raises(RunError, match=r"do not fit this version .* model.weights_backbone=null"):
        Torchvision(MOBILE, 5, weights_backbone="DEFAULT")


@pytest.mark.parametrize("name", ["unet", "segformer", "fpn"])
def test_smp_answers_at_the_input_s_size(name: str) -> None:
    network = Smp(name, 4, encoder="resnet10t").eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 40, 37)).shape == (1, 4, 40, 37)
    assert network.mean is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        *(
            (name, "resnet10t")
            for name in "unet unetplusplus manet linknet fpn pspnet deeplabv3 deeplabv3plus pan upernet "
            "segformer".split()
        ),
        ("dpt", "vit_tiny_patch16_224"),
    ],
)
def test_two_images_train_every_architecture(name: str, encoder: str) -> None:
    """Pooled branches and coarsest maps are single pixels here."""
    network = Smp(name, 3, encoder).train()
    network(torch.rand(2, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: Torchvision("fcn_resnet5", 3),
            "model.name: fcn_resnet5 is not a segmenter of torchvision; did you mean fcn_resnet50",
        ),
        (
            lambda: Torchvision(MOBILE, 3, weights="COCO"),
            "model.weights: COCO is not a set of published weights of deeplabv3_mobilenet_v3_large",
        ),
        (
            lambda: Torchvision(MOBILE, 3, weights_backbone="IMAGENET1K_V3"),
            "Try model.weights_backbone=IMAGENET1K_V",
        ),
        (
            lambda: Smp("unett", 3),
            "model.name: unett is not an architecture of segmentation_models_pytorch; did you mean unet",
        ),
        (lambda: Smp("unet", 3, "resnet19"), "model.encoder: resnet19 is not a network of timm"),
        (
            lambda: Smp("unet", 3, weights="a9_in1k"),
            "model.weights: a9_in1k is not a set of published weights of resnet18",
        ),
        (
            lambda: Smp("dpt", 3, "resnet18"),
            "model.encoder: resnet18 does not fit model.name=dpt",
        ),
        (lambda: Smp("dpt", 3, "resnet18"), "try model.encoder=vit_tiny_patch16_224"),
    ],
)
def test_what_does_not_exist_is_told_with_the_nearest(build: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        build()


def test_an_encoder_whose_weights_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import segmentation_models_pytorch as smp

    make = smp.create_model

    def offline(*args: Any, encoder_weights: Any, **kwargs: Any) -> nn.Module:
        if encoder_weights is not None:
            raise OSError("no network")
        return make(*args, encoder_weights=None, **kwargs)

    monkeypatch.setattr(smp, "create_model", offline)
    with pytest.raises(
        RunError, match=r"model.weights=DEFAULT: cannot get .*no network.* model.weights=null"
    ):
        Smp("unet", 3, weights="DEFAULT")
