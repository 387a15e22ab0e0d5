"""What all data sets of scene graphs on disk share: boxes as `data.boxes` has them, and relations between
them."""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vision_apps.core.data import Split
from vision_apps.core.errors import ConfigError, DataError, some
from vision_apps.data.boxes.annotation import Annotated as BoxAnnotated
from vision_apps.data.boxes.annotation import Annotation, Annotations
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.samples import BoxSamples
from vision_apps.data.object_detector import DETECTOR_FACTS, WithDetector
from vision_apps.data.relations import annotation
from vision_apps.data.relations.annotation import Annotated, BadRelation, OnBadRelation

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class RelationSamples(BoxSamples):
    """Pictures with boxes and relations."""

    relations: Tensor  # int64 [E, 3] of all pictures
    first: Tensor  # int64 [N + 1]: where a picture's relations begin
    most: int  # rows of each picture, those past its relations are -1

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        sample = super().__getitem__(index)
        if "relations" in self.fields:
            own = self.relations[slice(*self.first[index : index + 2].tolist())]
            sample["relations"] = own.new_full((self.most, 3), -1)
            sample["relations"][: len(own)] = own
        return sample


class RelationData(WithDetector, BoxData):
    """Pictures with boxes and relations between them.

    A subclass reads its format in ``read_graphs``. Offers what `BoxData` does and ``relations`` int64
    [R, 3]: the row of the subject's box, that of the object's, and the predicate; -1 past the relations. A
    relation goes with a box that cannot be used; one that stands twice in its picture is taken once.

    Args:
        on_bad_relation: what a relation does that names an object or a predicate that is not there, or that
            relates an object to itself. ``refuse`` stops, ``drop`` leaves it out and counts it.
        only_related: leaves out pictures without a relation.
        most_relations: of a picture; one that has more is refused, because all pictures of a batch take as
            much room.
    """

    fields = (*BoxData.fields, "relations")
    fact_names = (*BoxData.fact_names, "predicate_names", "num_predicates", *DETECTOR_FACTS)

    def __init__(
        self,
        root: str,
        *,
        on_bad_relation: OnBadRelation = "refuse",
        only_related: bool = False,
        most_relations: int = 500,
        **boxes: Any,
    ) -> None:
        super().__init__(root=root, **boxes)
        if most_relations < 1:
            raise ConfigError(f"data.most_relations: {most_relations}; expected at least 1")
        self.on_bad_relation = on_bad_relation
        self.only_related = only_related
        self.most_relations = most_relations
        self.predicate_names: list[str] = []  # of the files, known after ``prepare_data``
        self.first_predicate = 0  # its number in the files
        self.predicate_numbers: list[int | str] = []  # as `annotation.clean` has them
        self.bad_relations: list[BadRelation] = []  # of all splits, likewise

    @abstractmethod
    def read_graphs(self) -> Annotated:
        """What the files say, boxes and relations as they stand there. A picture of unknown size has
        0 x 0."""

    def read(self) -> BoxAnnotated:
        class_names, self.predicate_names, splits = self.read_graphs()
        if len(set(self.predicate_names)) < len(self.predicate_names):
            twice = next(name for name in self.predicate_names if self.predicate_names.count(name) > 1)
            raise self.problem(f"two predicates are called {twice!r}")
        return BoxAnnotated(class_names, splits)

    def _usable(self, items: list[Annotation], split: Split) -> Annotations:
        found, bad = annotation.clean_all(
            items,
            len(self.predicate_names),
            self.on_bad_relation,
            self.first_predicate,
            self.predicate_numbers,
        )
        self.bad_relations += bad
        kept = super()._usable(found, split)
        if self.only_related:
            related = Annotations(item for item in kept if len(item.relations))
            if len(related) < len(kept):
                log.info(
                    "data.only_related: left out %d of %d pictures of %s without a relation",
                    *(len(kept) - len(related), len(kept), split),
                )
            kept = related
        largest = max(kept, key=lambda item: len(item.relations), default=None)
        if largest is not None and len(largest.relations) > self.most_relations:
            raise DataError(
                f"data: {largest.source}: {len(largest.relations)} relations; expected at most "
                f"{self.most_relations}. data.most_relations={len(largest.relations)} takes them all"
            )
        return kept

    @property
    def facts(self) -> dict[str, Any]:
        self.annotated  # noqa: B018 - with which the predicates are read
        names = list(self.predicate_names)
        return super().facts | {"predicate_names": names, "num_predicates": len(names)}

    def samples_of(self, items: Sequence[Annotation], fields: tuple[str, ...]) -> RelationSamples:
        boxes = super().samples_of(items, fields)
        counts = torch.tensor([len(item.relations) for item in items], dtype=torch.int64)
        relations = torch.cat(
            [torch.zeros(0, 3, dtype=torch.int64), *(torch.from_numpy(item.relations) for item in items)]
        )
        relations[:, 2] = self._known_predicates()[relations[:, 2]]
        return RelationSamples(
            **vars(boxes),
            relations=relations,
            first=torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]),
            most=max(1, *(len(item.relations) for own in self.annotations.values() for item in own)),
        )

    def _known_predicates(self) -> Tensor:
        """Of each predicate in the files the number that a run knows it by, int64 [Q]. `DataError` where it
        knows one not."""
        names = self.predicate_names
        known = list((self.known_facts or {}).get("predicate_names", names))
        if unknown := [name for name in names if name not in known]:
            raise DataError(
                f"data: the run knows no predicate called {some(unknown, 3)}; it knows {some(known, 10)}"
            )
        return torch.tensor([known.index(name) for name in names], dtype=torch.int64)

    def obstacles(self) -> Iterator[str]:
        yield from super().obstacles()
        if "relations" in self.batch_type._fields:  # type: ignore[attr-defined] # else boxes alone
            seen = {split: items[: self.limits[split]] for split, items in self.annotations.items()}
            yield from annotation.untaught(seen, self.predicate_names)

    def doctor(self) -> Iterator[str]:
        yield from super().doctor()
        yield from annotation.findings(self.annotations, self.bad_relations, self.predicate_names)
