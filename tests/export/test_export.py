"""What `vision-apps export` refuses, what it leaves behind, and what can still be chosen of its files."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from tiny import FORMATS, checkpoint, exported, here

from vision_apps.cli import main
from vision_apps.core.errors import CheckpointError, ConfigError, RunError
from vision_apps.core.fields import ImageInputs
from vision_apps.export import export as exporting
from vision_apps.export import writing
from vision_apps.export.export import export
from vision_apps.trained import evaluate
from vision_apps.trained import exported as reading
from vision_apps.trained.description import VERSION

GRAPHS = ["onnx", "torch-export"]
WRITERS = {"onnx": "write_onnx", "torch-export": "write_program", "safetensors": "write_weights"}


def answer(place: Path | str, *changes: str, size: tuple[int, int] = (8, 8)) -> Any:
    images = torch.randint(256, (2, 3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        return evaluate.load(str(place)).predictor(changes).answer(ImageInputs(images))


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_where_it_is_written(kind: str) -> None:
    suffix = FORMATS[kind]
    place = checkpoint("mine.ckpt")
    Path(f"there{suffix}").write_text("somebody's")
    Path("file").touch()
    for out, told in (
        ("model.bin", f"--out model.bin: a file of --format {kind} ends in {suffix}"),
        (f"there{suffix}", f"--out there{suffix} exists already; choose another name, or remove it"),
        (f"file/model{suffix}", f"--out file/model{suffix}: cannot make file: File exists"),
    ):
        with pytest.raises(ConfigError) as caught:
            export(place, kind, out)
        assert str(caught.value) == told
    assert Path(f"there{suffix}").read_text() == "somebody's"
    assert here() == {"mine.ckpt", f"there{suffix}", "file"}

    Path("below").mkdir()
    assert export(place, kind, f"below/new/MODEL{suffix.upper()}").is_file()
    assert export(place, kind) == Path(f"mine{suffix}")  # a checkpoint outside of a run
    assert {path.name for path in Path().glob("mine*")} == {"mine.ckpt", f"mine{suffix}", f"mine{suffix}.md"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_cannot_be_exported_again(kind: str) -> None:
    file = exported(kind)
    with pytest.raises(CheckpointError) as caught:
        export(str(file), "safetensors")
    assert str(caught.value) == f"{file} is an exported network already; name the run that it was made of"


def test_weights_can_be_exported_again() -> None:
    weights = exported("safetensors")
    file = export(str(weights), "torch-export", "again.pt2")
    for one, other in zip(answer("model.ckpt"), answer(file), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", GRAPHS)
@pytest.mark.parametrize(
    ("made_of", "error", "told"),
    [
        (
            {"module": "Agent"},
            ConfigError,
            r"--format KIND: Agent names no part of it that tensor operations alone compute; where that is "
            r"all of it, set self\.exportable = Exportable\(self\.forward, Answer, notes\), and where a loop "
            r"over words or an agent answers, there is none\. Possible here: "
            r"--format safetensors, the weights, with which vision-apps predict gives the same answers",
        ),
        (
            {"module": "Refuses"},
            ConfigError,
            r"--format KIND: Net is asked word by word\. Possible here: --format safetensors, .+",
        ),
        (
            {"network": "Branches"},
            RunError,
            r"Branches cannot be traced: .+\nits weights can be exported: --format safetensors",
        ),
    ],
)
def test_what_has_no_graph(
    made_of: dict[str, str],
    error: type[Exception],
    told: str,
    kind: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    place = checkpoint("mine.ckpt", **made_of)
    with pytest.raises(error) as caught:
        export(place, kind)
    assert re.fullmatch(told.replace("KIND", kind), str(caught.value))
    out, err = capfd.readouterr()  # the exporters of torch print graphs and logs
    begun = error is RunError  # it was tried
    assert err == "" and re.fullmatch(rf"({kind}: writing mine\.\w+\n){{{int(begun)}}}", out)
    assert here() == {"mine.ckpt"}
    file = export(place, "safetensors")
    for one, other in zip(answer(place), answer(file), strict=True):
        assert torch.equal(one, other)


def test_an_operation_that_onnx_lacks() -> None:
    place = checkpoint("mine.ckpt", network="Rare")
    with pytest.raises(RunError) as caught:
        export(place, "onnx")
    assert re.fullmatch(
        r"the network cannot be written as ONNX: No ONNX function found for .*bessel_j0.*\n"
        "other formats are --format torch-export and --format safetensors",
        str(caught.value),
    )
    assert here() == {"mine.ckpt"}
    assert export(place, "torch-export") == Path("mine.pt2")


@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime", "onnx_ir"])
def test_packages_that_are_not_there(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = checkpoint("mine.ckpt")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError) as caught:
        export(place, "onnx")
    assert str(caught.value) == f"--format onnx needs {package}: pip install 'vision-apps[onnx]'"
    assert here() == {"mine.ckpt"}


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_packages_that_read_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("model.onnx").touch()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError) as caught:
        evaluate.load("model.onnx")
    assert str(caught.value) == f"model.onnx needs {package}: pip install 'vision-apps[onnx]'"


# ---- what answers otherwise --------------------------------------------------------------------------------


def spoil(kind: str, patch: pytest.MonkeyPatch) -> None:
    """The file gets another bias of the head than the network has."""
    original = getattr(writing, WRITERS[kind])

    def write(made: Any, content: Any, path: Path) -> None:
        if kind == "safetensors":
            made = {name: value + 0.5 * (name == "network.head.bias") for name, value in made.items()}
        else:
            name = "module.network.head.bias"  # the tensor is the module's own: it is exchanged, not changed
            made.state_dict[name] = torch.nn.Parameter(made.state_dict[name] + 0.5)
        original(made, content, path)

    patch.setattr(writing, WRITERS[kind], write)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_answers_otherwise_is_removed(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = checkpoint("mine.ckpt")
    before = torch.load(place, weights_only=True)["state_dict"]["network.head.bias"]
    spoil(kind, monkeypatch)
    with pytest.raises(RunError) as caught:
        export(place, kind)
    wrong = "weights, scores" if kind == "safetensors" else "scores"  # both scores rise: the same is chosen
    others = ", ".join(f"--format {name}" for name in FORMATS if name != kind)
    assert str(caught.value) == (
        f"the file does not answer as the network does: {wrong} above; it was removed. Another format may "
        f"do: {others}"
    )
    told = capsys.readouterr().out
    assert "  scores: largest difference 0.5 (allowed: 0.0001)\n" in told
    if kind == "safetensors":
        assert f"  weights: {len(before)} of 122 values differ (allowed: none)\n" in told
    assert here() == {"mine.ckpt"}


def test_an_output_of_another_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    place = checkpoint("mine.ckpt")
    load = evaluate.load

    def shorter(where: str) -> evaluate.Trained:
        trained = load(where)
        graph = trained.graph
        return trained._replace(graph=graph and (lambda images: (graph(images)[0][:, :1], graph(images)[1])))

    monkeypatch.setattr(evaluate, "load", shorter)
    with pytest.raises(
        RunError, match=r"scores: the network gives torch.float32 \[1, 2\], the file .*\[1, 1\]"
    ):
        export(place, "torch-export")
    assert here() == {"mine.ckpt"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interrupted_while_writing(
    kind: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = checkpoint("mine.ckpt")
    original = getattr(writing, WRITERS[kind])

    def write(made: Any, content: Any, path: Path) -> None:
        original(made, content, path)
        os.truncate(path, 100)
        assert len(here()) == 2  # it has been begun
        raise error

    monkeypatch.setattr(writing, WRITERS[kind], write)
    with pytest.raises(error):
        export(place, kind)
    assert here() == {"mine.ckpt"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_interrupted_while_comparing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what an earlier export wrote stays as it was."""
    file = exported(kind)
    before = {name: Path(name).read_bytes() for name in here()}

    def interrupt(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "_compare", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export("model.ckpt", kind)
    assert {name: Path(name).read_bytes() for name in here()} == before
    assert str(file) in before


# ---- what is in the file -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_changes_are_inside_of_the_file(kind: str) -> None:
    place = checkpoint("mine.ckpt")
    file = export(place, kind, changes=["module.gain=3"])
    scores = answer(place).scores
    torch.testing.assert_close(answer(file).scores, 3 * scores)
    torch.testing.assert_close(answer(file, "module.least=0").scores, (3 * scores).clamp(min=0))
    if kind == "safetensors":
        torch.testing.assert_close(answer(file, "module.gain=2").scores, 2 * scores)
        return
    with pytest.raises(ConfigError) as caught:
        answer(file, "module.least=0", "module.gain=2")
    assert str(caught.value) == (
        f"module.gain: {file} has it inside; what can still be chosen is: module.least. To change it, export "
        "the run again: vision-apps export RUN module.gain=2"
    )


def test_a_change_that_the_module_does_not_know() -> None:
    with pytest.raises(ConfigError, match=r"module\.gian: .* did you mean 'module\.gain'"):
        export(checkpoint("mine.ckpt"), "onnx", changes=["module.gian=3"])
    assert here() == {"mine.ckpt"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRAPHS)
def test_any_size_where_the_network_takes_any(kind: str) -> None:
    file = exported(kind)
    content = evaluate.load(str(file)).checkpoint
    assert content["inputs"] == [
        {"name": "images", "dtype": "uint8", "shape": ["batch", 3, "height", "width"]}
    ]
    assert content["outputs"] == [
        {"name": "scores", "dtype": "float32", "shape": ["batch", 2]},
        {"name": "chosen", "dtype": "int64", "shape": ["batch"]},
    ]
    for size in ((8, 8), (3, 3), (40, 13)):
        for one, other in zip(answer("model.ckpt", size=size), answer(file, size=size), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRAPHS)
def test_one_size_where_the_network_takes_one(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = exported(kind, network="OneSize")
    assert evaluate.load(str(file)).checkpoint["inputs"][0]["shape"] == ["batch", 3, 8, 8]
    told = f"{file} takes pictures of 8 x 8 px only, this one has 6 x 9; use the run itself for others"
    with pytest.raises(CheckpointError) as caught:
        answer(file, size=(9, 6))
    assert str(caught.value) == told
    names = [tiny.picture("good.png"), tiny.picture("long.png", 9, 6)]
    capsys.readouterr()
    assert main(["predict", str(file), *names, "--out", "out"]) == 0
    good, long = (json.loads(row) for row in Path("out/predictions.jsonl").read_text().splitlines())
    assert "chosen" in good and long == {"file": "long.png", "error": told}


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRAPHS)
def test_the_loss_is_no_part_of_a_graph(kind: str) -> None:
    file = exported(kind)
    with pytest.raises(CheckpointError, match=rf"{file} holds an exported network, and the loss is no part"):
        evaluate.test(str(file), [])


def test_nothing_of_this_machine_is_inside() -> None:
    place = checkpoint("mine.ckpt")
    home = str(Path(tiny.__file__).parents[2]).encode()
    for kind in FORMATS:
        assert home not in export(place, kind).read_bytes(), kind


@pytest.mark.parametrize("kind", FORMATS)
def test_test_data_that_cannot_be_read(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = exported(kind, broken=True)
    reason = (
        "generated samples, because the run's test data cannot be read (the disk with the pictures is away)"
    )
    said = capsys.readouterr().out
    assert f"compared on {reason}, one by one and 8 together:\n" in said
    # of generated samples an answer says little where the weights are the same to the last bit
    assert ("scores" in said) == (kind != "safetensors")
    assert f"Compared on {reason}." in Path(f"{file}.md").read_text()


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ({"_target_": "os.mkdir", "path": "executed"}, "os.mkdir is not under vision_apps, torch, "),
        ({"_target_": "torch.nn.Identity"}, "'Identity' object has no attribute 'prepare_data'"),
        (None, "'NoneType' object is not a mapping"),
        (
            {"_target_": "vision_apps.data.labels.cifar.CIFAR10", "root": "here", "download": True},
            "data.root: no CIFAR-10",  # and stays without it
        ),
    ],
)
def test_a_data_set_from_a_stranger(node: Any, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = checkpoint("mine.ckpt")
    content = torch.load(place, weights_only=True)
    torch.save({**content, "config": {**content["config"], "data": node}}, place)
    export(place, "safetensors")
    assert (
        f"generated samples, because the run's test data cannot be read ({reason}" in capsys.readouterr().out
    )
    assert {path.name for path in Path().iterdir()} == {
        "mine.ckpt",
        "mine.safetensors",
        "mine.safetensors.md",
    }


def test_a_tensor_that_has_two_names_is_kept_once() -> None:
    first = torch.tensor([1.0, 2.0])
    state = {"first": first, "second": first, "part": first[:1], "empty": torch.ones(0)}
    takes = {"name": "images", "dtype": "uint8", "shape": ["batch", 3, 8, 8]}
    content = {"format_version": VERSION, "config": {}, "facts": {}, "inputs": [takes], "outputs": []}
    writing.write_weights(state, content, Path("two.safetensors"))
    found, graph = reading.load(Path("two.safetensors"))
    assert graph is None
    assert found["aliases"] == {"second": "first"}
    assert {name: value.tolist() for name, value in found["state_dict"].items()} == {
        "first": [1, 2],
        "second": [1, 2],
        "part": [1],
        "empty": [],
    }
