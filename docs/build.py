"""Build the documentation's site: ``make docs``, or ``python docs/build.py FOLDER`` for another folder than
``build``. Nothing is fetched, and the pages fetch nothing from outside.

The Markdown files of the repository are copied to ``FOLDER/docs`` in the places that they have here, so that
a link works in the repository and on the site in ``FOLDER/site`` alike. What can be listed is written there:
a page of the reference for each package of ``src/vision_apps``, and what these lines of a page ask for:

    <!-- list: model detection -->            conf/model/detection_*.yaml, a row each
    <!-- list: trainer -->                    conf/trainer/*.yaml
    <!-- include: conf/task/detection.yaml -->
    <!-- help -->                             what each command says about itself
    <!-- changeable -->                       the keys that a run may change when it goes on
"""

import contextlib
import html
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from site_check import problems

from vision_apps.cli import COMMANDS, main
from vision_apps.core.config import options
from vision_apps.core.config.overrides import CHANGEABLE

REPOSITORY = Path(__file__).parents[1]
PAGES = ["README.md", "CHANGELOG.md", "docs/**/*.md", "experiments/*/README.md"]
ASSETS = ["docs/iframe-worker.js", "docs/site.css"]
DIRECTIVE = re.compile(r"^<!-- (list|include|help|changeable)(?:: (.+?))? -->$", re.MULTILINE)
LINK = re.compile(r"(?:\]\(|src(?:set)?=\")([^)\s#\"]+)")


def comment(path: Path) -> str:
    """The comment that a configuration opens with, without the commands in it, as Markdown."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.lstrip("# ").rstrip()
        if not text.startswith(("@package", "python ", "vision-apps ")):
            lines.append(text)
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(" ".join(lines), quote=False))


def listing(words: str) -> str:
    """A table of what can be chosen: ``<group>``, or ``<group> <application>``."""
    group, *application = words.split()
    files = options.of_application(group, *application) if application else options.of_group(group)
    rows = [
        f"| `{options.short(name) if application else name}` | {comment(files[name])} |" for name in files
    ]
    return "\n".join([f"| `{group}=` | |", "|---|---|", *rows])


def commands_help() -> str:
    """A section for each command with what its ``--help`` prints; the choices of ``train`` are left out."""
    sections = []
    for command in COMMANDS:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main([command, "--help"])
        text = printed.getvalue().strip()
        if command == "train":
            usage, _, choices = text.partition("\n")
            text = usage + "\n" + choices[choices.index("\noptions\n") :]
        sections.append(f"## {command}\n\n```text\n{text}\n```")
    return "\n\n".join(sections)


def written(page: str) -> str:
    """A page with what its directives ask for."""

    def replace(match: re.Match[str]) -> str:
        what, words = match[1], match[2] or ""
        if what == "list":
            return listing(words)
        if what == "help":
            return commands_help()
        if what == "changeable":
            rows = [f"| {about} | `{keys.replace(' ', '` `')}` |" for about, keys in CHANGEABLE.items()]
            return "\n".join(["| | keys |", "|---|---|", *rows])
        return f"```yaml\n{(REPOSITORY / words).read_text(encoding='utf-8').rstrip()}\n```"

    return DIRECTIVE.sub(replace, page)


def stage(folder: Path) -> None:
    """Copy the pages and every file that they link to."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ASSETS:
        put(folder / name, (REPOSITORY / name).read_bytes())
    for path in (path for pattern in PAGES for path in sorted(REPOSITORY.glob(pattern))):
        text = path.read_text(encoding="utf-8")
        put(folder / path.relative_to(REPOSITORY), written(text).encode())
        for link in LINK.findall(text):
            linked = (path.parent / link).resolve()
            if ":" not in link and linked.is_file() and linked.suffix != ".md":
                put(folder / linked.relative_to(REPOSITORY), linked.read_bytes())


def put(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def reference(folder: Path) -> list[dict[str, str]]:
    """Write a page for each package with the docstrings of its files; returns their titles and paths."""
    source, pages = REPOSITORY / "src", []
    for package in sorted((source / "vision_apps").rglob("__init__.py")):
        name = ".".join(package.parent.relative_to(source).parts)
        modules = [path for path in sorted(package.parent.glob("*.py")) if not path.stem.startswith("__")]
        if not modules:
            continue
        parts = [f"# {name}", f"::: {name}\n    options: {{show_root_heading: false, members: false}}"]
        parts += [f"::: {name}.{module.stem}" for module in modules]
        title = name.removeprefix("vision_apps.")
        put(folder / f"docs/reference/{title}.md", ("\n\n".join(parts) + "\n").encode())
        pages.append({title: f"docs/reference/{title}.md"})
    return pages


def navigation(entries: list[dict[str, Any]], folder: Path) -> Iterator[dict[str, Any]]:
    """The sections of mkdocs.yml with every page that a folder or a pattern stands for."""
    for entry in entries:
        ((title, value),) = entry.items()
        if isinstance(value, list):
            value = list(navigation(value, folder))
        elif value == "reference":
            value = reference(folder)
        elif value.endswith("/") or "*" in value:
            pattern = f"{value}*.md" if value.endswith("/") else value
            value = [str(path.relative_to(REPOSITORY)) for path in sorted(REPOSITORY.glob(pattern))]
        yield {title: value}


def build(folder: Path) -> int:
    """Build the site; returns how many problems were printed."""
    pages, site, settings = folder / "docs", folder / "site", folder / "mkdocs.yml"
    stage(pages)
    config = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    config |= {"docs_dir": pages.name, "site_dir": site.name, "nav": list(navigation(config["nav"], pages))}
    config["plugins"][-1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(REPOSITORY / "src")]
    settings.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    shutil.rmtree(site, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(settings)]
    if subprocess.run(command, check=False).returncode:
        return 1
    found = sorted(problems(site))
    print("\n".join(found) or f"documentation: {site / 'index.html'}")
    return len(found)


if __name__ == "__main__":
    place = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else REPOSITORY / "build"
    sys.exit(min(build(place), 1))
