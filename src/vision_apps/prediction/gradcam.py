"""Where in a picture the evidence of an answer is: Grad-CAM (Selvaraju et al., ICCV 2017)."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Fields, replaced, row
from vision_apps.core.module import VisionModule
from vision_apps.core.pictures import from_pil, to_pil

NAME = "gradcam"
_BACKBONE = "backbone"
_STRENGTH = 0.75  # of the colour where the evidence is strongest


class GradCam:
    """Maps of evidence, from the features of the network's last stage, or of all levels of a backbone that
    gives several: the positive part of their sum, each weighted with the mean gradient of the answer's score
    (equations 1 and 2). Of boxes it is the gradient at its own place (HiResCAM, Draelos and Carin 2020),
    because a mean over the picture marks all that looks alike.

    `ConfigError` where the application has no score of this kind, or the network no such features.
    """

    def __init__(self, module: VisionModule) -> None:
        self.module = module
        if type(module).explained is VisionModule.explained:
            raise ConfigError(
                f"--explain {NAME}: {type(module).__name__} chooses its answer by no single score; expected "
                "a run of classification, several labels or detection; leave --explain out"
            )
        # the part that is given pixels, and what of it gives the maps
        named = (part for name, part in module.network.named_modules() if name.endswith(_BACKBONE))
        self.root = next(named, module.network)
        one = replaced(row(module.inputs(module.example()), 0), lambda value: value.to(module.device))
        with torch.no_grad(), _recorded(self.root) as record:
            module.explained(one)
        stage = _stage(self.root, record)
        if stage is None:
            raise ConfigError(
                f"--explain {NAME}: {type(module.network).__name__} has no map of the picture in its last "
                "stage: it looks at tokens, at crops or at all pixels at once, or leaves one place of "
                "pictures so small; expected a network of convolutions; leave --explain out"
            )
        self.stage = stage

    def heat(self, inputs: Fields) -> Tensor:
        """The evidence, float32 [h, w] of the given picture's height and width, 0 to 1, 1 where it is
        largest; 0 everywhere where nothing was found.

        Args:
            inputs: a batch of one.
        """
        leaves: list[Tensor] = []
        seen: list[Sequence[int]] = []

        def cut(module: nn.Module, given: Any, output: Any) -> Any:
            return _mapped(output, lambda found: _leaf(found, leaves))

        def look(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen.append(given[0].shape[-2:])

        hooks = (self.stage.register_forward_hook(cut), self.root.register_forward_pre_hook(look))
        try:
            with torch.inference_mode(False), torch.enable_grad():
                own = replaced(inputs, Tensor.clone)
                explained = self.module.explained(own)
                gradients: Sequence[Tensor | None] = [None] * len(leaves)
                if explained.scores.requires_grad:
                    gradients = torch.autograd.grad(explained.scores.sum(), leaves, allow_unused=True)
        finally:
            for hook in hooks:
                hook.remove()
        size = inputs.images.shape[-2:]  # type: ignore[attr-defined]
        total = torch.zeros(size, device=leaves[0].device)
        for features, gradient in zip(leaves, gradients, strict=True):
            if gradient is not None:
                weights = gradient if explained.local else gradient.mean((2, 3), keepdim=True)
                evidence = (weights * features.detach()).sum(1, keepdim=True).relu().float()
                total += _on_picture(evidence, _covered(explained.content, seen[0]), size)
        return total / total.max().clamp_min(torch.finfo(total.dtype).tiny)


def _covered(content: Tensor | None, given: Sequence[int]) -> tuple[float, float]:
    """The shares of the height and width of what was given that show the picture."""
    height, width = given if content is None else content[0].tolist()
    return height / given[0], width / given[1]


def _on_picture(evidence: Tensor, shares: tuple[float, float], size: Sequence[int]) -> Tensor:
    """The upper left part of a map [1, 1, h, w] with these shares of its height and width, at ``size``."""
    y, x = shares
    corner = torch.tensor([[[x, 0, x - 1], [0, y, y - 1]]], device=evidence.device)
    places = F.affine_grid(corner, [1, 1, *size], align_corners=False)
    return F.grid_sample(evidence, places, padding_mode="border", align_corners=False)[0, 0]


class _Call(NamedTuple):
    module: nn.Module
    output: Any
    pixels: tuple[int, int, int]  # batch, height and width of what was given


@contextmanager
def _recorded(root: nn.Module) -> Iterator[list[_Call]]:
    """What it and its parts give, in the order in which they end."""
    record: list[_Call] = []
    pixels = (0, 0, 0)

    def enter(module: nn.Module, given: tuple[Any, ...]) -> None:
        nonlocal pixels
        images = given[0]
        pixels = (len(images), images.shape[-2], images.shape[-1])

    def leave(module: nn.Module, given: Any, output: Any) -> None:
        record.append(_Call(module, output, pixels))

    hooks = [root.register_forward_pre_hook(enter)]
    hooks += [part.register_forward_hook(leave) for part in root.modules()]
    try:
        yield record
    finally:
        for hook in hooks:
            hook.remove()


def _stage(root: nn.Module, record: Sequence[_Call]) -> nn.Module | None:
    """The part whose maps are looked at: ``root`` where it gives several, else what within it gives the last
    one, of the parts that are called once. None where what comes later is told in places, too, but not as a
    map: as tokens, or with the channels last."""
    ends = [call for call in record if call.module is root]
    if len(ends) != 1 or ends[0].pixels[0] != 1:  # crops
        return None
    (end,) = ends
    if not isinstance(end.output, Tensor):
        outputs = list(_tensors(end.output))
        maps = outputs and all(_is_map(found, end.pixels) for found in outputs)
        return root if maps and any(_places(found) > 1 for found in outputs) else None
    told = [call for call in record if isinstance(call.output, Tensor)]
    times = Counter(call.module for call in told)
    for call in reversed(told):  # what contains a part ends after it, with what was added in place
        if _places(call.output) == 1:
            if _looks_around(call.module):
                return None  # the stage comes later, and of pictures so small leaves a single place
        elif not _is_map(call.output, call.pixels):
            return None
        elif times[call.module] == 1:
            return call.module
    return None


def _looks_around(part: nn.Module) -> bool:
    """Whether this is a convolution of several places that is no linear layer of all of them."""
    if not isinstance(part, nn.Conv2d) or max(part.kernel_size) == 1:
        return False
    return max(part.stride) > 1 or part.padding not in ((0, 0), "valid")


def _places(output: Tensor) -> int:
    return math.prod(output.shape[2:])


def _is_map(output: Tensor, pixels: tuple[int, int, int]) -> bool:
    """Whether this is [B, C, h, w] of the picture's proportions."""
    batch, height, width = pixels
    if output.ndim != 4 or len(output) != batch or not output.is_floating_point():
        return False
    h, w = output.shape[-2:]
    return abs(h * width - w * height) <= max(height, width)


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from output.values()
    elif isinstance(output, list | tuple):
        yield from output


def _mapped(output: Any, change: Any) -> Any:
    if isinstance(output, Tensor):
        return change(output)
    if isinstance(output, Mapping):
        return type(output)((name, change(value)) for name, value in output.items())  # type: ignore[call-arg]
    return [change(value) for value in output]


def _leaf(features: Tensor, leaves: list[Tensor]) -> Tensor:
    """A copy of the features, with gradients of its own also where what made them is frozen; what follows may
    change it in place."""
    leaves.append(features.detach().clone().requires_grad_())
    return leaves[-1].clone()


def over(image: Tensor, heat: Tensor) -> Tensor:
    """A picture uint8 [3, h, w] in grey with the evidence [h, w], 0 to 1, in colours that the colour-blind
    can order, dark to bright."""
    from matplotlib import colormaps

    grey = from_pil(to_pil(image).convert("L")).float()
    shares = heat.cpu()
    colors = torch.from_numpy(colormaps["inferno"](shares.numpy())[..., :3].astype(np.float32)).permute(
        2, 0, 1
    )
    strength = _STRENGTH * shares
    return ((1 - strength) * grey + strength * 255 * colors).round().to(torch.uint8)
