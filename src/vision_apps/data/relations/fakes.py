"""Tiny seeded pictures with related objects, from which the fakes of all formats are written."""

from typing import NamedTuple

from vision_apps.data.boxes.fakes import CLASS_NAMES, FakePicture, fake_pictures

__all__ = ["CLASS_NAMES", "PREDICATE_NAMES", "FakeGraph", "fake_graphs"]

PREDICATE_NAMES = ("left of", "right of")


class FakeGraph(NamedTuple):
    """A made picture and how its objects lie to each other."""

    picture: FakePicture
    relations: list[tuple[int, int, int]]  # subject, object, predicate


def fake_graphs(count: int, size: int, seed: int) -> list[FakeGraph]:
    """As `fake_pictures`, with a predicate for both ways of each pair."""
    return [FakeGraph(picture, _relations(picture)) for picture in fake_pictures(count, size, seed)]


def _relations(picture: FakePicture) -> list[tuple[int, int, int]]:
    middles = [box[0] + box[2] for box in picture.boxes]
    every = range(len(middles))
    return [
        (one, other, int(middles[one] > middles[other])) for one in every for other in every if one != other
    ]
