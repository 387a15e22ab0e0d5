"""What an object and its absence contribute."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import generalized_box_iou_loss

from vision_apps.applications.localization.losses import localization_losses
from vision_apps.applications.localization.types import LocalizerOutputs
from vision_apps.applications.localization.vector import encode
from vision_apps.core.losses import Sums, values

K = 3
BOXES = torch.tensor([[2.0, 4.0, 6.0, 8.0], [0.0, 0.0, 10.0, 5.0], [1.0, 1.0, 3.0, 9.0]])


def outputs(count: int = 3) -> LocalizerOutputs:
    generator = torch.Generator().manual_seed(0)
    return LocalizerOutputs(
        torch.randn(count, generator=generator, requires_grad=True),
        torch.randn(count, K, generator=generator, requires_grad=True),
        torch.rand(count, 4, generator=generator, requires_grad=True),
    )


def target(labels: list[int]) -> torch.Tensor:
    return encode(BOXES, torch.tensor(labels), K, 10, 10)


@pytest.mark.parametrize("box_loss", ["l1", "smooth_l1", "mse", "giou"])
def test_an_absent_object_pulls_at_neither_box_nor_class(box_loss: Any) -> None:
    found = outputs()
    parts = values(localization_losses(found, target([1, -1, 2]), box_loss))
    sum(parts.values()).backward()  # type: ignore[union-attr]
    assert found.box.grad is not None and found.classes.grad is not None and found.presence.grad is not None
    assert found.box.grad[1].eq(0).all() and found.classes.grad[1].eq(0).all()
    assert found.box.grad[[0, 2]].ne(0).any(dim=1).all() and found.classes.grad[[0, 2]].ne(0).all()
    assert found.presence.grad.ne(0).all()


@pytest.mark.parametrize("box_loss", ["l1", "smooth_l1", "mse", "giou"])
def test_a_batch_of_empty_pictures_is_finite(box_loss: Any) -> None:
    found = outputs()
    parts = values(localization_losses(found, target([-1, -1, -1]), box_loss))
    assert parts["class"] == 0 and parts["box"] == 0 and parts["presence"] > 0
    sum(parts.values()).backward()  # type: ignore[union-attr]
    assert found.box.grad is not None and found.box.grad.eq(0).all()


def test_each_part_by_its_definition() -> None:
    found, labels = outputs(), [1, -1, 2]
    wanted = target(labels)
    parts = values(localization_losses(found, wanted))  # smooth L1, quadratic below a tenth
    torch.testing.assert_close(
        parts["presence"],
        F.binary_cross_entropy_with_logits(found.presence, torch.tensor([1.0, 0.0, 1.0])),
    )
    torch.testing.assert_close(parts["class"], F.cross_entropy(found.classes[[0, 2]], torch.tensor([1, 2])))
    differences = (found.box - wanted[:, :4]).abs()[[0, 2]]
    smooth = torch.where(differences < 0.1, differences**2 / 0.2, differences - 0.05)
    torch.testing.assert_close(parts["box"], smooth.sum() / 2)


@pytest.mark.parametrize("box_loss", ["l1", "smooth_l1", "mse", "giou"])
def test_batches_add_up_to_the_means_over_all(box_loss: Any) -> None:
    """Three pictures at once, or one and two, of which one has no object: box and class are means over
    objects, presence is one over pictures."""
    found, labels = outputs(), target([1, -1, 2])
    sums = Sums()
    for rows in (slice(0, 1), slice(1, 3)):
        some = LocalizerOutputs(*(value[rows] for value in found))
        sums.add(localization_losses(some, labels[rows], box_loss))
    torch.testing.assert_close(sums.values(), values(localization_losses(found, labels, box_loss)))


@pytest.mark.parametrize(
    ("box_loss", "error"),
    [("l1", lambda d: d.abs().sum() / 2), ("mse", lambda d: d.square().sum() / 2)],
)
def test_other_losses_of_the_box(box_loss: Any, error: Any) -> None:
    found, wanted = outputs(), target([1, -1, 2])
    parts = values(localization_losses(found, wanted, box_loss))
    torch.testing.assert_close(parts["box"], error((found.box - wanted[:, :4])[[0, 2]]))


def test_giou_is_that_of_the_corners() -> None:
    found, wanted = outputs(), target([1, -1, 2])
    # x1, 1 - y2, height, width
    corners = torch.stack(
        [
            found.box[:, 0],
            1 - found.box[:, 1] - found.box[:, 2],
            found.box[:, 0] + found.box[:, 3],
            1 - found.box[:, 1],
        ],
        dim=1,
    )
    expected = generalized_box_iou_loss(corners[[0, 2]], BOXES[[0, 2]] / 10, reduction="mean")
    torch.testing.assert_close(values(localization_losses(found, wanted, "giou"))["box"], expected)


def test_a_perfect_answer_costs_nothing() -> None:
    wanted = target([0, 1, 2])
    sure = LocalizerOutputs(torch.full((3,), 30.0), 60 * wanted[:, 5:], wanted[:, :4])
    for box_loss in ("l1", "smooth_l1", "mse", "giou"):
        parts = values(localization_losses(sure, wanted, box_loss))  # type: ignore[arg-type]
        assert all(float(value) < 1e-5 for value in parts.values()), parts
