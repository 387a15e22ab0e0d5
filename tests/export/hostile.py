"""What a good file holds, bad files made of it, and what none of them may do."""

import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import tiny
from safetensors.torch import load_file, save_file

from vision_apps.core import checksum
from vision_apps.core.errors import CheckpointError
from vision_apps.trained import evaluate
from vision_apps.trained.description import KEY

CODE = "__import__('os').mkdir('executed')"
MODEL = "models/model.json"


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, (CODE,)


PICKLE = pickle.dumps(Bomb(), 2)


def refused(path: str, told: str) -> None:
    """With this reason (a regular expression), and before anything happened."""
    before = tiny.here()
    with pytest.raises(CheckpointError) as caught:
        evaluate.load(path).predictor()
    assert re.search(told, str(caught.value)), str(caught.value)
    assert str(caught.value).startswith(path)
    assert not Path("executed").exists()
    assert tiny.here() == before


# ---- .pt2 --------------------------------------------------------------------------------------------------


def members(good: Path) -> dict[str, bytes]:
    """Of the archive, without the folder that all of them are in."""
    with zipfile.ZipFile(good / "model.pt2") as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def archive(parts: dict[str, bytes] | list[tuple[str, bytes]]) -> str:
    with zipfile.ZipFile("bad.pt2", "w") as file:
        for name, content in parts.items() if isinstance(parts, dict) else parts:
            file.writestr(f"bad/{name}", content)
    return "bad.pt2"


def with_json(good: Path, name: str, change: Callable[[Any], Any]) -> str:
    """A file in which one description is changed: in place, or to what ``change`` returns."""
    parts = members(good)
    content = json.loads(parts[name])
    changed = change(content)
    parts[name] = json.dumps(content if changed is None else changed).encode()
    return archive(parts)


def with_text(good: Path, old: Any, new: Any) -> str:
    """A file in whose graph every ``old`` (as JSON) is ``new``."""
    parts = members(good)
    before = parts[MODEL].decode()
    after = before.replace(json.dumps(old), json.dumps(new))
    assert after != before
    parts[MODEL] = after.encode()
    return archive(parts)


def with_node(good: Path, target: str, *arguments: dict[str, Any], name: str = "x") -> str:
    """A file whose graph begins with a call."""
    inputs = [
        {"name": argument.pop("name", ""), "arg": argument, "kind": argument.pop("kind", 1)}
        for argument in arguments
    ]
    node = {"target": target, "inputs": inputs, "outputs": [{"as_none": True}], "metadata": {}, "name": name}
    return with_json(good, MODEL, lambda model: model["graph_module"]["graph"]["nodes"].insert(0, node))


# ---- any format --------------------------------------------------------------------------------------------


def description(good: Path, suffix: str) -> dict[str, Any]:
    content = evaluate.load(str(good / f"model{suffix}")).checkpoint
    return {name: value for name, value in content.items() if name != "state_dict"}


def save_onnx(model: onnx.ModelProto, path: str) -> None:
    """As somebody does who leaves the checksum out."""
    left = [entry for entry in model.metadata_props if entry.key != checksum.KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(left)
    onnx.save(model, path)


def with_description(good: Path, text: str | None, suffix: str) -> str:
    """A file with another description, or with none."""
    bad, metadata = f"bad{suffix}", {} if text is None else {KEY: text}
    if suffix == ".pt2":
        parts = members(good)
        del parts["extra/vision_apps.json"]
        return archive(parts | {f"extra/{name}.json": text.encode() for name, text in metadata.items()})
    if suffix == ".safetensors":
        save_file(load_file(good / "model.safetensors"), bad, metadata=metadata)
        return bad
    model = onnx.load(good / "model.onnx")
    onnx.helper.set_model_props(model, metadata)
    save_onnx(model, bad)
    return bad
