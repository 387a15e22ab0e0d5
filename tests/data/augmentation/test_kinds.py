"""Every augmentation that there is, found by listing, against every kind of field: boxes, rows that belong to
them and links between them stay true under those that take them; the others refuse, and say what to use.

No field is called as those of the applications are, so that nothing can be told from a name.
"""

import importlib
import inspect
import pkgutil
import re
from typing import Annotated, Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from related import assert_true, extents, relations, world
from vision_apps.core.augmentation import Augmentation
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Boxes, Label, Links, Mask, Pixels, PixelTruth, RowsOf, Stays, Text
from vision_apps.data import augmentation
from vision_apps.data.augmentation.crops import (
    CutMix,
    Cutout,
    Flip,
    MixUp,
    RandomCrop,
    RandomResizedCrop,
    Rotate90,
)
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts
from vision_apps.data.augmentation.elastic import Elastic
from vision_apps.data.augmentation.mosaic import Mosaic
from vision_apps.data.augmentation.photometric import Photometric
from vision_apps.data.augmentation.randaugment import ColorJitter, RandAugment
from vision_apps.data.augmentation.zooms import IoUCrop, RandomZoom, ScaleCrop, ZoomOut
from vision_apps.data.scenes.related import ABOVE, BELOW, LEFT, RIGHT
from vision_apps.data.scenes.relations import SceneRelations

CASES: dict[str, Augmentation] = {
    "RandomCrop": RandomCrop(9, mode="constant"),
    "RandomCrop, reflected": RandomCrop(9, mode="reflect"),
    "Flip": Flip(),
    "Flip, vertical": Flip(axis="vertical"),
    "Rotate90": Rotate90(),
    "Flip, no directions": Flip(directions=False),
    "Rotate90, no directions": Rotate90(directions=False),
    "RandomResizedCrop": RandomResizedCrop([40, 56], scale=(0.3, 1.0)),
    "Cutout": Cutout(8),
    "MixUp": MixUp(6),
    "CutMix": CutMix(6),
    "Elastic": Elastic(2.0),
    "Mosaic": Mosaic(until=1),
    "Mosaic, of some, with little room": Mosaic(p=0.6, capacity=5, scale=(0.6, 1.0), until=1),
    "Photometric": Photometric(),
    "ColorJitter": ColorJitter(),
    "RandAugment": RandAugment(),
    "IoUCrop": IoUCrop(),
    "RandomZoom": RandomZoom((0.5, 2.0), 0.3),
    "ScaleCrop": ScaleCrop([40, 56]),
    "ZoomOut": ZoomOut(2.5, p=0.8),
}
OVER = {"Cutout", "MixUp", "CutMix", "RandAugment"}  # what describes places is not true after them
MIXED = {"MixUp", "CutMix", "Mosaic", "Mosaic, of some, with little room"}
TURNED = {"Flip", "Flip, vertical", "Rotate90", "RandAugment"}
SHIFTED = {
    "Flip",
    "Flip, vertical",
    "Rotate90",
    "Flip, no directions",
    "Rotate90, no directions",
}  # whole pixels
MIXED_ALONE = MIXED - {"MixUp", "CutMix"}  # pictures without their classes
BOXED = OVER | {"Elastic", "RandomCrop, reflected"}


def listed() -> set[type]:
    """Every class of the package that a configuration may name."""
    modules = [
        importlib.import_module(f"{augmentation.__name__}.{one.name}")
        for one in pkgutil.iter_modules(augmentation.__path__)
    ]
    found = {one for module in modules for _, one in inspect.getmembers(module, inspect.isclass)}
    return {
        one
        for one in found
        if issubclass(one, Augmentation)
        and one.__module__.startswith(augmentation.__name__)
        and not one.__name__.startswith("_")
        and one.__name__ not in ("BatchTransform", "Torchvision", "Kornia")  # see test_foreign
    }


def test_every_augmentation_has_a_case() -> None:
    assert {type(case) for case in CASES.values()} == listed()


