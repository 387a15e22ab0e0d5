"""`make` with an installer that only writes down what it is asked: when .venv is made, kept and made anew."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MAKE = shutil.which("make") or "make"
USED = "sh rm touch mkdir cp find sed expand".split()  # by the Makefile and below, and no uv of the machine

# Stands in for Python with its venv and pip, and for uv: keeps a journal, and fails at a step while the file
# `broken STEP` exists.
INSTALLER = f"""#!/bin/sh
case "${{0##*/}} $*" in
    *" -m venv "*" --without-pip "*) step="venv without pip" ;;
    *" -m venv "*) step=venv ;;
    *" -m pip "*" uv") step="pip uv" ;;
    *" -m pip "*" --editable "*) step=pip ;;
    "uv pip "*" --editable "*) step=uv ;;
    *) exec "{sys.executable}" "$@" ;;
esac
echo "$step" >> journal
case "$step" in venv*) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;; esac
[ ! -e "broken $step" ] || exit 1
[ "$step" != "pip uv" ] || cp "$0" .venv/bin/uv
"""


class Clone:
    """A folder with the Makefile and what it depends on, and the installer above in place of Python."""

    def __init__(self, folder: Path) -> None:
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy2(REPOSITORY / name, folder)
        self.folder = folder
        self.tools = folder / "tools"
        self.tools.mkdir()
        for name in USED:
            (self.tools / name).symlink_to(shutil.which(name) or name)
        self.add("python")

    def add(self, tool: str) -> None:
        (self.tools / tool).write_text(INSTALLER)
        (self.tools / tool).chmod(0o755)

    def breaks(self, *steps: str) -> None:
        for step in steps:
            (self.folder / f"broken {step}").touch()

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Without MAKEFLAGS and its kin: the tests themselves run under `make test`.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
        }
        environment.update(PATH=str(self.tools), PYTHON="python")
        return subprocess.run(
            [MAKE, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True
        )

    def journal(self) -> list[str]:
        """What the installer was asked for since the last look."""
        file = self.folder / "journal"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_environment_is_made_once(clone: Clone) -> None:
    assert clone.make(".venv/ready").returncode == 0
    assert clone.journal() == ["venv", "pip uv", "uv"]
    assert clone.make(".venv/ready").returncode == 0
    assert clone.journal() == []


def test_new_constraints_are_installed_into_the_same_environment(clone: Clone) -> None:
    clone.make(".venv/ready")
    (clone.folder / ".venv" / "kept").touch()
    clone.journal()
    later = (clone.folder / ".venv" / "ready").stat().st_mtime + 10
    os.utime(clone.folder / "constraints.txt", (later, later))
    assert clone.make(".venv/ready").returncode == 0
    assert clone.journal() == ["pip uv", "uv"]
    assert (clone.folder / ".venv" / "kept").exists()


def test_install_that_was_cut_short_starts_anew(clone: Clone) -> None:
    clone.breaks("uv", "pip")
    assert clone.make(".venv/ready").returncode != 0
    (clone.folder / ".venv" / "half").touch()
    (clone.folder / "broken uv").unlink()
    clone.journal()
    assert clone.make(".venv/ready").returncode == 0
    assert clone.journal() == ["venv", "pip uv", "uv"]
    assert not (clone.folder / ".venv" / "half").exists()


@pytest.mark.parametrize(
    ("broken", "steps"),
    [
        (["pip uv"], ["venv", "pip uv", "pip"]),
        (["uv"], ["venv", "pip uv", "uv", "pip"]),  # it reaches nothing, where pip is told how
    ],
)
def test_pip_installs_where_uv_cannot(clone: Clone, broken: list[str], steps: list[str]) -> None:
    clone.breaks(*broken)
    made = clone.make(".venv/ready")
    assert made.returncode == 0, made.stderr
    assert clone.journal() == steps
    assert "pip installs, which takes minutes" in made.stderr
    assert (clone.folder / ".venv" / "ready").exists()


def test_python_without_ensurepip(clone: Clone) -> None:
    """As Debian's where python3-venv is not installed: with a uv of the machine, or not at all."""
    clone.breaks("venv", "pip uv")
    assert clone.make(".venv/ready").returncode != 0
    assert clone.journal() == ["venv"]
    clone.add("uv")
    assert clone.make(".venv/ready").returncode == 0
    assert clone.journal() == ["venv", "venv without pip", "pip uv", "uv"]


def test_unsuitable_python_is_refused_before_anything_is_removed(clone: Clone) -> None:
    (clone.folder / ".venv").mkdir()
    result = clone.make(".venv/ready", "PYTHON=no-such-python")
    assert result.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13, and 'no-such-python' is none of them" in result.stderr
    assert "make PYTHON=" in result.stderr
    assert (clone.folder / ".venv").is_dir()
    assert clone.journal() == []


def test_clean_keeps_runs_and_data(clone: Clone) -> None:
    for name in ("runs/1/__pycache__", "data/set/__pycache__", "src/__pycache__", ".venv", "dist"):
        (clone.folder / name).mkdir(parents=True)
    assert clone.make("clean").returncode == 0
    left = {str(path.relative_to(clone.folder)) for path in clone.folder.rglob("*") if path.is_dir()}
    assert left == {
        "tools",
        "src",
        "runs",
        "runs/1",
        "runs/1/__pycache__",
        "data",
        "data/set",
        "data/set/__pycache__",
    }


def test_help_names_every_target(clone: Clone) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony is not None
    named = [line.split()[0] for line in clone.make("help").stdout.splitlines()]
    assert sorted(named) == sorted(phony.group(1).split())


def test_python_versions_agree() -> None:
    """What pip accepts is what `make` accepts."""
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.11,<3.14"' in text
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (REPOSITORY / "Makefile").read_text()
