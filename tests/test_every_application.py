"""Every application with each of its models, found by listing: it learns, answers, draws and survives a round
trip."""

import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from omegaconf import OmegaConf
from toy_run import assert_same_state

from smallest import WORLD
from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.config import options
from vision_apps.core.config.compose import compose
from vision_apps.core.fields import replaced
from vision_apps.core.loader import BatchLoader
from vision_apps.core.losses import values
from vision_apps.core.pictures import sheet
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.seeding import seed_everything
from vision_apps.core.stage import Stage

MODELS = [
    (application, model)
    for application in options.applications()
    for model in options.of_application("model", application)
]
# each as it is, and what trains otherwise
RUNS = [(application,) for application in sorted(options.of_group("task"))]
RUNS += [
    ("captioning", "module.self_critical=2"),
    (
        *("captioning", "model.features=grid+regions", "data.regions=objects"),
        *("module.rerank.nouns.loss=0.1", "module.rerank.matching.loss=0.1"),
    ),
]


@pytest.fixture(scope="module", params=MODELS, ids="-".join)
def assembled(request: pytest.FixtureRequest) -> tuple[dict[str, Any], Any, Any, Any]:
    """Configuration, data, module and a training batch of two, of each application with each of its
    models."""
    application, model = request.param
    return assemble(f"task={application}", f"model={model}")


def assemble(*words: str) -> tuple[dict[str, Any], Any, Any, Any]:
    config: Any = OmegaConf.to_container(compose([*words, *WORLD]), resolve=True)
    seed_everything(0)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts, trainable=True)
    data.batch_type = module.batch_type
    loader = BatchLoader(data.samples("train"), data.batch_type, batch_size=max(2, module.prepare_samples))
    batch = next(iter(loader))
    if module.prepare_samples:
        module.prepare(batch)
    return config, data, module, replaced(batch, lambda field: field[:2])


@pytest.mark.slow
def test_learns_answers_and_draws(assembled: tuple[dict[str, Any], Any, Any, Any]) -> None:
    config, data, module, batch = assembled

    module.train()
    parts = values(module.loss(module.training_outputs(batch), batch))
    parts["loss"].backward()
    silent = [
        n
        for n, p in module.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.isfinite().all())
    ]
    assert not silent, "parameters without a finite gradient"
    assert all(part.ndim == 0 and part.isfinite() for part in parts.values())

    module.eval()
    with torch.inference_mode():
        inputs = module.inputs(batch)
        answer = module(inputs)
        rows, titles, _ = module.presentation.draw_with_truth(batch, answer)
        shown = module.presentation.draw_answer(inputs, answer)
        described = module.presentation.describe(inputs, answer)
        metrics = module.build_metrics()
        module.score(metrics, answer, batch)
        for baseline in module.baselines(batch).values():
            module.score(module.build_metrics(), baseline, batch)
    assert all(
        picture.dtype == torch.uint8 and picture.ndim == 3 and len(picture) == 3
        for picture in [*rows, *shown]
    )
    assert sheet(rows, titles).dtype == torch.uint8
    assert len(json.dumps(described)) > 2
    assert len(described) == len(shown) == len(batch.images)

    # from plain data alone, with nothing downloaded, the same answer
    file = io.BytesIO()
    torch.save({"config": config, "facts": data.facts, "state_dict": module.state_dict()}, file)
    file.seek(0)
    again = assembly.rebuild(torch.load(file, weights_only=True))
    with torch.inference_mode():
        for field, other in zip(answer, again(inputs), strict=True):
            assert field is None if other is None else torch.equal(field, other)


@pytest.mark.slow
@pytest.mark.parametrize("application", sorted(options.of_group("task")))
def test_an_epoch_is_measured_as_if_it_were_the_first(application: str) -> None:
    """Nothing of the first evaluation is left in the second, which has other samples and less of them."""
    _, _, module, batch = assemble(f"task={application}")
    module.eval()
    example = module.example()
    fresh, used = (Stage(module.build_metrics, module.device, module.build_test_metrics()) for _ in range(2))

    def measured(stage: Any, *batches: Any) -> Any:
        with torch.inference_mode():
            for one in batches:
                parts, answer = module.evaluate(one)
                stage.losses.add(parts)
                module.score(stage.metrics(), answer, one)
                for name, baseline in module.baselines(one).items():
                    module.score(stage.metrics(name), baseline, one)
            found = stage.compute()
        stage.restart()
        return found

    first = measured(used, batch, example)
    expected = measured(fresh, batch)
    assert_same_state(measured(used, batch), expected, "second")
    assert_same_state(measured(used, batch, example), first, "third")
    assert len(first[0]) > 1, "something is measured"


