"""``key=value`` changes to a saved configuration."""

import copy
import json
from collections.abc import Iterator, Sequence

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config

# Keys that take effect from where the run goes on. All others say what the run is: what an epoch is, what is
# learned and how it is measured. In a folder that holds both there would be neither.
CHANGEABLE = {
    "how long it trains": "trainer.max_epochs trainer.max_steps trainer.max_time trainer.min_epochs "
    "trainer.min_steps callbacks.early_stop.patience callbacks.early_stop.min_delta",
    "how weights move": "optimizer.lr optimizer.weight_decay optimizer.momentum optimizer.betas scheduler.* "
    "trainer.gradient_clip_val trainer.gradient_clip_algorithm",
    "where and how it computes": "trainer.accelerator trainer.devices trainer.num_nodes trainer.strategy "
    "trainer.deterministic trainer.benchmark trainer.detect_anomaly trainer.profiler precision "
    "channels_last keep_memory compile",
    "when it measures, saves and tells": "trainer.val_check_interval trainer.check_val_every_n_epoch "
    "trainer.num_sanity_val_steps trainer.limit_test_batches trainer.log_every_n_steps test "
    "callbacks.checkpoint.every_minutes callbacks.checkpoint.every_steps callbacks.pictures.*",
    "where its data lie and how they are read": "data.root data.images data.masks data.csv data.yaml "
    "data.*_json data.proposals_cache data.download data.workers data.eval_batch_size data.on_corrupt "
    "data.in_memory",
}


def keys(config: Config, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a nested mapping."""
    for name, value in config.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")


def rounded(value: str, digits: int) -> str:
    """The text of a setting for titles and tables: a number with a point gets so many digits."""
    try:
        known = json.loads(value)
    except ValueError:
        return value
    return f"{known:.{digits}g}" if isinstance(known, float) else value


def apply(config: Config, changes: Sequence[str]) -> Config:
    """A copy with the changes. Only keys that exist can be changed: a group (``model=...``) belongs to a new
    run. `ConfigError` where one is not ``key=value``, there is no such key, or the value cannot be read."""
    changed = copy.deepcopy(config)
    known = list(keys(config))
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"{change}: expected key=value, for instance trainer.max_epochs=20")
        if key not in known:
            raise ConfigError(f"{key}: the run has no such key{nearest(key, known)}")
        *path, name = key.split(".")
        node = changed
        for part in path:
            node = node[part]
        if isinstance(node[name], dict):
            raise ConfigError(f"{key}: a saved run keeps its {key}; start a new run to use another")
        node[name] = _value(change, text)
    return changed


def _value(change: str, text: str) -> object:
    """Read as on the command line of a new run; plain YAML takes ``1e-3`` for a text."""
    try:
        node = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{change}: cannot be read: {str(error).splitlines()[0]}") from None
    assert isinstance(node, dict)
    return node["value"]
