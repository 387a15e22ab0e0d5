"""Pictures with objects that are drawn over their pixels and related to each other, so that what is true of
them can be read off the pixels again."""

import itertools
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from vision_apps.core.fields import Boxes, Links, Mask, Pixels, RowsOf, Stays, Text


class World(NamedTuple):
    """Objects, each with an identity that is drawn over its pixels and unique in the batch."""

    photo: Annotated[Tensor, Pixels()]
    night: Annotated[Tensor, Pixels()]  # a second picture of the same
    owner: Annotated[Tensor, Mask(void=254)]  # the identity that a pixel belongs to, 253 is none
    facts: Annotated[Tensor, Links("things", columns=(0, 2))]  # subject, relation of both, object
    things: Annotated[Tensor, Boxes("who", ignored="faint")]
    who: Annotated[Tensor, RowsOf("things")]  # identity
    traits: Annotated[Tensor, RowsOf("things", empty=-9)]  # float32 [B, M, 2], of the identity
    faint: Annotated[Tensor, RowsOf("things", empty=0)]
    regions: Annotated[Tensor, Boxes()]  # the same boxes in another order
    region_who: Annotated[Tensor, RowsOf("regions", empty=-7)]
    pairs: Annotated[Tensor, Links("regions", columns=(0, 1))]  # the same relations, among regions
    weight: Annotated[Tensor, Stays()]
    caption: Annotated[Tensor | None, Text(directional=False)] = None


def relation(subject: Tensor, other: Tensor) -> Tensor:
    return (subject * 31 + other * 7) % 97


def traits(who: Tensor) -> Tensor:
    return torch.stack((who / 2, who % 3), dim=-1)


def world(seed: int, B: int, M: int, side: int) -> World:
    """Filled rectangles that do not touch, one below the other; rows of objects, of none and of links in any
    order."""
    draw = torch.Generator().manual_seed(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=draw))

    things, who = torch.zeros(B, M, 4), torch.full((B, M), -1)
    regions, region_who = torch.zeros(B, M + 2, 4), torch.full((B, M + 2), -7)
    owner = torch.full((B, side, side), 253, dtype=torch.uint8)
    facts, pairs = (torch.full((B, M * M + 1, 3), -1) for _ in range(2))
    band = side // M
    for b in range(B):
        rows, others = (torch.randperm(n, generator=draw).tolist() for n in (M, M + 2))
        count = number(0, M + 1)
        for m in range(count):
            width, height = number(6, side - 2), number(6, band)
            x, y = number(0, side - width + 1), m * band + number(0, band - height)
            identity = 1 + b * M + m
            box = torch.tensor([x, y, x + width, y + height])
            owner[b, y : y + height, x : x + width] = identity
            things[b, rows[m]], who[b, rows[m]] = box, identity
            regions[b, others[m]], region_who[b, others[m]] = box, identity
        places = torch.randperm(M * M + 1, generator=draw)
        for place, (i, j) in zip(places, itertools.product(range(count), repeat=2), strict=False):
            said = relation(who[b, rows[i]], who[b, rows[j]])
            if number(0, 4):
                facts[b, place] = torch.tensor([rows[i], said, rows[j]])
                pairs[b, place] = torch.tensor([others[i], others[j], said])
    photo = (owner[:, None] * 10).repeat(1, 3, 1, 1)
    there = who >= 0
    things[~there] = float(side)  # what stands in rows of none is not looked at
    things[~there, :2] = 0
    return World(
        *(photo, photo.clone(), owner, facts, things, who),
        torch.where(there[..., None], traits(who), -9.0),
        there & (who % 2 == 1),
        *(regions, region_who, pairs, torch.arange(B), torch.arange(3 * B).view(B, 3)),
    )


def extents(mask: Tensor, value: int) -> Tensor | None:
    """The box around the pixels of one value."""
    rows, columns = (mask == value).any(1).nonzero(), (mask == value).any(0).nonzero()
    if not len(rows):
        return None
    return torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()


def relations(who: Tensor, links: Tensor, columns: tuple[int, int, int]) -> list[tuple[int, int]]:
    """The identities that the links of one picture relate: those come first, and each says what is true."""
    subjects, others, said = (links[:, column] for column in columns)
    linked = subjects >= 0
    assert torch.equal(linked, linked.sort(descending=True).values)
    assert (links[~linked] == -1).all()
    subjects, others = who[subjects[linked]], who[others[linked]]
    assert min([0, *subjects.tolist(), *others.tolist()]) >= 0
    assert torch.equal(relation(subjects, others), said[linked])
    return sorted(zip(subjects.tolist(), others.tolist(), strict=True))


def assert_true(before: World, after: World) -> None:
    assert after.owner.shape[1:] == after.photo.shape[2:]
    outside = torch.tensor([254], dtype=torch.uint8)
    assert torch.isin(after.owner, torch.cat((before.owner.unique(), outside))).all()
    known = [
        pair
        for who, facts in zip(before.who, before.facts, strict=True)
        for pair in relations(who, facts[facts[:, 0].argsort(descending=True)], (0, 2, 1))
    ]
    for b in range(len(after.owner)):
        for boxes, who, empty, links, columns in (
            (after.things[b], after.who[b], -1, after.facts[b], (0, 2, 1)),
            (after.regions[b], after.region_who[b], -7, after.pairs[b], (0, 1, 2)),
        ):
            there = who >= 0
            assert torch.equal(there, there.sort(descending=True).values)
            assert not boxes[~there].any()
            assert (who[~there] == empty).all()
            for box, identity in zip(boxes[there], who[there].tolist(), strict=True):
                around = extents(after.owner[b], identity)
                assert around is not None
                assert (around - box).abs().max() <= 1
            left = set(who[there].tolist())
            assert len(left) == there.sum()
            assert relations(who, links, columns) == sorted(p for p in known if left.issuperset(p))
        there = after.who[b] >= 0
        assert torch.equal(after.traits[b], torch.where(there[:, None], traits(after.who[b]), -9.0))
        assert torch.equal(after.faint[b], there & (after.who[b] % 2 == 1))
