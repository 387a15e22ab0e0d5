"""What travels between data, network, module and user."""

from typing import Annotated, NamedTuple

from torch import Tensor

from vision_apps.core.fields import OfFile, Pixels, PixelTruth, Stays


class ColorBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    # int [B, H, W]: of the generated world, see `scenes_truth`
    materials: Annotated[Tensor | None, PixelTruth()] = None
    sizes: Annotated[Tensor | None, Stays()] = None  # int64 [B, 2], height and width of the files
    # uint8 [B, 3, h, w], the pictures as they are in the files, to be measured with; 0 past a file's end
    files: Annotated[Tensor | None, OfFile()] = None


class ColorInputs(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB, of which only the lightness is seen
    # for a network that takes hints: float32 [B, 2, H, W], known ab, and [B, 1, H, W], 1 where it is known
    ab: Annotated[Tensor | None, PixelTruth()] = None
    mask: Annotated[Tensor | None, PixelTruth()] = None


class ColorAnswer(NamedTuple):
    images: Tensor  # uint8 [B, 3, H, W], sRGB: the lightness of the input in colour
    ab: Tensor  # float32 [B, 2, H, W], not clipped to the gamut
    # float32 [B], nat: mean over the pixels; 0 is certain; none after regression
    entropy: Tensor | None = None


class ExportedColor(NamedTuple):
    """What an exported network gives: a `ColorAnswer`, whose pictures are not called like the input."""

    colored: Tensor
    ab: Tensor
    entropy: Tensor | None = None
