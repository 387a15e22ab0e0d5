"""A backbone with two heads: is there an object and of which class; where is it."""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from vision_apps.applications.localization.types import LocalizerOutputs
from vision_apps.applications.localization.vector import BOX
from vision_apps.core.conventions import height_width
from vision_apps.networks.backbones import Backbone

_EDGE = 0.01  # what lies closer to 0 or 1 would hardly learn through a sigmoid


class Localizer(nn.Module):
    """The coarsest feature map of ``backbone``, then two heads of one hidden layer each. A sigmoid keeps the
    box within 0..1.

    What an object is does not depend on where it is, so the head of presence and class sees the largest value
    of each channel. Where it is can hardly be told from that: the head of the box sees every place of the map
    (``flatten``), or its mean (``gap``).

    With ``class_boxes`` the box head says by how much the box differs from that of its class: a few pictures
    tell the mean box of a class better than where things are.

    Args:
        backbone: only its coarsest map is looked at.
        image_size: side of the input, or height and width; ``flatten`` works at this size only.
        hidden: units of each head's hidden layer.
        dropout: probability of dropping a feature before, and a unit of, the hidden layers.
        class_boxes: each class has a box, four numbers before the sigmoid, of which the answer has as much as
            the class is probable.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        image_size: int | Sequence[int],
        head: Literal["flatten", "gap"] = "flatten",
        hidden: int = 64,
        dropout: float = 0.0,
        class_boxes: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = nn.AdaptiveAvgPool2d(1) if head == "gap" else nn.Identity()
        channels = features = backbone.channels[-1]
        if head == "flatten":
            height, width = self._map_size(image_size)
            features *= height * width
        self.class_head = _head(channels, hidden, 1 + num_classes, dropout)
        self.box_head = _head(features, hidden, BOX, dropout)
        self.class_boxes = nn.Parameter(torch.zeros(num_classes, BOX)) if class_boxes else None

    def _map_size(self, image_size: int | Sequence[int]) -> tuple[int, int]:
        height, width = height_width(image_size)
        training = self.backbone.training
        with torch.no_grad():  # in evaluation, so that no normalisation counts this picture
            coarsest = self.backbone.eval()(torch.zeros(1, 3, height, width))[-1]
        self.backbone.train(training)
        return coarsest.shape[-2], coarsest.shape[-1]

    def start_at(self, vector: Tensor, boxes: Tensor) -> None:
        """Answer every picture with this label vector [5 + K], as long as nothing is learned: the weights of
        the last layers are zero, and their biases say it. Where classes have boxes of their own, these are
        the first entries [K, 4] of their label vectors, and the box that is answered lies between them."""
        box = vector[:BOX].logit(_EDGE)
        if self.class_boxes is not None:
            with torch.no_grad():
                self.class_boxes.copy_(boxes.logit(_EDGE))
            box = torch.zeros_like(box)
        for head, answer in ((self.box_head, box), (self.class_head, _scores(vector))):
            last = cast(nn.Linear, head[-1])
            nn.init.zeros_(last.weight)
            with torch.no_grad():
                last.bias.copy_(answer)

    def forward(self, pixels: Tensor) -> LocalizerOutputs:
        """Normalised pixels [B, 3, H, W] -> presence, classes and box."""
        features = self.backbone(pixels)[-1]
        scores = self.class_head(features.amax(dim=(2, 3)))
        box = self.box_head(self.pool(features).flatten(1))
        if self.class_boxes is not None:  # what an object is does not follow from where it is: no gradient
            box = box + scores[:, 1:].detach().softmax(1) @ self.class_boxes
        return LocalizerOutputs(scores[:, 0], scores[:, 1:], box.float().sigmoid())


def _scores(vector: Tensor) -> Tensor:
    """The logits [1 + K] of presence and classes."""
    presence, classes = vector[BOX].logit(_EDGE), vector[BOX + 1 :].clamp_min(_EDGE).log()
    return torch.cat((presence[None], classes))


def _head(features: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(features, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, outputs),
    )
