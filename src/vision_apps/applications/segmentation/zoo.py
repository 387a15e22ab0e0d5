"""Segmenters of torchvision and segmentation_models_pytorch by name, with or without published weights."""

import warnings
from functools import partial
from typing import Any

from torch import Tensor, nn

from vision_apps.applications.segmentation.mirror import window
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.published import RANDOM
from vision_apps.networks.auxiliary import AuxiliaryLogits, Logits
from vision_apps.networks.backbones import Features
from vision_apps.networks.published import PublishedNetwork, chosen, download, told, unknown
from vision_apps.networks.same_padding import in_whole_numbers
from vision_apps.networks.timm_weights import at_hand, weights_of

AUXILIARY = 0.5  # weight of the auxiliary loss: torchvision's reference training
_STRIDE = 32  # px: what pictures are a multiple of for segmentation_models_pytorch
_LEAST = {"pan": 128}  # px: its attention pools the coarsest maps three times


class Torchvision(PublishedNetwork):
    """A segmenter of ``torchvision.models.segmentation``: FCN (Long et al. 2015), DeepLabV3 (Chen et al.
    2017), LR-ASPP (Howard et al. 2019). `ConfigError` where there is no such network or weights; `RunError`
    where the weights cannot be downloaded.

    FCN and DeepLabV3 have an auxiliary head that is trained with half the weight.

    Args:
        name: for instance ``fcn_resnet50``, ``deeplabv3_resnet50``, ``lraspp_mobilenet_v3_large``.
        weights: of the whole network: null, ``DEFAULT`` or a named set. Layers that give classes start from
            random numbers when ``num_classes`` differs from the published 21.
        weights_backbone: of the backbone alone, from ImageNet; goes unused where ``weights`` are given.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        weights: str | None = None,
        weights_backbone: str | None = None,
    ) -> None:
        from torchvision import models

        names = models.list_models(module=models.segmentation)
        if name not in names:
            raise unknown("model.name", name, names, "a segmenter of torchvision")
        has_auxiliary = not name.startswith("lraspp")
        arguments: dict[str, bool] = {"aux_loss": True} if has_auxiliary else {}
        model: Any = models.get_model(
            name, weights=None, weights_backbone=None, num_classes=num_classes, **arguments
        )
        entry, starts_from = None, RANDOM
        if weights is not None:
            entry = chosen("model.weights", weights, models.get_model_weights(name), name)
            state = download(entry, "model.weights", name)
            own = model.state_dict()
            fitting = {key: value for key, value in state.items() if own[key].shape == value.shape}
            model.load_state_dict(fitting, strict=False)
            starts_from = told(entry, name)
        elif weights_backbone is not None:
            backbone = name.partition("_")[2]
            entry = chosen(
                "model.weights_backbone", weights_backbone, models.get_model_weights(backbone), backbone
            )
            state = download(entry, "model.weights_backbone", backbone)
            own = model.backbone.state_dict()
            # a classifier's features are numbered below "features" where the backbone has them at its top
            plain = {key.removeprefix("features."): value for key, value in state.items()}
            missing = set(own) - set(plain)
            if missing:
                raise RunError(
                    f"model.weights_backbone={weights_backbone}: the weights of {backbone} do not fit this "
                    f"version of torchvision ({min(missing)} is missing); start from random numbers: "
                    "model.weights_backbone=null"
                )
            model.backbone.load_state_dict({key: plain[key] for key in own})
            starts_from = told(entry, backbone)
        preset = entry and entry.transforms()
        super().__init__(preset and preset.mean, preset and preset.std, starts_from)
        self.model = model

    @property
    def backbone(self) -> Features:
        return Features(self.model.backbone)

    def forward(self, pixels: Tensor) -> Logits:
        """[B, 3, H, W] -> logits [B, K, H, W]."""
        found = self.model(pixels)
        logits: Tensor = found["out"]
        if self.training and "aux" in found:
            return AuxiliaryLogits(logits, (found["aux"],), AUXILIARY)
        return logits


class Smp(PublishedNetwork):
    """Any architecture of segmentation_models_pytorch with any encoder of timm that gives feature maps.
    `ConfigError` where there is no such architecture, encoder or weights, or the two do not fit together;
    `RunError` where the weights cannot be downloaded.

    Args:
        name: of the architecture, for instance ``unet``, ``fpn``, ``deeplabv3plus``, ``segformer``.
        encoder: as ``timm.list_models()`` has it, for instance ``resnet18``.
        weights: of the encoder, a word of `timm_weights`: null, auto, pip, ``DEFAULT``, a tag such as
            ``a1_in1k``, or a file.
    """

    def __init__(
        self, name: str, num_classes: int, encoder: str = "resnet18", weights: str | None = None
    ) -> None:
        import segmentation_models_pytorch as smp
        from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING as ARCHITECTURES

        if name not in ARCHITECTURES:
            raise unknown("model.name", name, ARCHITECTURES, "an architecture of segmentation_models_pytorch")
        found = weights_of(encoder, weights, name_key="model.encoder")

        build = partial(
            smp.create_model,
            name,
            encoder_name=f"tu-{found.tagged}",
            classes=num_classes,
            **({"dynamic_img_size": True} if name == "dpt" else {}),
        )
        try:
            with warnings.catch_warnings():
                # DPT says so of an encoder that is no transformer, and fails in its first step
                warnings.filterwarnings("error", message="Encoder does not have prefix tokens")
                model: Any = build(encoder_weights=None)
        except (RuntimeError, ValueError, AssertionError, LookupError, TypeError, UserWarning) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            fitting = "vit_tiny_patch16_224" if name == "dpt" else "resnet18"
            raise ConfigError(
                f"model.encoder: {encoder} does not fit model.name={name} ({reason}); "
                f"try model.encoder={fitting}"
            ) from error
        if found.overlay is not None:
            model = found.fetched(partial(build, encoder_weights=True), weights)
        in_whole_numbers(model)
        if name == "dpt":  # the transformer's last norm and classes are read by nobody
            model.encoder.model.norm, model.encoder.model.head = nn.Identity(), nn.Identity()
        super().__init__(found.mean, found.std, found.told)
        self.model = model
        self.least = _LEAST.get(name, 1)

    @staticmethod
    def weights_at_hand(key: str, encoder: str = "resnet18", **_: object) -> str | None:
        """The word for the best weights that this machine has or gets at once."""
        return at_hand(encoder, key, f"{key.rpartition('.')[0]}.encoder")

    @property
    def backbone(self) -> Features:
        return Features(self.model.encoder.model)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, K, H, W]; the picture is mirrored up to a multiple of the stride."""
        height, width = pixels.shape[-2:]
        tall, wide = (-(-max(size, self.least) // _STRIDE) * _STRIDE for size in (height, width))
        logits: Tensor = self.model(window(pixels, 0, tall, 0, wide))
        return logits[..., :height, :width]
