"""The loss over several heads by hand, and what is no such network."""

import pytest
import torch
from torch import nn

from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import Part, values
from vision_apps.networks.auxiliary import AuxiliaryLogits, main_logits, require_classes, with_auxiliary


def parts_of(logits: torch.Tensor) -> dict[str, Part]:
    """A mean, and beside it a smaller weight on a mean over one entry of two."""
    return {"loss": Part(logits.sum(), 2), "twice": Part(2 * logits.sum(), torch.tensor(1), 0.25)}


def test_one_head_is_what_it_is() -> None:
    logits = torch.tensor([[1.0, 2.0]])
    assert main_logits(logits) is logits
    found = values(with_auxiliary(logits, parts_of))
    assert {name: value.item() for name, value in found.items()} == {"loss": 1.5 + 0.25 * 6, "twice": 6}


def test_all_heads_are_summed_and_told() -> None:
    logits = torch.tensor([[1.0, 2.0]])
    outputs = AuxiliaryLogits(logits, (logits + 1, logits + 10), 0.5)
    assert main_logits(outputs) is logits
    found = {name: value.item() for name, value in values(with_auxiliary(outputs, parts_of)).items()}
    of_others = 5 / 2 + 0.25 * 10 + 23 / 2 + 0.25 * 46
    assert found == {
        "loss": 1.5 + 0.25 * 6 + 0.5 * of_others,
        "main": 1.5,
        "auxiliary": of_others,
        "twice": 6,
    }


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        (torch.zeros(2, 4), r"Net gives \[2, 4\]; expected scores \[B, 3\]"),
        (torch.zeros(2, 3, 8, 8), r"Net gives \[2, 3, 8, 8\]"),
        ({"out": torch.zeros(2, 3)}, "Net gives a dict"),
        (AuxiliaryLogits(torch.zeros(2, 5), (torch.zeros(2, 3),), 0.3), r"Net gives \[2, 5\]"),
    ],
)
def test_a_network_of_other_scores_is_told(outputs: object, told: str) -> None:
    class Net(nn.Module):
        pass

    require_classes(Net(), torch.zeros(2, 3), 3)
    require_classes(Net(), AuxiliaryLogits(torch.zeros(2, 3, 4, 6), (), 0.3), 3, ", h, w")
    with pytest.raises(ConfigError, match=rf"model\._target_: {told}.*num_classes"):
        require_classes(Net(), outputs, 3)
    with pytest.raises(ConfigError, match=r"expected scores \[B, 3, h, w\]"):
        require_classes(Net(), torch.zeros(2, 3), 3, ", h, w")
