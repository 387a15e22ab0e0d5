"""A step is the mean over the batches that it is taken of, also where an epoch has fewer left."""

from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run
from toy import ToyModule

pytestmark = pytest.mark.usefixtures("toy")


def gradients(run: str, accumulate: int, patch: pytest.MonkeyPatch, **changes: Any) -> torch.Tensor:
    """Of the steps of an epoch of seven batches in which nothing is learned: [steps, entries]."""
    found = []

    def before_step(self: ToyModule, optimizer: Any) -> None:
        found.append(torch.cat([p.grad.flatten() for p in self.parameters() if p.grad is not None]).clone())

    patch.setattr(ToyModule, "on_before_optimizer_step", before_step)
    model = {"_target_": "toy_ranks.PlainNet"}
    toy_run.train(
        Path(run),
        data__count=56,
        data__augment={},
        model=model,
        precision="32-true",
        optimizer__lr=0.0,
        trainer__max_epochs=1,
        trainer__accumulate_grad_batches=accumulate,
        **changes,
    )
    return torch.stack(found)


@pytest.mark.parametrize("accumulate", [2, 3, 5, 8])
def test_a_short_last_window_is_a_whole_step(accumulate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    each = gradients("each", 1, monkeypatch)
    windows = gradients("windows", accumulate, monkeypatch)
    assert len(each) == 7
    torch.testing.assert_close(windows, torch.stack([own.mean(0) for own in each.split(accumulate)]))


def test_of_a_part_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    each = gradients("each", 1, monkeypatch, trainer__limit_train_batches=4)
    windows = gradients("windows", 3, monkeypatch, trainer__limit_train_batches=4)
    torch.testing.assert_close(windows, torch.stack([each[:3].mean(0), each[3]]))
