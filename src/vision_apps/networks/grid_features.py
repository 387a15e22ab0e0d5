"""What a frozen backbone makes of pictures: its maps, and what tells it from any other backbone."""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Maps = Any  # as backbones give them: a tensor [B, C, h, w], or several in a list, a tuple or by name


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """A context without gradients in which all parts are in evaluation; then each is in its own mode
    again."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes.items():
            part.training = training


def grid_features(backbone: nn.Module, pixels: Tensor) -> Maps:
    """Of pixels [B, 3, H, W], normalised as the backbone expects them, its maps: each float [B, C, h, w] in
    the precision that is set where this is called. Nothing of the backbone changes."""
    with evaluating(backbone):
        return backbone(pixels)


def tensors(maps: Maps) -> list[Tensor]:
    """All maps in their order. `TypeError` where something else is among them."""
    if isinstance(maps, Tensor):
        return [maps]
    if isinstance(maps, Mapping):
        maps = list(maps.values())
    if isinstance(maps, list | tuple):
        return [tensor for one in maps for tensor in tensors(one)]
    raise TypeError(f"expected tensors, in lists or by names, got {type(maps).__name__}")


def arranged(maps: Sequence[Tensor], as_in: Maps) -> Maps:
    """Maps as a backbone gives them that has given ``as_in``."""
    rest = iter(maps)

    def arrange(form: Maps) -> Maps:
        if isinstance(form, Tensor):
            return next(rest)
        if isinstance(form, Mapping):
            return type(form)((name, arrange(value)) for name, value in form.items())  # type: ignore[call-arg]
        values = [arrange(value) for value in form]
        return type(form)(*values) if hasattr(form, "_fields") else type(form)(values)

    return arrange(as_in)


def identity(backbone: nn.Module) -> str:
    """A hash, 16 hexadecimal digits, of its layers and of every number in its state."""
    digest = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", repr(backbone)).encode())
    for name, value in backbone.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(content(value))
    return digest.hexdigest()[:16]


def content(values: Tensor) -> bytes:
    """Its numbers as they are in memory, row by row."""
    return values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
