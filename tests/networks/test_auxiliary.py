"""The loss over several heads by hand."""

import torch

from vision_apps.networks.auxiliary import AuxiliaryLogits, main_logits, summed_loss


def parts_of(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"loss": logits.sum(), "twice": 2 * logits.sum()}


def test_one_head_is_what_it_is() -> None:
    logits = torch.tensor([[1.0, 2.0]])
    assert main_logits(logits) is logits
    assert summed_loss(logits, parts_of) == {"loss": torch.tensor(3.0), "twice": torch.tensor(6.0)}


def test_all_heads_are_summed_and_told() -> None:
    logits = torch.tensor([[1.0, 2.0]])
    outputs = AuxiliaryLogits(logits, (logits + 1, logits + 10), 0.5)
    assert main_logits(outputs) is logits
    found = {name: value.item() for name, value in summed_loss(outputs, parts_of).items()}
    assert found == {"loss": 3 + 0.5 * (5 + 23), "main": 3, "auxiliary": 5 + 23, "twice": 6}
