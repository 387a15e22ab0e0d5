"""A file that ``vision-apps export`` wrote, read back. Nothing in it is executed but tensor operations.

Three formats hold the same description, plain JSON: the configuration and the facts of the run, and what goes
into the file and comes out. ONNX and torch.export hold a graph, safetensors holds weights.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vision_apps.core import assembly, checksum, hardware
from vision_apps.core.config import overrides
from vision_apps.core.errors import CheckpointError, ConfigError
from vision_apps.core.fields import Fields, Kind, Pixels, kinds
from vision_apps.core.module import VisionModule
from vision_apps.trained import description
from vision_apps.trained.description import KEY, Content, Entry, told
from vision_apps.trained.formats import SUFFIXES

# the inputs by name, in the order of the description, to the outputs in theirs
Graph = Callable[[Mapping[str, Tensor]], Sequence[Tensor]]


class Predictor(NamedTuple):
    """What answers: a trained module, or the graph of an exported file with the module around it.

    Args:
        module: knows what is given and how an answer is shown. Where a graph answers it is not trained.
        answer: from inputs on the module's device to answers, both of the module's types.
    """

    module: VisionModule
    answer: Callable[[Fields], Fields]


def is_exported(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES.values()


def load(path: Path) -> tuple[Content, Graph | None]:
    """The description, with ``state_dict`` where the file holds weights, and the graph where it holds one.
    `CheckpointError` for a file that is truncated, not what its checksum says, not one of ours, of a newer
    version, or holds more than tensor operations; `ConfigError` where the package that reads the format is
    not installed.
    """
    try:
        problem = checksum.problem(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if problem:
        raise _unreadable(path, ValueError(f"{problem}; write it again: vision-apps export RUN"))
    readers = {".onnx": _onnx, ".pt2": _program, ".safetensors": _weights}
    return readers[path.suffix.lower()](path)


def predictor(content: Content, graph: Graph, changes: Sequence[str], source: str) -> Predictor:
    """The application's module, whose own network is empty, with ``graph`` in place of it. `ConfigError`
    where one of the ``changes`` is about what happens inside of the graph; `CheckpointError` where the
    content does not fit this version of the application.
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
        content = {**content, "config": overrides.apply(content["config"], changes)}
        built = assembly.described(content, source)
    _require_known(built, content, source)
    for parameter in built.network.parameters():  # what nobody may call needs no memory
        parameter.data = parameter.data.new_empty(0)
    exportable, call = built.exportable, network(built, content, graph, source)
    assert exportable is not None
    return Predictor(built, lambda inputs: exportable.answer(call, inputs))


def _require_known(module: VisionModule, content: Content, source: str) -> None:
    """What goes in and comes out is what the application takes and gives."""
    try:
        taken = [*map(told, description.entries_of(module, description.example(module)))]
    except Exception as error:  # it follows from facts that are foreign
        raise CheckpointError(f"{source}: what its config describes has no example: {error}") from error
    known = getattr(module.exportable.output_type, "_fields", ()) if module.exportable else ()
    inputs, outputs = [*map(told, content["inputs"])], [output["name"] for output in content["outputs"]]
    if inputs != taken or not set(outputs) <= set(known):
        raise CheckpointError(
            f"{source}: gives {', '.join(outputs)} of {', '.join(inputs)}, which this "
            f"{type(module).__name__} does not know; use the version of vision_apps that exported it, or "
            "export the run again"
        )


def network(module: VisionModule, content: Content, graph: Graph, source: str) -> Callable[[Fields], Fields]:
    """From inputs of the module to what its `Exportable` gives, computed by ``graph``.

    Raises, when it is called:
        CheckpointError: the inputs are not those that the file takes, or it cannot be computed.
    """
    exportable = module.exportable
    assert exportable is not None
    kind, names = exportable.output_type, [output["name"] for output in content["outputs"]]
    known, taken = kinds(module.input_type), [entry["name"] for entry in content["inputs"]]

    def call(inputs: Fields) -> Fields:
        given = description.tensors(inputs)
        if given.keys() != set(taken):
            raise CheckpointError(
                f"{source} takes {', '.join(taken)}, and was given {', '.join(given) or 'nothing'}; use the "
                "run itself for others"
            )
        values = {
            entry["name"]: _sized(given[entry["name"]], entry, known.get(entry["name"]), source)
            for entry in content["inputs"]
        }
        try:
            outputs: Fields = kind(**dict(zip(names, graph(values), strict=True)))
            return outputs
        except Exception as error:  # the graph is foreign, and those of ONNX Runtime share no class
            if hardware.out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise CheckpointError(f"{source} cannot be computed: {_reason(error)}") from error

    return call


