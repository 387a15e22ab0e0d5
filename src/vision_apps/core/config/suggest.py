"""The nearest name to one that does not exist."""

import difflib
from collections.abc import Collection, Iterable

# What other tools call it, and what does it here.
_USUAL = {
    **dict.fromkeys(("epochs", "epoch", "num_epochs", "max_epochs", "n_epochs"), "trainer.max_epochs"),
    **dict.fromkeys(("steps", "max_steps", "num_steps", "iterations"), "trainer.max_steps"),
    **dict.fromkeys(("batch", "bs", "batch_size"), "data.batch_size"),
    **dict.fromkeys(("lr", "lr0", "learning_rate"), "optimizer.lr"),
    **dict.fromkeys(("imgsz", "img_size", "image_size", "size"), "data.image_size"),
    **dict.fromkeys(("workers", "num_workers"), "data.workers"),
    **dict.fromkeys(("root", "data_dir", "dataset", "path"), "data.root"),
    **dict.fromkeys(("weights", "checkpoint", "ckpt", "pretrained_weights"), "init"),
    **dict.fromkeys(("gpus", "num_gpus", "devices"), "trainer.devices"),
    **dict.fromkeys(("out", "output", "output_dir", "project", "run_dir"), "run.root"),
}
_CPU, _GPU = ("cpu",), ("cuda", "gpu", "mps")


def usual(key: str, value: str, names: Collection[str]) -> str:
    """What the word ``key=value`` of other tools is here, where it is among the ``names`` of keys; else
    nothing."""
    if key in ("device", "accelerator"):
        kind = value.split(":")[0]
        return "trainer=cpu" if kind in _CPU else "trainer=gpu" if kind in _GPU or kind.isdigit() else ""
    own = _USUAL.get(key, "")
    return f"{own}={value}" if own in names and value else ""


def nearest(name: str, names: Iterable[str], alike: float = 0.6) -> str:
    """The end of an error: ``; did you mean 'x'?``, or nothing when no name is at least so much ``alike``
    (difflib's ratio, 0 to 1)."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=alike)
    return f"; did you mean {close[0]!r}?" if close else ""


def instead_of(name: str, names: Collection[str]) -> str:
    """The end of an error: the nearest name, and all that there are."""
    return f"{nearest(name, names)}; there are: {', '.join(names) or 'none'}"
