"""What every data set is: a ``LightningDataModule`` that offers named fields."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from vision_apps.core.augmentation import is_over
from vision_apps.core.class_names import absent
from vision_apps.core.errors import ConfigError, CorruptSample, require_no
from vision_apps.core.fields import kinds, without_padding
from vision_apps.core.loader import BatchLoader, Remainder, read_sample
from vision_apps.core.renumbering import Renumbered, class_fields
from vision_apps.core.sampling import balanced
from vision_apps.core.seeding import permutation, seed_batch
from vision_apps.core.spelling import alike

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Transform = Callable[[Any], Any]

_HASHED = 16  # samples of a split in its fingerprint: enough to tell another order or another file


@runtime_checkable
class Samples(Protocol):
    """One split. Files offer ``__getitem__`` (one sample, run in loader workers); data in memory offers
    ``__getitems__`` (a whole batch at once) and sets ``in_memory``."""

    def __len__(self) -> int: ...


class TensorSamples(Dataset[Any]):
    """Samples that live in memory, indexed by whole batches. ``fields``: name to tensor [N, ...], images
    uint8 [N, 3, H, W]; or where their shapes differ, a list of N tensors."""

    in_memory = True

    def __init__(self, **fields: Tensor | list[Tensor]) -> None:
        self.fields = fields

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor | list[Tensor]]:
        rows = torch.tensor(indices)
        return {
            name: values.index_select(0, rows) if isinstance(values, Tensor) else [values[i] for i in indices]
            for name, values in self.fields.items()
        }


class Part(Subset[Any]):
    """Some of some samples, by their numbers."""

    @property
    def in_memory(self) -> bool:
        return getattr(self.dataset, "in_memory", False)


def split_indices(count: int, held_out: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two disjoint, seeded, sorted sets of sample numbers: int64 [count - held_out] to train on, [held_out]
    held out."""
    if not 0 <= held_out < count:
        raise ConfigError(f"cannot hold {held_out} of {count} samples out: expected 0 to {count - 1}")
    order = permutation(count, seed, count)
    return order[held_out:].sort().values, order[:held_out].sort().values


