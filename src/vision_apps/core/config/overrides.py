"""``key=value``, read alike in every command, and such changes to a saved configuration."""

import copy
import fnmatch
import json
import re
from collections.abc import Collection, Iterator, Sequence

from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError, require_no
from vision_apps.core.plain import Config

# Keys that take effect from where the run goes on. All others say what the run is: what an epoch is, what is
# learned and how it is measured. In a folder that holds both there would be neither.
CHANGEABLE = {
    "how long it trains": "trainer.max_epochs trainer.max_steps trainer.max_time trainer.min_epochs "
    "trainer.min_steps callbacks.early_stop.patience callbacks.early_stop.min_delta",
    "how weights move": "optimizer.lr optimizer.backbone_lr optimizer.layer_decay optimizer.weight_decay "
    "optimizer.momentum optimizer.betas scheduler.* trainer.gradient_clip_val "
    "trainer.gradient_clip_algorithm",
    "where and how it computes": "trainer.accelerator trainer.devices trainer.num_nodes trainer.strategy "
    "trainer.deterministic trainer.benchmark trainer.detect_anomaly trainer.profiler precision "
    "channels_last keep_memory compile",
    "when it measures, saves and tells": "trainer.val_check_interval trainer.check_val_every_n_epoch "
    "trainer.num_sanity_val_steps trainer.limit_test_batches trainer.log_every_n_steps test "
    "callbacks.checkpoint.every_minutes callbacks.checkpoint.every_steps callbacks.pictures.*",
    "where its data lie and how they are read": "data.root data.images data.masks data.csv data.yaml "
    "data.*_json data.proposals_cache data.download data.workers data.eval_batch_size data.on_corrupt "
    "data.in_memory callbacks.grid_features.cache",
}

# Keys that have a part in a test of a trained run.
MEASURED_WITH = "data.* module.* trainer.accelerator trainer.limit_test_batches precision channels_last"
_LEARNED_WITH = (
    "data.augment data.augment.* data.seed data.sampling data.remainder data.least_steps data.limit_train "
    "data.limit_val data.train_images data.val_images "
    "data.least_count data.least_word data.least_answer data.most_answers"  # a run keeps its words
)

_TEXT = re.compile(r"[^,\[\]{}()'\"\\$]*")
_READ = re.compile(r"[A-Za-z0-9_/.:+%*@?| \t-]*")  # what Hydra takes without quotes


def keys(config: Config, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a nested mapping."""
    for name, value in config.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")


def differences(before: Config, after: Config, prefix: str = "") -> Iterator[tuple[str, object, object]]:
    """Key, old and new value of what both have and differ in."""
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{prefix}{name}.")
        elif old != new:
            yield prefix + name, old, new


def is_among(key: str, patterns: str) -> bool:
    """Whether a dotted key is one of those that are named between spaces, as in ``seed data.*``."""
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns.split())


def require_measured(before: Config, after: Config, learned_with: Sequence[str] = ()) -> None:
    """`ConfigError` that lists every changed key that has no part in a test of a trained run, among them the
    module's parameters ``learned_with``."""
    learned = " ".join([_LEARNED_WITH, *(f"module.{name}" for name in learned_with)])
    require_no(
        f"{key}: {new!r} would change nothing: the run has trained with {old!r}. What a test is made with "
        f"may change: {', '.join(MEASURED_WITH.split())}"
        for key, old, new in differences(before, after)
        if not is_among(key, MEASURED_WITH) or is_among(key, learned)
    )


def require_resumable(changes: Sequence[str], groups: Collection[str]) -> None:
    """`ConfigError` where one of the changes with which a run shall go on chooses anew what the run is made
    of; ``groups`` are those of the configuration."""
    for word in changes:
        key = word.partition("=")[0]
        if word.startswith(("+", "~")) or key in groups:
            raise ConfigError(
                f"{word}: a resumed run keeps its {key.lstrip('+~')}; with resume= only existing keys can "
                "be changed, as in trainer.max_epochs=20. Leave resume= out to start a new run"
            )


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
        key, equals, _ = change.partition("=")
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
        node[name] = value(change)
    return changed


def readable(word: str) -> str:
    """The word for Hydra's grammar, which refuses ``data.root=photos #2`` and any letter with an accent. A
    value that has nothing of a list, mapping, function, quote or reference is text as it stands."""
    key, equals, text = word.partition("=")
    return f"{key}='{text}'" if equals and _TEXT.fullmatch(text) and not _READ.fullmatch(text) else word


def value(word: str) -> object:
    """The value of ``key=value`` in the grammar of the command line of a new run: Hydra's, after `readable`.
    `ConfigError` where it cannot be read, or is several."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, _, text = word.partition("=")
    try:
        override = OverridesParser.create().parse_override(readable(f"value={text}"))
        if override.is_sweep_override():
            raise ConfigError(
                f"{word}: several values are a sweep; a list is written {key}=[{text}], a text with a comma "
                f"\"{key}='{text}'\""
            )
        return override.value()
    except HydraException as error:
        raise ConfigError(unreadable(word, error)) from error


def unreadable(word: str, error: Exception) -> str:
    """What is said of a word that Hydra's grammar refuses."""
    reason = str(getattr(error, "message", error)).split("\nSee https")[0].strip().splitlines()[0]
    return f"{word}: cannot be read: {reason}; quote text that has any of ,[]{{}}()'\"$: 'key=\"a, b\"'"


def unquoted(text: str) -> str:
    """The text of a word that is read before any grammar: a quoted one as Hydra reads it."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return str(value(f"value={text}"))
    return text