def _sized(value: Tensor, entry: Entry, kind: Kind | None, source: str) -> Tensor:
    """Filled up to a length that is fixed."""
    name, shape, value = entry["name"], entry["shape"], description.filled(value, entry, kind)
    if value.ndim == len(shape) and list(value.shape) == description.fixed(value, entry):
        return value
    if isinstance(kind, Pixels):
        height, width = value.shape[-2:]
        size = f"pictures of {shape[-1]} x {shape[-2]} px only, this one has {width} x {height}"
    else:
        size = f"{name} of {description.shown(shape)} only, these are {description.shown(list(value.shape))}"
    raise CheckpointError(f"{source} takes {size}; use the run itself for others")


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    if not path.is_file():
        return CheckpointError(f"{path} does not exist")
    return CheckpointError(f"{path} is truncated, damaged or not what its name says: {_reason(error)}")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _onnx(path: Path) -> tuple[Content, Graph]:
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
            taken: list[Entry] = [
                {"name": i.name, "dtype": _dtype(i.type), "shape": i.shape} for i in session.get_inputs()
            ]
            given = [output.name for output in session.get_outputs()]
    except Exception as error:  # their errors share no class
        raise _unreadable(path, error) from error
    if not whole:
        raise CheckpointError(
            f"{path} takes weights from other files and was refused without reading them; use a file that "
            "vision-apps export wrote"
        )
    content = description.parse(text, path)
    _require_promised(content, taken, given, path)

    def run(values: Mapping[str, Tensor]) -> list[Tensor]:
        feed = {name: value.cpu().contiguous().numpy() for name, value in values.items()}
        device = next(iter(values.values())).device
        return [torch.from_numpy(array).to(device) for array in session.run(None, feed)]

    return content, run


def _dtype(name: str) -> str:
    """As torch calls it."""
    known = {"tensor(float)": "float32", "tensor(double)": "float64"}
    return known.get(name) or re.sub(r"^tensor\((\w+)\)$", r"\1", name)


def _require_promised(content: Content, taken: list[Entry], given: list[str], path: Path) -> None:
    """That the description says what the graph takes, and which outputs it gives."""
    inputs, promised = [*map(told, taken)], [*map(told, content["inputs"])]
    names = [output["name"] for output in content["outputs"]]
    if inputs != promised or given != names:
        raise CheckpointError(
            f"{path}: gives {', '.join(given)} of {', '.join(inputs)}, its description says "
            f"{', '.join(names)} of {', '.join(promised)}"
        )


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


def _program(path: Path) -> tuple[Content, Graph]:
    from vision_apps.trained import exported_program

    try:
        text, program = exported_program.load(path, f"{KEY}.json")
        taken, given = exported_program.signature(program)
    except CheckpointError:
        raise
    except Exception as error:  # noise makes the reader fail in more ways than it documents
        raise _unreadable(path, error) from error
    content = description.parse(text, path)
    names = [output["name"] for output in content["outputs"]]
    _require_promised(content, taken, names if len(given) == len(names) else given, path)
    # guards were dropped when it was written: the sizes that it takes are in the description
    compute = program.module(check_guards=False)

    def run(values: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        given = tuple(values.values())
        found: tuple[Tensor, ...] = compute.to(given[0].device)(*given)
        return found

    return content, run


def _weights(path: Path) -> tuple[Content, None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            content = description.parse((file.metadata() or {}).get(KEY), path)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it has no __iter__
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    # weights that are the same tensor twice are kept once
    aliases = content.get("aliases", {})
    if not isinstance(aliases, dict) or not all(isinstance(v, str) for v in aliases.values()):
        raise CheckpointError(f"{path}: its description is not one that vision-apps export writes")
    state |= {name: state[other] for name, other in aliases.items() if other in state}
    return {**content, "state_dict": state}, None
