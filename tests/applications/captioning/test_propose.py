"""Proposals that ask for no class become a file of regions."""

from pathlib import Path

import pytest
import torch

from vision_apps.applications.captioning import propose
from vision_apps.core.pictures import to_pil
from vision_apps.data.captions.regions import RegionFiles


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures and a broken one; three proposals of each, one of them twice and one a detail."""
    found = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 7], [9, 9, 10, 10], [8, 8, 16, 16]])
    monkeypatch.setattr(propose, "selective_search", lambda image: found)
    (tmp_path / "more").mkdir()
    for name in ("a.png", "more/b.png"):
        to_pil(torch.zeros(3, 16, 16, dtype=torch.uint8)).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no picture")
    return tmp_path


def test_details_and_copies_are_left_out(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert propose.main([str(album), str(album / "boxes.npz")]) == 0
    files = RegionFiles(album / "boxes.npz")
    assert [*files.entries] == ["a.png", "more/b.png"]
    entry = files.of("more/b.png")
    assert entry is not None
    assert files.boxes(entry).tolist() == [[0, 0, 8, 8], [8, 8, 16, 16]]
    assert "c.png" in capsys.readouterr().err
    assert propose.main([str(album), str(album / "one.npz"), "--most", "1"]) == 0
    assert len(RegionFiles(album / "one.npz").boxes(RegionFiles(album / "one.npz").entries["a.png"])) == 1


def test_a_folder_without_pictures_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert propose.main([str(tmp_path), str(tmp_path / "boxes.npz")]) == 2
    assert "no picture can be read there" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        propose.main([str(tmp_path), str(tmp_path / "boxes.txt")])
