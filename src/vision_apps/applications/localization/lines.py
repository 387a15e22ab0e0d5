"""Linear layers beside a localizer's heads, which are fitted before anything is trained."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_apps.applications.localization.vector import BOX, mirror
from vision_apps.core.errors import RunError
from vision_apps.networks.probing import probed

EDGE = 0.01  # what lies closer to 0 or 1 would hardly learn through a sigmoid
# These three were chosen by draws such as experiments/own_data/box_draws.py makes.
_SURE = 4  # times the scores of a logistic regression, which is less sure than it may be
_PENALTY = 0.3  # of the box's layer, against features of length 1
_CLASS = 3.0  # how much more a class says of a box than features of length 1 do
_COLUMNS = 8192  # numbers of each map that are held in double precision
_SHORTEST = 1e-12  # squared length of features that differ at all


class BoxFit(NamedTuple):
    """A box is ``places @ weight.T`` and that of its class."""

    weight: Tensor  # [4, D]
    boxes: Tensor  # [K, 4]


def ridge(places: Tensor, boxes: Tensor, classes: Tensor) -> BoxFit:
    """The ridge regression of boxes on what they are told from and on their class, around the mean box (Hoerl
    and Kennard 1970; in its dual form, since features are more than pictures).

    Of few pictures it is the mean box of their class, drawn a little towards that of all, and that of all for
    a class without pictures; of many the least squares.

    Args:
        places: float [N, D]; finite.
        boxes: float [N, 4], 0..1.
        classes: one-hot [N, K].
    """
    # in double precision no length overflows; some columns at a time, since maps of many places are large
    parts = places.split(_COLUMNS, dim=1)
    known, box = classes.double(), boxes.double().mean(0)
    products = known.new_zeros(len(places), len(places))
    for part in parts:
        centred = part.double() - part.double().mean(0)
        products += centred @ centred.T
    square = products.diagonal().mean().clamp_min(_SHORTEST)
    penalty = _PENALTY * torch.eye(len(places)).to(products)
    dual = torch.linalg.solve(products / square + _CLASS * known @ known.T + penalty, boxes.double() - box)
    weights, of_class = [], box + _CLASS * known.T @ dual
    for part in parts:
        middle = part.double().mean(0)
        weights.append(dual.T @ (part.double() - middle) / square)
        of_class = of_class - weights[-1] @ middle
    return BoxFit(torch.cat(weights, dim=1).to(boxes.dtype), of_class.to(boxes.dtype))


class Lines(nn.Module):
    """Scores of presence and classes told from the mean of a map, and a box told from its places and from how
    probable each class is. As long as nothing is fitted they say nothing: no scores, and the middle.

    What they are given is divided by how much of it there is: thousands of numbers that all have the same
    sign in a picture would else change the box by more than it is large, in one step of a usual rate.

    Args:
        channels: of the map.
        places: numbers that the box is told from.
    """

    def __init__(self, channels: int, places: int, num_classes: int) -> None:
        super().__init__()
        self.scores = nn.Linear(channels, 1 + num_classes)
        # no layers of their own: where another run's weights know other classes, both start anew
        self.weight = nn.Parameter(torch.zeros(BOX, places))
        self.boxes = nn.Parameter(torch.full((num_classes, BOX), 0.5))
        for parameter in self.scores.parameters():
            nn.init.zeros_(parameter)

    def classes(self, means: Tensor) -> Tensor:
        """The scores [B, 1 + K] of presence and classes, of the mean of a map [B, channels]."""
        scores: Tensor = self.scores(means / means.shape[1])
        return scores

    def box(self, places: Tensor, scores: Tensor) -> Tensor:
        """The logits [B, 4] of the box.

        Args:
            places: [B, D].
            scores: of the classes, [B, K]. What an object is does not follow from where it is: no gradient.
        """
        box = F.linear(places / places.shape[1], self.weight) + scores.detach().softmax(1) @ self.boxes
        return box.float().logit(EDGE)

    @torch.no_grad()
    def fit(self, means: Tensor, places: Tensor, mirrored: Tensor, vectors: Tensor) -> None:
        """Let the layers tell the label vectors [N, 5 + K], of which some have an object, from what is said
        of their pictures, [N, channels] and [N, D], and of their mirror images, [N, D]."""
        there = vectors[:, BOX] > 0
        classes = vectors[there, BOX + 1 :]
        scores = self.scores.weight
        scores[1:] = _SURE * means.shape[1] * probed(means[there], classes.argmax(1), classes.shape[1])
        if not there.all():
            absent, present = probed(means, there.long(), 2)
            scores[0] = _SURE * means.shape[1] * (present - absent)
        boxes = vectors[there, :BOX]
        found = ridge(
            torch.cat((places[there], mirrored[there])),
            torch.cat((boxes, mirror(boxes))),
            classes.repeat(2, 1),
        )
        self.weight.copy_(places.shape[1] * found.weight)
        self.boxes.copy_(found.boxes)


def joined(parts: Iterable[Tensor]) -> Tensor:
    """Maps [n, C, H, W], part by part, as one [N, C, H, W]; `RunError` where a number is not finite."""
    maps = torch.cat(list(parts))
    if broken := int((~maps.isfinite()).flatten(1).any(1).sum()):
        raise RunError(
            f"model.backbone.weights: of {broken} of {len(maps)} training pictures the backbone gives "
            "numbers that are not finite; expected weights that are whole: take others, or "
            "model.backbone.weights=null for random numbers"
        )
    return maps
