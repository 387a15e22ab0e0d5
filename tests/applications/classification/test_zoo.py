"""Networks by name. Published weights are files that the tests write where a download would have put them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from vision_apps.applications.classification.zoo import Timm, Torchvision
from vision_apps.core.errors import ConfigError, RunError

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

Publish = Callable[[str, Mapping[str, Tensor]], None]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Makes some values the published weights of torchvision's ``name``."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)

    def write(name: str, state: Mapping[str, Tensor]) -> None:
        torch.save(state, folder / Path(torchvision.models.get_model_weights(name).DEFAULT.url).name)

    return write


def same_values(ours: nn.Module, theirs: nn.Module, without: str) -> None:
    """Of a network of ours and one of theirs, but for what the name ``without`` begins."""
    body, head = ours.backbone.network.state_dict(), ours.head.state_dict()
    for name, value in theirs.state_dict().items():
        if not name.startswith(without):
            found = body[name] if name in body else head[name.rpartition(".")[2]]
            assert torch.equal(found, value), name


# heads are linear, or a convolution (squeezenet); some layers know their version (mnasnet)
@pytest.mark.parametrize(
    ("name", "head"),
    [("resnet18", "fc."), ("squeezenet1_1", "classifier.1."), ("mnasnet0_5", "classifier.1.")],
)
def test_torchvision_weights_come_with_a_new_head(publish: Publish, name: str, head: str) -> None:
    source = torchvision.models.get_model(name, weights=None)
    publish(name, source.state_dict())
    network = Torchvision(name, 7, weights="DEFAULT", image_size=64)
    same_values(network, source, without=head)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    assert (network.mean, network.std, network.image_size) == (*IMAGENET, 64)
    whole = Torchvision(name, 1000, weights="DEFAULT")
    same_values(whole, source, without="nothing")
    assert whole.image_size == 224


@pytest.mark.slow
def test_densenet_s_old_names_are_read(publish: Publish) -> None:
    source = torchvision.models.densenet121()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value
        for key, value in source.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    publish("densenet121", old)
    network = Torchvision("densenet121", 7, weights="DEFAULT", image_size=32)
    same_values(network, source, without="classifier.")


def test_googlenet_sees_what_its_published_weights_were_trained_on(publish: Publish) -> None:
    source = torchvision.models.googlenet(init_weights=False, aux_logits=True, transform_input=True).eval()
    publish("googlenet", source.state_dict())
    network = Torchvision("googlenet", 1000, weights="DEFAULT", image_size=64).eval()
    images = torch.rand(2, 3, 64, 64)

    def normalised(mean: list[float], std: list[float]) -> Tensor:
        return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    assert network.mean is not None
    assert network.std is not None
    with torch.no_grad():
        expected, found = source(normalised(*IMAGENET)), network(normalised(network.mean, network.std))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_vision_transformer_s_positions_are_interpolated(publish: Publish) -> None:
    source = torchvision.models.vit_b_32()
    nn.init.constant_(source.encoder.pos_embedding, 0.25)
    publish("vit_b_32", source.state_dict())
    network = Torchvision("vit_b_32", 7, weights="DEFAULT", image_size=64)
    positions = network.backbone.network.encoder.pos_embedding
    assert positions.shape == (1, 5, 768)  # a class token and 2 x 2 patches
    torch.testing.assert_close(positions, torch.full_like(positions, 0.25))
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_weights_that_fit_no_longer_are_refused(publish: Publish) -> None:
    publish("resnet18", torchvision.models.resnet34().state_dict())
    with pytest.raises(RunError, match=r"model.name=resnet18: its published weights do not fit.*layer1\.2"):
        Torchvision("resnet18", 7, weights="DEFAULT", image_size=32)


def test_without_weights_the_data_s_normalisation_is_used() -> None:
    for network in (Torchvision("squeezenet1_1", 5, image_size=32), Timm("resnet10t", 5, image_size=32)):
        assert network.mean is None
        assert network.std is None
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 5)
        assert network.training


def test_input_size_goes_before_the_data_s() -> None:
    for network in (
        Torchvision("squeezenet1_1", 5, image_size=32, input_size=48),
        Timm("resnet10t", 5, None, 32, 48),
    ):
        assert network.image_size == 48


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the hub's only file lies."""
    path = tmp_path / "model.safetensors"
    monkeypatch.setattr("timm.models._hub.hf_hub_download", lambda *_args, **_kwargs: str(path))
    return path


def test_timm_weights_come_with_a_new_head(hub: Path) -> None:
    source = timm.create_model("resnet10t", pretrained=False)
    save_file(source.state_dict(), hub)
    network = Timm("resnet10t", 7, weights="DEFAULT", image_size=32)
    same_values(network, source, without="fc.")
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    published = timm.get_pretrained_cfg("resnet10t")
    assert (network.mean, network.std) == (list(published.mean), list(published.std))
    same_values(Timm("resnet10t", 1000, weights="c3_in1k"), source, without="nothing")


def test_timm_networks_of_one_size_are_built_for_the_data_s() -> None:
    network = Timm("vit_tiny_patch16_224", 5, image_size=32)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: Torchvision("resnt18", 5), r"model.name: resnt18 is not .* of torchvision; .*resnet18"),
        (lambda: Timm("convnxt_tiny", 5), r"model.name: convnxt_tiny .*did you mean convnext_tiny"),
        (lambda: Timm("resnet10t.c3_in1k", 5), r"model.name: .*a tag goes to model.weights"),
        (lambda: Torchvision("resnet18", 5, "V1"), r"model.weights: V1 .* of resnet18.*IMAGENET1K_V1"),
        (lambda: Timm("resnet10t", 5, "a1_in1k"), r"model.weights: a1_in1k .*Try model.weights=c3_in1k"),
        (lambda: Timm("resnet10t", 5, "nothing"), r"model.weights: nothing .*did you mean DEFAULT"),
        (lambda: Timm("tf_efficientnet_lite0", 5, "pipp"), r"model.weights: pipp .*did you mean pip\?"),
        (lambda: Torchvision("alexnet", 5, None, 32), r"alexnet cannot take .*model.input_size=224"),
        (lambda: Torchvision("vit_b_32", 5, None, 33), r"model.input_size: vit_b_32 cannot .*33 x 33"),
        (lambda: Timm("vit_tiny_patch16_224", 5, None, 8), r"vit_tiny_patch16_224 cannot .*input_size=224"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(build: Callable[[], nn.Module], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        build()


def test_a_network_without_published_weights_says_so() -> None:
    without = next(name for name in timm.list_models("resnet*") if not timm.list_pretrained(f"{name}.*"))
    with pytest.raises(
        ConfigError, match=rf"published weights of {without}, there are none.*model.weights=null"
    ):
        Timm(without, 5, weights="DEFAULT")


def refuse(*_args: object, **_kwargs: object) -> None:
    raise OSError("no route to host")


def test_a_failed_download_names_the_file_and_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(RunError, match="no route to host") as caught:
        Torchvision("squeezenet1_1", 5, weights="DEFAULT", image_size=32)
    url = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url
    for part in (url, str(tmp_path / "hub" / "checkpoints" / Path(url).name), "model.weights=null"):
        assert part in str(caught.value)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", refuse)
    with pytest.raises(
        RunError, match=r"timm/resnet10t\.c3_in1k\) .*no route to host.*HF_HOME.*model.weights=null"
    ):
        Timm("resnet10t", 5, weights="DEFAULT", image_size=32)
