"""Imports run one way: core, networks, scenes and datasets, the applications, the command line."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vision_apps

ROOT = Path(vision_apps.__file__).parent
# What each folder may import besides itself; every other folder is an application.
MAY = {
    "core": set(),
    "networks": {"core"},
    "scenes": {"core", "networks"},
    "datasets": {"core", "networks"},
    "sweeps": {"core"},
    "compare": {"core"},
    "export": {"core"},
    "dashboard": {"core"},
    "prediction": {"core", "datasets"},
    "cli": {"core", "datasets", "sweeps", "compare", "export", "dashboard", "prediction"},
}
APPLICATION = {"core", "networks", "scenes", "datasets"}


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
    folder = path.relative_to(ROOT).parts[0]
    allowed = MAY.get(folder, APPLICATION) | {folder, "__version__"}
    wrong = {name for name in imported(path) if name.split(".")[1] not in allowed}
    assert not wrong, (
        f"{folder} may import {', '.join(sorted(allowed - {folder}))}; found {', '.join(sorted(wrong))}"
    )


def test_only_one_place_calls_targets() -> None:
    users = [path.relative_to(ROOT) for path in FILES if "hydra.utils" in path.read_text()]
    assert users == [Path("core/instantiate.py")], (
        "its docstring says why there is no hydra.utils.instantiate"
    )
