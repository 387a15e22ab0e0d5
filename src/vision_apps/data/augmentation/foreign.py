"""Transforms of torchvision.transforms.v2 as augmentations, named below ``data.augment`` like any other:
``_target_: torchvision.transforms.v2.GaussianBlur``.

They change one sample at a time with what they draw from torch's global generator, which is seeded for each:
whole batches at once, as the rest of this package works, are faster. What they do to pictures is listed here,
and held against the fields of a batch as any augmentation's is.
"""

import functools
import operator
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from vision_apps.core import draws
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Mask, PixelTruth
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts
from vision_apps.data.augmentation.objects import Objects, left_of

_NONE = Effect(0)
_AFFINE = Effect.TURNS | Effect.BLENDS | Effect.OUTSIDE
_POLICY = Effect.COLORS | Effect.TURNS | Effect.ALONE

EFFECTS: dict[str, Effect] = {
    **dict.fromkeys(("Compose", "RandomApply", "RandomChoice", "RandomOrder", "Identity"), _NONE),
    **dict.fromkeys(("RandomHorizontalFlip", "RandomVerticalFlip"), Effect.TURNS),
    **dict.fromkeys(("RandomAffine", "RandomRotation"), _AFFINE),
    **dict.fromkeys(("Resize", "RandomResize", "RandomShortestSize", "RandomResizedCrop"), Effect.BLENDS),
    "ScaleJitter": Effect.BLENDS,
    "RandomPerspective": Effect.BLENDS | Effect.OUTSIDE,
    "ElasticTransform": Effect.BLENDS | Effect.OUTSIDE | Effect.DEFORMS,
    "RandomIoUCrop": _NONE,
    **dict.fromkeys(("CenterCrop", "RandomZoomOut"), Effect.OUTSIDE),
    **dict.fromkeys(("Pad", "RandomCrop"), Effect.OUTSIDE),  # or REPEATS, see `_effects`
    **dict.fromkeys(("AutoAugment", "RandAugment", "TrivialAugmentWide", "AugMix"), _POLICY),
    "RandomErasing": Effect.COVERS,
    **dict.fromkeys(("GaussianBlur", "GaussianNoise", "JPEG", "RandomAdjustSharpness"), Effect.COLORS),
    **dict.fromkeys(("ColorJitter", "RandomPhotometricDistort", "RandomAutocontrast"), Effect.COLORS),
    **dict.fromkeys(("RandomEqualize", "RandomInvert", "RandomPosterize", "RandomSolarize"), Effect.COLORS),
    **dict.fromkeys(("RandomGrayscale", "Grayscale", "RandomChannelPermutation", "RGB"), Effect.COLORS),
}

_ELSEWHERE = "pictures are normalised by the module, after augmentation; leave it out"
_RULE = "boxes are cut and dropped by the rule of every augmentation here; leave it out"
_SEVERAL = "it makes several pictures of one; use RandomCrop"
REFUSED: dict[str, str] = {
    "Transform": "it does nothing by itself; name one of its subclasses",
    "MixUp": "it mixes samples; use vision_apps.data.augmentation.crops.MixUp",
    "CutMix": "it mixes samples; use vision_apps.data.augmentation.crops.CutMix",
    **dict.fromkeys(("FiveCrop", "TenCrop"), _SEVERAL),
    **dict.fromkeys(("Normalize", "LinearTransformation", "ToDtype", "ConvertImageDtype"), _ELSEWHERE),
    **dict.fromkeys(("ToTensor", "ToImage", "ToPILImage", "PILToTensor", "ToPureTensor"), _ELSEWHERE),
    **dict.fromkeys(("SanitizeBoundingBoxes", "ClampBoundingBoxes", "SetClampingMode"), _RULE),
    **dict.fromkeys(("ConvertBoundingBoxFormat", "SanitizeKeyPoints", "ClampKeyPoints"), _RULE),
    "UniformTemporalSubsample": "it is for videos",
    "Lambda": "a configuration names no functions; derive a class of yours from BatchTransform",
}


