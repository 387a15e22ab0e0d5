"""The moving average of the weights."""

from pathlib import Path

import pytest
import torch
import toy_run

from vision_apps.core import checkpoint_io
from vision_apps.core.ema import EMA
from vision_apps.core.errors import ConfigError


def test_it_starts_as_a_mean_and_ends_with_its_decay() -> None:
    ema = EMA(0.9)
    values = torch.randn(200, dtype=torch.float64)
    average = values[0].clone()
    for step, value in enumerate(values[1:], 1):
        average = ema.average(average, value, torch.tensor(step))
    expected = values[0]
    for n, value in enumerate(values[1:], 1):
        kept = min(0.9, (1 + n) / (10 + n))
        expected = kept * expected + (1 - kept) * value
    torch.testing.assert_close(average, expected)
    assert 1 - min(0.9, 2 / 11) > 0.8  # of the first weights nothing is left soon


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_counts_are_not_averaged(dtype: torch.dtype) -> None:
    current = torch.ones(3, dtype=dtype)
    assert torch.equal(EMA().average(torch.zeros(3, dtype=dtype), current, 5), current)


@pytest.mark.usefixtures("toy")
def test_the_average_is_what_a_run_keeps() -> None:
    toy_run.train(Path("plain"))
    toy_run.train(Path("averaged"), callbacks__ema={"_target_": "vision_apps.core.ema.EMA", "decay": 0.5})
    plain, averaged = (
        checkpoint_io.load(Path(name) / "checkpoints" / checkpoint_io.LAST) for name in ("plain", "averaged")
    )
    for name, value in plain["state_dict"].items():
        trained = averaged["current_model_state"][name]
        assert torch.equal(value, trained), name  # training itself is the same
        if name.endswith("weight") and value.ndim > 1:
            assert not torch.equal(value, averaged["state_dict"][name]), name
            assert (value - averaged["state_dict"][name]).abs().max() < 1


def test_a_share_is_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"callbacks\.ema\.decay: 1\.5; expected 0 or more and below 1"):
        EMA(1.5)
