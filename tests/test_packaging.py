"""The wheel works with nothing but its dependencies, and the sources keep the house rules."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import vision_apps

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    return [path for name in listing.stdout.split("\0") if name and (path := REPOSITORY / name).is_file()]


def tracked_text() -> dict[str, str]:
    """Text of every tracked file that is text, by its name in the repository."""
    texts = {}
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content[:1024]:
            texts[str(path.relative_to(REPOSITORY))] = content.decode()
    return texts


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pure-Python wheel is installed by unpacking it."""
    target = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def run_installed(target: Path, *arguments: str) -> str:
    """What the console script does, with the unpacked wheel in front of the clone that pytest imports."""
    script = "import sys; from vision_apps.cli import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | {"PYTHONPATH": str(target), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_wheel_holds_the_package_and_its_configuration(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = REPOSITORY / "src"
    expected = {str(path.relative_to(sources)) for path in tracked_files() if path.is_relative_to(sources)}
    conf = REPOSITORY / "conf"
    configs = {path.relative_to(conf) for path in tracked_files() if path.is_relative_to(conf)}
    assert configs, "conf/ is empty"
    assert expected | {f"vision_apps/conf/{name}" for name in configs} <= names
    assert not [name for name in names if not name.startswith(("vision_apps/", "vision_apps-"))]


@pytest.mark.slow
def test_wheel_names_version_licence_and_command(wheel: Path) -> None:
    info = f"vision_apps-{vision_apps.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        commands = archive.read(f"{info}/entry_points.txt").decode()
        assert archive.read(f"{info}/licenses/LICENSE") == (REPOSITORY / "LICENSE").read_bytes()
    assert metadata["Version"] == vision_apps.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "vision-apps = vision_apps.__main__:start" in commands


@pytest.mark.slow
def test_installed_command_explains_itself(installed: Path) -> None:
    assert "colorization" in run_installed(installed, "--help")


@pytest.mark.slow
def test_installed_command_trains_in_an_empty_folder(installed: Path) -> None:
    small = [f"data.{key}=16" for key in ("train_images", "val_images", "test_images", "image_size")]
    run_installed(
        installed, "train", "task=colorization", "trainer=smoke", "logger=csv", "data.batch_size=4", *small
    )
    assert list(Path("runs").glob("**/*.ckpt"))


def test_changelog_has_the_version() -> None:
    assert f"\n## {vision_apps.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()


def distribution(requirement: str) -> str:
    """``timm`` of ``timm>=1.0``, in the spelling that packages are compared in."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group()).lower()


def test_dependencies_are_what_the_sources_import() -> None:
    """Each import of src/ is declared, as a dependency or an extra, and each dependency is imported, named by
    a target in conf/, or imported by another one only when it is asked for."""
    texts = tracked_text()
    imported = set()
    for name in texts:
        if name.startswith("src/") and name.endswith(".py"):
            for node in ast.walk(ast.parse(texts[name])):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    imported.add(node.module.split(".")[0])
    configs = "\n".join(text for name, text in texts.items() if name.startswith("conf/"))
    targets = set(re.findall(r"_target_: *([a-z_]+)\.", configs))
    origin = packages_distributions()
    foreign = (imported | targets) - set(sys.stdlib_module_names) - {"vision_apps"}
    used = {distribution(name) for module in foreign for name in origin[module]}
    extras = PROJECT["optional-dependencies"]
    optional = {distribution(name) for extra in set(extras) - {"dev"} for name in extras[extra]}
    on_demand = {"cmaes"}  # by Optuna, for sampler=cma_es
    declared = {distribution(requirement) for requirement in PROJECT["dependencies"]}
    assert (used | on_demand) - optional == declared


def test_every_installed_version_is_pinned() -> None:
    constraints = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = {distribution(line) for line in constraints if re.match(r"[\w.-]+==\d", line)}
    extras = [name for extra in PROJECT["optional-dependencies"].values() for name in extra]
    required = {distribution(requirement) for requirement in PROJECT["dependencies"] + extras}
    assert required - {"vision-apps"} <= pinned


def test_no_file_names_a_machine_or_a_package_index() -> None:
    machine = re.compile(r"(?<![\w.~$}])/(?:home|Users|root|work|workspace)/\w")
    index = re.compile(
        r"https?://[^\s\"']+/(?:simple|packages)\b|--(?:extra-)?index-url[= ]\w|--find-links[= ]/"
    )
    found = []
    for name, text in tracked_text().items():
        for number, line in enumerate(text.splitlines(), 1):
            if machine.search(line) or index.search(line) or f"{REPOSITORY}/" in line:
                found.append(f"{name}:{number}: {line.strip()[:80]}")
    assert not found, "\n".join(found)


def test_no_python_file_is_long() -> None:
    """One subject to a file, and a file that can be read in one go."""
    lines = {name: text.count("\n") for name, text in tracked_text().items() if name.endswith(".py")}
    assert not {name: count for name, count in lines.items() if count >= 400}
