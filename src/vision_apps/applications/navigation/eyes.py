"""What an agent looks at in any world: views around it, and what each action leads to."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vision_apps.applications.navigation.types import DIRECTION, Observation
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import ConfigError, DataError


class Seen(NamedTuple):
    """Of one place, as tensors over the batch; what does not depend on a memory."""

    views: Tensor  # [B, V, D]
    candidates: Tensor  # [B, A, E]
    possible: Tensor  # bool [B, A]
    led: Tensor  # [B, 4], 0 where it is not known


class Eyes(nn.Module):
    """Features of views and candidates as a world gives them; or of a picture its places, found by two
    convolutions of which the first takes each cell as a whole, and a vector of each of a fixed number of
    actions.

    Args:
        actions: how many there are; with features the most.
        image_size: side of the pictures, px.
        feature_width: numbers of a view, of a world that gives features; none: pictures are seen.
        cell: px of a side of what the first convolution takes as a whole.
        width: D and E, of what is found in a picture.

    Attributes:
        view_width: D.
        candidate_width: E.
    """

    def __init__(
        self, actions: int, image_size: int | Sequence[int], feature_width: int | None, cell: int, width: int
    ) -> None:
        super().__init__()
        self.features = feature_width is not None
        if feature_width is not None:
            self.view_width, self.candidate_width = feature_width + DIRECTION, feature_width + DIRECTION + 1
            return
        height, columns = height_width(image_size, "model.image_size")
        if min(height, columns) < cell:
            raise ConfigError(
                f"model.cell: {cell} px; pictures have {height} x {columns}; expected at most that"
            )
        self.view_width = self.candidate_width = width
        self.cells = nn.Conv2d(3, width, cell, cell)
        self.around = nn.Conv2d(width, width, 3, padding=1)
        self.where = nn.Parameter(torch.randn((height // cell) * (columns // cell), width) / width**0.5)
        self.actions = nn.Parameter(torch.randn(actions, width) / width**0.5)

    def forward(self, observation: Observation) -> Seen:
        """`DataError` where there is a picture and features are expected."""
        if not self.features:
            assert observation.pixels is not None, "Navigation requires a world that fits its agent"
            found = self.around(self.cells(observation.pixels).relu()).relu().flatten(2).mT + self.where
            count = found.shape[0]
            possible = torch.ones(count, len(self.actions), dtype=torch.bool, device=found.device)
            return Seen(
                found, self.actions.expand(count, -1, -1), possible, found.new_zeros(count, DIRECTION)
            )
        if observation.views is None:
            raise DataError(
                "a picture is no place in a building, whose views this agent knows by their features: name "
                "an episode, as in --with scan=... --with viewpoint=... --with instruction=..."
            )
        given = (observation.views, observation.candidates, observation.possible, observation.led)
        assert all(part is not None for part in given), "a world that gives views gives all of these"
        return Seen(*given)  # type: ignore[arg-type]


def attended(query: Tensor, vectors: Tensor, there: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Soft dot attention (Luong et al. 2015, arXiv:1508.04025, equation 7): the mean of ``vectors`` [B, L, D]
    by how well they fit ``query`` [B, D].

    Args:
        there: bool [B, L], which there are; none: all.

    Returns:
        [B, D], and the weights [B, L], which sum to 1, or to 0 where there is nothing.
    """
    fits = (vectors @ query[:, :, None])[..., 0]
    if there is None:
        weights = fits.softmax(1)
    else:
        weights = fits.masked_fill(~there, torch.finfo(fits.dtype).min).softmax(1) * there
    return (weights[:, None] @ vectors)[:, 0], weights


def fitting(query: Tensor, seen: Seen) -> Tensor:
    """Logits of the actions [B, A]: how well each candidate fits ``query`` [B, E]; minus infinity where it is
    impossible."""
    return (seen.candidates @ query[:, :, None])[..., 0].masked_fill(~seen.possible, -torch.inf)