@pytest.mark.slow
def test_no_weight_stands_twice_in_a_checkpoint(assembled: tuple[dict[str, Any], Any, Any, Any]) -> None:
    places = [tensor.data_ptr() for tensor in assembled[2].state_dict().values() if tensor.numel()]
    assert len(places) == len({*places})


@pytest.mark.slow
def test_the_example_is_a_batch(assembled: tuple[dict[str, Any], Any, Any, Any]) -> None:
    _, _, module, _ = assembled
    module.train()
    example = module.example()
    assert type(example) is module.batch_type
    assert example.images.dtype == torch.uint8 and example.images.shape[1] == 3
    assert values(module.loss(module.training_outputs(example), example))["loss"].isfinite()


@pytest.mark.slow
@pytest.mark.parametrize("application", sorted(options.of_group("task")))
def test_a_run_leaves_what_test_and_predict_need(application: str, tmp_path: Path) -> None:
    from vision_apps.core import engine
    from vision_apps.core.pictures import to_pil
    from vision_apps.prediction.predict import predict
    from vision_apps.trained import evaluate

    words = [
        f"task={application}",
        "trainer=smoke",
        "logger=csv",
        f"run.root={tmp_path}",
        *WORLD,
        "data.image_size=32",
        "data.batch_size=4",
    ]
    values = engine.train(compose(words))
    (folder,) = (tmp_path / application).iterdir()
    expected = {
        "config.yaml",
        "environment.json",
        "data.json",
        "metrics.csv",
        "metrics.json",
        "checkpoints",
        "images",
        "log.txt",
    }
    assert expected <= {entry.name for entry in folder.iterdir()}
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert any(name.startswith("test/") for name in values)
    assert list((folder / "images").glob("test-sheet*.png")) and list(
        (folder / "images").glob("val-sheet*.png")
    )

    scored = evaluate.test(str(folder), [])
    for name, value in scored.items():
        assert value == pytest.approx(values[name], rel=1e-4, abs=1e-4), name  # bfloat16, another layout

    # the checkpoint alone is enough, on pictures of any size
    alone = tmp_path / "elsewhere.ckpt"
    alone.write_bytes((folder / "checkpoints" / checkpoint_io.BEST).read_bytes())
    photo = tmp_path / "photo.png"
    to_pil(torch.randint(0, 256, (3, 50, 37), dtype=torch.uint8)).save(photo)
    out = predict(str(alone), [str(photo)], str(tmp_path / "out"))
    (row,) = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert row["file"] == str(photo) and (out / row["picture"]).is_file()
    assert RunFolder.find(folder)[1] is None


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=" ".join)
def test_a_stopped_run_goes_on_bit_for_bit(
    run: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vision_apps.core import engine
    from vision_apps.core.checkpoint import Checkpoints, Interrupted

    def train(name: str) -> None:
        words = ["logger=csv", "trainer.max_epochs=2", "data.batch_size=4", "test=false", f"run.dir={name}"]
        application, *settings = run
        engine.train(compose([f"task={application}", *WORLD, "data.image_size=32", *words, *settings]))

    def weights(name: str) -> dict[str, torch.Tensor]:
        return checkpoint_io.load(tmp_path / name / "checkpoints" / checkpoint_io.LAST)["state_dict"]

    monkeypatch.chdir(tmp_path)
    train("whole")
    with monkeypatch.context() as patch:
        original = Checkpoints.on_train_batch_end

        def interrupted(self: Checkpoints, trainer: Any, *rest: Any) -> None:
            if trainer.global_step == 1:  # of two in an epoch
                self._asked.number = signal.SIGTERM
            original(self, trainer, *rest)

        patch.setattr(Checkpoints, "on_train_batch_end", interrupted)
        with pytest.raises(Interrupted):
            train("again")
    engine.resume("again", [])
    for name, value in weights("whole").items():
        assert torch.equal(value, weights("again")[name]), name
