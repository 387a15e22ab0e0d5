"""What the colour networks share: the form of their output, and the weights that the authors released."""

import re
from itertools import pairwise
from pathlib import Path
from textwrap import shorten
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from vision_apps.applications.colorization.losses import AB_NORM
from vision_apps.core.errors import CheckpointError

SIZE_MULTIPLE = 8  # three halvings


class ColorFeatures(NamedTuple):
    """What a network gives for L [B, 1, H, W]; a network without classes or without regression leaves one
    out."""

    features: Tensor | None = None  # [B, C, ceil(H / 4), ceil(W / 4)]: ``network.head`` makes logits of them
    ab: Tensor | None = None  # regressed, [B, 2, h, w] in ab units; h is ceil(H / regression_stride)


class ColorNetwork(nn.Module):
    """The logits are not computed by the network: the loss and the decoding do it in chunks."""

    head: nn.Conv2d | None  # C to 313 or 529 bins, 1x1
    stride = 4  # of the features
    neighbours = 5  # bins that a true colour is spread over
    regression_stride = 4  # of ``ab``
    regression_loss = "l2"  # or l1
    regression_weight = 1.0
    takes_hints = False

    def decide(self, head: Literal["classes", "ab"], channels: int) -> None:
        """Build the last layer on features of so many channels: ``classes`` gives 313 bins, ``ab`` colours.
        `ValueError` where ``head`` is neither.
        """
        if head not in ("classes", "ab"):
            raise ValueError(f"head: expected classes or ab, got {head!r}")
        self.head = undecided(nn.Conv2d(channels, 313, 1)) if head == "classes" else None
        self.regression = undecided(nn.Conv2d(channels, 2, 1)) if head == "ab" else None

    def decided(self, features: Tensor) -> ColorFeatures:
        """What is given for features [B, C, h, w], after `decide`."""
        if self.regression is None:
            return ColorFeatures(features)
        return ColorFeatures(ab=self.regression(features).float() * AB_NORM)


def convolutions(
    channels: list[int], last_stride: int = 1, dilation: int = 1, norm: bool = True
) -> list[nn.Module]:
    """3x3 convolutions with ReLU through ``channels``, the last one strided, and a norm after the last
    ReLU."""
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(channels)):
        stride = last_stride if index == len(channels) - 2 else 1
        layers += [
            nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=True),
        ]
    return [*layers, nn.BatchNorm2d(channels[-1])] if norm else layers


def initialise(network: nn.Module) -> None:
    """He et al. 2015 for every convolution.

    The authors initialised by k-means on data ("magic init") and report that PyTorch's default trains badly:
    it lets the signal shrink through the two to three convolutions between norms.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # what a convolution's output sums over; transposed weights are [in, out, k, k] and reach stride^2
            # times fewer inputs per output
            fan = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):
                fan = (
                    module.in_channels * module.weight[0, 0].numel() // (module.stride[0] * module.stride[1])
                )
            nn.init.normal_(module.weight, std=(2 / fan) ** 0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def undecided(head: nn.Conv2d) -> nn.Conv2d:
    """The last layer such that the first answer is grey, or all classes alike, and not noise."""
    nn.init.normal_(head.weight, std=0.01)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
    return head


def pad_to_multiple(maps: Tensor) -> Tensor:
    """Repeat the last row and column until both sizes can be halved three times."""
    below, right = (-size % SIZE_MULTIPLE for size in maps.shape[-2:])
    return pad(maps, (0, right, 0, below), mode="replicate") if below or right else maps


def load_released(network: nn.Module, path: str | Path, rename: dict[str, str], ignore: str) -> None:
    """Move the authors' state dict into the network.

    Args:
        path: a local .pth of richzhang/colorization.
        rename: regular expressions to replacements, applied to every key in order.
        ignore: regular expression of keys that have no counterpart.

    Raises:
        CheckpointError: there is no such file, or its tensors are not those of this network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"model.weights: {path} does not exist; expected a local file") from None
    except Exception as error:  # noise makes the unpickler fail in more ways than it documents
        raise CheckpointError(f"model.weights: {path} is not a state dict of tensors: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(
            f"model.weights: {path} is not a state dict of tensors: it holds a {type(state).__name__}"
        )
    renamed = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"model.weights: {path} is not a state dict of tensors: {key!r} is a {type(value).__name__}"
            )
        if not re.fullmatch(ignore, key):
            for pattern, replacement in rename.items():
                key = re.sub(pattern, replacement, key)
            renamed[key] = value
    try:
        network.load_state_dict(renamed)
    except RuntimeError as error:
        raise CheckpointError(f"model.weights: {path} does not fit: {shorten(str(error), 400)}") from error
