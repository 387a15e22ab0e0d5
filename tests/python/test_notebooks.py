"""The notebooks of examples/, executed as a browser does, with their figures."""

import base64
import io
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

import vision_apps

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SOURCE = str(Path(vision_apps.__file__).parents[1])
PATIENCE = 600  # s of a cell; only what is stuck takes so long


def pictures(cell: Any) -> list[Image.Image]:
    coded = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in coded]


def test_there_are_notebooks_without_outputs() -> None:
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells), f"{path.name}: clear its outputs"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([SOURCE, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    (trained,) = (cell for cell in code if "vision_apps.train(" in cell.source)
    curves, sheet = pictures(trained)  # one each, that was changed in its place
    assert curves.width > curves.height and sheet.height > 100
    shown = pictures(next(cell for cell in code if cell.source.rstrip().endswith("answers[0]")))
    assert len(shown) == 1 and (tmp_path / "answer.png").is_file()
