"""What was computed of samples and is kept on disk: whole or not at all, plain arrays, computed once."""

import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from vision_apps.core.errors import DataError
from vision_apps.data import feature_store
from vision_apps.data.feature_store import Computed, Field, Store, keep

FIELDS = {"maps": Field((2, 3), torch.float32), "images": Field((3, 4, 4), torch.uint8)}
COUNT = 7
KEY = "data.cache"


def values(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "maps": torch.randn(COUNT, 2, 3, generator=generator),
        "images": torch.randint(256, (COUNT, 3, 4, 4), generator=generator, dtype=torch.uint8),
    }


def in_batches(found: dict[str, Tensor], left_out: tuple[int, ...] = ()) -> Callable[[], Computed]:
    def compute() -> Computed:
        for start in range(0, COUNT, 3):
            numbers = [n for n in range(start, min(start + 3, COUNT)) if n not in left_out]
            yield numbers, {name: rows[numbers] for name, rows in found.items()}

    return compute


def never() -> Computed:
    raise AssertionError("it is computed again")


def kept(
    compute: Callable[[], Computed] | None = None, made_of: object = "pictures", **other: object
) -> Store:
    options = {"fields": FIELDS, "count": COUNT, **other}
    compute = compute or in_batches(values())
    return keep(Path("kept"), {"of": made_of}, compute=compute, title="maps", key=KEY, **options)  # type: ignore[arg-type]


def test_kept_once_and_read_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    found = values()
    for store in (kept(), kept(never)):
        assert torch.equal(store.rows("maps", [5, 0, 5]), found["maps"][[5, 0, 5]])
        assert torch.equal(store.rows("images", torch.arange(COUNT)), found["images"])
        assert torch.equal(store.row("images", 6), found["images"][6])
        assert all(map(store.is_there, range(COUNT)))
    size = COUNT * (2 * 3 * 4 + 3 * 4 * 4)
    assert capsys.readouterr().err == (
        f"maps: 7 samples of maps 2 x 3 float32, images 3 x 4 x 4 uint8: {size / 2**20:.1f} MiB, "
        f"kept in {store.folder}\n"
    )
    assert np.array_equal(np.load(store.folder / "maps.npy"), found["maps"].numpy())  # by any program


@pytest.mark.parametrize("dtype", feature_store._STORED, ids=str)
def test_every_type_to_the_last_bit(dtype: torch.dtype) -> None:
    rows = (torch.randn(COUNT, 2, 2) * 50).abs().to(dtype)
    store = kept(in_batches({"maps": rows}), str(dtype), fields={"maps": Field.of(rows)})
    again = store.rows("maps", range(COUNT))  # type: ignore[arg-type]
    assert again.dtype == dtype and torch.equal(again, rows)


def test_samples_that_are_not_there() -> None:
    found = values()
    for left_out in ((0, 1, 2, 5), (4, 6)):
        store = kept(in_batches(found, left_out), left_out)
        assert [n for n in range(COUNT) if not store.is_there(n)] == list(left_out)
        there = [n for n in range(COUNT) if n not in left_out]
        assert torch.equal(store.rows("maps", there), found["maps"][there])
        assert not store.rows("maps", list(left_out)).any()


def test_whatever_it_is_made_of_has_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {kept(made_of=made_of).folder for made_of in ("a", "b", {"a": 1}, {"a": 2}, {"b": 1}, [1, 2])}
    assert len(folders) == 6 and {*Path("kept").glob("[!.]*")} == folders
    monkeypatch.setattr(feature_store, "VERSION", feature_store.VERSION + 1)
    assert kept(made_of="a").folder not in folders


def test_what_is_half_written_is_nothing() -> None:
    def broken() -> Computed:
        yield [0, 1], {name: rows[:2] for name, rows in values().items()}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(broken)
    assert not [path for path in Path("kept").iterdir() if path.is_dir()]
    assert torch.equal(kept().rows("maps", [6]), values()["maps"][6:])


def test_killed_while_it_writes() -> None:
    """What it leaves is taken away, and holds up nobody."""

    def killed() -> Computed:
        yield [0, 1], {name: rows[:2] for name, rows in values().items()}
        os._exit(9)

    if (child := os.fork()) == 0:
        kept(killed)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (left,) = (path.name for path in Path("kept").iterdir() if path.is_dir())
    assert left.startswith(".writing-")
    assert torch.equal(kept().rows("maps", [6]), values()["maps"][6:])
    assert [path.name for path in Path("kept").iterdir() if path.is_dir()] == [left[len(".writing-") :]]


