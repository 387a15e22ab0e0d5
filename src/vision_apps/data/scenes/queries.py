"""Questions about a scene as small programs: drawn, put in words, and answered of any list of things.

Yes and no, large and small, none and some are drawn before what is asked about, and what is asked about is
spread alike under either answer, so that words alone say nothing about it.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from vision_apps.data.scenes.colors import HUES
from vision_apps.data.scenes.kinds import KINDS

T = TypeVar("T")

NAMES = tuple(kind.name for kind in KINDS)
TYPES = ("color", "kind", "size", "exist", "count", "chain", "relate")
LARGE = 0.19  # radius: between the main object's and the others'
_APART = 0.1  # of the picture: things that lie nearer are neither left nor right of each other
_CLEARLY = 1.2  # how many times as large the largest thing is as the next, to be called so
_COUNTS = 9  # 0 to 8 things, the most that a scene has

ANSWERS = (*HUES, *NAMES, "large", "small", "yes", "no", *map(str, range(_COUNTS)))

_DIRECTIONS = ("left of", "right of", "above", "below")


class Seen(NamedTuple):
    """A thing as questions speak of it."""

    kind: str
    color: str
    radius: float
    x: float  # 0..1, to the right
    y: float  # 0..1, down

    @property
    def size(self) -> str:
        return "large" if self.radius >= LARGE else "small"


class Query(NamedTuple):
    """A question: its type, and what it speaks of; an empty text: of any.

    ``color`` asks for the colour of the only thing of a kind, ``kind`` for the kind of the only one of a
    colour, ``size`` for the size of the only one of a kind; ``exist`` and ``count`` are about the things of
    a kind, of a colour, or both; ``chain`` asks for what (``asked``) the largest or smallest thing is;
    ``relate`` whether the only thing of a kind lies in a direction of the only one of another.
    """

    type: str
    kind: str = ""
    color: str = ""
    rank: str = ""  # largest or smallest
    asked: str = ""  # of a chain: color or kind
    direction: str = ""
    other: str = ""  # kind


def answer(query: Query, things: Sequence[Seen]) -> str | None:
    """One of `ANSWERS`; none where what the question takes for granted is not so."""
    match query.type:
        case "exist" | "count":
            number = len(_matching(things, query.kind, query.color))
            return str(number) if query.type == "count" else "yes" if number else "no"
        case "chain":
            thing = _extreme(things, query.rank)
            return None if thing is None else getattr(thing, query.asked)
        case "relate":
            one, other = (_only(things, kind) for kind in (query.kind, query.other))
            if one is None or other is None or (lies := _lies(one, other, query.direction)) is None:
                return None
            return "yes" if lies else "no"
    thing = _only(things, query.kind, query.color)
    return None if thing is None else getattr(thing, query.type)


class Named(NamedTuple):
    """What can be in a scene."""

    kinds: Sequence[str] = NAMES
    colors: Sequence[str] = HUES


def draw(kind: str, things: Sequence[Seen], named: Named, rng: np.random.Generator) -> Query | None:
    """A question of this type about a scene; none where the scene gives no occasion for one."""
    if kind in ("exist", "count"):
        return (_exist if kind == "exist" else _count)(things, named, rng)
    return _DRAWN[kind](things, rng)


def usual(kind: str, named: Named) -> str:
    """A question of this type that can be asked about most scenes."""
    (one, *_, other), color = named.kinds, named.colors[0]
    query = {
        "color": Query("color", kind=one),
        "kind": Query("kind", color=color),
        "size": Query("size", kind=one),
        "exist": Query("exist", kind=one),
        "count": Query("count"),
        "chain": Query("chain", rank="largest", asked="kind"),
        "relate": Query("relate", kind=one, direction=_DIRECTIONS[0], other=other),
    }[kind]
    return in_words(query, np.random.default_rng(0))


def in_words(query: Query, rng: np.random.Generator) -> str:
    """A question as somebody may ask it."""
    color = _one_of(rng, ("color", "colour"))
    what = f"{query.color} {query.kind or 'thing'}".strip()
    match query.type:
        case "color":
            forms = (f"what {color} is the {query.kind}", f"which {color} has the {query.kind}")
        case "kind":
            forms = (f"what is the {what}", f"what kind of thing is {query.color}")
        case "size":
            forms = (f"is the {query.kind} large or small", f"what size is the {query.kind}")
        case "exist":
            article = "an" if what[0] in "aeiou" else "a"
            forms = (f"is there {article} {what}", f"can you see {article} {what}")
        case "count":
            some = f"{query.color} {_plural(query.kind or 'thing')}".strip()
            forms = (f"how many {some} are there", f"what number of {some} is there")
        case "chain" if query.asked == "color":
            forms = (f"what {color} is the {query.rank} thing", f"which {color} has the {query.rank} thing")
        case "chain":
            forms = (f"what is the {query.rank} thing", f"what kind of thing is the {query.rank}")
        case _:
            forms = (f"is the {query.kind} {query.direction} the {query.other}",) * 2
    return f"{_one_of(rng, forms)}?"


def complement(things: Sequence[Seen]) -> list[Seen]:
    """The same things, each with the kind of the next: what is true of kinds alone, colours alone or sizes
    alone stays so, and what goes from one to the other is answered otherwise."""
    kinds = [thing.kind for thing in things]
    return [thing._replace(kind=kind) for thing, kind in zip(things, [*kinds[1:], *kinds[:1]], strict=True)]


# ---- what is true -----------------------------------------------------------------------------------------


def _matching(things: Sequence[Seen], kind: str = "", color: str = "") -> list[Seen]:
    return [thing for thing in things if kind in ("", thing.kind) and color in ("", thing.color)]


def _only(things: Sequence[Seen], kind: str = "", color: str = "") -> Seen | None:
    found = _matching(things, kind, color)
    return found[0] if len(found) == 1 else None


def _extreme(things: Sequence[Seen], rank: str) -> Seen | None:
    """The largest or smallest thing, where it clearly is."""
    if len(things) < 2:
        return None
    ordered = sorted(things, key=lambda thing: thing.radius, reverse=rank == "largest")
    radii = sorted(thing.radius for thing in ordered[:2])
    return ordered[0] if radii[1] >= _CLEARLY * radii[0] else None


def _lies(one: Seen, other: Seen, direction: str) -> bool | None:
    """Whether one thing lies in a direction of another; none where it is hard to say."""
    along = other.x - one.x if direction in ("left of", "right of") else other.y - one.y
    if direction in ("right of", "below"):
        along = -along
    return None if abs(along) < _APART else along > 0


# ---- what is asked ----------------------------------------------------------------------------------------


def _one_of(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _alone(things: Sequence[Seen], by: str) -> list[Seen]:
    """Those whose kind or colour no other has."""
    values = [getattr(thing, by) for thing in things]
    return [thing for thing, value in zip(things, values, strict=True) if values.count(value) == 1]


def _color(things: Sequence[Seen], rng: np.random.Generator) -> Query | None:
    alone = _alone(things, "kind")
    return Query("color", kind=_one_of(rng, alone).kind) if alone else None


def _kind(things: Sequence[Seen], rng: np.random.Generator) -> Query | None:
    alone = _alone(things, "color")
    return Query("kind", color=_one_of(rng, alone).color) if alone else None


def _size(things: Sequence[Seen], rng: np.random.Generator) -> Query | None:
    wanted = _one_of(rng, ("large", "small"))
    alone = [thing for thing in _alone(things, "kind") if thing.size == wanted]
    return Query("size", kind=_one_of(rng, alone).kind) if alone else None


def _spoken_of(things: Sequence[Seen], named: Named, rng: np.random.Generator) -> tuple[str, str] | None:
    """A kind, a colour or both, that some thing has or that none has, one as likely as the other."""
    there, form = rng.random() < 0.5, _one_of(rng, ("kind", "color", "both"))
    if form == "both":
        pairs = {(thing.kind, thing.color) for thing in things}
        crossed = {(a.kind, b.color) for a in things for b in things} - pairs
        chosen = sorted(pairs if there else crossed)
        return _one_of(rng, chosen) if chosen else None
    present = {getattr(thing, form) for thing in things}
    every = named.kinds if form == "kind" else named.colors
    found = [value for value in every if (value in present) == there]
    if not found:  # all that there are are present
        return None
    name = _one_of(rng, found)
    return (name, "") if form == "kind" else ("", name)


def _exist(things: Sequence[Seen], named: Named, rng: np.random.Generator) -> Query | None:
    spoken_of = _spoken_of(things, named, rng)
    return Query("exist", *spoken_of) if spoken_of else None


def _count(things: Sequence[Seen], named: Named, rng: np.random.Generator) -> Query | None:
    if rng.random() < 0.5:
        return Query("count")
    spoken_of = _spoken_of(things, named, rng)
    return Query("count", *spoken_of) if spoken_of else None


def _chain(things: Sequence[Seen], rng: np.random.Generator) -> Query | None:
    ranks = [rank for rank in ("largest", "smallest") if _extreme(things, rank) is not None]
    return Query("chain", rank=_one_of(rng, ranks), asked=_one_of(rng, ("color", "kind"))) if ranks else None


def _relate(things: Sequence[Seen], rng: np.random.Generator) -> Query | None:
    wanted, alone = rng.random() < 0.5, _alone(things, "kind")
    found = [
        (one.kind, direction, other.kind)
        for one in alone
        for other in alone
        for direction in _DIRECTIONS
        if one is not other and _lies(one, other, direction) is wanted
    ]
    if not found:
        return None
    one, direction, other = _one_of(rng, found)
    return Query("relate", kind=one, direction=direction, other=other)


_DRAWN = {"color": _color, "kind": _kind, "size": _size, "chain": _chain, "relate": _relate}


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith(("x", "s")) else f"{name}s"


def _vocabulary() -> tuple[str, ...]:
    """All words of `in_words`."""
    frame = (
        "what which color colour is the has kind of thing things large or small size there a an can you see "
        "how many are number largest smallest left right above below"
    )
    return (*frame.split(), *HUES, *NAMES, *map(_plural, NAMES))


WORDS = _vocabulary()