class Torchvision(BatchTransform):
    """A transform of torchvision.transforms.v2 that masks, boxes and what belongs to them follow.

    Args:
        transform: one of `EFFECTS`, which are given uint8 pictures and have to give some.

    Raises:
        ConfigError: any other, or a batch that has a field which would no longer be true.
    """

    def __init__(self, transform: object) -> None:
        self.transform = _required(transform)
        self.name = type(transform).__name__
        parts = [*_parts(self.transform)]
        self.effects = functools.reduce(operator.or_, map(_effects, parts))
        self._crops = any(isinstance(part, v2.RandomIoUCrop) for part in parts)
        for part in parts:  # masks are shifted so that their void is 0
            if hasattr(part, "_fill"):
                part._fill = {**part._fill, tv_tensors.Mask: 0}

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        objects = [one for one in parts.objects if one.boxes.shape[1]]
        if self._crops and len(objects) != 1:
            there = ", ".join(repr(one.name) for one in objects) or "none"
            raise self._refused(f"it looks at exactly one field of boxes, and the batch has {there}")
        moved = {one.name: one.boxes.float().clone() for one in objects}
        values: dict[str, list[Tensor]] = {}
        with draws.apart(parts.size[0], parts.device) as seed:
            for index in range(parts.size[0]):
                sample = _sample(parts, objects, index)
                seed(index)
                try:
                    found = self.transform(sample)
                except (RuntimeError, TypeError, ValueError) as error:
                    raise self._refused(f"it cannot change them: {error}") from error
                for one in objects:
                    moved[one.name][index, one.there[index]] = found.pop(one.name).as_subclass(Tensor)
                for name, value in found.items():
                    values.setdefault(name, []).append(value.as_subclass(Tensor))
        fields = {name: self._together(own) for name, own in values.items()}
        for name, picture in parts.pictures.items():
            self._require_picture(fields[name], picture)
        for name, (mask, kind) in parts.of(Mask).items():
            fields[name] = (fields[name] + kind.void).to(mask.dtype)
        height, width = fields[next(iter(parts.pictures))].shape[-2:]
        window = torch.tensor([0.0, 0.0, width, height], device=parts.device)
        for one in objects:
            fields |= one.settled(*left_of(one.boxes, moved[one.name], window))
        return fields

    def _require_picture(self, found: Tensor, given: Tensor) -> None:
        if (found.dtype, found.shape[1]) != (given.dtype, given.shape[1]):
            raise self._refused(
                f"it makes {found.dtype} {list(found.shape[1:])} of them; expected {given.dtype} "
                f"[{given.shape[1]}, height, width]"
            )

    def _together(self, values: list[Tensor]) -> Tensor:
        shapes = sorted({tuple(value.shape[-2:]) for value in values})
        if len(shapes) > 1:
            raise self._refused(
                f"it makes pictures of several sizes, such as {shapes[0]} and {shapes[-1]}; let a Resize to "
                "one size follow it in a torchvision.transforms.v2.Compose"
            )
        return torch.stack(values)

    def _refused(self, why: str) -> ConfigError:
        return ConfigError(f"data.augment: {self.name} does not fit these pictures: {why}")


def _sample(parts: Parts, objects: Sequence[Objects], index: int) -> dict[str, Tensor]:
    """One sample as torchvision knows it. Masks are shifted so that their void is 0, which is what comes in
    from outside; boxes are those that are there, and not cut, so that the share that is left is known."""
    _, H, W = parts.size
    sample: dict[str, Tensor] = {
        name: tv_tensors.Image(picture[index]) for name, picture in parts.pictures.items()
    }
    for name, (mask, kind) in parts.of(Mask).items():
        sample[name] = tv_tensors.Mask(mask[index].int() - kind.void)
    for name, (truth, _) in parts.of(PixelTruth).items():
        sample[name] = tv_tensors.Mask(truth[index])
    for one in objects:
        sample[one.name] = tv_tensors.BoundingBoxes(
            one.boxes[index, one.there[index]].float(), format="XYXY", canvas_size=(H, W), clamping_mode=None
        )
    return sample


def _required(transform: object) -> v2.Transform:
    """`ConfigError` where it is none that is known, or holds one that is not."""
    name = type(transform).__name__
    if not isinstance(transform, v2.Transform):
        raise ConfigError(
            f"data.augment: {name} is no transform of torchvision.transforms.v2, which masks and boxes can "
            f"follow; say _target_: torchvision.transforms.v2.{name}"
        )
    for part in _parts(transform):
        kind = type(part).__name__
        if kind in REFUSED and kind not in EFFECTS:
            raise ConfigError(f"data.augment: {kind} is no augmentation of batches: {REFUSED[kind]}")
        if kind not in EFFECTS or not type(part).__module__.startswith("torchvision.transforms.v2."):
            raise ConfigError(
                f"data.augment: what {kind} does to masks and boxes is not known; derive a class of yours "
                "from vision_apps.data.augmentation.effects.BatchTransform, or use one of "
                + ", ".join(EFFECTS)
            )
    return transform


def _parts(transform: object) -> Iterator[object]:
    """The transform and those that it holds."""
    yield transform
    for part in getattr(transform, "transforms", ()):
        yield from _parts(part)


def _effects(part: object) -> Effect:
    if isinstance(part, v2.RandomCrop) and part.padding is None and not part.pad_if_needed:
        return _NONE
    if isinstance(part, v2.Pad | v2.RandomCrop):
        return Effect.OUTSIDE if part.padding_mode == "constant" else Effect.REPEATS
    return EFFECTS[type(part).__name__]