def test_one_computes_and_others_wait() -> None:
    begun, going_on = threading.Event(), threading.Event()
    found: list[Store] = []

    def slowly() -> Computed:
        begun.set()
        assert going_on.wait(60)
        yield from in_batches(values())()

    first = threading.Thread(target=lambda: found.append(kept(slowly)))
    second = threading.Thread(target=lambda: found.append(kept(never)))
    first.start()
    assert begun.wait(60)
    second.start()
    second.join(0.2)
    assert second.is_alive() and not found
    going_on.set()
    first.join()
    second.join()
    assert [store.folder for store in found] == [found[0].folder] * 2


class Explodes:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda folder: os.truncate(folder / "maps.npy", 200), "maps.npy|mmap"),
    "no header": (lambda folder: os.truncate(folder / "maps.npy", 3), "allow_pickle"),
    "other rows": (
        lambda folder: np.save(folder / "maps.npy", np.zeros((6, 2, 3), np.float32)),
        r"\[6, 2, 3\]",
    ),
    "other type": (lambda folder: np.save(folder / "maps.npy", np.zeros((7, 2, 3))), "float64"),
    "objects": (
        lambda folder: np.save(folder / "maps.npy", np.array([Explodes()] * 7), allow_pickle=True),
        "Python objects|pickle|object",
    ),
    "a field is missing": (lambda folder: (folder / "images.npy").unlink(), "images.npy"),
    "of something else": (lambda folder: (folder / "made_of.json").write_text("{}"), "something else"),
    "no words": (lambda folder: (folder / "made_of.json").write_bytes(b"\xff{"), "decode"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_lies_there_is_not_trusted(name: str) -> None:
    damage, told = DAMAGE[name]
    folder = kept().folder
    damage(folder)
    with pytest.raises(
        DataError, match=rf"(?s)^data: kept features cannot be read: {folder}: .*({told})"
    ) as caught:
        kept(never)
    assert str(caught.value).endswith("\n  Delete that folder and they are computed again.")
    assert not Path("executed").exists()


def test_a_place_that_cannot_be_written_to() -> None:
    Path("kept").mkdir()
    Path("kept").chmod(0o500)
    with pytest.raises(
        DataError, match=f"^{KEY}: features cannot be kept in kept: /.*/kept is read-only\n  Say where"
    ):
        kept(never)
    Path("kept").chmod(0o700)
    store = kept()
    Path("kept").chmod(0o500)
    assert kept(never).folder == store.folder  # to read is enough
    Path("kept").chmod(0o700)


def test_a_file_in_its_place() -> None:
    Path("kept").write_text("")
    with pytest.raises(DataError, match=f"^{KEY}: features cannot be kept in kept: "):
        kept(never)


def test_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(
        DataError, match=r"kept in kept: they take 0.0 MiB, and 1.0 MiB are free\n  Say where: data"
    ):
        kept(never)


def test_samples_of_several_shapes() -> None:
    def compute() -> Computed:
        yield [0], {name: rows[:1] for name, rows in values().items()}
        yield [1], {**{name: rows[1:2] for name, rows in values().items()}, "maps": torch.zeros(1, 2, 4)}

    with pytest.raises(
        DataError, match="maps of sample 1 is 2 x 4 float32, of others 2 x 3 float32: what is"
    ):
        kept(compute)


def test_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    times = iter((0.0, 30.0, 60.0, 90.0))
    monkeypatch.setattr(feature_store.time, "monotonic", lambda: next(times))
    kept()
    assert capsys.readouterr().err.splitlines()[1:] == [
        "maps: 3 of 7 samples · 0:40 left",
        "maps: 6 of 7 samples · 0:10 left",
    ]


def test_other_processes_get_no_arrays() -> None:
    big = {"maps": torch.randn(COUNT, 1000)}
    store = kept(in_batches(big), fields={"maps": Field.of(big["maps"])})
    assert torch.equal(store.rows("maps", [0]), big["maps"][:1])
    sent = pickle.dumps(store)
    assert len(sent) < 2000
    assert torch.equal(pickle.loads(sent).rows("maps", [3]), big["maps"][3:4])
