"""Which weights a word stands for. The hub is a fake: no test asks the network."""

import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from vision_apps.applications.classification.zoo import Timm as Classifier
from vision_apps.applications.segmentation.zoo import Smp
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.networks import packaged, timm_weights
from vision_apps.networks.backbones import Timm
from vision_apps.networks.packaged import LITE0
from vision_apps.networks.timm_weights import at_hand, weights_of

SMALL = "resnet10t"  # its only weights are tagged c3_in1k


def refuse(*_args: object, **_kwargs: object) -> Any:
    raise ConnectionError("no route to host")


class Hub:
    """What lies in the cache, and how the hub answers."""

    def __init__(self) -> None:
        self.file: str | None = None
        self.answer: Callable[..., object] = refuse
        self.asked = 0

    def lies(self, repository: str, filename: str, **_: object) -> str | None:
        assert repository.startswith("timm/")
        return self.file if filename == "model.safetensors" else None

    def ask(self, url: str, timeout: float) -> object:
        assert url.startswith("https://") and 0 < timeout <= 3
        self.asked += 1
        return self.answer()


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    fake = Hub()
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", fake.lies)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", fake.ask)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", refuse)
    return fake


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "version", lambda package: None)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == timm_weights.log.name]


def test_what_comes_with_pip_goes_first(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.file, hub.answer = "somewhere", object
    assert at_hand(LITE0.network) == "pip"
    assert not hub.asked and not warnings(caplog)


@pytest.mark.usefixtures("without_package")
def test_the_hub_s_cache_goes_before_the_hub(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.file = "somewhere"
    assert (at_hand(LITE0.network), at_hand(SMALL)) == ("in1k", "c3_in1k")
    assert not hub.asked and not warnings(caplog)


@pytest.mark.usefixtures("without_package")
def test_a_hub_that_answers_gives_them(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    hub.answer = object
    assert (at_hand(LITE0.network), at_hand(SMALL)) == ("in1k", "c3_in1k")

    def other_name() -> None:
        raise LocalEntryNotFoundError("this file is not there, the repository is")

    hub.answer = other_name
    assert at_hand(SMALL) == "c3_in1k"
    assert hub.asked == 3 and not warnings(caplog)


@pytest.mark.usefixtures("without_package")
def test_without_any_it_is_said_in_a_line_what_would_be_better(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert at_hand(LITE0.network) is None
    assert at_hand(SMALL, "model.backbone.weights", "model.backbone.name") is None
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    before = hub.asked
    assert at_hand(LITE0.network) is None
    assert hub.asked == before
    unpublished = next(name for name in timm.list_models() if not timm.list_pretrained(f"{name}.*"))
    assert at_hand(unpublished) is None
    brought, other, offline, none = warnings(caplog)
    assert brought == (
        f"model.weights=auto: {LITE0.network} starts from random numbers: https://huggingface.co cannot be "
        "reached (ConnectionError); better: pip install 'vision-apps[pretrained]'"
    )
    assert f"model.backbone.name={LITE0.network}" in other and "model.backbone.weights=FILE" in other
    assert "HF_HUB_OFFLINE is set" in offline
    assert f"{unpublished} starts from random numbers: the hub has no weights of it" in none


@pytest.mark.usefixtures("without_package")
def test_a_hub_that_says_nothing_is_not_waited_for(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()
    hub.answer = ended.wait
    monkeypatch.setattr(timm_weights, "_PATIENCE", 0.01)
    assert at_hand(SMALL) is None
    ended.set()
    assert "does not answer" in warnings(caplog)[0]


@pytest.mark.usefixtures("without_package")
@pytest.mark.parametrize(
    "build",
    [
        lambda: Timm(SMALL, "auto", (3, 4)),
        lambda: Classifier(SMALL, 5, "auto", 32),
        lambda: Smp("unet", 5, SMALL, "auto"),
    ],
)
def test_random_numbers_are_called_so(build: Callable[[], Any]) -> None:
    assert build().starts_from == "random numbers"


@pytest.mark.parametrize("word", ["pip", "auto"])
@pytest.mark.parametrize(
    "build",
    [
        lambda word: Timm(LITE0.network, word, (3, 4)),
        lambda word: Classifier(LITE0.network, 5, word, 32).backbone,
        lambda word: Smp("unet", 5, LITE0.network, word).backbone,
    ],
)
def test_every_application_finds_the_same_under_the_same_name(
    build: Callable[[str], nn.Module], word: str
) -> None:
    expected = Timm(LITE0.network, "pip", (0, 1, 2, 3, 4)).state_dict()
    found = build(word).state_dict()
    assert expected.keys() <= found.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def filled(name: str, **options: Any) -> nn.Module:
    """A network whose every value is told from random ones."""
    network = timm.create_model(name, **options)
    for value in network.state_dict().values():
        value.copy_(torch.full_like(value, 0.5))
    return network


def test_weights_in_the_cache_need_no_hub(hub: Hub, tmp_path: Path) -> None:
    hub.file = str(tmp_path / "blob")
    save_file(filled(SMALL).state_dict(), hub.file + ".safetensors")
    hub.file += ".safetensors"
    network = Timm(SMALL, "DEFAULT", (3, 4))
    assert all((value == 0.5).all() for value in network.parameters())
    assert network.starts_from == f"published weights of {SMALL} (timm/{SMALL}.c3_in1k)"
    assert not hub.asked


def test_a_broken_file_in_the_cache_is_told(hub: Hub, tmp_path: Path) -> None:
    hub.file = str(tmp_path / "broken.safetensors")
    Path(hub.file).write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    told = r"cannot get the published weights of resnet10t .*HF_HOME names.* broken file"
    with pytest.raises(RunError, match=rf"model\.weights=DEFAULT: {told}"):
        Classifier(SMALL, 5, "DEFAULT", 32)
    with pytest.raises(RunError, match=rf"model\.weights=c3_in1k: {told}"):
        Smp("unet", 5, SMALL, "c3_in1k")
    with pytest.raises(RunError, match=r"timm cannot make resnet10t .* and its weights .*weights=null"):
        Timm(SMALL, "DEFAULT", (3, 4))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("classes", [1000, 7, 3])
def test_a_file_of_the_user_s_is_taken_but_for_another_head(
    suffix: str, classes: int, tmp_path: Path
) -> None:
    path = str(tmp_path / f"mine{suffix}")
    state = filled(SMALL, num_classes=classes).state_dict()
    if suffix == ".pth":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)
    network = Classifier(SMALL, 7, path, 32)
    assert all((value == 0.5).all() for value in network.backbone.parameters())
    assert all((value == 0.5).all() for value in network.head.parameters()) == (classes == 7)
    assert network.starts_from == f"weights of {SMALL} in {path}"
    published = timm.get_pretrained_cfg(SMALL)
    assert published and network.mean == list(published.mean)
    for backbone in (Timm(SMALL, path, (3, 4)), Smp("unet", 5, SMALL, path).backbone):
        assert all((value == 0.5).all() for value in backbone.parameters())


def test_a_file_without_a_head_is_taken(tmp_path: Path) -> None:
    path = str(tmp_path / "mine.pth")
    torch.save(filled(SMALL, num_classes=0).state_dict(), path)
    assert all((value == 0.5).all() for value in Classifier(SMALL, 7, path, 32).backbone.parameters())
    assert all((value == 0.5).all() for value in Timm(SMALL, path, (3, 4)).parameters())


class Harmful:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    with pytest.raises(
        ConfigError, match=r"model\.weights: there is no file .*mine\.pth.*model\.weights=auto"
    ):
        weights_of(SMALL, str(path))
    for content in (b"", b"nonsense", pickle.dumps(Harmful())):
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"model\.weights: .*mine\.pth cannot be read \("):
            weights_of(SMALL, str(path))
    assert not Path("executed").exists()
    state = timm.create_model(SMALL).state_dict()
    for unlike in (
        timm.create_model("resnet18").state_dict(),
        {name: value for name, value in state.items() if name != "layer1.0.conv1.weight"},
        {**state, "layer1.0.conv1.weight": torch.zeros(1)},
        {"fc.weight": torch.zeros(7, 512)},
    ):
        torch.save(unlike, path)
        with pytest.raises(
            RunError, match=r"does not hold the weights of resnet10t: \d+ tensors .*model\.name"
        ):
            weights_of(SMALL, str(path))
