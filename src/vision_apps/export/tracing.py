"""What a module computes as a graph of tensor operations."""

import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram

from vision_apps.core.errors import RunError
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import Fields
from vision_apps.core.module import VisionModule
from vision_apps.trained.description import Entry, example, named_sizes

_BATCH = 3  # while it is traced; 1 would be taken for a constant
_UNEVEN = {"height": 13, "width": 5}  # px above the run's size, so that no size is traced that is special

Signature = dict[str, list[Entry]]  # ``inputs`` and ``outputs``


@contextmanager
def quiet() -> Iterator[None]:
    """The exporters warn, log and print about their own insides, and raise what matters."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def as_inputs(module: VisionModule, values: Mapping[str, Tensor]) -> Fields:
    """The module's inputs, of which all others are None."""
    names = module.input_type._fields  # type: ignore[attr-defined]
    inputs: Fields = module.input_type(**{name: values.get(name) for name in names})
    return inputs


def stretched(
    values: Mapping[str, Tensor], named: Mapping[str, Mapping[int, str]], sizes: Mapping[str, int]
) -> dict[str, Tensor]:
    """Repeated, or cut, to other sizes.

    Args:
        named: the names of dimensions, by input.
        sizes: the new sizes by these names; others stay.
    """
    found = dict(values)
    for name, dims in named.items():
        for dim, called in dims.items():
            old = found[name].shape[dim]
            rows = torch.arange(sizes.get(called, old)) % old
            found[name] = found[name].index_select(dim, rows)
    return found


def untraced(module: VisionModule) -> Signature:
    """What goes into a network that runs as it is written; of outputs nothing is said."""
    values = example(module)
    named = named_sizes(module, values)
    shapes = {
        name: [named[name].get(dim, size) for dim, size in enumerate(value.shape)]
        for name, value in values.items()
    }
    return {"inputs": [_entry(name, value, shapes[name]) for name, value in values.items()], "outputs": []}


def trace(module: VisionModule) -> tuple[ExportedProgram, Signature]:
    """What the module's `Exportable` computes, for any batch and, where the network allows it, any size of
    picture and any length; and what goes in and comes out.

    Raises:
        RunError: the network cannot be traced.
    """
    exportable = module.exportable
    assert exportable is not None
    values = example(module)
    named = named_sizes(module, values)
    sizes = {called: values[name].shape[dim] for name, dims in named.items() for dim, called in dims.items()}
    pixels, lengths = set(_UNEVEN) & sizes.keys(), sizes.keys() - _UNEVEN.keys() - {"batch"}
    if exportable.image_size is not None:
        sizes |= dict(zip(_UNEVEN, exportable.image_size, strict=True))
        pixels = set()
    problem: Exception | None = None
    for free in dict.fromkeys(map(frozenset, (pixels | lengths, pixels, lengths, ()))):
        traced = {
            called: max(2, size) + _UNEVEN.get(called, 0) if called in free else size
            for called, size in sizes.items()
        }
        given = stretched(values, named, {**traced, "batch": _BATCH})
        batch = Dim("batch", min=1)
        shapes = {
            name: {0: batch, **{dim: Dim.DYNAMIC for dim, called in dims.items() if called in free}}
            for name, dims in named.items()
        }
        try:
            with quiet(), torch.no_grad():
                program = torch.export.export(
                    _traceable(module, exportable, tuple(given)),
                    tuple(given.values()),
                    dynamic_shapes=shapes,
                    strict=False,
                )
                found: Fields = exportable.outputs(as_inputs(module, given))
        except Exception as error:  # noqa: BLE001 - the network may be anybody's
            problem = problem or error
            continue
        program.example_inputs = None  # pickled, and not needed
        return program, _signature(program, found, named)
    assert problem is not None
    raise RunError(
        f"{type(module.network).__name__} cannot be traced: {str(problem).strip().splitlines()[0]}\n"
        "its weights can be exported: --format safetensors"
    ) from problem


def _traceable(
    module: VisionModule, exportable: Exportable[Fields, Fields], names: tuple[str, ...]
) -> nn.Module:
    """From inputs of these names to the outputs that are not None."""

    class Outputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module  # whose weights go along

        def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
            given = as_inputs(module, dict(zip(names, values, strict=True)))
            found = exportable.outputs(given)._asdict().values()
            return tuple(value for value in found if value is not None)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD  # torch calls what goes in as the arguments are called
    arguments = [inspect.Parameter(name, kind) for name in ("self", *names)]
    Outputs.forward.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
    return Outputs()


def _signature(program: ExportedProgram, found: Fields, named: Mapping[str, Mapping[int, str]]) -> Signature:
    nodes = {node.name: node for node in program.graph.nodes}
    taken = dict(zip(named, (nodes[str(name)] for name in program.graph_signature.user_inputs), strict=True))
    (results,) = next(node for node in program.graph.nodes if node.op == "output").args
    names = [name for name, value in found._asdict().items() if value is not None]
    called: dict[str, str] = {}
    for name, dims in named.items():
        for dim, word in dims.items():
            size = taken[name].meta["val"].shape[dim]
            if not isinstance(size, int):
                called.setdefault(str(size), word)

    def entry(name: str, node: fx.Node) -> Entry:
        value: Tensor = node.meta["val"]
        shape = [
            size
            if isinstance(size, int)
            else re.sub(r"\w+", lambda word: called.get(word[0], word[0]), str(size))
            for size in value.shape
        ]
        return _entry(name, value, shape)

    return {
        "inputs": [entry(name, node) for name, node in taken.items()],
        "outputs": [entry(name, node) for name, node in zip(names, results, strict=True)],
    }


def _entry(name: str, value: Tensor, shape: Sequence[int | str]) -> Entry:
    return {"name": name, "dtype": str(value.dtype).removeprefix("torch."), "shape": list(shape)}
