"""What a module computes as a graph of tensor operations."""

import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vision_apps.core.errors import RunError
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import Fields
from vision_apps.core.module import VisionModule
from vision_apps.trained.description import Entry, as_entry, entries_of, example

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
    values: Mapping[str, Tensor], entries: Sequence[Entry], sizes: Mapping[str, int]
) -> dict[str, Tensor]:
    """Repeated, or cut, to other ``sizes``, by the names that they have in the entries."""
    found = dict(values)
    for name, shape in ((entry["name"], entry["shape"]) for entry in entries):
        for dim, called in enumerate(shape):
            if isinstance(called, str) and called in sizes:
                rows = torch.arange(sizes[called]) % found[name].shape[dim]
                found[name] = found[name].index_select(dim, rows)
    return found


def trace(module: VisionModule) -> tuple[ExportedProgram, Signature]:
    """What the module's `Exportable` computes, for any batch and, where the network allows it, any size of
    picture and any length; and what goes in and comes out. `RunError` where the network cannot be traced.
    """
    exportable, values = module.exportable, example(module)
    assert exportable is not None
    entries = entries_of(module, values)
    sizes = {
        called: size
        for entry in entries
        for called, size in zip(entry["shape"], values[entry["name"]].shape, strict=True)
        if isinstance(called, str)
    }
    pixels, lengths = sizes.keys() & _UNEVEN, sizes.keys() - _UNEVEN.keys() - {"batch"}
    if exportable.image_size is not None:
        sizes |= dict(zip(_UNEVEN, exportable.image_size, strict=True))
        pixels = set()
    problem: Exception | None = None
    for free in dict.fromkeys(map(frozenset, (pixels | lengths, pixels, lengths, ()))):
        traced = {called: max(2, sizes[called]) + _UNEVEN.get(called, 0) for called in free}
        given = stretched(values, entries, {**sizes, **traced, "batch": _BATCH})
        dims = {"batch": Dim("batch", min=1), **dict.fromkeys(free, Dim.DYNAMIC)}
        shapes = {
            entry["name"]: {dim: dims[size] for dim, size in enumerate(entry["shape"]) if size in dims}
            for entry in entries
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
        return program, _signature(program, found, entries)
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


def _signature(program: ExportedProgram, found: Fields, entries: Sequence[Entry]) -> Signature:
    values: dict[str, Tensor] = {node.name: node.meta.get("val") for node in program.graph.nodes}
    taken = [values[str(name)] for name in program.graph_signature.user_inputs]
    given = [values[str(name)] for name in program.graph_signature.user_outputs]
    names = [name for name, value in found._asdict().items() if value is not None]
    called = {
        str(size): word
        for entry, value in zip(entries, taken, strict=True)
        for size, word in zip(value.shape, entry["shape"], strict=True)
    }

    def described(name: str, value: Tensor) -> Entry:
        sizes = [n if isinstance(n, int) else re.sub(r"[a-z]\w*", renamed, str(n)) for n in value.shape]
        return as_entry(name, value, sizes)

    def renamed(symbol: re.Match[str]) -> str:
        return str(called.get(symbol[0], symbol[0]))

    return {
        "inputs": [described(entry["name"], value) for entry, value in zip(entries, taken, strict=True)],
        "outputs": [described(name, value) for name, value in zip(names, given, strict=True)],
    }
