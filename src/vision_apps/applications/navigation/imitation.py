"""Where the expert is asked: on its own way, on one that the agent draws, or where the agent has been."""

import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.applications.navigation.types import NavigationBatch, NavigationInputs
from vision_apps.applications.navigation.walking import Decide, walk
from vision_apps.applications.navigation.world import World
from vision_apps.core import draws, ranks
from vision_apps.core.data import Part
from vision_apps.core.errors import RunError
from vision_apps.core.loader import BatchLoader
from vision_apps.core.seeding import permutation
from vision_apps.data.archives import require_bounded

if TYPE_CHECKING:
    from vision_apps.applications.navigation.module import Navigation

Imitation = Literal["cloning", "student", "dagger"]
_BATCH = 64  # episodes that walk together, whatever the number of processes: so each comes out the same
_KEY = 16  # bytes


def student(world: World[Any], inputs: NavigationInputs, decide: Decide) -> Tensor:
    """The actions of agents that draw each by its probability, int64 [B, T], -1 past the end."""
    assert inputs.memory is not None
    count = len(inputs.instructions)

    def drawn(logits: Tensor, step: int) -> Tensor:
        # the greatest of logits with Gumbel noise is a draw by their softmax, for each episode
        noise = draws.uniform(count, logits.shape[1], low=1e-9).log().neg().log().neg()
        return (logits.float() + noise.to(logits.device)).argmax(1)

    return walk(world, inputs, decide, inputs.memory, drawn).actions


class Ways(NamedTuple):
    """Where agents went, of N episodes."""

    keys: Tensor  # uint8 [N, 16], of the episodes
    actions: Tensor  # int64 [N, T], -1 past the end
    labels: Tensor  # int64 [N, T], the expert's advice before each; -1: none


def keys_of(batch: NavigationBatch) -> Tensor:
    """What tells an episode from others, uint8 [B, 16]: where it begins and what is told."""
    assert batch.starts is not None
    rows = []
    for start, told in zip(batch.starts.tolist(), batch.instructions.tolist(), strict=True):
        text = repr((start, [number for number in told if number]))
        rows.append(list(hashlib.blake2b(text.encode(), digest_size=_KEY).digest()))
    return torch.tensor(rows, dtype=torch.uint8)


class Rollouts:
    """Where the agent went when it was let walk, with the expert's advice: data that training makes.

    The agent walks at the beginning of every ``every``-th epoch. What was collected follows from the weights
    of then, so it is no function of the position: it stands in the run's folder, and a run that goes on in
    the middle of an epoch reads it there. One that goes on before such an epoch collects the same again.

    Args:
        every: epochs between two collections.
        episodes: that each of them walks.
    """

    def __init__(self, every: int, episodes: int) -> None:
        self.every, self.episodes = every, episodes
        self._known: dict[int, Ways] = {}  # by the epoch
        self._of_episode: dict[bytes, list[tuple[Tensor, Tensor]]] = {}

    def be_there(self, module: "Navigation", batch: int) -> None:
        """Have all that belongs to a position: walk where an epoch begins that does, read what is missing."""
        trainer = module.trainer
        now, folder = trainer.current_epoch, Path(trainer.default_root_dir) / "rollouts"
        for epoch in range(self.every, now + 1, self.every):
            if epoch in self._known:
                continue
            if epoch == now and batch == 0:
                self._add(epoch, self._walked(module, epoch))
                if trainer.is_global_zero:
                    _write(folder, epoch, self._known[epoch])
            else:
                self._add(epoch, _read(folder, epoch, module.world.actions))

    def _add(self, epoch: int, ways: Ways) -> None:
        self._known[epoch] = ways
        for key, actions, labels in zip(*ways, strict=True):
            self._of_episode.setdefault(bytes(key.tolist()), []).append((actions, labels))

    def _walked(self, module: "Navigation", epoch: int) -> Ways:
        """Each process walks whole batches of its own; all get all."""
        data = module.trainer.datamodule  # type: ignore[attr-defined]
        samples = data.samples("train")
        chosen = permutation(len(samples), data.seed, epoch, self.episodes)[: self.episodes].tolist()
        loader = BatchLoader(Part(samples, chosen), module.batch_type, batch_size=_BATCH)
        training, found = module.training, []
        module.eval()
        for number, cpu_batch in enumerate(loader):
            batch = data.transfer_batch_to_device(cpu_batch, module.device, 0)
            actions = torch.full((len(batch.images), module.world.max_steps), -1, device=module.device)
            labels = actions.clone()
            if number % ranks.world() == ranks.rank():
                with torch.no_grad(), torch.autocast(module.device.type, enabled=False):
                    actions = module(module.inputs(batch)).actions
                labels = module.world.expert(batch, actions)
            shared = [ranks.summed(part + 1).cpu() - 1 for part in (actions, labels)]
            found.append(Ways(keys_of(cpu_batch), *shared))
        module.train(training)
        return Ways(*(torch.cat(part) for part in zip(*found, strict=True)))

    def drawn(self, batch: NavigationBatch) -> tuple[Tensor, Tensor]:
        """Of each episode one of its ways, the expert's or one that was collected, each as likely: actions
        and labels int64 [B, T], -1 past the end."""
        device = batch.actions.device
        chances = draws.uniform(len(batch.actions)).tolist()
        ways = []
        for row, key in enumerate(keys_of(batch)):
            own = batch.actions[row].cpu()
            known = [(own, own), *self._of_episode.get(bytes(key.tolist()), [])]
            ways.append(known[int(chances[row] * len(known))])
        length = max(len(actions) for actions, _ in ways)
        tables = torch.full((2, len(ways), length), -1)
        for row, pair in enumerate(ways):
            for table, part in zip(tables, pair, strict=True):
                table[row, : len(part)] = part
        return tables[0].to(device), tables[1].to(device)


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:04d}.npz"


def _write(folder: Path, epoch: int, ways: Ways) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **{name: value.numpy() for name, value in ways._asdict().items()})
    path = _path(folder, epoch)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content.getvalue())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _read(folder: Path, epoch: int, actions: int) -> Ways:
    """What was collected, of so many ``actions`` as there are. `RunError` where it cannot be read: what an
    agent did then cannot be done again without its weights of then."""
    path = _path(folder, epoch)
    try:
        require_bounded(path)
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            ways = Ways(*(torch.from_numpy(arrays[name]) for name in Ways._fields))
        types = [value.dtype for value in ways]
        if types != [torch.uint8, torch.int64, torch.int64] or ways.actions.shape != ways.labels.shape:
            raise ValueError("its arrays are not those of rollouts")
        if len(ways.keys) != len(ways.actions) or ways.keys.shape[1:] != (_KEY,):
            raise ValueError("its arrays do not belong together")
        if any(((part < -1) | (part >= actions)).any() for part in (ways.actions, ways.labels)):
            raise ValueError("it holds actions that there are not")
    except Exception as error:
        raise RunError(
            f"{path}: cannot be read: {error}\n  The agent's ways of epoch {epoch} are part of the run; go "
            "on from a checkpoint of before that epoch, or begin a new run"
        ) from error
    return ways