# ---- what is true of a world stays true --------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CASES.keys() - BOXED))
@given(seed=st.integers(0, 2**31), B=st.integers(4, 6), M=st.integers(1, 4), side=st.sampled_from([40, 48]))
def test_boxes_their_rows_and_their_relations_stay_true(
    name: str, seed: int, B: int, M: int, side: int
) -> None:
    transform, before = CASES[name], world(seed, B, M, side)
    if name in MIXED:
        before = before._replace(caption=None)
    copies = [None if field is None else field.clone() for field in before]
    torch.manual_seed(seed)
    after = transform(before)
    for field, copy in zip(before, copies, strict=True):
        assert copy is None or torch.equal(field, copy)
    assert torch.equal(after.photo, after.night)
    if name in ("ColorJitter", "Photometric"):
        assert all(old is new for old, new in zip(before[2:], after[2:], strict=True))
        return
    assert_true(before, after)
    assert after.weight is before.weight
    assert after.caption is before.caption
    if name in TURNED:  # nothing is cut off
        assert torch.equal(after.who.sort(1).values, before.who.sort(1).values)
    if name not in MIXED:
        assert set(after.who.flatten().tolist()) - {-1} == set(after.region_who.flatten().tolist()) - {-7}
        H, W = after.owner.shape[1:]
        for b in range(B):  # what is seen whole is not lost
            for identity in set(after.owner[b].unique().tolist()) - {253, 254}:
                x1, y1, x2, y2 = extents(after.owner[b], identity).tolist()
                if min(x1, y1) > 0 and x2 < W and y2 < H and min(x2 - x1, y2 - y1) > 3:
                    assert identity in after.who[b]


@pytest.mark.parametrize("B", [1, 2, 3])
def test_relations_among_pictures_that_a_mosaic_repeats(B: int) -> None:
    before = world(1, B, 3, 40)._replace(caption=None)
    after = Mosaic(scale=(0.5, 0.5), centre=(0.5, 0.5), until=1)(before)
    known = (before.facts[..., 0] >= 0).sum(1)
    assert known.sum() > 0
    for b in range(B):
        linked = after.facts[b][after.facts[b, :, 0] >= 0]
        assert len(linked) == sum(known[(b + quarter) % B] for quarter in range(4))
        relations(after.who[b], after.facts[b], (0, 2, 1))
        subjects, others = ((after.things[b, linked[:, column], :2] >= 20 - 1e-3) for column in (0, 2))
        assert torch.equal(subjects, others)  # in the same quarter


def test_links_to_no_box_are_dropped() -> None:
    before = world(1, 4, 2, 40)
    none = before._replace(
        things=before.things[:, :0],
        who=before.who[:, :0],
        traits=before.traits[:, :0],
        faint=before.faint[:, :0],
    )
    for batch in (none, before._replace(facts=before.facts.where(before.facts < 0, 2))):
        assert (batch.facts >= 0).any()
        assert (Flip()(batch).facts == -1).all()


class Graph(NamedTuple):
    """What scene graphs are learned from."""

    images: Annotated[Tensor, Pixels()]
    boxes: Annotated[Tensor, Boxes("box_labels", ignored="ignored")]
    box_labels: Annotated[Tensor, RowsOf("boxes")]
    ignored: Annotated[Tensor, RowsOf("boxes", empty=0)]
    sizes: Annotated[Tensor, Stays()]
    relations: Annotated[Tensor, Links("boxes", columns=(0, 1), directional=True)]


@pytest.fixture(scope="module")
def graphs() -> Graph:
    """Scenes with a number of its own for each object, in place of its class."""
    fields = SceneRelations(train_images=24).load("train", Graph._fields).fields
    batch = Graph(**fields)  # type: ignore[arg-type]
    numbers = torch.arange(batch.box_labels.numel()).view_as(batch.box_labels)
    return batch._replace(box_labels=torch.where(batch.box_labels >= 0, numbers, -1))


