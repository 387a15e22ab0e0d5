"""What stands in the figures, as matplotlib's objects have it, and that they become pixels."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from vision_apps.core import figures

COUNTS = torch.tensor([[3, 1, 0], [0, 200, 0], [0, 0, 0]])


def drawn(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> Any:
    """The axes of a confusion matrix."""

    def keep(figure: Figure) -> torch.Tensor:
        kept.append(figure)
        return torch.zeros(3, 1, 1)

    kept: list[Figure] = []
    monkeypatch.setattr(figures, "pixels", keep)
    figures.confusion(*arguments, **options)
    return kept[0].axes[0]


def cells(axes: Any) -> dict[tuple[int, int], str]:
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}


def test_shades_and_numbers_are_shares_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = drawn(monkeypatch, COUNTS, ["a", "b", "c"], "title")
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]])
    assert cells(axes) == {(0, 0): "75", (0, 1): "25", (1, 1): "100"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b", "c"]
    assert axes.get_title() == "title" and not axes.lines


def test_shares_that_round_to_nothing_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = drawn(monkeypatch, torch.tensor([[995, 5], [994, 6]]), ["a", "b"], "")
    assert cells(axes) == {(0, 0): "100", (1, 0): "99", (1, 1): "1"}


def test_others_are_the_last_row_and_column(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = torch.tensor([[1500, 2], [3, 0]])
    axes = drawn(monkeypatch, counts, ["a very long name of a class"], "", ("background", "missed"), "counts")
    assert cells(axes) == {(0, 0): "1,500", (0, 1): "2", (1, 0): "3"}
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a very long name...", "background"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a very long name...", "missed"]
    assert sorted(line.get_xydata().tolist() for line in axes.lines) == [
        [[0, 0.5], [1, 0.5]],
        [[0.5, 0], [0.5, 1]],
    ]


@pytest.mark.parametrize(
    ("classes", "names", "numbers"),
    [(25, True, True), (26, True, False), (40, True, False), (41, False, False)],
)
def test_what_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, classes: int, names: bool, numbers: bool
) -> None:
    axes = drawn(monkeypatch, torch.eye(classes).long(), [str(k) for k in range(classes)], "")
    assert len(axes.get_xticks()) == (classes if names else 0)
    assert len(axes.texts) == (classes if numbers else 0)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [1, 2, 12, 30, 60])
def test_figures_become_pixels(classes: int) -> None:
    names = [f"a rather long name {k}" for k in range(classes)]
    perfect = figures.confusion(7 * torch.eye(classes).long(), names, "perfect")
    nothing = figures.confusion(torch.zeros(classes, classes).long(), names, "nothing")
    assert perfect.dtype == torch.uint8 and perfect.ndim == 3 and len(perfect) == 3
    assert perfect.shape == nothing.shape and perfect.float().mean() < nothing.float().mean()
