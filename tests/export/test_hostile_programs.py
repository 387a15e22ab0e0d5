"""A .pt2 file from a stranger: what torch would unpickle, evaluate or call is refused before torch sees it.

Each of these files is what `vision-apps export` wrote but for one thing.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile import (
    CODE,
    MODEL,
    PICKLE,
    archive,
    members,
    refused,
    with_json,
    with_node,
    with_text,
)
from hypothesis import example, given
from hypothesis import strategies as st

from vision_apps.core.errors import CheckpointError
from vision_apps.core.fields import ImageInputs
from vision_apps.trained import evaluate, exported_program

WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
UNTOUCHED = r"holds more than tensor operations and was refused without being executed: "


def test_what_is_not_changed_is_read(good: Path) -> None:
    """The others are refused for what is changed in them, and not for how they are packed here."""
    images = torch.randint(256, (2, 3, 9, 12), dtype=torch.uint8)
    with torch.inference_mode():
        one = evaluate.load(str(good / "model.pt2")).predictor().answer(ImageInputs(images))
        other = evaluate.load(archive(members(good))).predictor().answer(ImageInputs(images))
    assert torch.equal(one.scores, other.scores)


# ---- pickles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [WEIGHTS, CONSTANTS])
def test_a_pickled_tensor(config: str, good: Path) -> None:
    weight = json.loads(members(good)[WEIGHTS])["config"]["module.network.head.bias"]
    name = "weight_0" if config == WEIGHTS else "tensor_0"
    parts = members(good)
    entry = {**weight, "use_pickle": True, "path_name": name}
    parts[config] = json.dumps({"config": {"module.network.head.bias": entry}}).encode()
    parts[f"{Path(config).parent}/{name}"] = PICKLE
    refused(archive(parts), UNTOUCHED + r"module\.network\.head\.bias is pickled")
    for truth in (1, "false", [0]):  # what Python takes for true
        entry["use_pickle"] = truth
        parts[config] = json.dumps({"config": {"module.network.head.bias": entry}}).encode()
        refused(archive(parts), UNTOUCHED + r"module\.network\.head\.bias is pickled")


@pytest.mark.parametrize(
    "name", ["custom_obj_0", "opaque_obj_0", "../weights/weight_0", "tensor_0\n", "model.pt"]
)
def test_a_pickled_object_among_the_constants(name: str, good: Path) -> None:
    parts = members(good)
    entry = {"path_name": name, "is_param": False, "use_pickle": False, "tensor_meta": None}
    parts[CONSTANTS] = json.dumps({"config": {"thing": entry}}).encode()
    refused(archive(parts), UNTOUCHED + "thing is pickled")
    parts[f"data/constants/{name}"] = PICKLE
    refused(archive(parts), UNTOUCHED)


def test_pickled_sample_inputs(good: Path) -> None:
    parts = {**members(good), "data/sample_inputs/model.pt": PICKLE}
    refused(archive(parts), UNTOUCHED + "it has pickled sample inputs")


# ---- the archive -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "data/weights/model.pt",  # torch's former format: a pickle of all weights
        "data/constants/model.pt",
        "data/aotinductor/model/code.so",  # a library
        "data/executorch/model.pte",
        "data/sample_inputs/other.pt",
        "models/other.json",
        "models/model.json/other",
        "extra/../../outside.json",
        "data.pkl",
        "MODELS/model.json",  # the reader does not tell these apart
        "models/model.json\n",
    ],
)
def test_something_else_in_the_archive(name: str, good: Path) -> None:
    refused(archive({**members(good), name: PICKLE}), UNTOUCHED + "it has ")


@pytest.mark.parametrize("first", [True, False])
def test_the_same_name_twice(first: bool, good: Path) -> None:
    """One of them would be looked at, and the other used."""
    parts = members(good)
    bad = parts[MODEL].replace(b"torch.ops.aten.conv2d.default", b"torch.ops.aten.save.default")
    pairs = list(parts.items())
    pairs.insert(0 if first else len(pairs), (MODEL, bad))
    with pytest.warns(UserWarning, match="Duplicate name"):
        place = archive(pairs)
    refused(place, UNTOUCHED + "it has 'models/model.json'")


def test_two_folders(good: Path) -> None:
    place = archive(members(good))
    with zipfile.ZipFile(place, "a") as file:
        file.writestr(f"other/{MODEL}", b"{}")
    refused(place, "is truncated, damaged or not what its name says|it has ")


@pytest.mark.parametrize("name", [MODEL, WEIGHTS, CONSTANTS, "data/sample_inputs/model.pt", "archive_format"])
def test_something_is_missing(name: str, good: Path) -> None:
    parts = members(good)
    del parts[name]
    refused(archive(parts), "is truncated, damaged or not what its name says: ")


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"config": 3}', b"\xff"])
@pytest.mark.parametrize("name", [MODEL, WEIGHTS, CONSTANTS])
def test_something_else_as_description(name: str, text: bytes, good: Path) -> None:
    refused(archive({**members(good), name: text}), "is truncated, damaged or not what its name says: ")


# ---- what a node calls -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "eval",
        "torch.load",
        "torch.hub.load",
        "torch.ops.load_library",
        "torch.serialization.os.system",
        "torch.ops.image.read_file.default",  # torchvision reads and writes files
        "torch.ops.aten.from_file.default",  # maps a file
        "torch.ops.aten.from_file.out",
        "torch.ops.aten.save.default",  # TorchScript's: writes a file
        "torch.ops.aten.warn.default",
        "torch.ops.aten.__class__.mro",  # of the Python object that stands for the operators
        "torch.ops.aten.__getattribute__.__call__",
        "torch.ops.aten.add.__call__",
        "torch.ops.aten.add.op",
        "torch.ops.aten.nothing.default",
        "torch.ops.aten.add.default.__globals__",
        "torch.ops.aten.add.Tensor\n",
        "torch.ops.higher_order.cond",
        "_operator.attrgetter",
        "_operator.methodcaller",
        "_operator.setitem",
        "math.__loader__",
        "#triton:kernel",
        ["torch.ops.aten.add.Tensor"],
        None,
    ],
)
def test_a_call_that_is_no_operation_on_tensors(target: Any, good: Path) -> None:
    place = with_node(good, target, {"as_string": CODE})
    refused(place, UNTOUCHED + "a node calls ")


def test_what_it_calls_is_named(good: Path) -> None:
    refused(with_node(good, "os.system"), UNTOUCHED + "a node calls 'os.system'; use a file that vision-apps")


@pytest.mark.parametrize(
    "argument",
    [
        {"as_operator": "torch.hub.load"},
        {"as_custom_obj": {"name": "x", "class_fqn": "os.system"}},
        {"as_graph": {"name": "x", "graph": {"inputs": [], "outputs": [], "nodes": [], "tensor_values": {}}}},
        {"as_string_to_argument": {"x": {"as_operator": "torch.hub.load"}}},
        {"as_int_lists": [[1]]},
    ],
)
def test_an_argument_that_is_no_value(argument: dict[str, Any], good: Path) -> None:
    (kind,) = argument
    refused(
        with_node(good, "torch.ops.aten.relu.default", dict(argument)), UNTOUCHED + f"a node takes {kind}"
    )


# ---- names, which torch writes into source code ------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("images", f"images={CODE}"),  # the default of an argument: executed as the file is read
        ("images", f"images: {CODE}"),
        ("div", f"x = {CODE}; div"),
        ("div", "div\n"),
        ("div", "torch.load"),  # a value that would be put in the place of a function
        ("module.network.head.bias", f'bias", {CODE}) or getattr(self, "bias'),
        ("s34", CODE),
    ],
)
def test_a_name_that_is_code(old: str, new: str, good: Path) -> None:
    model = members(good)[MODEL].decode()
    symbol = next(iter(json.loads(model)["range_constraints"]))
    refused(with_text(good, symbol if old == "s34" else old, new), UNTOUCHED + "it has the name ")


def test_an_argument_whose_name_is_code(good: Path) -> None:
    place = with_node(good, "_operator.add", {"name": f"a={CODE}, b", "as_int": 1, "kind": 2})
    refused(place, UNTOUCHED + "it has the name ")
    refused(with_node(good, "_operator.add", {"as_int": 1}, name=f"x={CODE}"), UNTOUCHED + "it has the name ")


def signature(model: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = model["graph_module"]["module_call_graph"][0]["signature"]
    return found


@pytest.mark.parametrize("name", [f"images={CODE}", f"images: {CODE}", "*images, **rest"])
def test_an_argument_of_the_whole_whose_name_is_code(name: str, good: Path) -> None:
    place = with_json(good, MODEL, lambda model: signature(model).update(forward_arg_names=[name]))
    refused(place, UNTOUCHED + "it has the name ")


@pytest.mark.parametrize("which", ["in_spec", "out_spec"])
@pytest.mark.parametrize(
    ("kind", "context"),
    [
        ("collections.namedtuple", '"os.system"'),
        ("collections.OrderedDict", "[]"),
        ("os.system", "null"),
        ("builtins.dict", json.dumps([f"a': {CODE}, 'b"])),  # keys become source code
        (["builtins.tuple"], "null"),
    ],
)
def test_arguments_and_results_of_another_kind(which: str, kind: Any, context: str, good: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        spec = json.loads(signature(model)[which])
        spec[1]["children_spec"].append({"type": kind, "context": context, "children_spec": []})
        signature(model)[which] = json.dumps(spec)

    refused(with_json(good, MODEL, change), UNTOUCHED + "it takes or gives ")


@pytest.mark.parametrize("where", ["node", "graph"])
@pytest.mark.parametrize("name", ["stack_trace", "source_fn_stack", "from_node", "custom"])
def test_metadata(where: str, name: str, good: Path) -> None:
    """Some of it names functions, which are looked up, or is written beside the source code."""

    def change(model: dict[str, Any]) -> None:
        module = model["graph_module"]
        (module if where == "graph" else module["graph"]["nodes"][0])["metadata"] = {name: f"\n{CODE}\n"}

    refused(with_json(good, MODEL, change), UNTOUCHED + "it has metadata")


# ---- sizes and guards, which are evaluated -----------------------------------------------------------------


def test_guards(good: Path) -> None:
    place = with_json(good, MODEL, lambda model: model.update(guards_code=[CODE]))
    refused(place, UNTOUCHED + "it has guards, which are Python code")


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        f"Add(1, {CODE})",
        f"Integer({CODE!r})",
        f"Symbol({CODE!r})",
        f"Symbol('s1', {CODE!r})",
        f"Symbol(name={CODE!r})",
        "Symbol('s1').__class__",
        "s1.free_symbols",
        "s1[0]",
        "(lambda: 1)()",
        "[x for x in (1,)]",
        "Add(*(1, 2))",
        "Max(**{'a': 1})",
        "f'{s1}'",
        "s1 if s1 else s2",
        "open('executed', 'w')",
        "sympify('1')",
        "__import__",
        "os",
        "s1; s2",
        "s1 = 2",
        "",
        "(" * 1000,
        3,
        None,
    ],
)
def test_a_size_that_is_more_than_arithmetic(text: Any, good: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        sizes = model["graph_module"]["graph"]["tensor_values"]["images"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = text

    refused(with_json(good, MODEL, change), UNTOUCHED + "a size is ")


@pytest.mark.parametrize("field", ["hint", "min_val"])
def test_a_number_that_is_text(field: str, good: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        if field == "min_val":
            next(iter(model["range_constraints"].values()))["min_val"] = CODE
            return
        sizes = model["graph_module"]["graph"]["tensor_values"]["images"]["sizes"]
        sizes[0]["as_expr"]["hint"] = {"as_int": CODE}

    refused(with_json(good, MODEL, change), UNTOUCHED + "it has the name ")


SIZES = st.recursive(
    st.sampled_from(["Integer(2)", "Integer(-3)", "Symbol('s34', positive=True, integer=True)", "s1"]),
    lambda inner: st.builds(
        "{}({}, {})".format, st.sampled_from(["Add", "Mul", "Max", "FloorDiv", "Mod"]), inner, inner
    ),
    max_leaves=5,
)


@given(SIZES)
@example("Mul(Integer(2), Max(Integer(1), Add(Symbol('s14', positive=True, integer=True), Integer(-2))))")
@example("Rational(1, 2)*s0 - 4**2/s1")
def test_sizes_as_torch_writes_them(text: str) -> None:
    assert exported_program._is_arithmetic(text)


# ---- bytes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "meta",
    [
        {"sizes": [{"as_int": 1_000_000}]},
        {"storage_offset": {"as_int": 1_000_000}},
        {"storage_offset": {"as_int": -8}},
        {"strides": [{"as_int": 1_000_000}]},
        {"strides": [{"as_int": -1}]},
        {"sizes": [{"as_int": 2**62}], "strides": [{"as_int": 2**62}]},
        {"dtype": 99},
        {"sizes": [{"as_expr": {"expr_str": "s1", "hint": None}}]},
    ],
)
def test_a_weight_that_claims_other_bytes_than_its_own(meta: dict[str, Any], good: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["config"]["module.network.head.bias"]["tensor_meta"].update(meta)

    refused(with_json(good, WEIGHTS, change), "is truncated, damaged or not what its name says: ")


def in_seven_groups(model: dict[str, Any]) -> None:
    for node in model["graph_module"]["graph"]["nodes"]:
        if node["target"] == "torch.ops.aten.conv2d.default":
            node["inputs"].append({"name": "groups", "arg": {"as_int": 7}, "kind": 2})


def test_what_cannot_be_computed(good: Path) -> None:
    """It is found when the graph is used, and is told as the file's fault."""
    answer = evaluate.load(with_json(good, MODEL, in_seven_groups)).predictor().answer
    with pytest.raises(CheckpointError, match=r"^bad\.pt2 cannot be computed: .*groups=7"):
        answer(ImageInputs(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)))
