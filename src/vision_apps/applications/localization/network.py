"""A backbone with two heads: is there an object and of which class; where is it."""

from collections.abc import Iterable, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from vision_apps.applications.localization.lines import EDGE, Lines, joined
from vision_apps.applications.localization.types import LocalizerOutputs
from vision_apps.applications.localization.vector import BOX
from vision_apps.core.conventions import height_width
from vision_apps.networks.backbones import Backbone

HEADS = ("class_head", "box_head", "lines")
SCORES = ("class_head", "lines.scores")  # a head and the line beside it
BOXES = ("box_head", "lines.weight", "lines.boxes")
# what of them few pictures would only spoil once the lines are fitted: all but the bias of the scores
KEPT = ("class_head", "lines.scores.weight", *BOXES)


class Localizer(nn.Module):
    """The coarsest feature map of ``backbone``, then two heads of one hidden layer each. A sigmoid keeps the
    box within 0..1.

    What an object is does not depend on where it is, so the head of presence and class sees the largest value
    of each channel. Where it is can hardly be told from that: the head of the box sees every place of the map
    (``flatten``), or its mean (``gap``).

    With ``lines`` each head says by how much the answer differs from that of a linear layer. What these begin
    with a few pictures tell better than any training: classes by logistic regression, boxes by that of their
    class and by ridge regression.

    Args:
        backbone: only its coarsest map is looked at.
        image_size: side of the input, or height and width; ``flatten`` works at this size only.
        hidden: units of each head's hidden layer.
        dropout: probability of dropping a feature before, and a unit of, the hidden layers.
        lines: linear layers beside the heads, see `Lines`.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        image_size: int | Sequence[int],
        head: Literal["flatten", "gap"] = "flatten",
        hidden: int = 64,
        dropout: float = 0.0,
        lines: bool = False,
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
        self.lines = Lines(channels, features, num_classes) if lines else None

    def _map_size(self, image_size: int | Sequence[int]) -> tuple[int, int]:
        height, width = height_width(image_size)
        training = self.backbone.training
        with torch.no_grad():  # in evaluation, so that no normalisation counts this picture
            coarsest = self.backbone.eval()(torch.zeros(1, 3, height, width))[-1]
        self.backbone.train(training)
        return coarsest.shape[-2], coarsest.shape[-1]

    def start_at(self, vector: Tensor) -> None:
        """Answer every picture with this label vector [5 + K], as long as nothing is learned: the weights of
        the last layers are zero, and their biases say it."""
        for head, answer in ((self.box_head, vector[:BOX].logit(EDGE)), (self.class_head, _scores(vector))):
            last = cast(nn.Linear, head[-1])
            nn.init.zeros_(last.weight)
            with torch.no_grad():
                last.bias.copy_(answer)

    @torch.no_grad()
    def fit_lines(self, images: Iterable[Tensor], vectors: Tensor) -> None:
        """Answer with what the linear layers, which there have to be, tell of each picture as long as nothing
        is learned, see `Lines.fit`; where all pictures have an object so has the answer. Boxes are also
        learned from mirror images; a class may be another there.

        Args:
            images: normalised pixels [n, 3, H, W], part by part, N altogether.
            vectors: label vectors [N, 5 + K], of which some have an object.

        Raises:
            RunError: the backbone says of a picture what is not finite.
        """
        assert self.lines is not None
        training = self.training
        self.eval()  # no normalisation counts these pictures
        seen = [(self.backbone(part)[-1], self.backbone(part.flip(-1))[-1]) for part in images]
        self.train(training)
        maps, mirrored = map(joined, zip(*seen, strict=True))
        places, others = (self.pool(part).flatten(1) for part in (maps, mirrored))
        self.lines.fit(maps.mean((2, 3)), places, others, vectors)
        undecided = vectors.new_ones(vectors.shape[1])
        undecided[:BOX] = 0.5
        if not (vectors[:, BOX] > 0).all():  # else nothing but this tells that there is always an object
            undecided[BOX] = 0.5
        self.start_at(undecided)

    def forward(self, pixels: Tensor) -> LocalizerOutputs:
        """Normalised pixels [B, 3, H, W] -> presence, classes and box."""
        features = self.backbone(pixels)[-1]
        places = self.pool(features).flatten(1)
        scores, box = self.class_head(features.amax(dim=(2, 3))), self.box_head(places)
        if self.lines is not None:
            scores = scores + self.lines.classes(features.mean(dim=(2, 3)))
            box = box + self.lines.box(places, scores[:, 1:])
        return LocalizerOutputs(scores[:, 0], scores[:, 1:], box.float().sigmoid())


def _scores(vector: Tensor) -> Tensor:
    """The logits [1 + K] of presence and classes."""
    presence, classes = vector[BOX].logit(EDGE), vector[BOX + 1 :].clamp_min(EDGE).log()
    return torch.cat((presence[None], classes))


def _head(features: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(features, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, outputs),
    )
