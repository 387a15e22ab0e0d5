"""What two processes that share each batch compute, beside what one computes alone: a line of JSON for each
model.

    python two_ranks.py RANK FOLDER APPLICATION 'MODEL KEY=VALUE ...' ...

Statistics of batch normalisation stay as they are and nothing is dropped out: both depend on the processes,
and say so. All else is as in a run.
"""

import contextlib
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from vision_apps.core import assembly, ranks
from vision_apps.core.config.compose import compose
from vision_apps.core.fields import Boxes, Mask, Pixels, RowsOf, kinds
from vision_apps.core.loader import BatchLoader
from vision_apps.core.losses import values
from vision_apps.core.module import VisionModule
from vision_apps.core.seeding import seed_batch, seed_everything

TRAINED, MEASURED = 4, 9  # pictures


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """As if there were no other process."""
    with mock.patch.object(dist, "is_initialized", return_value=False):
        yield


def assembled(application: str, model: str, *settings: str) -> tuple[VisionModule, Any, Any]:
    """The module, a batch to train on and one to measure with."""
    words = [f"data.train_images={TRAINED}", f"data.val_images={MEASURED}", "data.test_images=4"]
    words += [f"data.image_size={64 if application == 'detection' else 32}"]  # the time of a test
    config: Any = OmegaConf.to_container(
        compose([f"task={application}", f"model={model}", *words, *settings]), resolve=True
    )
    seed_everything(0)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts, trainable=False)
    data.batch_type = module.batch_type
    first, second = (
        next(iter(BatchLoader(data.samples(split), data.batch_type, batch_size=count)))
        for split, count in (("train", TRAINED), ("val", MEASURED))
    )
    if module.prepare_samples:
        module.prepare(first)
    with (
        alone(),
        torch.no_grad(),
    ):  # statistics that go with these pictures: untrained ones let little through
        for part in module.modules():
            if isinstance(part, _BatchNorm):
                part.momentum = None
        module.training_outputs(first)
    return module, first, second


def rows(batch: Any, chosen: slice) -> Any:
    return type(batch)(*(None if field is None else field[chosen] for field in batch))


def one_sided(batch: Any) -> Any:
    """All that can be learned from lies in the first process's share: the second's pictures are grey and show
    nothing."""
    fields = {name: value.clone() for name, value in batch._asdict().items() if value is not None}
    for name, kind in kinds(type(batch)).items():
        if name not in fields:
            continue
        if isinstance(kind, Pixels):
            fields[name][1::2] = fields[name][1::2, :1].expand_as(fields[name][1::2])
        elif isinstance(kind, Mask):
            fields[name][1::2] = kind.void
        elif isinstance(kind, Boxes | RowsOf):
            fields[name][1::2] = 0 if isinstance(kind, Boxes) else kind.empty
    return batch._replace(**fields)


def learned(module: VisionModule, share: Any) -> tuple[dict[str, float], Tensor]:
    """The parts of the loss, and all gradients in one row."""
    module.train()
    for part in module.modules():
        if isinstance(part, _BatchNorm | _DropoutNd):
            part.eval()
    module.zero_grad()
    seed_batch(0, 0, 0, ranks.rank())
    found = values(module.loss(module.training_outputs(share), share))
    found["loss"].backward()
    weights = [p for p in module.parameters() if p.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in weights]
    losses = {name: float(value.detach()) for name, value in found.items()}
    return losses, torch.cat([g.flatten() for g in gradients])


def measured(module: VisionModule, batches: list[Any]) -> dict[str, float]:
    """All figures of an evaluation."""
    module.eval()
    stage = module.stage("val")
    with torch.no_grad():
        for batch in batches:
            module._measure("val", batch)
        scalars, _ = stage.compute()
    stage.restart()
    stage.worst.take()
    return {name: float(value) for name, value in scalars.items()}


@contextlib.contextmanager
def in_double(module: VisionModule, tables: bool) -> Iterator[None]:
    """A context in which all that is single precision is double: the last bit of single precision, which is
    the batch's, decides near ties. With ``tables`` those of our modules and what is made of them, too: how a
    colour is rounded to 8 bits depends on it."""
    with contextlib.ExitStack() as stack:
        for part in [
            part for name, part in sys.modules.items() if tables and name.startswith("vision_apps.")
        ]:
            for key, value in list(vars(part).items()):
                if isinstance(value, Tensor) and value.dtype == torch.float32:
                    stack.enter_context(mock.patch.object(part, key, value.double()))
                elif hasattr(value, "cache_clear"):
                    value.cache_clear()
                    stack.callback(value.cache_clear)
        if tables:
            torch.set_default_dtype(torch.float64)
            stack.callback(torch.set_default_dtype, torch.float32)
            stack.enter_context(mock.patch.object(torch, "float32", torch.float64))
        stack.enter_context(mock.patch.object(Tensor, "float", Tensor.double))
        module.double()
        yield


def compared(application: str, model: str, rank: int) -> dict[str, Any]:
    module, to_train, to_measure = assembled(application, *model.split())
    found: dict[str, Any] = {"model": model}
    for case, batch in (("even", to_train), ("one-sided", one_sided(to_train))):
        losses, gradient = learned(module, rows(batch, slice(rank, None, 2)))
        gradient = ranks.summed(gradient) / 2  # as DDP has it
        with alone():
            expected, reference = learned(module, batch)
        error = (gradient - reference).abs().max() / reference.abs().max()
        found[case] = {"losses": losses, "alone": expected, "error": float(error)}
        assert reference.isfinite().all() and reference.any()
    found["figures"] = {}
    with in_double(module, tables=application == "colorization"):
        with alone():
            for size in (1, 7, MEASURED):
                pieces = [rows(to_measure, slice(i, i + size)) for i in range(0, MEASURED, size)]
                found["figures"][f"batches of {size}"] = measured(module, pieces)
        module._stages.clear()
        pieces = [rows(to_measure, slice(i, i + 6)) for i in (0, 6)]  # of the last one process has one more
        shared = measured(module, [rows(piece, slice(rank, None, 2)) for piece in pieces])
    found["figures"]["two processes"] = shared
    return found


def main(rank: int, folder: Path, application: str, models: list[str]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    with open(folder / f"rank-{rank}.jsonl", "w") as file:
        for model in models:
            try:
                print(json.dumps(compared(application, model, rank)), file=file, flush=True)
            except Exception:
                print(json.dumps({"model": model, "error": traceback.format_exc()}), file=file, flush=True)
                raise
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
