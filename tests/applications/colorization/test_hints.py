import pytest
import torch

from vision_apps.applications.colorization.hints import LARGEST, read_hints, simulate_hints
from vision_apps.applications.colorization.lab import rgb_to_ab


def test_hints_show_the_true_color_where_it_is_uniform():
    truth = torch.tensor([12.0, -34.0]).view(1, 2, 1, 1).expand(64, 2, 24, 20)
    torch.manual_seed(0)
    ab, mask = simulate_hints(truth)
    assert torch.allclose(ab, truth * mask, atol=1e-4)
    assert set(mask.unique().tolist()) == {0.0, 1.0}


def test_a_hint_is_the_mean_of_its_square():
    torch.manual_seed(0)
    truth = torch.randn(256, 2, 16, 16) * 30
    ab, mask = simulate_hints(truth)
    alone = 0
    for image in range(256):
        rows, columns = mask[image, 0].nonzero().unbind(1)
        colors = ab[image][:, rows, columns]
        if len(rows) and (colors == colors[:, :1]).all():  # one hint
            assert (rows.max() - rows.min()) < LARGEST
            assert torch.allclose(colors[:, 0], truth[image][:, rows, columns].mean(1), atol=1e-3)
            alone += 1
    assert alone > 5


def test_the_number_of_hints_is_geometric_and_reproducible():
    truth = torch.zeros(1000, 2, 16, 16)
    torch.manual_seed(0)
    first = simulate_hints(truth).mask
    torch.manual_seed(0)
    assert torch.equal(simulate_hints(truth).mask, first)
    without = (first.flatten(1).sum(1) == 0).float().mean().item()
    assert 0.09 < without < 0.17  # one in eight images gets none


def test_sides_are_even_from_1_to_9_and_no_square_is_cut(monkeypatch):
    """Of pictures with one hint each: the count that is drawn is one more."""
    monkeypatch.setattr(torch.Tensor, "geometric_", lambda self, *_, **__: self.fill_(2))
    torch.manual_seed(0)
    mask = simulate_hints(torch.zeros(900, 2, 20, 20)).mask[:, 0]
    sides = mask.any(1).sum(1)
    assert torch.equal(mask.sum((1, 2)).long(), sides.square())
    often = sides.bincount().tolist()
    assert len(often) == 10 and often[0] == 0 and min(often[1:]) > 60  # 100 each, but for chance


def test_works_on_pictures_smaller_than_a_hint():
    assert simulate_hints(torch.zeros(8, 2, 3, 5)).mask.shape == (8, 1, 3, 5)


def test_typed_hints_at_all_borders_are_cut_there():
    mask = read_hints("1,0,#c03020 29,19,#3060ff", 20, 30).mask[0, 0]
    known = torch.zeros(20, 30)
    known[:3, :4] = known[17:, 27:] = 1
    assert torch.equal(mask, known)


def test_a_typed_hint_has_its_color():
    color = torch.tensor([0xC0, 0x30, 0x20], dtype=torch.uint8).view(1, 3, 1, 1)
    ab, mask = read_hints("4,3,#c03020", 20, 30)
    assert torch.equal(ab, rgb_to_ab(color) * mask)
    assert mask.nonzero()[:, 2:].tolist() == [[y, x] for y in range(1, 6) for x in range(2, 7)]


@pytest.mark.parametrize("deviations", [1.0, -1.5])
def test_centres_are_spread_by_a_quarter_of_the_picture(deviations, monkeypatch):
    """Normally around the middle: one standard deviation from it lies three quarters of the way."""
    monkeypatch.setattr(torch, "randn", lambda *size, **_: torch.full(size, deviations))
    torch.manual_seed(0)
    masks = simulate_hints(torch.zeros(50, 2, 80, 200)).mask
    hinted = 0
    for mask in masks[:, 0]:
        if mask.any():
            rows, columns = mask.nonzero().unbind(1)
            for places, side in ((rows, 80), (columns, 200)):
                middle = (places.min() + places.max() + 1).item() / 2
                assert abs(middle - (0.5 + 0.25 * deviations) * side) <= 0.5
            hinted += 1
    assert hinted > 30


@pytest.mark.slow
def test_centres_are_drawn_from_a_normal_distribution():
    """Of hints that are alone in their picture, whose squares seldom reach its edge."""
    torch.manual_seed(0)
    masks = simulate_hints(torch.zeros(3000, 2, 9, 300)).mask[:, 0].amax(1)
    places = []
    for mask in masks:
        found = mask.nonzero().flatten()
        if len(found) and int(found.max() - found.min()) < LARGEST:
            places.append((found.min() + found.max() + 1).item() / 600)
    within = [sum(abs(place - 0.5) < 0.25 * z for place in places) / len(places) for z in (0.5, 1, 1.5)]
    assert len(places) > 250
    assert within == pytest.approx([0.383, 0.683, 0.866], abs=0.08)