def told(batch: Graph, b: int) -> list[tuple[int, int, int]]:
    rows = batch.relations[b][batch.relations[b, :, 0] >= 0]
    ends = batch.box_labels[b][rows[:, :2]]
    assert (ends >= 0).all()
    return sorted((*pair, said) for pair, said in zip(ends.tolist(), rows[:, 2].tolist(), strict=True))


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("seed", range(3))
def test_relations_of_scenes_are_renumbered_dropped_or_refused(graphs: Graph, name: str, seed: int) -> None:
    if name in BOXED | TURNED:
        with pytest.raises(ConfigError, match=r"offers '(boxes|relations)'"):
            CASES[name](graphs)
        return
    torch.manual_seed(seed)
    after = CASES[name](graphs)
    every = [told(graphs, b) for b in range(len(graphs.images))]
    for b in range(len(after.images)):
        left = set(after.box_labels[b].tolist()) - {-1}
        known = every[b] if name not in MIXED else [one for own in every for one in own]
        assert told(after, b) == sorted(one for one in known if left.issuperset(one[:2]))
        if "no directions" in name:  # who says so answers for it
            continue
        for one, other, said in after.relations[b][after.relations[b, :, 0] >= 0].tolist():
            (x1, y1, x2, y2), (u1, v1, u2, v2) = after.boxes[b, [one, other]].tolist()
            apart = {LEFT: u1 - x2, RIGHT: x1 - u2, ABOVE: v1 - y2, BELOW: y1 - v2}
            assert apart.get(said, 0) > -1e-3


# ---- what each takes ---------------------------------------------------------------------------------------

B, SIDE = 6, 48
PICTURES = (torch.arange(B * 3 * SIDE**2) * 0.618 % 1 * 256).to(torch.uint8).view(B, 3, SIDE, SIDE)
CORNERS = torch.tensor([4.0, 4, 30, 30]).expand(B, 1, 4).contiguous()
NUMBERS = torch.zeros(B, 1, dtype=torch.int64)
BOXES = {"spots": (Boxes("which"), CORNERS), "which": (RowsOf("spots"), NUMBERS)}
PIXELS = torch.zeros(B, SIDE, SIDE, dtype=torch.uint8)
WORDS = torch.ones(B, 7, dtype=torch.int64)
LINKS = torch.zeros(B, 2, 2, dtype=torch.int64)
ALL = set(CASES)
# fields, and the cases that refuse the first of them
TAKEN: dict[str, tuple[dict[str, tuple[Any, Tensor]], set[str]]] = {
    "pictures": ({}, set()),
    "masks": ({"area": (Mask(), PIXELS)}, OVER),
    "truths per pixel": (
        {"depth": (PixelTruth(), PIXELS)},
        ALL - {*SHIFTED, "RandomCrop, reflected"},
    ),
    "boxes with classes": (BOXES, BOXED),
    "boxes": ({"spots": (Boxes(), CORNERS)}, BOXED),
    "links": ({"near": (Links("spots", directional=False), LINKS), **BOXES}, BOXED),
    "directional links": ({"near": (Links("spots", directional=True), LINKS), **BOXES}, BOXED | TURNED),
    "text": ({"question": (Text(), WORDS)}, MIXED | TURNED),
    "text without directions": ({"question": (Text(directional=False), WORDS)}, MIXED),
    "labels": ({"theme": (Label(), torch.arange(B))}, MIXED_ALONE),
    "directional labels": ({"theme": (Label(directional=True), torch.arange(B))}, MIXED_ALONE | TURNED),
    "values that stay": ({"bytes": (Stays(), torch.arange(B))}, set()),
    "what is not said": ({"question": (None, WORDS)}, ALL),
}


def batch_of(fields: dict[str, tuple[Any, Tensor]], case: str) -> Any:
    """A batch of pictures and these fields, with labels where they are mixed."""
    fields = {"photo": (Pixels(), PICTURES), **fields}
    if case in {"MixUp", "CutMix"} and "theme" not in fields:
        fields["theme"] = (Label(), torch.arange(B))
    types = {name: Tensor if kind is None else Annotated[Tensor, kind] for name, (kind, _) in fields.items()}
    return NamedTuple("Sampled", list(types.items()))(*(value for _, value in fields.values()))  # type: ignore[misc]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", TAKEN)
