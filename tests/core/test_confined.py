"""What is built of a stranger's file reaches neither the disk nor the network, whatever it is built with."""

import http.server
import inspect
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics

from vision_apps.core import assembly
from vision_apps.core.confined import ConfinedError, confined
from vision_apps.core.errors import CheckpointError

MODULE = {"_target_": "vision_apps.applications.classification.module.Classification"}
FACTS = {"num_classes": 2, "class_names": ["a", "b"], "image_size": 32, "mean": [0.0] * 3, "std": [1.0] * 3}


@pytest.mark.parametrize(
    "act",
    [
        lambda: Path("made").write_text("x"),
        lambda: os.close(os.open("made", os.O_CREAT | os.O_WRONLY)),
        lambda: Path("made").mkdir(),
        lambda: Path("link").symlink_to("there"),
        lambda: Path("there").rename("made"),
        lambda: Path("there").unlink(),
        lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        lambda: subprocess.run([sys.executable, "-c", "open('made', 'w')"], check=False),
        lambda: os.system("touch made"),
        pytest.param(
            lambda: threading.Thread(target=Path("made").touch).start(),
            marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="threads are audited since 3.12"),
        ),
    ],
)
def test_nothing_is_written_reached_or_started(
    act: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("kept")
    with (
        confined(),
        pytest.raises(ConfinedError, match=r"^to (write files|use the network|start other code)"),
    ):
        act()
    assert [file.name for file in tmp_path.iterdir()] == ["there"]
    assert Path("there").read_text() == "kept"


def test_it_holds_for_this_thread_and_this_time(tmp_path: Path) -> None:
    def write(name: str) -> None:
        (tmp_path / name).write_text("x")

    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait(60)
        write("other")
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with confined():
        with confined():
            assert torch.nn.Linear(2, 2)(torch.zeros(1, 2)).shape == (1, 2)
        inside.set()
        assert done.wait(60)
        with pytest.raises(ConfinedError):
            write("within")
    thread.join()
    write("after")
    assert {file.name for file in tmp_path.iterdir()} == {"other", "after"}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An address that serves any file, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"import os\n")

        do_HEAD = do_GET  # noqa: N815 - as the standard library calls it

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/weights.pth", asked
        serving.shutdown()


def built_of(model: dict[str, Any]) -> str:
    """What rebuilding a checkpoint with this model says; nothing if it is built."""
    try:
        assembly.rebuild(
            {"config": {"model": model, "module": MODULE}, "facts": FACTS, "state_dict": {}}, "it"
        )
    except CheckpointError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("pretrained", [True, 1, 0.5, "yes", {"a": 1}])
def test_published_weights_are_never_fetched_for_a_file(
    pretrained: object, server: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = server
    folder = tmp_path / "site-packages"
    model = {"_target_": "timm.create_model", "model_name": "resnet18", "num_classes": 2}
    more = {"pretrained_cfg": {"url": url}, "cache_dir": str(folder), "pretrained": pretrained}
    assert "the weights do not fit" in built_of(model | more), "it is built, from random numbers"
    assert not asked and not folder.exists()


@pytest.mark.parametrize("name", ["hf-hub:evil/evil", "hf_hub:evil/evil", "local-dir:/etc"])
def test_a_saved_model_is_no_link_to_another(name: str) -> None:
    assert "is no link to another" in built_of({"_target_": "timm.create_model", "model_name": name})


def test_a_list_that_asks_for_weights_is_stopped(server: tuple[str, list[str]], tmp_path: Path) -> None:
    url, asked = server
    model = {"_target_": "timm.models.resnet.resnet18", "pretrained": [1]}
    said = built_of(model | {"pretrained_cfg": {"url": url}, "cache_dir": str(tmp_path / "cache")})
    assert "not to be trusted" in said and ("to write files" in said or "to use the network" in said)
    assert not asked and not list(tmp_path.iterdir())


def test_what_a_person_allowed_does_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from torch import nn\n\nclass Net(nn.Linear):\n"
        "    def __init__(self, path):\n        super().__init__(2, 2)\n        open(path, 'w').close()\n"
    )
    (tmp_path / "allowed_net.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    model = {"_target_": "allowed_net.Net", "path": str(tmp_path / "its_cache")}
    assert "if you trust it" in built_of(model) and not (tmp_path / "its_cache").exists()
    monkeypatch.setenv("VISION_APPS_ALLOW", "allowed_net")
    assert "the weights do not fit" in built_of(model)
    assert (tmp_path / "its_cache").exists()


def hostile(target: Callable[..., Any], url: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Arguments of a builder, found by reflection: each that has a default is an address, a path or a yes."""
    parameters = inspect.signature(target).parameters.values()
    named = [
        p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"
    ]
    needed = {p.name: 2 for p in named if p.default is p.empty}
    yield needed
    for parameter in named:
        for value in (url, str(folder / "written"), True):
            yield {**needed, parameter.name: value}


def listed() -> list[str]:
    """Targets that a file may name: all metrics, which are networks, and a small builder of each kind."""
    metrics = [
        f"{kind.__module__}.{kind.__name__}"
        for kind in (getattr(torchmetrics, name) for name in torchmetrics.__all__)
        if inspect.isclass(kind) and issubclass(kind, torchmetrics.Metric)
    ]
    builders = ("resnet.resnet18", "squeezenet.squeezenet1_1", "mobilenetv3.mobilenet_v3_small")
    return [
        *metrics,
        *(f"torchvision.models.{name}" for name in builders),
        "torchvision.models.segmentation.lraspp.lraspp_mobilenet_v3_large",
        "torchvision.models.detection.ssdlite.ssdlite320_mobilenet_v3_large",
        "timm.models.mobilenetv3.mobilenetv3_small_050",
        "torchmetrics.image.fid.FrechetInceptionDistance",
        "torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity",
    ]


@pytest.mark.slow
def test_no_builder_that_a_file_may_name_gets_out(
    server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = server
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "TORCH_HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    tried = 0
    for name in listed():
        module, _, attribute = name.rpartition(".")
        target = getattr(__import__(module, fromlist=[attribute]), attribute)
        for arguments in hostile(target, url, tmp_path):
            built_of({"_target_": name, **arguments})
            tried += 1
    assert tried > 500
    assert not asked
    assert not list(tmp_path.iterdir())
