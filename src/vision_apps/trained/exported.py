"""A file that ``vision-apps export`` wrote, read back. Nothing in it is executed but tensor operations.

Three formats hold the same description, plain JSON: the configuration and the facts of the run, and what goes
into the file and comes out. ONNX and torch.export hold a graph, safetensors holds weights.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vision_apps.core import assembly, hardware
from vision_apps.core.config import overrides
from vision_apps.core.errors import CheckpointError, ConfigError
from vision_apps.core.fields import Fields
from vision_apps.trained.formats import SUFFIXES
from vision_apps.trained.predictor import Predictor

KEY = "vision_apps"  # of the description among what a file says of itself
VERSION = 1  # of the description

Graph = Callable[[Tensor], tuple[Tensor, ...]]  # uint8 [B, 3, H, W] to the outputs in their order


def is_exported(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES.values()


def load(path: Path) -> tuple[dict[str, Any], Graph | None]:
    """The description, with ``state_dict`` where the file holds weights, and the graph where it holds one.

    Raises:
        CheckpointError: truncated, not one of ours, of a newer version, or more than tensor operations.
        ConfigError: the package that reads the format is not installed.
    """
    readers = {".onnx": _onnx, ".pt2": _program, ".safetensors": _weights}
    return readers[path.suffix.lower()](path)


def predictor(content: dict[str, Any], graph: Graph, changes: Sequence[str], source: str) -> Predictor:
    """The application's module, whose own network is empty, with ``graph`` in place of it.

    Raises:
        ConfigError: one of the ``changes`` is about what happens inside of the graph.
        CheckpointError: the content does not fit this version of the application.
    """
    built = assembly.described(content, source)
    outside = built.exportable.outside if built.exportable else ()
    for change in changes:
        key = change.partition("=")[0].removeprefix("module.")
        if key not in outside:
            raise ConfigError(
                f"module.{key}: {source} has it inside; what can still be chosen is: "
                f"{', '.join(f'module.{name}' for name in outside) or 'nothing'}. "
                f"To change it, export the run again: vision-apps export RUN {change}"
            )
    if changes:
        content = {**content, "config": overrides.apply(content["config"], list(changes))}
        built = assembly.described(content, source)
    names = [output["name"] for output in content["outputs"]]
    exportable, taken = built.exportable, content["input"]["name"]
    known = getattr(exportable.output_type, "_fields", ()) if exportable else ()
    if exportable is None or set(names) - set(known) or taken not in getattr(built.input_type, "_fields", ()):
        raise CheckpointError(
            f"{source}: gives {', '.join(names)} of {taken}, which this {type(built).__name__} does not "
            "know; use the version of vision_apps that exported it, or export the run again"
        )
    for parameter in built.network.parameters():  # what nobody may call needs no memory
        parameter.data = parameter.data.new_empty(0)
    size = tuple(content["input"]["shape"][2:])
    kind = exportable.output_type

    def call(inputs: Fields) -> Fields:
        images: Tensor = getattr(inputs, taken)
        height, width = images.shape[-2:]
        if isinstance(size[0], int) and (height, width) != size:
            raise CheckpointError(
                f"{source} takes pictures of {size[1]} x {size[0]} px only, this one has {width} x "
                f"{height}; use the run itself for others"
            )
        try:
            outputs: Fields = kind(**dict(zip(names, graph(images), strict=True)))
            return outputs
        except Exception as error:  # the graph is foreign, and those of ONNX Runtime share no class
            if hardware.out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise CheckpointError(f"{source} cannot be computed: {_reason(error)}") from error

    return Predictor(built, lambda inputs: exportable.answer(call, inputs))


def parse(text: str | None, path: Path) -> dict[str, Any]:
    """The description that a file carries.

    Raises:
        CheckpointError: it has none, or one that this version cannot read.
    """
    if text is None:
        raise CheckpointError(
            f"{path} was not written by vision-apps export: it carries no description; make one with "
            "vision-apps export RUN"
        )
    try:
        content = json.loads(text)
        version = content["format_version"]
        sound = isinstance(version, int) and all(
            isinstance(content[name], dict) for name in ("config", "facts", "input")
        )
        names = [output["name"] for output in content["outputs"]]
        sound = sound and all(isinstance(name, str) for name in names)
        takes = content["input"]
        sound = sound and isinstance(takes["name"], str) and isinstance(takes["shape"], list)
        sound = sound and len(takes["shape"]) == 4
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its description cannot be read ({error!r})") from error
    if sound and version > VERSION:
        raise CheckpointError(
            f"{path}: format {version} is newer than what this version reads ({VERSION}); "
            f"pip install --upgrade vision-apps (it was written by {content.get('vision_apps')})"
        )
    if not sound:
        raise CheckpointError(f"{path}: its description is not one that vision-apps export writes")
    description: dict[str, Any] = content
    return description


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    if not path.is_file():
        return CheckpointError(f"{path} does not exist")
    return CheckpointError(f"{path} is truncated, damaged or not what its name says: {_reason(error)}")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _onnx(path: Path) -> tuple[dict[str, Any], Graph]:
    try:
        import onnx
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ConfigError(f"{path} needs {error.name}: pip install 'vision-apps[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; warnings are about the graph's form
    options.intra_op_num_threads = torch.get_num_threads()
    there = onnxruntime.get_available_providers()
    wanted = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in there]
    try:
        whole = not any(_is_elsewhere(part) for part in _messages(onnx.load(path, load_external_data=False)))
        if whole:
            session = onnxruntime.InferenceSession(str(path), options, wanted)
            text = session.get_modelmeta().custom_metadata_map.get(KEY)
            taken = [entry.name for entry in session.get_inputs()]
            given = [output.name for output in session.get_outputs()]
    except Exception as error:  # their errors share no class
        raise _unreadable(path, error) from error
    if not whole:
        raise CheckpointError(
            f"{path} takes weights from other files and was refused without reading them; use a file that "
            "vision-apps export wrote"
        )
    content = parse(text, path)
    promised = [output["name"] for output in content["outputs"]]
    if given != promised or taken != [content["input"]["name"]]:
        raise CheckpointError(f"{path}: gives {', '.join(given)}, its description says {', '.join(promised)}")

    def run(images: Tensor) -> tuple[Tensor, ...]:
        arrays = session.run(None, {content["input"]["name"]: images.cpu().contiguous().numpy()})
        return tuple(torch.from_numpy(array).to(images.device) for array in arrays)

    return content, run


def _is_elsewhere(message: Any) -> bool:
    """Values that ONNX Runtime would read from another file, or older versions from any place of the
    memory."""
    return message.DESCRIPTOR.name == "TensorProto" and bool(message.external_data or message.data_location)


def _messages(message: Any) -> Iterator[Any]:
    """A message of Protocol Buffers and all that are in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(part)


def _program(path: Path) -> tuple[dict[str, Any], Graph]:
    from vision_apps.trained import exported_program

    try:
        text, program = exported_program.load(path, f"{KEY}.json")
    except CheckpointError:
        raise
    except Exception as error:  # noise makes the reader fail in more ways than it documents
        raise _unreadable(path, error) from error
    content = parse(text, path)
    # guards were dropped when it was written: the sizes that it takes are in the description
    compute = program.module(check_guards=False)

    def run(images: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = compute.to(images.device)(images)
        return found

    return content, run


def _weights(path: Path) -> tuple[dict[str, Any], None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            content = parse((file.metadata() or {}).get(KEY), path)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it has no __iter__
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    # weights that are the same tensor twice are kept once
    aliases = content.get("aliases", {})
    if not isinstance(aliases, dict) or not all(isinstance(v, str) for v in aliases.values()):
        raise CheckpointError(f"{path}: its description is not one that vision-apps export writes")
    state |= {name: state[other] for name, other in aliases.items() if other in state}
    return {**content, "state_dict": state}, None
