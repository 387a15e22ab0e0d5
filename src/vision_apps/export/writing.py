"""The three kinds of file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from vision_apps.core import checksum
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.export.tracing import quiet
from vision_apps.trained.description import KEY, Content


def write_onnx(program: ExportedProgram, content: Content, path: Path) -> None:
    """
    Raises:
        RunError: an operation of the network has no counterpart.
        ConfigError: the packages are not installed.
    """
    try:
        import onnx
        import onnx_ir
        import onnxruntime  # noqa: F401 - the file is checked with it
        import onnxscript  # noqa: F401 - the exporter of torch needs it
    except ModuleNotFoundError as error:
        raise ConfigError(f"--format onnx needs {error.name}: pip install 'vision-apps[onnx]'") from None
    entries = (*content["inputs"], *content["outputs"])
    names = [entry["name"] for entry in entries]
    count = len(content["inputs"])
    try:
        with quiet():
            made = torch.onnx.export(
                program, dynamo=True, input_names=names[:count], output_names=names[count:], verbose=False
            )
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = str(cause).strip().splitlines()[0]
        raise RunError(
            f"the network cannot be written as ONNX: {reason}\n"
            "other formats are --format torch-export and --format safetensors"
        ) from error
    assert made is not None
    model = made.model
    for value, entry in zip((*model.graph.inputs, *model.graph.outputs), entries, strict=True):
        value.shape = onnx_ir.Shape(entry["shape"])
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # where in this machine's files each operation was written
    model.metadata_props[KEY] = json.dumps(content)
    made.save(str(path), external_data=False)
    place = {"key": checksum.KEY, "value": checksum.BLANK}
    with open(path, "r+b") as file:  # messages that stand one after the other are one
        file.seek(0, os.SEEK_END)
        file.write(onnx.ModelProto(metadata_props=[onnx.StringStringEntryProto(**place)]).SerializeToString())
        checksum.seal(file)


def write_program(program: ExportedProgram, content: Content, path: Path) -> None:
    for node in program.graph.nodes:
        for name in ("stack_trace", "nn_module_stack", "torch_fn"):  # where it was written
            node.meta.pop(name, None)
    program._guards_code = []  # of the size that was traced, and code: sizes are checked by parity
    torch.export.save(program, path, extra_files={f"{KEY}.json": json.dumps(content)})
    with open(path, "r+b") as file:
        checksum.seal_archive(file)


def write_weights(state: Mapping[str, Tensor], content: Content, path: Path) -> None:
    """A tensor that has two names is kept under one; ``aliases`` in the description knows the other."""
    from safetensors.torch import save_file

    kept: dict[tuple[object, ...], str] = {}
    aliases: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        place = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if tensor.numel() and place in kept:
            aliases[name] = kept[place]
            continue
        kept[place] = name
        tensors[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
    about = {KEY: json.dumps({**content, "aliases": aliases}), checksum.KEY: checksum.BLANK, "format": "pt"}
    save_file(tensors, path, metadata=about)
    with open(path, "r+b") as file:
        checksum.seal(file)
