"""The command: one file that answers as the run does, checked, with a card beside it."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import vision_apps
from vision_apps.core.config import overrides
from vision_apps.core.errors import CheckpointError, ConfigError, RunError
from vision_apps.core.fields import together
from vision_apps.core.module import VisionModule
from vision_apps.core.plain_files import refuse_links, write_whole
from vision_apps.export import card, parity, tracing, writing
from vision_apps.trained import evaluate, exported
from vision_apps.trained.description import VERSION, Content, entries_of, example
from vision_apps.trained.formats import SUFFIXES


def export(place: str, kind: str, out: str | None = None, changes: Sequence[str] = ()) -> Path:
    """Write the run's best weights as one file and a model card ``<file>.md``; returns the file, by default
    ``exported/model.<suffix>`` in the run, or ``<checkpoint>.<suffix>`` here for a checkpoint outside of one.

    The file is compared with the network on samples of the run's test data, under a temporary name, before
    it gets its own.

    Args:
        kind: one of `formats.SUFFIXES`.
        changes: ``module.key=value`` settings of the trained module.

    Raises:
        ConfigError: the network cannot be exported in this format, or ``out`` exists.
        RunError: it cannot be traced or written, or the file does not answer as the network does.
    """
    trained = evaluate.load(place)
    if trained.graph is not None or "state_dict" not in trained.checkpoint:
        raise CheckpointError(f"{place} is an exported network already; name the run that it was made of")
    module = trained.module(changes).requires_grad_(False)
    reason = _refusal(module)
    if kind != "safetensors" and reason is not None:
        raise ConfigError(
            f"--format {kind}: {reason}. Possible here: --format safetensors, the weights, with which "
            "vision-apps predict gives the same answers"
        )
    path = _target(trained, kind, out)
    checkpoint = trained.checkpoint
    content: Content = {
        "format_version": VERSION,
        "vision_apps": vision_apps.__version__,
        "config": overrides.apply(checkpoint["config"], changes),
        "facts": checkpoint["facts"],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot make {path.parent}: {error.strerror or error}") from None
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        print(f"{kind}: writing {path.name}", flush=True)  # the steps of a large network take a minute each
        content |= _write(module, kind, content, checkpoint["state_dict"], temporary)
        with torch.random.fork_rng(devices=[]):
            print("reading it back, comparing", flush=True)
            taken = parity.samples(checkpoint["config"], module, content["inputs"])
        found = _compare(module, evaluate.load(str(temporary)), content, taken)
        print(f"{kind}: {temporary.stat().st_size / 1e6:.1f} MB")
        print(f"compared on {taken.source}, one by one and {parity.SAMPLES} together:")
        for difference in found:
            print(f"  {difference}")
        bad = [difference.name for difference in found if not difference.good]
        if bad:
            others = ", ".join(f"--format {name}" for name in SUFFIXES if name != kind)
            raise RunError(
                f"the file does not answer as the network does: {', '.join(bad)} above; it was removed. "
                f"Another format may do: {others}"
            )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    beside = path.with_name(f"{path.name}.md")
    write_whole(beside, card.text(path, kind, content, trained, module, found, taken.source))
    print(f"{path}\n{beside}")
    return path


def _refusal(module: VisionModule) -> str | None:
    """Why there is nothing but weights to export."""
    if module.exportable is None:
        return (
            f"{type(module).__name__} names no part of it that tensor operations alone compute; where that "
            "is all of it, set self.exportable = Exportable(self.forward, Answer, notes), and where a loop "
            "over words or an agent answers, there is none"
        )
    return module.exportable.refusal()


def _target(trained: evaluate.Trained, kind: str, out: str | None) -> Path:
    suffix = SUFFIXES[kind]
    if out is None:
        if trained.run is not None:
            refuse_links(trained.run.path, "exported")
            return trained.run.path / "exported" / f"model{suffix}"
        return Path(f"{trained.path.stem}{suffix}")
    path = Path(out)
    if path.suffix.lower() != suffix:
        raise ConfigError(f"--out {out}: a file of --format {kind} ends in {suffix}")
    if path.exists():
        raise ConfigError(f"--out {out} exists already; choose another name, or remove it")
    return path


def _write(
    module: VisionModule, kind: str, content: Content, state: dict[str, Tensor], path: Path
) -> tracing.Signature:
    if kind == "safetensors":
        signature: tracing.Signature = {"inputs": entries_of(module, example(module)), "outputs": []}
        writing.write_weights(state, {**content, **signature}, path)
        return signature
    program, signature = tracing.trace(module)
    write = writing.write_onnx if kind == "onnx" else writing.write_program
    write(program, {**content, **signature}, path)
    return signature


def _compare(
    module: VisionModule, again: evaluate.Trained, content: Content, taken: parity.Samples
) -> list[parity.Difference]:
    """Raises `CheckpointError` where the file cannot be read back."""
    if again.graph is None:
        weights = parity.Difference("weights", exact=True)
        other = again.module()
        state = other.state_dict()
        for name, tensor in module.state_dict().items():
            weights.update(tensor, state[name])
        return [weights, *(parity.of_answers(module, other, taken.inputs) if taken.real else [])]
    again.predictor()  # it can be used
    exportable = module.exportable
    assert exportable is not None
    names, entries = [output["name"] for output in content["outputs"]], content["inputs"]
    more = parity.resized(module, together(taken.inputs[:2]), entries)
    inputs = [*taken.inputs, together(taken.inputs), *([] if more is None else [more])]
    network = exported.network(module, content, again.graph, str(again.path))
    return parity.of_outputs(exportable, network, names, inputs)
