"""Objects in the context of each other, and pairs of them."""

from typing import Any

import pytest
import torch

from vision_apps.applications.scene_graphs.context import LstmContext, TransformerContext
from vision_apps.applications.scene_graphs.network import RelationNetwork, all_pairs, either_way
from vision_apps.core.errors import ConfigError
from vision_apps.networks.backbones import Small

K, Q = 3, 2
BOXES = torch.tensor(
    [[[0.0, 0, 16, 16], [8, 4, 30, 20], [4, 20, 20, 32]], [[2, 2, 12, 30], [0] * 4, [0] * 4]]
)
LABELS = torch.tensor([[0, K, 2], [1, -1, -1]])


def network(context: Any = "transformer") -> RelationNetwork:
    torch.manual_seed(0)
    return RelationNetwork(Small(width=8, levels=2), K, Q, context, width=12, heads=2, points=2).eval()


def pixels(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("context", ["transformer", "lstm"])
def test_pictures_are_told_as_if_each_were_alone_whatever_stands_past_its_objects(context: Any) -> None:
    net = network(context)
    told = net(pixels(), BOXES, LABELS, wiped=True)
    assert told.predicates.shape == (2, 9, Q + 1) and told.objects.shape == (2, 3, K)
    for row, count in ((0, 3), (1, 1)):
        alone = net(pixels()[row : row + 1], BOXES[row : row + 1, :count], LABELS[row : row + 1, :count])
        torch.testing.assert_close(told.objects[row, :count], alone.objects[0])
        among = told.predicates[row].unflatten(0, (3, 3))[:count, :count].flatten(0, 1)
        torch.testing.assert_close(among, alone.predicates[0])
    other = BOXES.clone()
    other[1, 1:] = torch.tensor([3.0, 4, 20, 21])
    again = net(pixels(), other, LABELS)
    torch.testing.assert_close(again.objects[1, 0], told.objects[1, 0])


@pytest.mark.parametrize("context", ["transformer", "lstm"])
def test_objects_may_be_listed_in_any_order(context: Any) -> None:
    net, order = network(context), [2, 0, 1]
    told = net(pixels(), BOXES, LABELS)
    turned = net(pixels()[:1], BOXES[:1, order], LABELS[:1, order])
    torch.testing.assert_close(turned.objects[0], told.objects[0, order])
    square = told.predicates[0].unflatten(0, (3, 3))[order][:, order]
    torch.testing.assert_close(turned.predicates[0].unflatten(0, (3, 3)), square)


def test_a_class_that_is_given_is_taken_and_one_that_is_asked_is_told() -> None:
    net = network()
    told = net(pixels(), BOXES, LABELS)
    assert told.labels.tolist() == [[0, int(told.objects[0, 1].argmax()), 2], [1, -1, -1]]
    other = net(pixels(), BOXES, torch.tensor([[1, K, 2], [1, -1, -1]]))
    torch.testing.assert_close(other.objects, told.objects)
    assert not torch.allclose(other.predicates[0], told.predicates[0])


def test_pairs_that_are_asked_for() -> None:
    net = network()
    every = net(pixels(), BOXES, LABELS).predicates
    pairs = torch.tensor([[[2, 0], [0, 1]], [[0, 0], [0, 0]]])
    some = net(pixels(), BOXES, LABELS, pairs)
    torch.testing.assert_close(some.predicates[0], every[0, [6, 1]])
    assert all_pairs(2, torch.device("cpu")).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize("most", [1, 4, 9, 20])
def test_pairs_are_told_in_blocks_as_they_are_together(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    net, pairs = network(), all_pairs(3, torch.device("cpu")).expand(2, -1, -1)

    def told(some: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        net.zero_grad()
        found = net(pixels(), BOXES, LABELS, some, wiped=True)
        assert found.wiped is not None
        (found.predicates.square().sum() + found.wiped.square().sum()).backward()
        assert net.around.weight.grad is not None
        return found.predicates, found.wiped, net.around.weight.grad.clone(), found.pairs

    monkeypatch.setattr("vision_apps.applications.scene_graphs.network.PAIRS_AT_ONCE", 1000)
    together = told(pairs)
    monkeypatch.setattr("vision_apps.applications.scene_graphs.network.PAIRS_AT_ONCE", most)
    for some in (pairs, None):
        torch.testing.assert_close(told(some), together)


def test_pairs_either_way_round() -> None:
    rows, place = either_way(3, torch.device("cpu"))
    assert rows.tolist() == [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]
    ordered = all_pairs(3, torch.device("cpu")).sort(dim=1).values
    assert torch.equal(rows[place], ordered)


def test_without_the_sight_of_two_objects_their_classes_and_the_picture_around_are_left() -> None:
    net = network()
    moved = BOXES.clone()
    moved[0, 0] = torch.tensor([0.0, 0, 15, 15])  # within the union of the first two
    one, other = (net(pixels(), boxes, LABELS.clamp(max=K - 1), wiped=True) for boxes in (BOXES, moved))
    assert one.wiped is not None and other.wiped is not None
    assert not torch.allclose(one.predicates[0, 5], other.predicates[0, 5])
    torch.testing.assert_close(one.wiped[0, 5], other.wiped[0, 5])
    named = net(pixels(), BOXES, torch.tensor([[1, 1, 2], [1, -1, -1]]), wiped=True)
    assert named.wiped is not None and not torch.allclose(named.wiped[0, 1], one.wiped[0, 1])


@pytest.mark.parametrize("context", ["transformer", "lstm"])
def test_a_picture_without_objects_gives_numbers_and_no_gradient_that_is_none(context: Any) -> None:
    net = network(context).train()
    told = net(pixels(), torch.zeros(2, 1, 4), torch.full((2, 1), -1))
    (told.objects.sum() + told.predicates.sum()).backward()
    assert told.objects.isfinite().all() and told.predicates.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"model\.heads: 5"):
        TransformerContext(12, heads=5)
    with pytest.raises(ConfigError, match="even width"):
        LstmContext(13)
    with pytest.raises(ConfigError, match="expected transformer or lstm"):
        network("gru")
    with pytest.raises(ConfigError, match=r"model\.points"):
        RelationNetwork(Small(width=8), K, Q, points=0)
