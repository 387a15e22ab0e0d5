"""From pixels to feature maps, finest first: what localizers, detectors and segmenters are built on."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import timm
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation as Layer  # without a bias, with batch norm and ReLU

from vision_apps.core.errors import RunError
from vision_apps.networks.same_padding import in_whole_numbers
from vision_apps.networks.timm_weights import at_hand, weights_of


class Backbone(nn.Module):
    """Pixels [B, 3, H, W] to maps [B, channels[i], H / strides[i], W / strides[i]], rounded up, finest
    first."""

    channels: list[int]
    strides: list[int]
    mean: Sequence[float]  # set where published weights were trained with them: RGB in [0, 1]
    std: Sequence[float]

    if TYPE_CHECKING:  # so that calls are checked

        def __call__(self, pixels: Tensor) -> list[Tensor]: ...


class Small(Backbone):
    """Convolutions with batch norm that learn from nothing on a CPU.

    Six 3 x 3 layers to stride 8, two more for each further level.

    Args:
        width: channels of every level; the first layers have a half and three quarters of them.
        levels: how many feature maps, at strides 8, 16, 32, ...
        fine: before them also the map at stride 4, of three quarters of the width.
    """

    def __init__(self, width: int = 64, levels: int = 1, fine: bool = False) -> None:
        super().__init__()
        self.fine = fine
        half, most = width // 2, width * 3 // 4
        self.stem = nn.Sequential(
            Layer(3, half, stride=2),
            Layer(half, half),
            Layer(half, most, stride=2),
            Layer(most, most),
            Layer(most, width, stride=2),
            Layer(width, width),
        )
        self.further = nn.ModuleList(
            nn.Sequential(Layer(width, width, stride=2), Layer(width, width)) for _ in range(levels - 1)
        )
        self.channels = [most] * fine + [width] * levels
        self.strides = [4] * fine + [8 * 2**level for level in range(levels)]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        if self.fine:
            first = self.stem[:4](pixels)
            maps = [first, self.stem[4:](first)]
        else:
            maps = [self.stem(pixels)]
        for stage in self.further:
            maps.append(stage(maps[-1]))
        return maps


class Timm(Backbone):
    """Any network of timm that can give its features, by name. `ConfigError` where timm has no such network,
    or no such weights of it; `RunError` where it has no such levels, or the weights cannot be had.

    Attributes:
        starts_from: what its weights are before training, in words.

    Args:
        name: as in ``timm.list_models()``.
        weights: a word of `timm_weights`: null, auto, pip, DEFAULT, a tag such as ``a1_in1k``, or a file.
        levels: which of the network's levels, counted from 0 at the finest.
    """

    def __init__(
        self,
        name: str = "resnet18",
        weights: str | None = None,
        levels: Sequence[int] = (2, 3, 4),
    ) -> None:
        super().__init__()
        chosen = weights_of(name, weights, "model.backbone.weights", "model.backbone.name")
        build = partial(timm.create_model, chosen.tagged, features_only=True, out_indices=tuple(levels))
        try:
            network: Any = (
                build() if chosen.overlay is None else chosen.put_in(partial(build, pretrained=True))
            )
        except Exception as error:  # many: no such tag, no network, a level that it has not
            raise RunError(
                f"model.backbone: timm cannot make {chosen.tagged} with levels {list(levels)}"
                f"{' and its weights' if weights else ''} ({type(error).__name__}: {error}). Choose others, "
                "or start from random numbers: model.backbone.weights=null"
            ) from error
        in_whole_numbers(network)
        self.network = network
        self.channels = network.feature_info.channels()
        self.strides = network.feature_info.reduction()
        self.starts_from = chosen.told
        if chosen.mean and chosen.std:  # what the weights were trained with goes before the data's
            self.mean: list[float] = chosen.mean
            self.std: list[float] = chosen.std

    @staticmethod
    def weights_at_hand(key: str, name: str = "resnet18", **_: object) -> str | None:
        """The word for the best weights that this machine has or gets at once."""
        return at_hand(name, key, f"{key.rpartition('.')[0]}.name")

    def forward(self, pixels: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(pixels)
        return maps


class Features(nn.Module):
    """A network of another library under the name that it has in every backbone, so that what one application
    has learned is found by another."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] -> what the network gives."""
        features: Tensor = self.network(pixels)
        return features
