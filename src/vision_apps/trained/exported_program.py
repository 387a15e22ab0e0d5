"""A ``.pt2`` file of torch.export, read without running what is in it.

``torch.export.load`` of torch 2.15 unpickles tensors, constants and sample inputs without restriction,
evaluates the expressions of its sizes as Python, writes the names of values into source code that it
compiles, and calls whatever function of torch a node names. So the file is first read as the plain data that
it is, with the same reader, and anything in it that could be more than tensor operations on raw tensors is
refused.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision.ops  # noqa: F401 - a graph may call its operators
from torch.export import ExportedProgram
from torch.export.pt2_archive._package import PT2ArchiveReader, load_pt2

from vision_apps.core.errors import CheckpointError
from vision_apps.trained.description import Entry, as_entry

_TARGETS = re.compile(
    r"torch\.ops\.(aten|torchvision)\.\w+\.\w+"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|torch\.sym_(float|int|max|min|not|ite|sqrt)|math\.trunc"
)
_FILE_OPERATORS = ("from_file",)  # of aten: maps any file of the machine
_VALUE = re.compile(r"\w*")  # a name of the source code that torch writes
_PATH = re.compile(r"[\w.-]*")  # of a weight, and whatever else is text
_VALUES = ("name", "as_name", "forward_arg_names")  # what such names stand under
_TEXTS = ("as_string", "as_strings", "torch_version")  # quoted, or unused
_MEMBERS = re.compile(
    r"(data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|extra/\w+\.json"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id))"
)
# What sizes are written with; sympy evaluates the text.
_FUNCTIONS = frozenset(
    "Add Mul Pow Max Min Mod Symbol Integer Float Rational FloorDiv PythonMod CeilToInt FloorToInt "
    "TruncToInt CleanDiv ToFloat FloatTrueDiv IntTrueDiv FloatPow PowByNatural Eq Ne Lt Le Gt Ge".split()
)
_KINDS = frozenset(
    "as_none as_tensor as_tensors as_int as_ints as_float as_floats as_bool as_bools as_string as_strings "
    "as_sym_int as_sym_ints as_sym_float as_sym_floats as_sym_bool as_sym_bools as_name as_expr as_device "
    "as_layout as_memory_format as_scalar_type as_optional_tensor as_optional_tensors".split()
)
_SPECS = ("builtins.tuple", "builtins.list", "builtins.dict", None)
_CONTEXTS = ("null", "[]", None)  # of a tuple, of a dict without keys, of a tensor


def load(path: Path, extra: str) -> tuple[str | None, ExportedProgram]:
    """The text of the extra file, None where there is none, and the program. `CheckpointError` where it holds
    more than tensor operations.
    """
    text = _inspect(path, extra)
    return text, load_pt2(str(path)).exported_programs["model"]


def signature(program: ExportedProgram) -> tuple[list[Entry], list[str]]:
    """The inputs, and the names of the outputs. `KeyError`, `AttributeError` where an input is no tensor."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    names = map(str, program.graph_signature.user_inputs)
    taken = [as_entry(name, values[name], values[name].shape) for name in names]
    return taken, list(map(str, program.graph_signature.user_outputs))


def _inspect(path: Path, extra: str) -> str | None:
    with PT2ArchiveReader(str(path)) as archive:
        names = archive.get_file_names()
        unknown = [name for name in names if not _MEMBERS.fullmatch(name) or names.count(name) > 1]
        if unknown:
            raise _refused(path, f"it has {unknown[0]!r}")
        if archive.read_bytes("data/sample_inputs/model.pt"):
            raise _refused(path, "it has pickled sample inputs")
        for kind in ("weights", "constants"):
            config = json.loads(archive.read_string(f"data/{kind}/model_{kind}_config.json"))
            for name, entry in config["config"].items():
                if entry["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]):
                    raise _refused(path, f"{name} is pickled")
            _require_plain(config, path)
        _require_plain(json.loads(archive.read_string("models/model.json")), path)
        return archive.read_string(f"extra/{extra}") if f"extra/{extra}" in names else None


def _require_plain(content: Any, path: Path) -> None:
    for key, value in _walk(content):
        if problem := _problem(key, value):
            raise _refused(path, problem)


def _problem(key: str, value: Any) -> str | None:
    """What one entry of the graph has that none of ours has."""
    if not _PATH.fullmatch(key):
        return f"it has the name {key[:80]!r}"
    if key.startswith("as_") and key not in _KINDS:
        return f"a node takes {key}"
    if key == "target":
        return None if _is_operator(value) else f"a node calls {str(value)[:80]!r}"
    if key == "expr_str":
        return None if isinstance(value, str) and _is_arithmetic(value) else f"a size is {str(value)[:80]!r}"
    if key == "guards_code" and value:
        return "it has guards, which are Python code"
    if key == "metadata" and value:
        return "it has metadata, which is read as more than text"
    if key in ("in_spec", "out_spec"):
        entries = list(_walk(json.loads(value)))
        kinds = [entry for name, entry in entries if name == "type"]
        contexts = [entry for name, entry in entries if name == "context"]
        if any(kind not in _SPECS for kind in kinds) or any(found not in _CONTEXTS for found in contexts):
            return f"it takes or gives {str(kinds)[:80]} of {str(contexts)[:80]}"
        return None
    plain = _VALUE if key in _VALUES else _PATH
    if isinstance(value, str) and key not in _TEXTS and not plain.fullmatch(value):
        return f"it has the name {value[:80]!r}"
    return None


def _is_operator(target: Any) -> bool:
    """Arithmetic of sizes, or an operator on tensors. What TorchScript adds to them (``aten::save`` writes a
    file) has no kernel, and an attribute of an operator (``__class__``) is none."""
    if not isinstance(target, str) or not _TARGETS.fullmatch(target):
        return False
    if not target.startswith("torch.ops."):
        return True
    found: Any = torch.ops
    for name in target.split(".")[2:]:
        found = getattr(found, name, None)
    if not isinstance(found, torch._ops.OpOverload) or target.split(".")[-2] in _FILE_OPERATORS:
        return False
    return bool(torch._C._dispatch_has_kernel(found.name()))


def _is_arithmetic(text: str) -> bool:
    """Calls of the functions of sizes with numbers and names, and nothing else."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    allowed = (
        *(ast.Expression, ast.Constant, ast.keyword, ast.Load, ast.UnaryOp, ast.USub, ast.BinOp, ast.Add),
        *(ast.Sub, ast.Mult, ast.Div, ast.Pow),
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS:
                return False
            if node.func.id == "Symbol":  # its first argument is a name, and the only text
                first = node.args[0] if len(node.args) == 1 else None
                if not isinstance(first, ast.Constant) or not re.fullmatch(r"\w+", str(first.value)):
                    return False
        elif isinstance(node, ast.Name):
            if node.id not in _FUNCTIONS and not re.fullmatch(r"[su]\d+", node.id):
                return False
        elif isinstance(node, ast.Constant):
            if not isinstance(node.value, int | float | bool) and not (
                isinstance(node.value, str) and re.fullmatch(r"-?\w+(\.\d*)?(e[-+]?\d+)?", node.value)
            ):
                return False
        elif not isinstance(node, allowed):
            return False
    return True


def _walk(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry of nested data, and of its lists, by the name it stands under."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield name, value
            yield from _walk(value, name)
    elif isinstance(node, list):
        for value in node:
            yield key, value
            yield from _walk(value, key)


def _refused(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} holds more than tensor operations and was refused without being executed: {reason}; use a "
        "file that vision-apps export wrote"
    )