class VisionData(pl.LightningDataModule):
    """A data set with its loaders.

    A subclass says which fields its samples offer, finds or makes the data in ``prepare_data``, knows its
    ``facts`` and returns the samples of a split in ``load``. It fits every application whose batch type asks
    only for fields that it offers.

    Args:
        batch_size: the global batch: samples per optimisation step over all devices.
        eval_batch_size: likewise when measuring; by default ``batch_size``.
        remainder: what becomes of the training samples of an epoch that make no whole batch: ``drop`` leaves
            them out, ``fill`` completes them with others of the epoch.
        sampling: ``balanced`` draws an epoch's samples with replacement, each class as often as any other;
            by default an epoch sees each sample once.
        least_steps: for ``trainer.max_epochs=auto``, which adds epochs until so many steps are taken.
        workers: reader processes per device; data in memory ignores them.
        augment: name to a function from batch to batch, applied to whole training batches on the device, and
            left out after its ``until``, a share of the run.
        seed: of the order of an epoch and of augmentation.
        split_seed: of splits that are drawn and of the order of their samples; apart from ``seed``, so that
            runs with different seeds are tested on the same samples.
        folds: into how many the samples are cut for cross-validation; null: no folds.
        fold: which of them this run holds out, from 0.
        limit_train, limit_val, limit_test: use only the first so many samples.
        on_corrupt: what a broken file does: ``refuse`` stops, ``skip`` leaves it out and counts it.
    """

    fields: ClassVar[tuple[str, ...]] = ()  # that its samples may have
    to_measure: ClassVar[tuple[str, ...]] = ()  # those of them that training does without
    fact_names: ClassVar[tuple[str, ...]] = ()  # that `facts` may have
    why_no_folds: ClassVar[str | None] = (  # none where ``load`` heeds ``folds``
        "its samples are no files of which folds could be drawn; runs with other seeds are what it has: "
        "vision-apps sweep seeds=5, or data.folds=null"
    )
    batch_type: type  # set by the engine from the application's module

    def __init__(
        self,
        *,
        batch_size: int = 64,
        eval_batch_size: int | None = None,
        remainder: Remainder = "drop",
        sampling: Literal["balanced"] | None = None,
        least_steps: int = 0,
        workers: int = 0,
        augment: Mapping[str, Transform | None] | None = None,
        seed: int = 0,
        split_seed: int = 0,
        folds: int | None = None,
        fold: int | None = None,
        limit_train: int | None = None,
        limit_val: int | None = None,
        limit_test: int | None = None,
        on_corrupt: Literal["refuse", "skip"] = "refuse",
    ) -> None:
        require_no(self.fold_problems(folds, fold))
        super().__init__()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.remainder = remainder
        self.sampling = sampling
        self.least_steps = least_steps
        self.workers = workers
        self.augment = {
            name: transform for name, transform in (augment or {}).items() if transform is not None
        }
        self.seed = seed
        self.split_seed = split_seed
        self.folds, self.fold = folds, fold
        self.chosen: dict[str, Any] = {}  # what ``auto`` became among the arguments
        self.drawn: tuple[Split, ...] = ()  # splits that no file gives, known after ``prepare_data``
        self.drawn_before: Mapping[str, Split] = {}  # of samples that a run saw: they stay there
        self.known_facts: Mapping[str, Any] | None = None  # of the run that is gone on with
        self.renumbering: list[int] | None = None  # of each class the number that a run knows it by
        self.limits: dict[Split, int | None] = {"train": limit_train, "val": limit_val, "test": limit_test}
        self.on_corrupt = on_corrupt
        self.loaders: dict[Split, BatchLoader] = {}
        self.in_loaders: dict[Split, Any] = {}  # what loaders read in place of ``samples``
        self._samples: dict[Split, Any] = {}
        self._position: dict[str, int] | None = None

    @classmethod
    def fold_problems(cls, folds: int | None, fold: int | None) -> list[str]:
        """What is wrong with these arguments, a text for each."""
        if folds is None:
            return (
                []
                if fold is None
                else [f"data.fold: {fold} of how many? Say data.folds=5, or data.fold=null"]
            )
        if cls.why_no_folds:
            return [f"data.folds: {folds}, and the data are {cls.__name__}: {cls.why_no_folds}"]
        if folds < 2:
            return [f"data.folds: {folds}; expected at least 2"]
        if fold is None:
            return [
                f"data.folds: a run holds one of {folds} folds out; say which, as in data.fold=0, or train "
                f"all {folds}: vision-apps sweep folds={folds}, with the other words as they are"
            ]
        return [] if 0 <= fold < folds else [f"data.fold: {fold}; expected 0 to {folds - 1}"]

    def settle(self) -> dict[str, Any]:
        """Choose what was given as ``auto`` by what the data are, known after ``prepare_data``; returns the
        arguments with what they became."""
        return {}

    @property
    def facts(self) -> dict[str, Any]:
        """Plain data that modules and networks are built from, known after ``prepare_data``: for instance
        ``num_classes``, ``class_names``, ``image_size`` (px), ``mean`` and ``std`` (3 floats, in [0, 1]
        units), a vocabulary. They fill parameters of the same name, and every checkpoint has them. No name
        that is not among ``fact_names``, which is asked before there is any data."""
        return {}

    @property
    def facts_of_run(self) -> dict[str, Any]:
        """``facts``, or those of the run that is gone on with: its classes have the numbers of then."""
        return self.facts if self.known_facts is None else dict(self.known_facts)

    @property
    def offers(self) -> tuple[str, ...]:
        """Which of ``fields`` the data at hand has, known after ``prepare_data``."""
        return self.fields

    def load(self, split: Split, fields: tuple[str, ...]) -> Any:
        """The samples of one split with the asked fields."""
        raise NotImplementedError

    def doctor(self) -> Iterator[str]:
        """What looks wrong in the data on disk, a line each: for ``vision-apps data check``."""
        yield from self.obstacles()

    @property
    def left_out(self) -> dict[str, str]:
        """Files below ``root`` that are not used, and why, known after ``prepare_data``."""
        return {}

    def obstacles(self) -> Iterator[str]:
        """What keeps these data from teaching, known after ``prepare_data`` without opening a picture, a line
        each with what mends it: told before the first step of a new run."""
        names = self.facts.get("class_names")
        known = {split: self.classes_of(split) for split in SPLITS}
        if names is None or not class_fields(kinds(self.batch_type)) or known["train"] is None:
            return
        counts: dict[Split, list[int]] = {
            split: classes.bincount(minlength=len(names)).tolist()
            for split, classes in known.items()
            if classes is not None
        }
        if len(present := [name for name, number in zip(names, counts["train"], strict=True) if number]) == 1:
            yield (
                f"labels: all {sum(counts['train'])} training samples (100%) are of one class, {present[0]}: "
                f"there is nothing to tell it from; {self.more_to('train')}"
            )
        else:
            yield from absent(counts, names, "samples", self.more_to)

    def more_to(self, split: Split, elsewhere: bool = True) -> str:
        """What gives a split samples that it has not, for `obstacles`; ``elsewhere``: another split has
        some."""
        key = f"data.limit_{split}"
        if (limit := self.limits[split]) is not None:
            return f"{key}={limit} leaves some out, {key}=null takes all"
        if not elsewhere:
            return "no split has any: add some, or leave them out of the classes"
        if self.drawn:
            return f"add some, or draw other splits: data.split_seed={self.split_seed + 1}"
        return f"add some to {split}, or move them there"

    @classmethod
    def fake(cls, root: Path) -> dict[str, Any]:
        """Write a tiny, seeded data set in the true on-disk format; returns the arguments that read it."""
        raise NotImplementedError

    def instruct(self, module: Any) -> None:
        """Give a trained module what these data say of how it is used: before it is tested with them."""

    def samples(self, split: Split) -> Any:
        if split not in self._samples:
            self._samples[split] = self.samples_without(split)
        return self._samples[split]

    def samples_without(self, split: Split, *left_out: str) -> Any:
        """The samples of a split, made anew, without the fields that are left out."""
        offered = {*self.offers} - {*left_out, *(self.to_measure if split == "train" else ())}
        wanted = tuple(name for name in self.batch_type._fields if name in offered)  # type: ignore[attr-defined]
        samples, limit = self.load(split, wanted), self.limits[split]
        if limit is not None:
            samples = Part(samples, range(min(limit, len(samples))))
        if self.renumbering is not None:
            classes = len(self.facts_of_run["class_names"])
            samples = Renumbered(samples, self.renumbering, self.batch_type, classes)
        return samples

    def picture_files(self, split: Split) -> list[str]:
        """Of each sample the file of its picture, which several may show; none where pictures are in no
        files."""
        return []

    def sample_names(self, split: Split) -> list[str]:
        """What the samples of a split are called, wherever the data lie; none where only their number says
        which they are."""
        return []

    def classes_of(self, split: Split) -> Tensor | None:
        """Of each sample of a split its class, int64 [N], known after ``prepare_data``; none where a sample
        has not one class, or files would have to be read to know."""
        return None

    def _weights(self) -> Tensor | None:
        """Of each training sample, as ``sampling`` says."""
        if self.sampling is None:
            return None
        classes = self.classes_of("train")
        if classes is None:
            raise ConfigError(
                f"data.sampling: {self.sampling} needs one class for each picture; {type(self).__name__} "
                "has not; data.sampling=null sees every sample once"
            )
        return balanced(classes)

    def fingerprint(self, splits: Sequence[Split] = SPLITS) -> dict[str, dict[str, Any]]:
        """Per split its number of samples and a hash of their names and of some that are spread over it: runs
        with the same fingerprint saw the same data and the same splits. To how many words or boxes samples
        are filled up is no part of it: one new picture changes it for all."""
        found: dict[str, dict[str, Any]] = {}
        known = kinds(self.batch_type)
        for split in splits:
            samples = self.samples(split)
            count, digest = len(samples), hashlib.sha256()
            names = map(alike, self.sample_names(split))
            digest.update("\0".join(names).encode("utf-8", "surrogateescape"))
            for index in sorted({count * part // _HASHED for part in range(_HASHED)} if count else ()):
                try:
                    sample = read_sample(samples, index)
                except CorruptSample as broken:
                    digest.update(broken.reason.encode())
                    continue
                for name in sorted(sample):
                    digest.update(
                        without_padding(sample[name], known.get(name)).contiguous().numpy().tobytes()
                    )
            found[split] = {"samples": count, "sha256": digest.hexdigest()[:16]}
        return found

    def loader(self, split: Split) -> BatchLoader:
        trainer = self.trainer
        world = trainer.world_size if trainer else 1
        training = split == "train"
        asked = self.eval_batch_size or self.batch_size
        measured = -(-asked // world) * world  # measuring does not depend on the batch size
        samples = self.in_loaders[split] if split in self.in_loaders else self.samples(split)
        self.loaders[split] = BatchLoader(
            samples,
            getattr(samples, "batch_type", self.batch_type),
            batch_size=self.batch_size if training else measured,
            shuffle=training,
            remainder=self.remainder,
            weights=self._weights() if training else None,
            seed=self.seed,
            workers=self.workers,
            rank=trainer.global_rank if trainer else 0,
            world_size=world,
            on_corrupt=self.on_corrupt,
            pin_memory=trainer is not None and trainer.strategy.root_device.type == "cuda",
        )
        if training and self._position is not None:
            self.loaders[split].load_state_dict(self._position)
            self._position = None
        return self.loaders[split]

    def state_dict(self) -> dict[str, Any]:
        return self.loaders["train"].state_dict() if "train" in self.loaders else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # Lightning restores the positions of loaders only if they were made after the checkpoint was read,
        # which is not so once anything asked for the length of the run
        if state_dict and "train" in self.loaders:
            self.loaders["train"].load_state_dict(state_dict)
        else:
            self._position = state_dict or None

    def train_dataloader(self) -> BatchLoader:
        return self.loader("train")

    def val_dataloader(self) -> BatchLoader:
        return self.loader("val")

    def test_dataloader(self) -> BatchLoader:
        return self.loader("test")

    def teardown(self, stage: str) -> None:
        for loader in self.loaders.values():
            loader.close()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return batch
        position = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        seed_batch(self.seed, trainer.current_epoch, position, trainer.global_rank)
        for name, transform in self.augment.items():
            if is_over(transform, trainer):
                continue
            try:
                batch = transform(batch)
            except ConfigError as error:
                raise ConfigError(f"{error}; data.augment.{name}=null leaves it out") from error
        return batch
