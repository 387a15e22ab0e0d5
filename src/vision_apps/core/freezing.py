"""Parts of a network that keep their weights, for the whole run or the beginning of it, and the statistics of
batch normalisation that are kept."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from vision_apps.core.config.fine_tuning import FIXED
from vision_apps.core.errors import ConfigError
from vision_apps.core.parts import backbone, parameters, part


class Frozen(NamedTuple):
    """What is frozen, each with the share of the run after which it thaws; from 1 on it never does."""

    parameters: dict[nn.Parameter, float]
    modules: dict[nn.Module, float]


def frozen(network: nn.Module, freeze: Mapping[str, float]) -> Frozen:
    """The parts that ``freeze`` names, with all that is in them; what is named within another part has its
    own share. What the network itself does not train is none of it. `ConfigError` where there is no such
    part, or nothing is left to train at the beginning."""
    known = Frozen({}, {})
    for name in sorted(freeze, key=lambda name: name.count(".")):
        found = part(network, name, "freeze")
        known.parameters.update(dict.fromkeys(parameters(found), freeze[name]))
        if isinstance(found, nn.Module):
            known.modules.update(dict.fromkeys(found.modules(), freeze[name]))
    for parameter in [known for known in known.parameters if not known.requires_grad]:
        del known.parameters[parameter]
    left = [p for p in network.parameters() if p.requires_grad and not known.parameters.get(p)]
    if known.parameters and not left:
        raise ConfigError(
            f"freeze: with {', '.join(freeze)} frozen nothing of {type(network).__name__} is left to train; "
            "freeze a part of it"
        )
    return known


def freeze_for_good(network: nn.Module, freeze: Mapping[str, float]) -> None:
    """Take what never thaws from what an optimiser is given. `ConfigError` as in `frozen`."""
    for parameter, share in frozen(network, freeze).parameters.items():
        if share >= 1:
            parameter.requires_grad_(False)


class Freezing(pl.Callback):
    """Freezes and thaws parts of the module's network as the run goes on: a function of the step alone, so
    that a resumed run agrees with an uninterrupted one.

    What is frozen has no gradient, so that no optimiser moves it by decay or momentum either, and is in
    evaluation mode: dropout is off, statistics of batch normalisation stay.

    Args:
        freeze: part to the share of the run after which it thaws.
        batch_norm: ``fixed``: that of the backbone normalises with the statistics it came with; its scale and
            shift are learned all the same. The few pictures of a small batch would give others each time.
    """

    def __init__(self, freeze: Mapping[str, float], batch_norm: str | None = None) -> None:
        self.freeze = freeze
        self.fixed = batch_norm == FIXED

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        ends = [name for name, share in self.freeze.items() if 0 < share < 1]
        strategy = trainer.strategy
        if ends and not (isinstance(strategy, SingleDeviceStrategy) or type(strategy) is DDPStrategy):
            raise ConfigError(
                f"freeze: {', '.join(ends)} cannot thaw with {type(strategy).__name__}, which has shared out "
                "what is learned; freeze it for the whole run, or use trainer.strategy=ddp"
            )
        self._known = frozen(cast(nn.Module, pl_module.network), self.freeze)
        self._steps = trainer.estimated_stepping_batches
        self._modes = {module: module.training for module in self._known.modules}
        learned = backbone(cast(nn.Module, pl_module.network)) if self.fixed else None
        self._norms = [part for part in learned.modules() if isinstance(part, _BatchNorm)] if learned else []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        def over(share: float) -> bool:
            return share < 1 and trainer.global_step >= share * self._steps

        # in every step, since whatever measures or draws between two of them sets the modes as it needs them
        for module, share in self._known.modules.items():
            module.training = self._modes[module] and over(share)
        for norm in self._norms:
            norm.training = False
        changed = [p for p, share in self._known.parameters.items() if p.requires_grad != over(share)]
        for parameter in changed:
            parameter.requires_grad_(not parameter.requires_grad)
        if changed and isinstance(trainer.strategy, DDPStrategy):
            _rewrap(trainer.strategy, pl_module)


def _rewrap(strategy: DDPStrategy, module: pl.LightningModule) -> None:
    """DDP waits for the gradient of every parameter that could have one when it was made, and of no other."""
    wrapped = cast(DistributedDataParallel, strategy.model)
    wrapped._remove_autograd_hooks()  # it would go on to wait, and be told, until it is collected
    strategy.model = module
    strategy.configure_ddp()
