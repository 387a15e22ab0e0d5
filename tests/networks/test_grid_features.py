"""What a frozen backbone gives of pictures, and what tells it from others."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from vision_apps.networks.backbones import Small
from vision_apps.networks.grid_features import arranged, grid_features, identity, tensors


def trained() -> Small:
    """With statistics that normalise, so that evaluation differs from training."""
    torch.manual_seed(0)
    backbone = Small(8, levels=2)
    backbone(torch.randn(4, 3, 32, 32) + 1)
    return backbone


def test_the_maps_are_those_of_evaluation_and_nothing_changes() -> None:
    backbone = trained()
    backbone.stem[1].eval()
    modes = {name: part.training for name, part in backbone.named_modules()}
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    pixels = torch.randn(3, 3, 32, 32)
    found = grid_features(backbone, pixels)
    assert {name: part.training for name, part in backbone.named_modules()} == modes
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
    assert [tuple(one.shape) for one in found] == [(3, 8, 4, 4), (3, 8, 2, 2)]
    assert not any(one.requires_grad for one in found)
    expected = backbone.eval()(pixels)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_in_the_precision_that_is_set() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = grid_features(nn.Conv2d(3, 2, 1), torch.zeros(1, 3, 2, 2))
    assert found.dtype == torch.bfloat16


class Pair(NamedTuple):
    fine: Tensor
    coarse: list[Tensor]


def test_maps_in_any_form() -> None:
    one, two, three = torch.ones(1), torch.zeros(2), torch.ones(3)
    for form in (one, [one, two], (one, two), {"a": one, "b": [two, three]}, Pair(one, [two, three])):
        flat = tensors(form)
        assert [len(values) for values in flat] == [1, 2, 3][: len(flat)]
        again = arranged([values + 1 for values in flat], form)
        assert type(again) is type(form)
        assert [values.tolist() for values in tensors(again)] == [(values + 1).tolist() for values in flat]
    assert list(arranged([one, two], {"a": one, "b": two})) == ["a", "b"]
    with pytest.raises(TypeError, match="got str"):
        tensors([one, "a"])


def test_every_number_and_layer_is_in_the_identity() -> None:
    known = identity(trained())
    assert identity(trained()) == known
    others = [trained() for _ in range(4)]
    with torch.no_grad():
        others[0].further[0][1][0].weight.view(-1)[-1] += 1e-6  # the last weight of the last layer
        others[1].stem[0][1].running_var[0] *= 1.0001
    others[2].stem[5][2] = nn.SiLU()  # no number of it
    others[3].double()
    assert len({known, *map(identity, others)}) == 5
