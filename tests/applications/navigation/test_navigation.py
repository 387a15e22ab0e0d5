"""The application in rooms: walking, imitating, answering."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from vision_apps.applications.navigation import imitation, worlds
from vision_apps.applications.navigation.imitation import Rollouts, Ways
from vision_apps.applications.navigation.module import Navigation
from vision_apps.applications.navigation.path_metrics import evaluate
from vision_apps.applications.navigation.types import NavigationBatch
from vision_apps.applications.navigation.world import follow
from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError, DataError, RunError
from vision_apps.core.fields import row
from vision_apps.core.loader import BatchLoader
from vision_apps.core.seeding import seed_everything

TINY = ["task=navigation", "data.train_images=16", "data.val_images=6", "data.test_images=6"]


def assembled(*words: str, count: int = 12) -> tuple[Navigation, NavigationBatch]:
    """An agent that has learned nothing, and training episodes."""
    config: Any = OmegaConf.to_container(compose([*TINY, *words]), resolve=True)
    seed_everything(0)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts, trainable=False).eval()
    assert isinstance(module, Navigation)
    data.batch_type = module.batch_type
    return module, next(iter(BatchLoader(data.samples("train"), module.batch_type, batch_size=count)))


@pytest.fixture(scope="module")
def made() -> tuple[Navigation, NavigationBatch]:
    return assembled()


def test_an_answer_ends_with_the_stop_and_stands_where_its_actions_lead(
    made: tuple[Navigation, NavigationBatch],
) -> None:
    module, batch = made
    answer = module.baselines(batch)["random"]
    steps = (answer.actions >= 0).sum(1)
    for number, count in enumerate(steps.tolist()):
        taken = answer.actions[number, :count]
        assert module.world.stop not in taken[:-1].tolist()
        assert count == module.world.max_steps or taken[-1] == module.world.stop
        one = row(batch, number)
        places = follow(module.world, module.inputs(one), taken[None]).places[0]
        assert torch.equal(answer.places[number, : count + 1], places)
        assert (answer.places[number, count + 1 :] == -1).all()


def test_an_episode_does_not_depend_on_who_walks_beside_it(made: tuple[Navigation, NavigationBatch]) -> None:
    module, batch = made
    with torch.no_grad():
        together = [module(module.inputs(batch)), *module.baselines(batch).values()]
        for number in range(4):
            one = row(batch, number)
            alone = [module(module.inputs(one)), *module.baselines(one).values()]
            for left, right in zip(together, alone, strict=True):
                assert torch.equal(left.actions[number], right.actions[0])
                assert torch.equal(left.places[number], right.places[0])


@pytest.mark.parametrize("wrong", ["actions", "labels"])
def test_ways_with_actions_that_there_are_not_are_refused(wrong: str, tmp_path: Path) -> None:
    ways = Ways(torch.zeros(2, 16, dtype=torch.uint8), *torch.tensor([[[4, -1]] * 2] * 2))
    imitation._write(tmp_path, 3, ways)
    assert torch.equal(imitation._read(tmp_path, 3, 5).actions, ways.actions)
    for number in (5, -2):
        imitation._write(tmp_path, 3, ways._replace(**{wrong: torch.tensor([[4, number]] * 2)}))
        with pytest.raises(RunError, match=r"epoch-0003.npz: cannot be read: it holds actions"):
            imitation._read(tmp_path, 3, 5)


def test_the_expert_arrives_and_who_stops_at_once_does_not(made: tuple[Navigation, NavigationBatch]) -> None:
    module, batch = made
    found = module.baselines(batch)
    of = {name: evaluate(module.world.walks(batch, answer), 1.0) for name, answer in found.items()}
    assert (of["expert"]["success"] == 1).all() and (of["expert"]["ndtw"] == 1).all()
    assert (of["expert"]["spl"] > 0.5).all()
    assert torch.equal(of["stop"]["success"] > 0, of["stop"]["navigation_error"] == 0)
    assert (of["stop"]["trajectory_length"] == 0).all()


def test_emptied_instructions_are_heeded_by_nothing(made: tuple[Navigation, NavigationBatch]) -> None:
    module, batch = made
    found = module.baselines(batch)
    assert (found["no_instruction"].attention == 0).all()
    sums = found["no_image"].attention.sum(2)
    there = found["no_image"].actions >= 0
    assert torch.allclose(sums[there], torch.ones(int(there.sum()))) and (sums[~there] == 0).all()


def test_what_is_past_the_end_of_an_instruction_changes_nothing(
    made: tuple[Navigation, NavigationBatch],
) -> None:
    module, batch = made
    longer = torch.cat((batch.instructions, torch.zeros(len(batch.images), 3, dtype=torch.int64)), 1)
    with torch.no_grad():
        one, other = (
            module(module.inputs(batch._replace(instructions=told))) for told in (batch.instructions, longer)
        )
    assert torch.equal(one.actions, other.actions)
    torch.testing.assert_close(one.attention, other.attention[..., : batch.instructions.shape[1]])


@pytest.mark.parametrize("blind", ["image", "instruction"])
def test_the_blind_never_get_it(blind: str) -> None:
    module, batch = assembled(f"module.blind={blind}")
    others = batch._replace(instructions=batch.instructions.roll(1, 0))
    if blind == "image":
        others = batch._replace(maps=batch.maps, images=batch.images.roll(1, 0))
        assert f"no_{blind}" not in module.baselines(batch)
    found = []
    for given in (batch, others):
        seed_everything(0)  # the same mirrors and colours
        with torch.no_grad():
            found.append(module.training_outputs(given).logits)
    assert torch.equal(*found)
    assert module.check(batch) == [f"module.blind={blind}: the agent never gets it"]


def test_a_student_is_told_by_the_expert_where_it_goes() -> None:
    module, batch = assembled("module.imitation=student")
    seed_everything(1)
    outputs = module.training_outputs(batch)
    assert (outputs.labels[:, 0] == batch.actions[:, 0]).all(), "nobody has gone astray yet"
    assert outputs.labels.shape == outputs.logits.shape[:2]
    assert module.loss(outputs, batch)["loss"].total.isfinite()


def test_unknown_words_are_counted_and_nothing_but_them_refused(
    made: tuple[Navigation, NavigationBatch],
) -> None:
    module, _ = made
    inputs = module.encode(None, {"seed": "4", "instruction": "go to the mauve ball"})
    with torch.no_grad():
        (told,) = module.presentation.describe(inputs, module(inputs))
    assert told["unknown_words"] == 1 and told["told"] == "go to the <unknown> ball"
    with pytest.raises(DataError, match="no word of 'xyzzy' was in the instructions"):
        module.encode(None, {"seed": "4", "instruction": "xyzzy"})
    with pytest.raises(DataError, match="seed: 'four'; expected a whole number"):
        module.encode(None, {"seed": "four"})


def test_a_world_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match=r"kind 'moon'; expected one of .*rooms"):
        worlds.build({"kind": "moon"})


def train(folder: Path, *words: str) -> None:
    from vision_apps.core import engine

    quick = ["logger=csv", "trainer=cpu", "trainer.max_epochs=4", "data.batch_size=8", "test=false"]
    engine.train(compose([*TINY, *quick, "callbacks.pictures=null", f"run.dir={folder}", *words]))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = checkpoint_io.load(folder / "checkpoints" / checkpoint_io.LAST)
    return dict(checkpoint["state_dict"])


DAGGER = ("module.imitation=dagger", "module.collect_every=2", "module.collected=10")


@pytest.mark.slow
def test_a_run_that_is_stopped_after_collecting_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vision_apps.core import engine
    from vision_apps.core.checkpoint import Checkpoints, Interrupted

    train(tmp_path / "whole", *DAGGER)
    original = Checkpoints.on_train_batch_end

    def interrupted(self: Checkpoints, trainer: Any, *rest: Any) -> None:
        if trainer.global_step == 5:  # the first of two in the epoch that begins with a collection
            self._asked.number = signal.SIGTERM
        original(self, trainer, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_batch_end", interrupted)
        with pytest.raises(Interrupted):
            train(tmp_path / "again", *DAGGER)
    asked: list[int] = []
    collect = Rollouts._walked
    monkeypatch.setattr(
        Rollouts, "_walked", lambda self, module, epoch: asked.append(epoch) or collect(self, module, epoch)
    )
    engine.resume(str(tmp_path / "again"), [])
    assert asked == [], "what was collected is read and not collected again"
    name = "rollouts/epoch-0002.npz"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(tmp_path / "again")[name]), name


@pytest.mark.slow
def test_ways_that_were_collected_are_part_of_the_run(tmp_path: Path) -> None:
    from vision_apps.core import engine

    train(tmp_path / "run", *DAGGER)
    kept = tmp_path / "run" / "rollouts" / "epoch-0002.npz"
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(RunError, match=r"(?s)epoch-0002.npz: cannot be read.*part of the run"):
        engine.resume(str(tmp_path / "run"), ["trainer.max_epochs=6"])


@pytest.mark.slow
def test_predict_answers_rows_of_seeds_and_pictures(tmp_path: Path) -> None:
    from vision_apps.core.pictures import to_pil
    from vision_apps.prediction.predict import predict

    train(tmp_path / "run", "trainer.max_epochs=1")
    to_pil(torch.randint(0, 256, (3, 40, 30), dtype=torch.uint8)).save(tmp_path / "seen.png")
    asked = {"seed": "8", "instruction": "go to the red ball"}
    rows = [{"seed": 5}, asked, {"file": "seen.png"}, {"seed": -1}]
    (tmp_path / "episodes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = predict(str(tmp_path / "run"), [str(tmp_path / "episodes.jsonl")], str(tmp_path / "out"))
    told = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert all(len(one["path"]) == len(one["actions"]) + 1 for one in told[:2])
    assert len(told[2]["actions"]) == 1 and told[1]["told"] == "go to the red ball"
    assert told[3]["error"].startswith("seed: '-1'; expected")
    assert all((out / one["picture"]).is_file() for one in told[:3])
