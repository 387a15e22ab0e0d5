"""``vision-apps data prior``: how common each colour bin is among the training images of a data set."""

import shlex
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from vision_apps.applications.colorization.module import Colorization
from vision_apps.applications.colorization.rebalancing import (
    check_prior,
    count_prior,
    describe_prior,
    save_prior,
)
from vision_apps.core import assembly
from vision_apps.core.config import check
from vision_apps.core.errors import ConfigError
from vision_apps.core.loader import BatchLoader


def run(config: DictConfig, out: str | None, command: str) -> None:
    """Count with the bins and neighbours of the configured network, save to ``out`` and say what was found.

    Args:
        command: words that choose the same data and network again.

    Raises:
        ConfigError: no ``out``, there is such a file, or the configuration does not fit.
        DataError: the data is missing, or its colours cannot be those of photos.
    """
    if not out:
        raise ConfigError("data prior: where to? Add out=prior.npy, and train with module.prior=prior.npy")
    check.check(config)
    if Path(out).exists():
        raise ConfigError(f"data prior: out={out} exists already; choose another name, or remove it")
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    plain["module"]["prior"] = None  # the file that is about to be made
    source = assembly.build_data(plain)
    module = cast(Colorization, assembly.build_module(plain, source.facts, trainable=False))
    source.batch_type = module.batch_type
    batches = BatchLoader(
        source.samples("train"),
        module.batch_type,
        batch_size=source.batch_size,
        workers=source.workers,
        on_corrupt=source.on_corrupt,
    )
    prior = count_prior((batch.images for batch in batches), module.neighbours, count=len(module.bins))
    batches.close()
    check_prior(prior)
    save_prior(prior, out)
    print("\n".join(f"{name:<18} {value:.4g}" for name, value in describe_prior(prior).items()))
    print(f"saved to {out}; train with it, rare colours weighing more:")
    print(f"vision-apps train {command} {shlex.quote(f'module.prior={out}')} module.rebalance=0.5")
