"""Pictures continued beyond their border by mirroring."""

import torch
from torch import Tensor


def mirrored(start: int, stop: int, size: int, device: torch.device | None = None) -> Tensor:
    """Which of ``size`` pixels stands at each place from ``start`` up to ``stop``: int64 [stop - start].

    Outside 0..size - 1 the row is mirrored at its first and last pixel, as often as need be, so that any
    margin can be had of any picture, even of one pixel.
    """
    places = torch.arange(start, stop, device=device)
    # as tensors: ONNX has no remainder by a number that depends on the picture
    period = torch.full_like(places, torch.sym_max(1, 2 * (size - 1)))
    places = places.remainder(period)
    return torch.minimum(places, period - places).minimum(torch.full_like(places, size - 1))


def window(pixels: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Rows ``top`` up to ``bottom`` and columns ``left`` up to ``right`` of pixels [..., H, W], which may lie
    outside."""
    for axis, start, stop in ((-2, top, bottom), (-1, left, right)):
        size = pixels.shape[axis]
        if start >= 0 and stop <= size:
            pixels = pixels.narrow(axis, start, stop - start)
        else:
            pixels = pixels.index_select(axis, mirrored(start, stop, size, pixels.device))
    return pixels
