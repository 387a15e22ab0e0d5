"""Imports run one way: core, networks, data, the applications, what uses trained networks, the commands."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vision_apps

ROOT = Path(vision_apps.__file__).parent
# Of data, which are rooms of their own.
ROOMS = (
    *("augmentation", "boxes", "captions", "episodes", "labels", "masks", "questions", "relations"),
    "scenes",
)
# What each room may import besides itself. Every application is a room.
MAY = {
    "core": set(),
    "networks": {"core"},
    "data": {"core", "networks"},
    **{f"data.{room}": {"core", "networks", "data"} for room in ROOMS},
    "data.augmentation": {"core"},
    # their sentences are cut into words as all others are
    "data.episodes": {"core", "networks", "data", "data.questions"},
    # their objects are boxes
    "data.relations": {"core", "networks", "data", "data.boxes"},
    "data.scenes": {"core", "networks", "data", "data.captions", "data.questions"},
    "applications": {"core", "networks", "data", *(f"data.{room}" for room in ROOMS)},
    "trained": {"core"},
    "sweeps": {"core"},
    "compare": {"core"},
    "dashboard": {"core"},
    "prediction": {"core", "data", "trained"},
    "export": {"core", "trained"},
    "python": {"core", "data", "trained", "prediction"},
    "serving": {"core", "dashboard", "python"},
    "cli": {"core", "data", "sweeps", "compare", "dashboard", "trained", "prediction", "export", "serving"},
}


def room(module: str) -> str:
    """``data.boxes`` of ``data.boxes.coco``, ``core`` of ``core.config.check``."""
    top, *rest = module.split(".")
    if rest and (top == "applications" or (top == "data" and rest[0] in ROOMS)):
        return f"{top}.{rest[0]}"
    return top


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules of this package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith("vision_apps."))


FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    own = room(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    allowed = MAY[own if own in MAY else own.split(".")[0]] | {own, "__version__"}
    wrong = {name for name in imported(path) if room(name.removeprefix("vision_apps.")) not in allowed}
    assert not wrong, (
        f"{own} may import {', '.join(sorted(allowed - {own}))}; found {', '.join(sorted(wrong))}"
    )


def test_only_one_place_calls_targets() -> None:
    users = [path.relative_to(ROOT) for path in FILES if "hydra.utils" in path.read_text()]
    assert users == [Path("core/config/instantiate.py")], (
        "its docstring says why there is no hydra.utils.instantiate"
    )
