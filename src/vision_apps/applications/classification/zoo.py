"""Any classifier of torchvision or timm by name, with or without its published weights."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.published import RANDOM
from vision_apps.networks.backbones import Features
from vision_apps.networks.probing import probed
from vision_apps.networks.published import PublishedNetwork, chosen, download, told, unknown
from vision_apps.networks.same_padding import in_whole_numbers
from vision_apps.networks.timm_weights import at_hand, weights_of

HEAD = "head"  # the last layer
HEAD_WEIGHT = f"{HEAD}.weight"


class ZooNetwork(PublishedNetwork):
    """A classifier of another library: its ``backbone``, and the last layer as its ``head``. A network whose
    answer is no single last layer has all of it in the backbone.

    Attributes:
        image_size: side of the square input, pixels.

    Args:
        new_head: no weights come for the last layer, if there is one. It starts from zeros: the scores of
            random numbers would move a backbone that has learned away from what it knows before they mean
            anything. Where a backbone has learned, `fit_head` gives it a better start.
    """

    def __init__(
        self,
        model: nn.Module,
        new_head: bool,
        image_size: int,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        starts_from: str,
    ) -> None:
        super().__init__(mean, std, starts_from)
        body, self.head = without_last(model, image_size)
        self.new_head = new_head and isinstance(self.head, nn.Linear)
        if new_head and isinstance(self.head, nn.Linear):
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
        self.backbone = Features(body)
        self.image_size = image_size

    @torch.no_grad()
    def fit_head(self, images: Iterable[Tensor], labels: Tensor) -> None:
        """Let the last layer tell classes apart by what the backbone says of pictures, see `probed`.

        Args:
            images: normalised pixels [n, 3, S, S], part by part, N altogether.
            labels: int64 [N].

        Raises:
            RunError: the backbone says of a picture what is not finite.
        """
        training = self.training
        self.eval()  # no normalisation counts these pictures
        features = torch.cat([self.backbone(part) for part in images])
        self.train(training)
        if broken := int((~features.isfinite()).any(1).sum()):
            raise RunError(
                f"model.weights: of {broken} of {len(features)} training pictures the backbone gives numbers "
                "that are not finite; expected weights that are whole: take others, or model.weights=null "
                "for random numbers"
            )
        head = cast(nn.Linear, self.head)
        head.weight.copy_(probed(features, labels, head.out_features))

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, image_size, image_size] -> logits [B, K]."""
        logits: Tensor = self.head(self.backbone(images))
        return logits


