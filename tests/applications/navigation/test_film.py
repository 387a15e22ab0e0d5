"""Episodes as moving pictures: what each frame shows, and that frames go together."""

import io

import pytest
import torch
from PIL import Image

from vision_apps.applications.navigation.film import HEED, frames, gif, heeded
from vision_apps.applications.navigation.pictures import GOAL, HERE, SIDE, TABLE, WAY, way
from vision_apps.core.marks import PAPER

MAP = torch.full((3, 64, 64), 230, dtype=torch.uint8)
POINTS = torch.tensor([[8.0, 8.0], [40.0, 8.0], [40.0, 40.0]])
WORDS = ["go", "to", "the", "lamp"]


def colors(image: Image.Image) -> set[tuple[int, ...]]:
    found = image.convert("RGB").getcolors(1 << 20)
    assert found is not None
    return {color for _, color in found}  # type: ignore[misc]


def test_the_way_grows_and_the_goal_is_marked() -> None:
    attention = torch.eye(4)[:3]
    made = list(frames(MAP, POINTS, WORDS, attention, ["east", "south", "stop"], POINTS[-1:]))
    assert len(made) == 4 and len({frame.size for frame in made}) == 1
    gone = [sum(pixel == WAY for pixel in frame.get_flattened_data()) for frame in made]
    assert gone[0] == 0 and gone[0] < gone[1] < gone[2]
    assert all({HERE, GOAL} <= colors(frame) for frame in made)
    assert all(HEED in colors(frame) for frame in made[:3]) and HEED not in colors(made[-1])


def test_the_word_that_is_heeded_most_is_the_darkest() -> None:
    strip = heeded(WORDS, [0.1, 0.0, 0.0, 0.2])
    columns = [x for x in range(strip.width) for y in range(strip.height) if strip.getpixel((x, y)) == HEED]
    assert min(columns) > strip.width / 4  # behind the first three words
    assert HEED not in colors(heeded(WORDS, [0.0] * 4)) and PAPER in colors(strip)


@pytest.mark.parametrize("count", [1, 30, 200])
def test_words_stay_within_the_column(count: int) -> None:
    strip = heeded(["wardrobe"] * count, [1.0] * count)
    assert strip.height >= 22 * max(1, count // 5)
    assert all(strip.getpixel((strip.width - 1, y)) == PAPER for y in range(strip.height))


def test_an_episode_without_steps_or_words_is_a_picture() -> None:
    (frame,) = frames(MAP, POINTS[:1], [], torch.zeros(0, 0), [])
    assert HERE in colors(frame)


def test_films_of_other_lengths_and_sizes_follow_each_other() -> None:
    one = list(frames(MAP, POINTS[:2], WORDS, torch.eye(4)[:1], ["stop"]))
    other = list(frames(MAP[:, :32], POINTS, WORDS * 40, torch.rand(2, 160), ["east", "stop"]))
    content = gif([one, other])
    assert content == gif([one, other])
    with Image.open(io.BytesIO(content)) as film:
        assert film.n_frames == 5
        assert film.size == (max(f.width for f in one + other), max(f.height for f in one + other))
        shown = []
        for number in range(5):
            film.seek(number)
            shown.append(film.info["duration"])
    assert shown == [600, 1800, 600, 600, 1800]


@pytest.mark.parametrize("count", [0, 4, 80])
def test_a_way_is_drawn_beside_what_was_heeded(count: int) -> None:
    attention = torch.zeros(3, count)
    attention[1, count // 2 :] = 1.0
    page = way(MAP, POINTS, ["word"] * count, attention, ["east", "south", "stop"], POINTS[1:2])
    assert page.dtype == torch.uint8 and page.shape[2] <= SIDE + TABLE + 120
    shown = {tuple(color) for color in page.flatten(1).T.unique(dim=0).tolist()}
    assert {WAY, HERE, GOAL} <= shown
    assert ((31, 119, 180) in shown) == (count > 0)
    plain = way(MAP, POINTS[:0], [], torch.zeros(0, 0), [])  # a picture alone
    assert plain.shape[1:] >= (SIDE, SIDE)
