"""Rates of the backbone's own: one for all of it, or falling from layer to layer."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import toy_run
from timm.optim import param_groups_layer_decay
from torch import nn
from toy_parts import PartsNet, Wrapped

from vision_apps.core import engine
from vision_apps.core.config.fine_tuning import Rates
from vision_apps.core.errors import ConfigError
from vision_apps.core.rates import layers, parameter_groups, set_rates
from vision_apps.networks.backbones import Small, Timm

PARTS: dict[str, Any] = {
    "model": {"_target_": "toy_parts.PartsNet", "width": 4, "dropout": 0.5},
    "trainer.max_epochs": 1,
    "optimizer.lr": 0.1,
}
RUN = Path("run")


def rates_of(network: nn.Module, rates: Rates, lr: float = 1.0) -> dict[str, tuple[float, float]]:
    """Parameter to its rate and decay."""
    optimizer = torch.optim.SGD(parameter_groups(network, 0.1, network, rates), lr=lr)
    set_rates(optimizer, rates, lr)
    found = {
        p: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    }
    assert len(found) == sum(len(group["params"]) for group in optimizer.param_groups)
    return {name: found[p] for name, p in network.named_parameters()}


def test_one_rate_for_the_backbone() -> None:
    for name, (rate, decay) in rates_of(PartsNet(2), Rates(backbone_lr=0.01)).items():
        assert rate == (0.01 if name.startswith("backbone") else 1.0), name
        assert decay == (0.1 if name.endswith(("0.0.weight", "1.0.weight", "head.weight")) else 0.0), name


@pytest.mark.parametrize(
    ("rates", "first", "second"),
    [(Rates(layer_decay=0.5), 0.25, 0.5), (Rates(0.01, 0.5), 0.005, 0.01), (Rates(0.01, 1.0), 0.01, 0.01)],
)
def test_a_rate_for_each_layer(rates: Rates, first: float, second: float) -> None:
    expected = {"backbone.0": first, "backbone.1": second, "head": 1.0, "neck": 1.0, "top": 1.0}
    for network in (PartsNet(2), Wrapped(2)):
        for name, (rate, _) in rates_of(network, rates).items():
            place = name.replace("inner.features", "backbone")
            assert rate == pytest.approx(
                next(r for prefix, r in expected.items() if place.startswith(prefix))
            ), name


class OfTimm(nn.Module):
    """A classifier of timm whose features are a part of it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.model = timm.create_model(name, num_classes=3)

    @property
    def backbone(self) -> nn.Module:
        head = self.model.get_classifier()
        kept = [part for part in self.model.children() if part is not head]
        rest = nn.Module()
        rest.parts = nn.ModuleList(kept)
        for name, value in self.model.named_parameters(recurse=False):
            rest.register_parameter(name, value)
        return rest


@pytest.mark.parametrize(
    ("name", "more"),
    # the last convolution of the third is to timm a part of the head, and here the backbone's last layer
    [("resnet10t", 1.0), ("vit_tiny_patch16_224", 1.0), ("mobilenetv3_small_050", 0.5)],
)
def test_a_decay_by_layers_is_timms(name: str, more: float) -> None:
    network = OfTimm(name)
    groups = param_groups_layer_decay(network.model, weight_decay=0.1, layer_decay=0.5)
    expected = {p: group["lr_scale"] for group in groups for p in group["params"]}
    found = rates_of(network, Rates(layer_decay=0.5))
    assert len({rate for rate, _ in found.values()}) > 4
    for full, parameter in network.named_parameters():
        of_head = expected[parameter] == 1.0 and not full.startswith("model.conv_head")
        assert found[full][0] == pytest.approx(expected[parameter] * (1.0 if of_head else more)), full


def test_layers_of_other_backbones() -> None:
    """Blocks in their order; a norm that stands alone belongs to the convolution before it."""
    small = Small(8, levels=2)
    found = layers(small, small)
    assert [found[p] for p in small.parameters()] == [n for n in range(8) for _ in range(3)]
    resnet = Timm("resnet10t", None, (1, 2, 3, 4))
    numbers = {name: layers(resnet, resnet)[p] for name, p in resnet.named_parameters()}
    assert numbers["network.conv1.0.weight"] == 0
    assert numbers["network.bn1.weight"] == max(
        n for name, n in numbers.items() if "conv1." in name and "layer" not in name
    )
    stages = [numbers[f"network.layer{stage}.0.conv1.weight"] for stage in (1, 2, 3, 4)]
    assert stages == list(range(stages[0], stages[0] + 4))
    flat = Timm("mobilenetv3_small_050", None, (1, 4))
    numbers = {name: layers(flat, flat)[p] for name, p in flat.named_parameters()}
    assert max(numbers.values()) > 8
    assert list(numbers.values()) == sorted(numbers.values())

    def test_a_head_that_stands_still(self) -> None:
        engine.train(toy_run.configure(RUN, {**PARTS, "optimizer.lr": 0.0, "optimizer.backbone_lr": 0.01}))
        logged = {name: value for _, _, name, value in toy_run.rows(RUN)}
        assert logged["lr"] == 0 < logged["lr_backbone"]


