"""Answers for a user's own files."""

import glob
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from vision_apps.core import evaluate
from vision_apps.core.errors import CorruptSample, DataError
from vision_apps.core.pictures import to_pil

ROWS = "predictions.jsonl"


def find(inputs: list[str], extensions: Collection[str]) -> list[Path]:
    """The image files named by files, folders (searched below) and glob patterns, sorted and each once.

    Raises:
        DataError: an input that matches no image.
    """
    found: dict[Path, None] = {}
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            matches = sorted(p for p in path.rglob("*") if p.suffix.lower() in extensions)
        elif path.is_file():
            matches = [path]
        else:
            matches = sorted(Path(p) for p in glob.glob(given, recursive=True) if Path(p).is_file())
        if not matches:
            what = "has no images" if path.is_dir() else "matches no file"
            raise DataError(
                f"{given} {what}: expected a picture, a folder or a pattern such as 'photos/*.jpg' "
                f"({', '.join(sorted(extensions))})"
            )
        found |= dict.fromkeys(matches)
    return list(found)


def predict(
    place: str,
    inputs: list[str],
    out: str | None,
    read: Callable[[Path], torch.Tensor],
    extensions: Collection[str],
    changes: Sequence[str] = (),
) -> Path:
    """Write one picture per input, what else the application writes for it (boxes, masks), and
    ``predictions.jsonl`` (one JSON row per input, in order).

    Returns the folder: ``out``, else ``predictions`` of the run, else ``<checkpoint>-predictions`` here.

    ``read`` gives a file as uint8 [3, H, W] and raises `CorruptSample`; ``extensions`` are looked for in
    folders; ``changes`` are ``module.key=value`` settings of the trained module.

    No picture is overwritten but those of an earlier call. Memory does not grow with the number of inputs.
    A file that cannot be read becomes a row with ``error``.

    Raises:
        DataError: nothing matches, or no input could be read.
    """
    trained = evaluate.load(place)
    module = trained.module(changes).to("cuda" if torch.cuda.is_available() else "cpu")
    paths = find(inputs, extensions)
    inside = trained.run.path / "predictions" if trained.run else trained.beside("predictions")
    target = Path(out) if out else inside
    target.mkdir(parents=True, exist_ok=True)
    failed = 0
    names = _output_names(paths, target)
    with open(target / ROWS, "w") as rows:
        for number, path in enumerate(paths, 1):
            row: dict[str, Any] = {"file": str(path)}
            try:
                image = read(path)
            except CorruptSample as broken:
                failed += 1
                row["error"] = broken.reason
            else:
                row |= _answer(module, image, target, names[path])
            rows.write(json.dumps(row, ensure_ascii=False) + "\n")
            rows.flush()
            print(f"{number}/{len(paths)} {path}: {row.get('error', row.get('picture'))}", flush=True)
    if failed < len(paths):
        with open(target / ROWS) as lines:
            good = [row for row in map(json.loads, lines) if "error" not in row]
        _write(target, module.closing_files(good))
    if failed == len(paths):
        raise DataError(f"none of the {failed} files could be read; the reasons are in {target / ROWS}")
    print(f"{len(paths) - failed} pictures and {ROWS} in {target}" + f" ({failed} unreadable)" * bool(failed))
    return target


def _output_names(paths: list[Path], target: Path) -> dict[Path, str]:
    """PNG names that keep the input's, with a number where two inputs would collide or where ``target`` has a
    file of that name which is an input or which we did not write."""
    originals = {path.resolve() for path in paths}
    ours = _written_before(target)
    names: dict[Path, str] = {}
    taken: set[str] = set()

    def is_free(name: str) -> bool:
        file = target / name
        if name.casefold() in taken or file.resolve() in originals:  # some file systems ignore case
            return False
        return name in ours or not (file.exists() or file.is_symlink())

    for path in paths:
        name, number = f"{path.stem}.png", 1
        while not is_free(name):
            number += 1
            name = f"{path.stem}-{number}.png"
        taken.add(name.casefold())
        names[path] = name
    return names


def _written_before(target: Path) -> set[str]:
    """The pictures that an earlier call wrote into this folder."""
    try:
        rows = [json.loads(line) for line in (target / ROWS).read_text().splitlines()]
        return {row["picture"] for row in rows if "picture" in row}
    except (OSError, ValueError, TypeError):  # no such file, or not one of ours
        return set()


@torch.inference_mode()
def _answer(module: Any, image: torch.Tensor, target: Path, name: str) -> dict[str, Any]:
    """Draw one picture's answer, write what else there is of it, and describe it."""
    images = image[None].to(module.device)
    answer = module(images)
    to_pil(module.show(images, answer)[0].cpu()).save(target / name)
    _write(target, module.files(image, answer, Path(name).stem))
    height, width = image.shape[-2:]
    return {"width": width, "height": height, **module.describe(answer)[0], "picture": name}


def _write(target: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
