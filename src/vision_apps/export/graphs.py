"""What a module computes as a graph, and the three kinds of file."""

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.module import VisionModule
from vision_apps.trained.exported import KEY

INPUT = "images"
_BATCH = 3  # while it is traced; 1 would be taken for a constant
_UNEVEN = (13, 5)  # px above the run's size, so that no size is traced that is special
_DIMS = ("batch", "channels", "height", "width")


class _Graph(nn.Module):
    def __init__(self, module: VisionModule) -> None:
        super().__init__()
        self.module = module
        assert module.exportable is not None
        self.exportable = module.exportable

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.exportable.outputs(self.module.input_type(images))
        return tuple(value for value in found if value is not None)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn, log and print about their own insides, and raise what matters."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def trace(module: VisionModule) -> tuple[ExportedProgram, dict[str, Any]]:
    """The graph, with any batch and any size of picture where the network allows it; and what goes in and
    comes out: ``input`` (name, dtype, shape) and ``outputs`` (a list of the same).

    Raises:
        RunError: the network cannot be traced.
    """
    exportable = module.exportable
    assert exportable is not None
    height, width = exportable.image_size or module.example().images.shape[-2:]
    sizes = [(height, width)]
    if exportable.image_size is None:
        sizes.insert(0, (height + _UNEVEN[0], width + _UNEVEN[1]))
    problem: Exception | None = None
    for size in sizes:
        images = torch.randint(256, (_BATCH, 3, *size), dtype=torch.uint8)
        shape: dict[int, Any] = {0: Dim("batch", min=1)}
        if size != (height, width):
            shape |= {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
        try:
            with _quiet(), torch.no_grad():
                program = torch.export.export(
                    _Graph(module), (images,), dynamic_shapes={INPUT: shape}, strict=False
                )
                found = exportable.outputs(module.input_type(images))
        except Exception as error:  # noqa: BLE001 - the network may be anybody's
            problem = problem or error
            continue
        program.example_inputs = None  # pickled, and not needed
        return program, _signature(program, found)
    assert problem is not None
    raise RunError(
        f"{type(module.network).__name__} cannot be traced: {str(problem).strip().splitlines()[0]}\n"
        "its weights can be exported: --format safetensors"
    ) from problem


def _signature(program: ExportedProgram, found: Any) -> dict[str, Any]:
    (images,) = (node for node in program.graph.nodes if node.op == "placeholder" and node.name == INPUT)
    output = next(node for node in program.graph.nodes if node.op == "output")
    symbols = {str(size): name for size, name in zip(images.meta["val"].shape, _DIMS, strict=True)}

    def shape(node: Any) -> list[int | str]:
        sizes = node.meta["val"].shape
        return [size if isinstance(size, int) else symbols.get(str(size), str(size)) for size in sizes]

    names = [name for name in found._fields if getattr(found, name) is not None]
    outputs = [
        {"name": name, "dtype": _dtype(getattr(found, name)), "shape": shape(node)}
        for name, node in zip(names, output.args[0], strict=True)
    ]
    return {"input": {"name": INPUT, "dtype": "uint8", "shape": shape(images)}, "outputs": outputs}


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def write_onnx(program: ExportedProgram, content: Mapping[str, Any], path: Path) -> None:
    """
    Raises:
        RunError: an operation of the network has no counterpart.
        ConfigError: the packages are not installed.
    """
    try:
        import onnx_ir
        import onnxruntime  # noqa: F401 - the file is checked with it
        import onnxscript  # noqa: F401 - the exporter of torch needs it
    except ModuleNotFoundError as error:
        raise ConfigError(f"--format onnx needs {error.name}: pip install 'vision-apps[onnx]'") from None
    names = [output["name"] for output in content["outputs"]]
    try:
        with _quiet():
            made = torch.onnx.export(
                program, dynamo=True, input_names=[INPUT], output_names=names, verbose=False
            )
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = str(cause).strip().splitlines()[0]
        raise RunError(
            f"the graph cannot be written as ONNX: {reason}\n"
            "other formats are --format torch-export and --format safetensors"
        ) from error
    assert made is not None
    model = made.model
    for value, entry in zip(
        (*model.graph.inputs, *model.graph.outputs), (content["input"], *content["outputs"]), strict=True
    ):
        value.shape = onnx_ir.Shape(entry["shape"])
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # where in this machine's files each operation was written
    model.metadata_props[KEY] = json.dumps(content)
    made.save(str(path), external_data=False)


def write_program(program: ExportedProgram, content: Mapping[str, Any], path: Path) -> None:
    for node in program.graph.nodes:
        for name in ("stack_trace", "nn_module_stack", "torch_fn"):  # likewise
            node.meta.pop(name, None)
    program._guards_code = []  # of the size that was traced, and code: sizes are checked by parity
    torch.export.save(program, path, extra_files={f"{KEY}.json": json.dumps(content)})


def write_weights(state: Mapping[str, Tensor], content: Mapping[str, Any], path: Path) -> None:
    """A tensor that has two names is kept under one; ``aliases`` in the description knows the other."""
    from safetensors.torch import save_file

    kept: dict[tuple[Any, ...], str] = {}
    aliases: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        place = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if tensor.numel() and place in kept:
            aliases[name] = kept[place]
            continue
        kept[place] = name
        tensors[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
    save_file(tensors, path, metadata={KEY: json.dumps({**content, "aliases": aliases}), "format": "pt"})
