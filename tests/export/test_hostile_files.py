"""ONNX and safetensors files from strangers, and what a description may say in any format."""

import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import pytest
import tiny
import torch
from hostile import description, refused, save_onnx, with_description, with_json
from safetensors.torch import load_file, save_file

from vision_apps.cli import main
from vision_apps.core.errors import CheckpointError
from vision_apps.core.fields import ImageInputs
from vision_apps.trained import evaluate, exported
from vision_apps.trained.description import KEY, VERSION

SUFFIXES = tuple(tiny.FORMATS.values())
Described = Callable[[str | None, str], str]
SAVE = {
    "_target_": "vision_apps.applications.colorization.rebalancing.save_prior",
    "path": "victim.npy",
    "prior": None,
}


@pytest.fixture
def described(good: Path) -> Described:
    """Writes a file with another description, or with none, and returns its name."""
    return partial(with_description, good)


# ---- bytes -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated(share: float, suffix: str, good: Path) -> None:
    whole = (good / f"model{suffix}").read_bytes()
    Path(f"bad{suffix}").write_bytes(whole[: int(share * len(whole))])
    refused(f"bad{suffix}", r"is truncated, damaged or not what its name says: .")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("seed", range(5))
def test_noise(seed: int, suffix: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(256, (10 ** (seed + 1),), generator=generator, dtype=torch.uint8)
    Path(f"bad{suffix}").write_bytes(noise.numpy().tobytes())
    refused(f"bad{suffix}", r"is truncated, damaged or not what its name says: .")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_wrong_byte(suffix: str, good: Path) -> None:
    """Wherever it is, the file is read or refused, and nothing else happens."""
    whole = (good / f"model{suffix}").read_bytes()
    generator = torch.Generator().manual_seed(0)
    outcomes = set()
    for place in torch.randint(len(whole), (60,), generator=generator).tolist():
        Path(f"bad{suffix}").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            evaluate.load(f"bad{suffix}").predictor()
            outcomes.add("read")
        except CheckpointError:
            outcomes.add("refused")
    assert "refused" in outcomes
    assert tiny.here() == {f"bad{suffix}"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("other", SUFFIXES)
def test_of_another_format(suffix: str, other: str, good: Path) -> None:
    Path(f"bad{suffix}").write_bytes((good / f"model{other}").read_bytes())
    if suffix == other:
        assert evaluate.load(f"bad{suffix}").predictor()
    else:
        refused(f"bad{suffix}", r"is truncated, damaged or not what its name says: .")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_there(suffix: str) -> None:
    with pytest.raises(CheckpointError, match=rf"^gone{suffix} does not exist"):
        evaluate.load(f"gone{suffix}")
    with pytest.raises(CheckpointError, match=rf"^gone{suffix} does not exist$"):
        exported.load(Path(f"gone{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_command_says_it_in_one_line(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(f"bad{suffix}").write_bytes(b"noise")
    assert main(["predict", f"bad{suffix}", tiny.picture(), "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: bad{suffix} is truncated, damaged or not what its name says: ")
    assert said.count("\n") == 1
    assert not Path("out").exists()


# ---- the description, in every format ----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_description(suffix: str, described: Described) -> None:
    refused(
        described(None, suffix),
        r"^bad\.\w+ was not written by vision-apps export: it carries no description; make one with "
        r"vision-apps export RUN$",
    )


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"text"', "null", "{}", "[" * 10_000, "NaN"])
def test_a_description_that_cannot_be_read(text: str, suffix: str, described: Described) -> None:
    refused(described(text, suffix), r"^bad\.\w+: its description cannot be read ")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_format(suffix: str, good: Path, described: Described) -> None:
    content = {**description(good, suffix), "format_version": VERSION + 1, "vision_apps": "9.0"}
    refused(
        described(json.dumps(content), suffix),
        rf"^bad\.\w+: format {VERSION + 1} is newer than what this version reads \({VERSION}\); pip install "
        r"--upgrade vision-apps \(it was written by 9\.0\)$",
    )
    content = {"format_version": 1, "config": {}, "facts": {}, "input": TAKES, "outputs": []}
    refused(
        described(json.dumps(content), suffix),
        rf"^bad\.\w+: format 1 is older than what this version reads \({VERSION}\); export the run again: "
        r"vision-apps export RUN$",
    )


TAKES = {"name": "images", "dtype": "uint8", "shape": ["batch", 3, "height", "width"]}
GIVES = {"name": "scores", "dtype": "float32", "shape": ["batch", 2]}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "change",
    [
        {"config": None},
        {"config": []},
        {"facts": 3},
        {"inputs": None},
        {"inputs": "images"},
        {"inputs": TAKES},
        {"inputs": []},
        {"inputs": ["images"]},
        {"inputs": [{**TAKES, "name": None}]},
        {"inputs": [{**TAKES, "dtype": 3}]},
        {"inputs": [{**TAKES, "shape": "1388"}]},
        {"inputs": [{**TAKES, "shape": [1, 3, 8, None]}]},
        {"inputs": [{**TAKES, "shape": [1, 3, 8, [8]]}]},
        {"inputs": [{"name": "images", "dtype": "uint8"}]},
        {"inputs": [{"dtype": "uint8", "shape": [1, 3, 8, 8]}]},
        {"inputs": [TAKES, TAKES]},
        {"outputs": None},
        {"outputs": ["scores"]},
        {"outputs": [{**GIVES, "name": 3}]},
        {"outputs": [GIVES, GIVES]},
        {"format_version": "1"},
        {"format_version": None},
    ],
)
def test_a_description_that_lacks_something(
    change: dict[str, Any], suffix: str, good: Path, described: Described
) -> None:
    text = json.dumps({**description(good, suffix), **change})
    refused(
        described(text, suffix), r"^bad\.\w+: its description (cannot be read|is not one that vision-apps)"
    )


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("part", "node"),
    [
        ("model", {"_target_": "os.system", "command": "touch executed"}),
        ("model", {"_target_": "torch.load", "f": "bad.onnx"}),
        ("model", {"_target_": "tiny.Net", "deep": [{"_target_": "os.mkdir", "_args_": ["executed"]}]}),
        ("model", {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "executed"}),
        ("model", {"_target_": "timm.create_model", "_args_": ["resnet18", True, {"file": "executed"}]}),
        ("model", {**SAVE, "prior": {"_target_": "torch.nn.Identity"}}),
        ("module", {"_target_": "builtins.eval", "_args_": ["1"]}),
        ("module", {"_target_": "torch.nn.Identity"}),  # a network, but no application
        ("module", "tiny.Tiny"),
    ],
)
def test_a_description_that_names_what_is_no_network(
    part: str, node: Any, suffix: str, good: Path, described: Described
) -> None:
    content = description(good, suffix)
    content["config"][part] = node
    refused(
        described(json.dumps(content), suffix),
        r"^bad\.\w+: (what its config describes cannot be built: |its config describes no 'module' with a)",
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_data_are_not_built(suffix: str, good: Path, described: Described) -> None:
    content = description(good, suffix)
    content["config"]["data"] = {"_target_": "os.mkdir", "path": "executed"}
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    with torch.inference_mode():
        assert evaluate.load(described(json.dumps(content), suffix)).predictor().answer(
            ImageInputs(images)
        ).scores.shape == (1, 2)
    assert not Path("executed").exists()


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_answers_that_the_application_does_not_know(suffix: str, good: Path, described: Described) -> None:
    content = description(good, suffix)
    content["outputs"][0]["name"] = "secret"
    told = (
        r"gives secret, chosen of images \(uint8, 4 dimensions\), which this Tiny does not know"
        if suffix == ".pt2"
        else "its description says"
    )
    refused(described(json.dumps(content), suffix), told)


@pytest.mark.parametrize("names", [[], ["scores"], ["scores", "chosen", "more"]])
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_fewer_or_more_answers_than_promised(
    suffix: str, names: list[str], good: Path, described: Described
) -> None:
    content = {**description(good, suffix), "outputs": [{**GIVES, "name": name} for name in names]}
    refused(
        described(json.dumps(content), suffix),
        rf"^bad\{suffix}: gives \w+, \w+ of images \(.+\), its description says {', '.join(names)} of images",
    )


# ---- ONNX --------------------------------------------------------------------------------------------------


def elsewhere(tensor: Any, location: str) -> None:
    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../secret", "beside", "link", "/dev/zero", "", "*/_ORT_MEM_ADDR_/*"]
)
def test_weights_in_other_files(location: str, good: Path) -> None:
    Path("beside").write_bytes(bytes(1000))
    Path("link").symlink_to("/etc/passwd")
    model = onnx.load(good / "model.onnx")
    elsewhere(model.graph.initializer[0], location)
    save_onnx(model, "bad.onnx")
    refused("bad.onnx", r"^bad\.onnx takes weights from other files and was refused without reading them; ")


def test_weights_in_other_files_deep_in_the_graph(good: Path) -> None:
    Path("beside").write_bytes(bytes(1000))
    model = onnx.load(good / "model.onnx")
    value = onnx.helper.make_tensor("value", onnx.TensorProto.FLOAT, [2], bytes(8), raw=True)
    elsewhere(value, "beside")
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Constant", [], ["y"], value=value)], "inner", [], []
    )
    always = onnx.helper.make_node("If", ["images"], ["z"], then_branch=inner, else_branch=inner)
    model.graph.node.append(always)
    save_onnx(model, "bad.onnx")
    refused("bad.onnx", r"takes weights from other files")


def test_an_operator_of_somebody(good: Path) -> None:
    model = onnx.load(good / "model.onnx")
    model.graph.node[0].domain = "somebody"
    save_onnx(model, "bad.onnx")
    refused("bad.onnx", r"is truncated, damaged or not what its name says: ")


def test_an_input_of_another_type(good: Path) -> None:
    model = onnx.load(good / "model.onnx")
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to":
                attribute.i = onnx.TensorProto.FLOAT
    save_onnx(model, "bad.onnx")
    refused("bad.onnx", r"of images \(float32, 4 dimensions\), its description .* \(uint8, 4 dimensions\)$")


# ---- safetensors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "aliases",
    [["a"], "a", 3, {"a": 3}, {"a": None}, {"a": ["network.head.bias"]}, {"a": {"b": "c"}}],
)
def test_aliases_that_are_no_names(aliases: Any, good: Path, described: Described) -> None:
    content = {**description(good, ".safetensors"), "aliases": aliases}
    refused(
        described(json.dumps(content), ".safetensors"), "its description is not one that vision-apps export"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("network.head.bias"),
        lambda state: state.update(other=torch.ones(1)),
        lambda state: state.update({"network.head.bias": torch.ones(3)}),
    ],
)
def test_weights_that_do_not_fit(change: Callable[[Any], Any], good: Path) -> None:
    state = load_file(good / "model.safetensors")
    change(state)
    text = json.dumps(description(good, ".safetensors"))
    save_file(state, "bad.safetensors", metadata={KEY: text})
    refused("bad.safetensors", r"^bad\.safetensors: the weights do not fit")


def test_an_alias_of_what_is_not_there(good: Path, described: Described) -> None:
    content = {**description(good, ".safetensors"), "aliases": {"network.head.bias": "gone", "more": "gone"}}
    module = evaluate.load(described(json.dumps(content), ".safetensors")).module()
    assert set(module.state_dict()) == set(load_file(good / "model.safetensors"))
    content["aliases"] = {"more": "network.head.bias"}
    refused(described(json.dumps(content), ".safetensors"), r"the weights do not fit.*\n?.*more")


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},  # less than it says
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 800]}},
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}},
        {"a": {"dtype": "OBJECT", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F4", "shape": [16], "data_offsets": [0, 8]}},
        {"__metadata__": {"vision_apps": 3}},
        [],
    ],
)
def test_a_header_that_lies(header: Any) -> None:
    text = json.dumps(header).encode()
    Path("bad.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    refused("bad.safetensors", r"is truncated, damaged|carries no description")
    Path("bad.safetensors").write_bytes(struct.pack("<Q", 2**60) + text)
    refused("bad.safetensors", r"is truncated, damaged")


def test_every_kind_of_number_that_torch_lacks(good: Path) -> None:
    """What safetensors knows and torch does not is told like any other damage."""
    text = json.dumps(description(good, ".safetensors"))
    for dtype in ("F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "C64", "BOOL", "U64"):
        bits = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8, "C64": 64, "BOOL": 8, "U64": 64}[dtype]
        entry = {"dtype": dtype, "shape": [64], "data_offsets": [0, 8 * bits]}
        header = json.dumps({"__metadata__": {KEY: text}, "network.head.bias": entry}).encode()
        Path("bad.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8 * bits))
        refused("bad.safetensors", r"is truncated, damaged|the weights do not fit")


def test_a_graph_does_not_pass_for_weights(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its description may hold what a checkpoint holds."""
    weights = {"state_dict": {"network.head.bias": 3}}
    place = with_json(good, "extra/vision_apps.json", lambda content: content.update(weights))
    for command, told in (
        (("export", place, "--out", "again.onnx"), "is an exported network already"),
        (("test", place), "holds an exported network"),
    ):
        assert main(list(command)) == 2
        assert told in capsys.readouterr().err