class Torchvision(ZooNetwork):
    """A classifier of ``torchvision.models``. GoogLeNet and Inception v3 come without their auxiliary heads:
    these do not fit all image sizes. `ConfigError` where there is no such network or weights, or it cannot
    take this image size; `RunError` where the weights cannot be downloaded.

    Args:
        name: as ``torchvision.models.list_models`` has it, for instance ``efficientnet_b0``.
        weights: None starts from random numbers, ``DEFAULT`` is the best published set, ``IMAGENET1K_V1`` a
            named one. The last layer starts from zeros when ``num_classes`` differs from the published one.
        image_size: side of the data's images, pixels; by default what the network was made for. A vision
            transformer's position embeddings are interpolated to it.
        input_size: side that the images are brought to before the network, instead of ``image_size``.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        weights: str | None = None,
        image_size: int | None = None,
        input_size: int | None = None,
    ) -> None:
        from torchvision import models

        names = models.list_models(module=models)
        if name not in names:
            raise unknown("model.name", name, names, "a classifier of torchvision")
        published = models.get_model_weights(name)
        entry = chosen("model.weights", weights or "DEFAULT", published, name)
        preset = entry.transforms()
        native = preset.crop_size[0]
        size = input_size or image_size or native
        arguments: dict[str, object] = {}
        if name.startswith("vit_"):
            arguments = {"image_size": size}
        elif name.startswith("maxvit_"):
            arguments = {"input_size": (size, size)}
        elif name in ("googlenet", "inception_v3"):
            arguments = {"aux_logits": False, "init_weights": weights is None, "transform_input": False}

        build = partial(models.get_model, name, weights=None, num_classes=num_classes, **arguments)
        model = build_for(build, name, size, native)
        mean, std, starts_from = None, None, RANDOM
        if weights is not None:
            load_published(model, self._state(entry, name, size), name)
            # these two were trained on inputs in [-1, 1]: what torchvision's transform_input undoes the
            # normalisation for
            scaled = name in ("googlenet", "inception_v3")
            mean, std = ([0.5] * 3, [0.5] * 3) if scaled else (preset.mean, preset.std)
            starts_from = told(entry, name)
        new_head = weights is None or num_classes != len(entry.meta["categories"])
        super().__init__(model, new_head, size, mean, std, starts_from)

    @staticmethod
    def _state(entry: WeightsEnum, name: str, image_size: int) -> dict[str, Tensor]:
        """The published values under the names that today's architecture has, for this image size."""
        state = download(entry, "model.weights", name)
        if name.startswith("vit_"):
            from torchvision.models.vision_transformer import interpolate_embeddings

            return dict(interpolate_embeddings(image_size, int(name.rpartition("_")[2]), state))
        # DenseNet's files are older than the rule that a module's name has no dot: conv.1 is conv1 today
        for key in [key for key in state if "denselayer" in key]:
            state[re.sub(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)", r"\1", key)] = state.pop(key)
        return state


class Timm(ZooNetwork):
    """A classifier of timm. `ConfigError` where there is no such network or weights, or it cannot take this
    image size; `RunError` where the weights cannot be downloaded.

    Args:
        name: as ``timm.list_models`` has it, for instance ``convnext_tiny``.
        weights: a word of `timm_weights`: None, ``auto``, ``pip``, ``DEFAULT``, a tag such as ``a1_in1k`` or
            a file. The last layer starts from zeros when ``num_classes`` differs from the published one.
        image_size: side of the data's images, pixels; by default what the network was made for. Networks that
            are made for one size are built for this one.
        input_size: side that the images are brought to before the network, instead of ``image_size``.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        weights: str | None = None,
        image_size: int | None = None,
        input_size: int | None = None,
    ) -> None:
        import timm
        from timm.models import PretrainedCfg

        found = weights_of(name, weights)
        published = timm.get_pretrained_cfg(found.tagged) or PretrainedCfg()
        native = published.input_size[-1]
        size = input_size or image_size or native
        arguments: dict[str, Any] = {"img_size": size} if published.fixed_input_size else {}
        build = partial(timm.create_model, found.tagged, num_classes=num_classes, **arguments)
        model = build_for(build, name, size, native)
        if found.overlay is not None:
            model = found.fetched(partial(build, pretrained=True), weights)
        in_whole_numbers(model)
        classes = None if found.overlay is None else found.overlay.get("num_classes", published.num_classes)
        super().__init__(model, num_classes != classes, size, found.mean, found.std, found.told)

    @staticmethod
    def weights_at_hand(key: str, name: str, **_: object) -> str | None:
        """The word for the best weights that this machine has or gets at once."""
        return at_hand(name, key, f"{key.rpartition('.')[0]}.name")


def without_last(model: nn.Module, image_size: int) -> tuple[nn.Module, nn.Module]:
    """A classifier without its last layer, and that layer; the whole and nothing, where the two together
    would not give [B, K]."""
    of_timm = getattr(model, "get_classifier", None)
    linear = {layer: name for name, layer in model.named_modules() if type(layer) is nn.Linear}
    last: Any = of_timm() if of_timm else next(reversed(linear), None)
    if last not in linear:
        return model, nn.Identity()
    model.set_submodule(linear[last], nn.Identity())
    training = model.training
    with torch.no_grad():
        features = model.eval()(torch.zeros(1, 3, image_size, image_size))
    model.train(training)
    if features.shape == (1, last.in_features):
        return model, last
    model.set_submodule(linear[last], last)
    return model, nn.Identity()


def build_for(build: Callable[[], nn.Module], name: str, image_size: int, native: int) -> nn.Module:
    """What ``build`` makes, if it takes [1, 3, image_size, image_size]. Images that are smaller than a
    network was made for (``native``) can shrink to nothing inside it: found here, not in the first step.
    `ConfigError` where it does not.
    """
    try:
        model = build()
        if image_size < native:
            with torch.no_grad():
                model.eval()(torch.zeros(1, 3, image_size, image_size))
            model.train()
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"model.input_size: {name} cannot take images of {image_size} x {image_size} pixels ({reason}); "
            f"it was made for {native}. To resize them on the device: model.input_size={native}"
        ) from error
    return model


def load_published(model: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Move ``state`` into ``model``, leaving out the auxiliary heads and, where the number of classes
    differs, the last layer. `RunError` where anything else does not fit.
    """
    own = model.state_dict()
    head = {key for key, value in state.items() if key in own and value.shape[:1] != own[key].shape[:1]}
    # taken out in place: the dict carries the versions of its layers, which some of them need
    for key in [key for key in state if key in head or key.lower().startswith("aux")]:
        del state[key]
    found = model.load_state_dict(state, strict=False)
    layers = {key.rpartition(".")[0] for key in head}
    differing = {*found.missing_keys, *found.unexpected_keys} - head
    if differing or len(layers) > 1:
        raise RunError(
            f"model.name={name}: its published weights do not fit this version of torchvision "
            f"({', '.join(sorted(differing | layers)[:3])}); start from random numbers: model.weights=null"
        )
