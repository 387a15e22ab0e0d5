"""Picture sheets: what is where, and where they go."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run
from PIL import Image, ImageFont
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy
from toy import ToyData, ToyModule, ToyPresentation

from vision_apps.core import engine, pictures
from vision_apps.core.presentation import Row, class_rows
from vision_apps.trained import evaluate


def flat(value: int, height: int = 8, width: int = 8) -> Tensor:
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_pil_there_and_back() -> None:
    picture = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    image = pictures.to_pil(picture)
    assert image.size == (7, 5)
    assert torch.equal(pictures.from_pil(image), picture)


def test_rows_below_each_other_with_a_frame() -> None:
    sheet = pictures.sheet([flat(10, 128, 128), flat(20, 128, 128)])
    assert sheet.shape == (3, 2 * (128 + 8), 128 + 8)
    assert sheet.dtype == torch.uint8
    assert (sheet[:, 4:132, 4:132] == 10).all()
    assert (sheet[:, 140:268, 4:132] == 20).all()
    frame = sheet.clone()
    frame[:, 4:132, 4:132] = frame[:, 140:268, 4:132] = 255
    assert (frame == 255).all()


def test_small_pictures_are_enlarged_by_whole_factors() -> None:
    checkers = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 255
    sheet = pictures.sheet([checkers.to(torch.uint8).expand(3, 8, 8)])
    factor = 14  # the least that makes a column of 8 px as wide as 110 px
    assert sheet.shape == (3, 8 * factor + 8, 8 * factor + 8)
    inner = sheet[0, 4:-4, 4:-4]
    assert torch.equal(inner, checkers.to(torch.uint8).repeat_interleave(14, 0).repeat_interleave(14, 1))


def test_large_pictures_stay() -> None:
    assert pictures.sheet([flat(0, 300, 400)], ("a", "b")).shape[2] == 408


def test_titles_are_above_their_columns() -> None:
    plain = pictures.sheet([flat(9, 100, 400)])
    sheet = pictures.sheet([flat(9, 100, 400)], ("first", "second"))
    header = sheet.shape[1] - plain.shape[1]
    assert header > 10
    assert torch.equal(sheet[:, header:], plain)
    dark = (sheet[0, :header] < 128).nonzero()[:, 1]
    left, right = dark[dark < 204], dark[dark >= 204]
    assert abs(float(left.float().mean()) - 102) < 10
    assert abs(float(right.float().mean()) - 306) < 10


def test_several_per_line_and_a_rest() -> None:
    sheet = pictures.sheet([flat(v, 120, 120) for v in (1, 2, 3)], ("one",), per_line=2)
    assert sheet.shape[2] == 2 * 128
    assert (sheet[:, -124:-4, 4:124] == 3).all()
    assert (sheet[:, -124:, 128:] == 255).all()


def saved(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "images").iterdir())


def opened(name: str) -> Tensor:
    with Image.open(f"run/images/{name}.png") as image:
        return pictures.from_pil(image)


@pytest.mark.usefixtures("toy")
def test_files_of_every_epoch_and_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    def figures(self: ToyPresentation, measured: dict[str, Any]) -> dict[str, Tensor]:
        assert set(measured) == {"accuracy"}
        return {"confusion": flat(7, 20, 30)}

    monkeypatch.setattr(ToyPresentation, "figures", figures)
    toy_run.train(Path("run"), test=True)
    epochs = [f"val-{name}-epoch-000{epoch}.png" for name in ("confusion", "sheet") for epoch in range(3)]
    assert saved(Path("run")) == ["test-confusion-best.png", "test-sheet-best.png", *epochs]
    row = opened("val-sheet-epoch-0000")[:, -116:-4, 4:-4]  # the last of 8 samples, enlarged 14 times
    assert torch.equal(row[:, ::14, ::14], ToyData().load("val", ("images",)).fields["images"][7])
    assert opened("test-confusion-best").shape == (3, 20, 30)


@pytest.mark.usefixtures("toy")
def test_tables_of_the_test_s_own_metrics(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tables(self: ToyPresentation, measured: dict[str, Any]) -> dict[str, list[Row]]:
        rows = (
            class_rows(["dark, at night", "bright"], right=measured["right"]) if "right" in measured else []
        )
        return {"classes": rows} if rows else {}

    def more(self: ToyModule) -> dict[str, Metric]:
        return {"right": MulticlassAccuracy(2, average="none")}

    monkeypatch.setattr(ToyPresentation, "tables", tables)
    monkeypatch.setattr(ToyModule, "build_test_metrics", more)
    toy_run.train(Path("run"), test=True)
    with open("run/test-classes.csv", newline="") as file:
        dark, bright = csv.DictReader(file)
    assert (dark["class"], bright["class"]) == ("dark, at night", "bright")
    assert all(0 <= float(row["right"]) <= 1 for row in (dark, bright))
    assert "classes   run/test-classes.csv" in capsys.readouterr().out
    evaluate.test("run", [])
    assert "test-classes.csv, test.json and images/ in run" in capsys.readouterr().out


def test_rows_of_classes_have_nothing_where_nothing_is_known() -> None:
    columns = {"count": torch.tensor([3, 0]), "share": torch.tensor([0.12345678, torch.nan])}
    assert class_rows(["a", "b"], **columns) == [
        {"class": "a", "count": 3, "share": 0.123457},
        {"class": "b", "count": 0, "share": None},
    ]


@pytest.mark.usefixtures("toy")
def test_every_other_epoch_and_the_last() -> None:
    toy_run.train(Path("run"), trainer__max_epochs=4, callbacks__pictures__every_n_epochs=2)
    assert saved(Path("run")) == [f"val-sheet-epoch-000{epoch}.png" for epoch in (0, 2, 3)]


@pytest.mark.usefixtures("toy")
def test_drawing_changes_no_training() -> None:
    toy_run.train(Path("drawn"))
    toy_run.train(Path("not"), callbacks__pictures=None)
    toy_run.assert_same_training(Path("drawn"), Path("not"))
    assert saved(Path("not")) == []


@pytest.mark.usefixtures("toy")
def test_tensorboard_gets_them() -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = {
        "_target_": "pytorch_lightning.loggers.TensorBoardLogger",
        "save_dir": "run",
        "name": "tensorboard",
    }
    engine.train(toy_run.configure(Path("run"), {"logger": {"tensorboard": board | {"version": ""}}}))
    events = accumulator.EventAccumulator("run/tensorboard", size_guidance={"images": 0})
    events.Reload()
    assert [image.step for image in events.Images("val/sheet")] == [6, 12, 18]
    assert {"train/loss", "val/loss", "lr"} <= set(events.Tags()["scalars"])


@pytest.mark.usefixtures("toy")
def test_the_worst_are_drawn_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def quality(self: ToyModule, answer: Any, batch: Any) -> Tensor:
        return batch.images.float().mean((1, 2, 3))

    monkeypatch.setattr(ToyModule, "quality", quality)
    toy_run.train(Path("run"), test=True)
    images = ToyData().load("test", ("images",)).fields["images"]
    worst = images[images.float().mean((1, 2, 3)).argsort()[:8]]
    sheet = opened("test-worst-best")
    assert torch.equal(sheet, opened_sheet(worst))
    assert (Path("run/images") / "val-worst-epoch-0001.png").is_file()


def opened_sheet(rows: Tensor) -> Tensor:
    return pictures.sheet(list(rows), ("picture",))


def test_a_text_is_cut_where_room_ends_however_long_it_is() -> None:
    font = ImageFont.load_default(size=12)
    whole = "the quick brown fox jumps over the lazy dog"
    for room in (*range(12, 300, 7), 1e4):
        found = pictures.shortened(whole, font, room)
        if found == whole:
            assert font.getlength(whole) <= room
        else:
            count = len(found) - 3
            assert found == whole[:count] + "..." and font.getlength(found) <= room
            assert font.getlength(whole[: count + 1] + "...") > room, "a sign more has no room"
    assert pictures.shortened("ab " * 1_000_000, font, 100).startswith("ab ab ab")


def test_a_legend_says_what_every_colour_stands_for() -> None:
    """In as many lines as it takes, and in each line as wide as the sheet."""
    rows = [torch.zeros(3, 60, 240, dtype=torch.uint8)]
    legend = {f"class {k}": (10 * k, 255 - 10 * k, 7) for k in range(20)}
    plain, shown = pictures.sheet(rows, ("a", "b")), pictures.sheet(rows, ("a", "b"), legend=legend)
    assert shown.shape[2] == plain.shape[2] and torch.equal(shown[:, : plain.shape[1]], plain)
    below = shown[:, plain.shape[1] :]
    counted = {
        color: int((below == torch.tensor(color)[:, None, None]).all(0).sum()) for color in legend.values()
    }
    assert all(count > 80 for count in counted.values()), "a square of each, whole"
    long = pictures.sheet(rows, legend={"a name that is wider than all pictures together " * 3: (1, 2, 3)})
    assert long.shape[2] == pictures.sheet(rows).shape[2]
