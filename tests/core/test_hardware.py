"""``auto`` settings: what the machine is fast at, and never against the user."""

import copy
import json
import sys
from typing import Any

import pytest
import torch
from torch import nn

from vision_apps.core import hardware
from vision_apps.core.errors import ConfigError

AUTO = {
    "precision": "auto",
    "channels_last": "auto",
    "keep_memory": "auto",
    "trainer": {"accelerator": "cpu"},
}


def resolved(monkeypatch: pytest.MonkeyPatch, bf16: bool, **changes: Any) -> hardware.Settings:
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: bf16)
    return hardware.resolve(AUTO | changes)


def test_depthwise_convolutions_compute_in_float32_within_bf16() -> None:
    """The others in bfloat16; outside of autocast nothing changes, and a copy has layers of its own."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 2, 1))
    pixels = torch.randn(2, 4, 8, 8)
    plain = network(pixels)
    first = network[0](pixels)
    hardware.depthwise_in_float32(network)
    assert torch.equal(network(pixels), plain)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network[0](pixels.bfloat16()), network[0](pixels.bfloat16().float()))
        assert torch.equal(network[0](pixels), first)
        assert network[1](pixels).dtype == network(pixels).dtype == torch.bfloat16
    twin = copy.deepcopy(network)
    with torch.no_grad():
        twin[0].weight.zero_()
        twin[0].bias.zero_()
    assert not twin[0](pixels).any()
    assert torch.equal(network[0](pixels), first)


def test_auto_where_bf16_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = resolved(monkeypatch, bf16=True)
    assert settings[:2] == ("bf16-mixed", True)
    assert settings.keep_memory == (sys.platform == "linux")
    assert settings.reasons[:2] == ("precision=bf16-mixed", "channels_last=true")


def test_auto_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = resolved(monkeypatch, bf16=False)
    assert settings[:2] == ("32-true", False)
    assert settings.reasons[0] == "precision=32-true"


def test_what_the_user_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"precision": "16-mixed", "channels_last": False, "keep_memory": False}
    assert resolved(monkeypatch, bf16=True, **said) == ("16-mixed", False, False, ())


def test_half_said(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = resolved(monkeypatch, bf16=True, precision="32-true")
    assert settings[:2] == ("32-true", True)
    assert [reason.split("=")[0] for reason in settings.reasons] == ["channels_last", "keep_memory"]


@pytest.mark.parametrize(("accelerator", "gpu"), [("cpu", True), ("cpu", False), ("auto", False)])
def test_statistics_are_joined_on_gpus_only(
    accelerator: str, gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    trainer = {"accelerator": accelerator, "strategy": "ddp", "devices": 2}
    hardware.require({"trainer": {**trainer, "sync_batchnorm": False}})
    with pytest.raises(
        ConfigError, match=r"^trainer.sync_batchnorm: true, but torch joins the statistics of"
    ):
        hardware.require({"trainer": {**trainer, "sync_batchnorm": True}})


def test_description_is_plain_data() -> None:
    record = hardware.describe()
    assert json.loads(json.dumps(record)) == record
    assert record["threads"] == torch.get_num_threads()
    assert record["cpu_cores"] >= 1
    assert isinstance(hardware.cpu_has_bf16(), bool)