@pytest.mark.usefixtures("toy")
class TestRuns:
    def test_schedules_scale_all_and_two_rates_are_logged(self) -> None:
        engine.train(toy_run.configure(RUN, {**PARTS, "optimizer.backbone_lr": 0.01}))
        rows = {(name, step): value for step, _, name, value in toy_run.rows(RUN)}
        steps = [step for name, step in rows if name == "lr"]
        assert len(steps) == toy_run.BATCHES_PER_EPOCH
        assert len({rows["lr", step] for step in steps}) > 3
        for step in steps:
            assert rows["lr_backbone", step] == pytest.approx(rows["lr", step] / 10)

    def test_without_them_one_is_logged(self) -> None:
        engine.train(toy_run.configure(RUN, PARTS))
        assert not [row for row in toy_run.rows(RUN) if row[2] == "lr_backbone"]
        assert len(toy_run.last(RUN)["optimizer_states"][0]["param_groups"]) == 2

    def test_resumed_and_changed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        decayed = {**PARTS, "optimizer.layer_decay": 0.5, "scheduler": None, "trainer.max_epochs": 2}
        engine.train(toy_run.configure(Path("whole"), decayed))
        toy_run.stop_after(4, monkeypatch, lambda: engine.train(toy_run.configure(RUN, decayed)))
        engine.resume("run", [])
        toy_run.assert_same_training(Path("whole"), RUN)
        engine.resume("run", ["optimizer.layer_decay=0.25", "trainer.max_epochs=3"])
        groups = toy_run.last(RUN)["optimizer_states"][0]["param_groups"]
        assert [group["lr"] for group in groups] == pytest.approx([0.1] * 2 + [0.025] * 2 + [0.00625] * 2)
        assert [group["name"] for group in groups[::2]] == ["head", "backbone", "backbone-1"]

    @pytest.mark.parametrize("change", ["optimizer.backbone_lr=0.1", "optimizer.layer_decay=null"])
    def test_they_neither_come_nor_go(self, change: str) -> None:
        engine.train(toy_run.configure(RUN, {**PARTS, "optimizer.layer_decay": 0.5}))
        key = change.partition("=")[0]
        with pytest.raises(ConfigError, match=rf"^{key}: .* would share the parameters out anew"):
            engine.resume("run", [change, "trainer.max_epochs=2"])

    def test_a_schedule_that_sets_one_rate(self) -> None:
        cycle = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "_partial_": True, "max_lr": 0.1}
        engine.train(toy_run.configure(Path("plain"), {**PARTS, "scheduler": cycle}))
        with pytest.raises(ConfigError, match=r"^scheduler: it sets one rate for all parameters"):
            engine.train(toy_run.configure(RUN, {**PARTS, "scheduler": cycle, "optimizer.layer_decay": 0.5}))
        assert not RUN.exists()

    def test_a_schedule_that_sets_one_rate_where_the_backbones_was_chosen(self) -> None:
        """Who never asked for a rate of the backbone's own is told where it comes from."""
        cycle = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "_partial_": True, "max_lr": 0.1}
        engine.train(toy_run.configure(Path("first"), PARTS))
        changes = {**PARTS, "scheduler": cycle, "init": "first"}
        with pytest.raises(
            ConfigError, match=r"optimizer.backbone_lr=auto, here 0.01\). Say optimizer.backbone"
        ):
            engine.train(toy_run.configure(RUN, changes))
        with pytest.raises(ConfigError, match=r"or constant, or say optimizer.backbone_lr=null$"):
            engine.train(toy_run.configure(RUN, {**changes, "optimizer.backbone_lr": 0.01}))
        engine.train(toy_run.configure(RUN, {**changes, "optimizer.backbone_lr": None}))

    @pytest.mark.parametrize("rate", [{"optimizer.backbone_lr": 0.01}, {"optimizer.layer_decay": 0.5}])
    def test_a_rate_of_what_never_learns(self, rate: dict[str, float]) -> None:
        key = next(iter(rate))
        with pytest.raises(ConfigError, match=rf"{key}: .* has no effect where the backbone is frozen"):
            engine.train(toy_run.configure(RUN, {**PARTS, **rate, "freeze": "backbone"}))
        thawing = {"freeze": {"backbone": 1.0, "backbone.1": 0.5}, "trainer.max_epochs": 1}
        engine.train(toy_run.configure(RUN, {**PARTS, **rate, **thawing}))

    def test_no_rate_is_chosen_for_what_never_learns(self, capsys: pytest.CaptureFixture[str]) -> None:
        """And the line of what was chosen can be typed again."""
        engine.train(toy_run.configure(Path("first"), PARTS))
        engine.train(toy_run.configure(RUN, {**PARTS, "init": "first", "freeze": "backbone"}))
        assert toy_run.last(RUN)["config"]["optimizer"]["backbone_lr"] is None
        line = next(line for line in capsys.readouterr().out.splitlines()[::-1] if line.startswith("auto "))
        assert "batch_norm=fixed optimizer.backbone_lr=null" in line

    def test_a_network_without_a_backbone(self) -> None:
        with pytest.raises(ConfigError, match=r"^optimizer.backbone_lr: ToyNet has no part called backbone"):
            engine.train(toy_run.configure(RUN, {"optimizer.backbone_lr": 0.1}))
        assert not RUN.exists()

    @pytest.mark.parametrize(
        ("key", "value", "told"),
        [
            ("layer_decay", 1.5, r"optimizer.layer_decay: 1.5; expected above 0 and at most 1"),
            ("layer_decay", "much", r"optimizer.layer_decay: expected float.*, got 'much'"),
            ("backbone_lr", 0, r"optimizer.backbone_lr: 0; expected above 0"),
            ("backbone_rate", 0.1, r"optimizer.backbone_rate: AdamW has no parameter 'backbone_rate'"),
        ],
    )
    def test_values_are_checked(self, key: str, value: object, told: str) -> None:
        with pytest.raises(ConfigError, match=told):
            engine.train(toy_run.configure(RUN, {**PARTS, f"optimizer.{key}": value}))

    def test_no_optimizer(self) -> None:
        config = toy_run.configure(RUN, {**PARTS, "optimizer": {"backbone_lr": None, "layer_decay": None}})
        with pytest.raises(ConfigError, match=r"optimizer: there is none; choose one, as in optimizer=adamw"):
            engine.train(config)
