"""What a run knows of its data: kept when it begins, held against what is there when it goes on."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from vision_apps.core import assembly
from vision_apps.core.class_names import renumbering
from vision_apps.core.config.targets import resolve
from vision_apps.core.data import SPLITS, Split, VisionData
from vision_apps.core.errors import DataError, require_no, some
from vision_apps.core.fields import kinds
from vision_apps.core.plain import Config
from vision_apps.core.plain_files import write_whole
from vision_apps.core.renumbering import class_fields
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.spelling import alike

log = logging.getLogger(__name__)

_FINGERPRINT = "data.json"
_LISTS = "splits"  # a folder of the run
_DRAWING = ("split_seed", "folds", "fold", "val_fraction", "test_fraction", "val_images")
_NAMED = 3  # samples in an error
# how a picture becomes what is looked at; colours are normalised as the run's were, whatever these data have
_SEEN_AS = ("image_size", "resize_mode", "resize")


def build(config: Config, folder: RunFolder | None, checkpoint: Mapping[str, Any] | None) -> VisionData:
    """The data of a configuration. Where a run is gone on with or tested, its ``checkpoint`` says how its
    classes are numbered, and its ``folder`` which samples it has held out. `DataError` where the data have
    classes that the run does not know; `ConfigError` where they would show pictures in another way."""
    if checkpoint is None:
        return assembly.build_data(config)
    facts, saved = checkpoint["facts"], checkpoint["config"]["data"]
    same = all(config["data"].get(name) == saved.get(name) for name in _DRAWING)
    known = held_out(folder) if folder is not None and same else {}
    data = assembly.build_data(config, facts, known)
    data.batch_type = resolve(config["module"]["_target_"]).batch_type  # type: ignore[attr-defined]
    _require_same_words(data.facts, facts)
    _require_same_view(data.facts, facts)
    if (
        class_fields(kinds(data.batch_type)) & {*data.offers}
        and "class_names" in facts.keys() & data.facts.keys()
    ):
        data.renumbering = renumbering(data.facts["class_names"], facts["class_names"])
    return data


def _require_same_words(own: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """`DataError` where a list that numbers words is another one."""
    for name in own.keys() & known.keys() - {"class_names"}:
        lists = (own[name], known[name])
        if lists[0] != lists[1] and all(
            isinstance(one, list) and {*map(type, one)} == {str} for one in lists
        ):
            raise DataError(
                f"data: its {name} ({some(own[name], _NAMED)}) is not the one that the run was trained with "
                f"({some(known[name], _NAMED)}): the same numbers would mean something else"
            )


def _require_same_view(own: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """`ConfigError` where pictures would be measured in another way than the network answers them."""
    require_no(
        f"data.{name}: {own[name]!r}, where the run has learned with {known[name]!r} and predicts with it: "
        "what is measured is what is answered; leave it as it was, or start a new run"
        for name in _SEEN_AS
        if name in own.keys() & known.keys() and assembly.listed(own[name]) != assembly.listed(known[name])
    )


def held_out(folder: RunFolder) -> dict[str, Split]:
    """The split of each sample that the run drew, by its `alike` name; nothing where it drew none."""
    known: dict[str, Split] = {}
    for split in SPLITS:
        path = folder.path / _LISTS / f"{split}.txt"
        if path.is_file():
            names = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
            known |= dict.fromkeys(map(alike, filter(None, names)), split)
    return known


def compare(
    folder: RunFolder, data: VisionData, splits: Sequence[Split] = SPLITS
) -> dict[str, dict[str, Any]]:
    """Warn where the splits are not those that the run knows; returns the fingerprint of now. `DataError`
    where a sample that it was trained on would be measured."""
    known = held_out(folder)
    for split in splits:
        trained = [name for name in data.sample_names(split) if known.get(alike(name)) == "train"]
        if split != "train" and trained:
            raise DataError(
                f"data: {split} has {len(trained)} samples that the run was trained on "
                f"({some(trained, _NAMED)}): its splits were drawn otherwise. Leave data.split_seed, "
                "data.fold, data.val_fraction and data.test_fraction as they were; the lists are in "
                f"{folder.path / _LISTS}"
            )
    before, now = folder.mapping(_FINGERPRINT), data.fingerprint(splits)
    if not before and (folder.path / _FINGERPRINT).exists():
        log.warning("%s cannot be read: whether the samples are those of before is not known", _FINGERPRINT)
    before = {name: old for name, old in before.items() if isinstance(old, dict)}
    for name, entry in now.items():
        old = before.get(name)
        if old and {**old, **entry} != old:
            told = f"{entry['samples']} samples, where the run had {old.get('samples')}"
            if entry["samples"] == old.get("samples"):
                told = f"{entry['samples']} samples as before, but other ones, or read in another way"
            log.warning("data: %s has %s", name, told)
    return now


def keep(folder: RunFolder, data: VisionData, now: dict[str, dict[str, Any]]) -> None:
    """Write the fingerprint of now, ``data.json``, and for splits that were drawn the names of all samples,
    ``splits/<split>.txt``. What an earlier part of the run knew stays there; a difference is told."""
    before = {name: old for name, old in folder.mapping(_FINGERPRINT).items() if isinstance(old, dict)}
    for split, entry in now.items():
        if (old := before.get(split)) and {**old, **entry} != old:
            history = [*old.get("before", []), {name: old[name] for name in entry if name in old}]
            entry["before"] = history
        elif old:
            entry |= old
    folder.write_json(_FINGERPRINT, now)
    if not data.drawn:
        return
    known = held_out(folder)
    (folder.path / _LISTS).mkdir(exist_ok=True)
    for split in SPLITS:
        gone = [name for name, own in known.items() if own == split]
        own = data.sample_names(split)
        there = set(map(alike, own))
        text = "".join(f"{name}\n" for name in [*own, *(name for name in gone if name not in there)])
        write_whole(folder.path / _LISTS / f"{split}.txt", text.encode("utf-8", "surrogateescape"))