def test_a_field_is_taken_or_refused_with_what_to_use(case: str, kind: str) -> None:
    fields, refused = TAKEN[kind]
    batch = batch_of(fields, case)
    if case not in refused:
        after = CASES[case](batch)
        assert type(after) is type(batch)
        for name, (said, value) in fields.items():
            if isinstance(said, Text | Stays):
                assert getattr(after, name) is value
        return
    with pytest.raises(ConfigError) as error:
        CASES[case](batch)
    message = str(error.value)
    start, advice = message.split("; ", 1)
    named = re.match(r"data\.augment: (\w+) does not fit data that offers '(\w+)': \w+", start)
    assert named
    assert named[1] == type(CASES[case]).__name__
    assert named[2] in fields
    if kind == "what is not said":
        assert advice.startswith("say it in Sampled, for instance `question: Annotated[Tensor, Text()]`")
        return
    # what is advised takes the field
    modes = {"mode: reflect": "RandomCrop, reflected", "mode: constant": "RandomCrop"}
    words = re.findall(r"mode: \w+|\b(?!RandomCrop with)[A-Z]\w+", advice.partition(", or say")[0])
    advised = {modes.get(word, word) for word in words}
    assert advised
    assert advised <= ALL - refused


def test_two_pictures_change_alike() -> None:
    for name, transform in CASES.items():
        batch = batch_of({"night": (Pixels(), PICTURES.clone())}, name)
        after = transform(batch)
        assert torch.equal(after.photo, after.night)
        assert not torch.equal(after.photo, PICTURES)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"photo": (Stays(), PICTURES)}, "Sampled has no field of kind Pixels"),
        (
            {"night": (Pixels(), PICTURES[..., 1:])},
            r"'night': it is \[6, 3, 48, 47\], .* 'photo' \[6, 3, 48, 48\]",
        ),
        (
            {"area": (Mask(), PIXELS[:, 1:])},
            r"'area': it is \[6, 47, 48\], which are not the pixels of 'photo'",
        ),
        (
            {"spots": (Boxes("which"), CORNERS)},
            "'spots': it cannot follow .* 'which', a field of kind RowsOf",
        ),
        ({"which": (RowsOf("spots"), NUMBERS)}, "'which': .* without 'spots', a field of kind Boxes"),
        ({"near": (Links("which"), LINKS), **BOXES}, "'near': .* without 'which', a field of kind Boxes"),
        (
            {**BOXES, "size": (RowsOf("spots"), WORDS)},
            r"'size': it is \[6, 7\], which are not the rows of 'spots' \[6, 1, 4\]",
        ),
    ],
)
def test_fields_that_do_not_belong_together(fields: dict[str, tuple[Any, Tensor]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Flip()(batch_of(fields, "Flip"))


def test_classes_are_mixed_where_there_are_some_of_one_kind() -> None:
    two = {"theme": (Label(), torch.arange(B)), "style": (Label(), torch.arange(B))}
    with pytest.raises(ConfigError, match=r"one field of kind Label, .* not \['theme', 'style'\]"):
        MixUp(6)(batch_of(two, "MixUp"))
    mixed = CutMix(6)(batch_of({}, "CutMix"))
    assert mixed.theme.shape == (6, 6)


def test_a_transform_of_ones_own() -> None:
    class Grey(BatchTransform):
        """Without colours."""

        effects = Effect.COLORS

        def changed(self, parts: Parts) -> dict[str, Tensor]:
            return {name: picture[:, :1].expand_as(picture) for name, picture in parts.pictures.items()}

    after = Grey()(batch_of(BOXES, "Grey"))
    assert torch.equal(after.photo[:, 2], PICTURES[:, 0])
    assert after.spots is CORNERS
    with pytest.raises(ConfigError, match="Grey does not fit data that offers 'depth': it may depend on"):
        Grey()(batch_of({"depth": (PixelTruth(), PIXELS)}, "Grey"))
