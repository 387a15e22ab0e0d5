"""The model card: what a file is, what it was trained on, how good it is, and what it is not made for."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vision_apps.core import beginning, checkpoint_io, report
from vision_apps.core.config import options
from vision_apps.core.errors import some
from vision_apps.core.fields import Boxes, Kind, Pixels, Text, kinds
from vision_apps.core.module import VisionModule
from vision_apps.core.plain import Config, Record
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.statistics import summarize
from vision_apps.export.parity import Difference
from vision_apps.trained import evaluate
from vision_apps.trained.description import Content, entries_of, example, shown

_UNKNOWN = "not recorded"
_GENERATED = "vision_apps.data.scenes."
_INPUTS: dict[type, str] = {
    Pixels: "sRGB, 0 to 255: red, green, blue; not normalised",
    Text: "numbers of words",
    Boxes: "x1, y1, x2, y2 in pixels of the picture, y down",
}
_LICENCE = re.compile(r"licen[cs]e|\bterms\b|copyright|\bCC[ -](BY|0)\b", re.IGNORECASE)


def text(
    path: Path,
    kind: str,
    content: Content,
    trained: evaluate.Trained,
    module: VisionModule,
    differences: Sequence[Difference],
    compared: str,
) -> str:
    """Markdown. What a checkpoint outside of a run does not know is said to be not recorded."""
    config, run = content["config"], trained.run
    record = run.record if run else {}
    choices = record.get("choices") or {}
    model = choices.get("model") or _class(config["model"])
    task = (config.get("task") or {}).get("name", _UNKNOWN)
    parts = [
        f"# {path.name}",
        f"{_sentence(module)} Exported from {_origin(trained)} as {kind}, by vision-apps "
        f"{content['vision_apps']}.",
        "## What it is",
        _table(
            ("", ""),
            [
                ("Task", task),
                ("Network", f"{model} ({type(module.network).__name__})"),
                ("Parameters", f"{sum(p.numel() for p in module.network.parameters()):,}"),
                ("Size of the file", f"{path.stat().st_size / 1e6:.1f} MB"),
                *_classes(module),
            ],
        ),
        "## Inputs and outputs",
        _in_and_out(content, module),
        f"    vision-apps predict {shlex.join([path.name, *report.takes(module, 'photo.jpg')])}",
        "## Agreement with the network",
        f"Compared on {compared}.",
        "\n".join(f"- {difference}" for difference in differences),
        "## Data",
        _data(config, choices, run),
        "## Metrics",
        _metrics(run, trained.path.name),
        "## Training",
        _training(record, run, config),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(content, module)),
    ]
    return "\n\n".join(parts) + "\n"


def _sentence(module: VisionModule) -> str:
    documentation = (type(module).__doc__ or type(module).__name__).strip()
    return documentation.split("\n\n")[0].replace("\n", " ").replace("    ", "")


def _origin(trained: evaluate.Trained) -> str:
    name = trained.path.name
    if trained.run is None:
        return name
    return f"{name} of the run {_cell(trained.run.record.get('title') or trained.run.name)}"


def _class(node: dict[str, Any]) -> str:
    return str(node.get("_target_", _UNKNOWN)).rpartition(".")[2]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(content: Any) -> str:
    """One line, and what would end the cell or be read as HTML is only shown."""
    return re.sub(r"[\\|<]", r"\\\g<0>", " ".join(str(content).split()))


def _classes(module: VisionModule) -> list[tuple[str, str]]:
    """Of those that answer with classes; others may learn from the same data."""
    names = getattr(module, "class_names", None)
    if not isinstance(names, list):
        return []
    return [("Classes", f"{len(names)}: {some(names, 20)}")]


def _in_and_out(content: Content, module: VisionModule) -> str:
    notes, known = (module.exportable.notes if module.exportable else {}), kinds(module.input_type)
    told = {entry["name"]: _input_note(known.get(entry["name"])) for entry in content["inputs"]} | dict(notes)
    rows = [
        (side, f"`{entry['name']}`", entry["dtype"], shown(entry["shape"]), told.get(entry["name"], ""))
        for side in ("input", "output")
        for entry in content[f"{side}s"]
    ]
    table = _table(("", "Name", "Type", "Shape", "What it is"), rows)
    if content["outputs"]:
        return table
    return f"{table}\n\nThe file holds weights; vision-apps builds the network around them."


def _input_note(kind: Kind | None) -> str:
    note = _INPUTS.get(type(kind), "")
    return note if kind is None or kind.padding is None else f"{note}; {kind.padding:g} past the end"


def _data(config: Config, choices: dict[str, Any], run: RunFolder | None) -> str:
    node = config.get("data") or {}
    name = choices.get("data")
    rows = [
        (split, f"{entry.get('samples', _UNKNOWN):,}", f"`{entry.get('sha256', _UNKNOWN)}`")
        for split, entry in _json(run, "data.json").items()
        if isinstance(entry, dict)
    ]
    table = _table(("Split", "Samples", "Fingerprint (SHA-256 of the names and of 16 samples)"), rows)
    return (
        f"Data set: {name or _class(node)} (`{node.get('_target_', _UNKNOWN)}`)\n\n"
        f"Licence: {_licence(node, name)}\n\n{table if rows else 'Fingerprint: not recorded.'}"
    )


def _licence(node: dict[str, Any], name: str | None) -> str:
    """Of the data: a key ``licence``, or what the comment of its configuration says."""
    if node.get("licence"):
        return str(node["licence"])
    if str(node.get("_target_", "")).startswith(_GENERATED):
        return "the pictures are generated by this package and have no other owner"
    path = options.of_group("data").get(name or "")
    comment = ""
    if path is not None:
        lines = path.read_text(encoding="utf-8").splitlines()
        comment = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    told = [part.strip() for part in re.split(r"[;:]|(?<=[a-z)\d])\. ", comment) if _LICENCE.search(part)]
    return "; ".join(told) if told else "not recorded: ask whoever gave the data"


def _metrics(run: RunFolder | None, checkpoint: str) -> str:
    metrics = _json(run, "metrics.json")
    baselines, tested = report.tested(metrics.get("final") or {})
    if not tested:
        return "Not recorded: the run has not been scored on its test split."
    others = _other_seeds(run)
    head = ["Metric", "This", *baselines]
    about = "n = 1 seed: another seed gives other values, and how far apart they lie was not measured here."
    rows = [[name, *map(_number, values)] for name, values in tested.items()]
    if others:
        head.insert(2, f"Mean of {len(others) + 1} seeds")
        about = (
            "Beside this run the same with other seeds: mean ± standard deviation [Student's 95 % interval]."
        )
        for name, row in zip(tested, rows, strict=True):
            known = [final.get(f"test/{name}") for final in (metrics["final"], *others)]
            row.insert(2, str(summarize([value for value in known if value is not None])))
    best = metrics.get("best") or {}
    chosen = f"The weights are those of {checkpoint}."
    if best.get("value") is not None and best.get("epoch") is not None:
        before = best["epoch"] == beginning.EPOCH
        when = "before the first step" if before else f"in epoch {best['epoch'] + 1}"
        found = f"{_number(best['value'])} {when}"
        chosen = (
            f"The weights are those of the best {metrics.get('monitor')} on the validation split: {found}."
        )
        if checkpoint != checkpoint_io.BEST:
            chosen = f"Measured with the best weights ({found}); the file has those of {checkpoint}."
    return f"On the test split. {about}\n\n{_table(head, rows)}\n\n{chosen}"


def _other_seeds(run: RunFolder | None) -> list[dict[str, float]]:
    """Test metrics of the finished runs of the same trial of a sweep, and of the same fold."""
    if run is None or run.record.get("trial") is None:
        return []
    group = {name: run.record.get(name) for name in ("group", "trial", "fold")}
    found = []
    for path in sorted(run.path.absolute().parent.iterdir()):
        other = RunFolder(path)
        alike = all(other.record.get(name) == value for name, value in group.items())
        if path.name != run.path.absolute().name and alike:
            final = _json(other, "metrics.json").get("final") or {}
            found += [final] * any(name.startswith("test/") for name in final)
    return found


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else ""


def _training(record: Record, run: RunFolder | None, config: Config) -> str:
    environment = _json(run, "environment.json")
    if not environment:
        return "Not recorded: the file was made of a checkpoint outside of its run."
    metrics = _json(run, "metrics.json")
    git = environment.get("git") or {}
    versions = {k: v for k, v in (environment.get("versions") or {}).items() if v}
    rows = [
        ("Started", environment.get("started", _UNKNOWN)),
        ("Seed", record.get("seed", config.get("seed", _UNKNOWN))),
        ("Seconds", _number(metrics.get("seconds")) or _UNKNOWN),
        ("Commit", f"{git.get('commit', _UNKNOWN)}{' with changes' * bool(git.get('dirty'))}"),
        ("Python", environment.get("python", _UNKNOWN)),
        ("Packages", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    command = "\n    ".join(environment.get("command", _UNKNOWN).splitlines())
    return f"    {command}\n\n{_table(('', ''), rows)}"


def _limits(content: Content, module: VisionModule) -> list[str]:
    config, facts = content["config"], content["facts"]
    limits = ["It knows the pictures it was trained on; of others, nothing was measured."]
    if str((config.get("data") or {}).get("_target_", "")).startswith(_GENERATED):
        limits = ["It was trained on a generated world: nothing is known of its answers for photographs."]
    if facts.get("image_size"):
        limits.append(
            f"Its training pictures were of {facts['image_size']} px; objects much larger or smaller are "
            "new to it."
        )
    limits += _fixed(content, module)
    names = [output["name"] for output in content["outputs"]]
    if "boxes" in names and "scores" in names:
        limits.append(
            "The boxes are all that the network says, before non-maximum suppression: `vision-apps predict` "
            "does that, other programs have to."
        )
    if _classes(module):
        limits.append("It answers with one of its classes, also where a picture shows none of them.")
    outside = module.exportable.outside if module.exportable else ()
    if outside and names:
        settings = ", ".join(f"module.{name}" for name in outside)
        limits.append(f"Settings that can still be changed: {settings}. All others are inside.")
    return limits


def _fixed(content: Content, module: VisionModule) -> list[str]:
    """The inputs of which a size is fixed that could be any."""
    free = entries_of(module, example(module))
    return [
        f"It takes `{entry['name']}` of {shown(entry['shape'])} only. `vision-apps predict` fits pictures to "
        "that where the answer can be brought back, and fills up words; other programs have to."
        for entry, other in zip(content["inputs"], free, strict=True)
        if entry["shape"] != other["shape"]
    ]


def _json(run: RunFolder | None, name: str) -> dict[str, Any]:
    found: dict[str, Any] = run.mapping(name) if run else {}
    return found
