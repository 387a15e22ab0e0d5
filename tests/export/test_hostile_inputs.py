"""Files from strangers that say or take other inputs than the application does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hostile import MODEL, description, refused, save_onnx, with_description, with_json, with_text

from vision_apps.core.errors import CheckpointError
from vision_apps.trained import evaluate

GRAPHS = [".onnx", ".pt2"]
Change = Callable[[list[dict[str, Any]]], Any]


def described(worded: Path, suffix: str, change: Change) -> str:
    """A file whose description of its inputs is changed, in place."""
    content = description(worded, suffix)
    change(content["inputs"])
    return with_description(worded, json.dumps(content), suffix)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", GRAPHS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda inputs: inputs.reverse(),
            r"questions \(int64, 2 dimensions\), images \(uint8, 4 dimensions\)",
        ),
        (lambda inputs: inputs.pop(), r"images \(uint8, 4 dimensions\)"),
        (lambda inputs: inputs.pop(0), r"questions \(int64, 2 dimensions\)"),
        (lambda inputs: inputs[1].update(name="answers"), r".*, answers \(int64, 2 dimensions\)"),
        (lambda inputs: inputs[1].update(dtype="float32"), r".*, questions \(float32, 2 dimensions\)"),
        (lambda inputs: inputs[1].update(shape=["batch"]), r".*, questions \(int64, 1 dimensions\)"),
        (lambda inputs: inputs[0].update(shape=[]), r"images \(uint8, 0 dimensions\), .*"),
        (
            lambda inputs: inputs.append({"name": "more", "dtype": "uint8", "shape": ["batch"]}),
            r".*, more \(uint8, 1 dimensions\)",
        ),
    ],
)
def test_a_description_of_other_inputs_than_the_graph_takes(
    suffix: str, change: Change, said: str, worded: Path
) -> None:
    true = r"images \(uint8, 4 dimensions\), questions \(int64, 2 dimensions\)"
    told = rf"gives \w+, \w+ of {true}, its description says scores, chosen of {said}"
    refused(described(worded, suffix, change), rf"^bad\{suffix}: {told}$")


@pytest.mark.parametrize("suffix", [*GRAPHS, ".safetensors"])
def test_a_size_below_zero(suffix: str, worded: Path) -> None:
    path = described(worded, suffix, lambda inputs: inputs[1].update(shape=["batch", -5]))
    refused(path, r"its description is not one that vision-apps export writes$")


@pytest.mark.parametrize("suffix", [*GRAPHS, ".safetensors"])
def test_a_name_twice(suffix: str, worded: Path) -> None:
    def change(inputs: list[dict[str, Any]]) -> None:
        inputs[1]["name"] = "images"

    refused(described(worded, suffix, change), r"its description is not one that vision-apps export writes$")


@pytest.mark.parametrize("name", ["answers", "scores", "_fields", "__class__"])
def test_an_input_that_the_application_does_not_know(name: str, worded: Path) -> None:
    """The file agrees with itself."""
    content = description(worded, ".pt2")
    content["inputs"][1]["name"] = name
    Path(with_text(worded, "questions", name)).rename("model.pt2")
    place = with_description(Path(), json.dumps(content), ".pt2")
    Path("model.pt2").unlink()
    refused(
        place,
        rf"of images \(uint8, 4 dimensions\), {name} \(int64, 2 dimensions\), which this Asks does not know",
    )


def test_an_application_that_takes_other_inputs(good: Path, worded: Path) -> None:
    """Each file agrees with itself, and names the other's application."""
    for one, other, told in ((good, worded, "Asks"), (worded, good, "Tiny")):
        config = evaluate.load(str(other / "model.pt2")).checkpoint["config"]
        content = {**evaluate.load(str(one / "model.pt2")).checkpoint, "config": config}
        for suffix in GRAPHS:
            refused(
                with_description(one, json.dumps(content), suffix),
                f"which this {told} does not know; use the",
            )


def test_a_graph_with_an_input_of_another_rank(worded: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        value = model["graph_module"]["graph"]["tensor_values"]["questions"]
        for part in ("sizes", "strides"):
            value[part].append({"as_int": 1})

    refused(with_json(worded, MODEL, change), r"questions \(int64, 3 dimensions\), its description says")


def test_a_graph_with_an_input_that_is_no_tensor(worded: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        model["graph_module"]["graph"]["inputs"][-1] = {"as_int": 3}

    refused(
        with_json(worded, MODEL, change), r"is truncated, damaged or not what its name says: |its description"
    )


def test_the_signature_of_a_program_names_another_input(worded: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        entries = model["graph_module"]["signature"]["input_specs"]
        (last,) = [entry for entry in entries if "questions" in json.dumps(entry)]
        last["user_input"]["arg"]["as_tensor"]["name"] = "images"

    refused(
        with_json(worded, MODEL, change),
        r"is truncated, damaged|of images .*, images .*, its description says",
    )


@pytest.mark.parametrize("count", [1, 3])
def test_arguments_of_another_number(count: int, worded: Path) -> None:
    """It is found when the graph is used: what stands around it takes other arguments than it does."""

    def change(model: dict[str, Any]) -> None:
        signature = model["graph_module"]["module_call_graph"][0]["signature"]
        spec = json.loads(signature["in_spec"])
        leaf = spec[1]["children_spec"][0]["children_spec"][0]
        spec[1]["children_spec"][0]["children_spec"] = [leaf] * count
        signature["in_spec"] = json.dumps(spec)
        signature["forward_arg_names"] = ["a", "b", "c"][:count]

    place = with_json(worded, MODEL, change)
    module = evaluate.load(str(worded / "model.pt2")).predictor().module
    with pytest.raises(CheckpointError, match=rf"^{place} "):
        evaluate.load(place).predictor().answer(module.example())


def test_an_onnx_input_that_is_not_promised(worded: Path) -> None:
    model = onnx.load(worded / "model.onnx")
    model.graph.input.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, ["batch"]))
    save_onnx(model, "bad.onnx")
    refused(
        "bad.onnx", r"questions \(int64, 2 dimensions\), more \(float32, 1 dimensions\), its description says"
    )


def test_an_onnx_input_that_is_no_tensor(worded: Path) -> None:
    model = onnx.load(worded / "model.onnx")
    value = onnx.helper.make_tensor_sequence_value_info("more", onnx.TensorProto.FLOAT, ["batch"])
    model.graph.input.append(value)
    save_onnx(model, "bad.onnx")
    refused(
        "bad.onnx",
        r"more \(seq\(tensor\(float\)\), 0 dimensions\), its description says",
    )
