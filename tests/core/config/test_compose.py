"""Words to one configuration: names, short names, and every way to get them wrong."""

from pathlib import Path

import pytest

from vision_apps.core.config import options
from vision_apps.core.config.compose import compose, expand
from vision_apps.core.errors import ConfigError


@pytest.fixture
def dirs(tmp_path: Path) -> list[Path]:
    """Two applications whose files say nothing but their names, one experiment, and the shipped trainers."""
    for app, models in {"cats": ("big", "small"), "two_dogs": ("big", "wolf")}.items():
        write(
            tmp_path / "task" / f"{app}.yaml",
            f"# @package _global_\n# {app} everywhere\ntask: {{name: {app}}}\n",
        )
        for model in models:
            write(tmp_path / "model" / f"{app}_{model}.yaml", f"# a {model} one\nwidth: 3\n")
        write(tmp_path / "data" / f"{app}_farm.yaml", "# a farm\nroot: ???\n")
    write(
        tmp_path / "experiment" / "pack.yaml", "# @package _global_\ndefaults: [override /task: two_dogs]\n"
    )
    write(tmp_path / "trainer" / "gpu.yaml", "# one GPU\n")
    write(tmp_path / "trainer" / "cpu.yaml", "# none\n")
    write(tmp_path / "config.yaml", "defaults:\n  - task: cats\n")
    return [tmp_path]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_the_listing_reads_the_disk(dirs: list[Path]) -> None:
    assert options.applications(dirs) == ["cats", "two_dogs"]
    assert list(options.of_application("model", "two_dogs", dirs)) == ["two_dogs_big", "two_dogs_wolf"]
    assert options.application_of("two_dogs_wolf", dirs) == "two_dogs"
    assert options.application_of("birds_wolf", dirs) is None
    assert options.description(dirs[0] / "task" / "cats.yaml") == "cats everywhere"
    assert options.groups(dirs) == ["data", "experiment", "model", "task", "trainer"]


def test_an_application_may_take_the_models_of_another(dirs: list[Path]) -> None:
    write(dirs[0] / "task" / "kittens.yaml", "# small ones\ntask:\n  models_of: cats\n")
    assert list(options.of_application("model", "kittens", dirs)) == ["cats_big", "cats_small"]
    assert options.of_application("data", "kittens", dirs) == {}
    assert options.short("cats_big", dirs) == "big"
    assert expand(["task=kittens", "model=small"], dirs) == ["task=kittens", "model=cats_small"]
    assert expand(["task=kittens", "model=cats_small"], dirs) == ["task=kittens", "model=cats_small"]
    with pytest.raises(ConfigError, match="model=two_dogs_wolf: belongs to two_dogs, the task is kittens"):
        expand(["task=kittens", "model=wolf"], dirs)
    write(dirs[0] / "model" / "kittens_big.yaml", "# its own\nwidth: 3\n")
    assert expand(["task=kittens", "model=big"], dirs) == ["task=kittens", "model=kittens_big"]


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("model=small", "model=cats_small"),
        ("model=cats_small", "model=cats_small"),
        ("data=farm model=big,small", "data=cats_farm model=cats_big,cats_small"),
        ("task=two_dogs model=big", "task=two_dogs model=two_dogs_big"),
        ("experiment=pack model=big", "experiment=pack model=two_dogs_big"),
        ("task=cats,two_dogs model=wolf", "task=cats,two_dogs model=two_dogs_wolf"),
        ("trainer=gpu seed=1 +x=2 ~y", "trainer=gpu seed=1 +x=2 ~y"),
        ("trainer.devices=[1,2] model.width=4", "trainer.devices=[1,2] model.width=4"),
    ],
)
def test_short_names(dirs: list[Path], given: str, full: str) -> None:
    assert expand(given.split(), dirs) == full.split()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("model=smal", "model=smal: no such model; did you mean 'small'?; there are: cats_big, cats_small"),
        ("trainer=gpuu", "trainer=gpuu: no such trainer; did you mean 'gpu'?; there are: cpu, gpu"),
        ("task=birds", "task=birds: no such application; there are: cats, two_dogs"),
        ("data=field", "data=field: no such data set; there are: cats_farm"),
        (
            "model=two_dogs_wolf",
            "model=two_dogs_wolf: belongs to two_dogs, the task is cats; use task=two_dogs, or one of: "
            "cats_big, cats_small",
        ),
        (
            "model=wolf",
            "model=two_dogs_wolf: belongs to two_dogs, the task is cats; use task=two_dogs, or one of: "
            "cats_big, cats_small",
        ),
        (
            "data=farms model=bigg,small",
            "data=farms: no such data set; did you mean 'farm'?; there are: cats_farm\n"
            "model=bigg: no such model; did you mean 'big'?; there are: cats_big, cats_small",
        ),
        ("cats", "cats: expected key=value; did you mean 'task=cats'?"),
        ("wolf", "wolf: expected key=value; did you mean 'model=wolf'?"),
        ("faster", "faster: expected key=value, for instance trainer.max_epochs=20"),
    ],
)
def test_names_that_do_not_fit(dirs: list[Path], given: str, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        expand(given.split(), dirs)
    assert str(error.value) == text


# The application of the engine's tests, on top of what is shipped
TOY = Path(__file__).parents[1] / "conf"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            ["trainer.max_epoch=3"],
            "trainer.max_epoch: no such key; did you mean 'trainer.max_epochs'? "
            "(a new key is added with +trainer.max_epoch=3)",
        ),
        (
            ["optimizer.lrr=1", "model.widht=2"],
            "optimizer.lrr: no such key; did you mean 'optimizer.lr'? (a new key is added with "
            "+optimizer.lrr=1)\n"
            "model.widht: no such key; did you mean 'model.width'? (a new key is added with +model.widht=2)",
        ),
        (
            ["trainer.precision=32"],
            "trainer.precision: no such key; did you mean 'precision'? (a new key is added with "
            "+trainer.precision=32)",
        ),
        (["~optimizer.lrx"], "optimizer.lrx: no such key; did you mean 'optimizer.lr'?"),
        (
            ["+optimizer.lr=1"],
            "+optimizer.lr=1: optimizer.lr is there already; change it with optimizer.lr=1",
        ),
        (
            ["callbacks.early_stop.patience=3"],
            "callbacks.early_stop.patience: no such key; early_stop is not there until it is added with "
            "+callbacks=early_stop",
        ),
        (
            ["+callbacks=ema", "+callbacks=lr_monitor"],
            "callbacks: chosen more than once; give all in one list: +callbacks=[a,b]",
        ),
        (
            ["optimizer.lr=1,2"],
            "optimizer.lr=1,2: several values are a sweep and need -m; a list is written optimizer.lr=[1,2], "
            "a text with a comma \"optimizer.lr='1,2'\"",
        ),
        (
            ["model.width=[1"],
            "model.width=[1: cannot be read: no viable alternative at input '[1'; quote text that has any "
            "of ,[]{}()'\"$: 'key=\"a, b\"'",
        ),
        (
            ["hydra/launcher=slurm"],
            "hydra/launcher=slurm: no such hydra/launcher (asked for in hydra/config.yaml); there are: "
            "basic, submitit_local, submitit_slurm",
        ),
    ],
)
def test_keys_and_values_that_do_not_fit(given: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose(["task=toy", *given], [TOY])
    assert str(error.value) == text


def test_an_experiment_of_another_application(dirs: list[Path]) -> None:
    write(
        dirs[0] / "experiment" / "wrong.yaml",
        "# @package _global_\ndefaults: [override /task: toy, override /model: cats_big]\n",
    )
    with pytest.raises(ConfigError) as error:
        compose(["experiment=wrong"], [TOY, *dirs])
    assert (
        str(error.value)
        == "model=cats_big: belongs to cats, the task is toy; use task=cats, or one of: toy_net, toy_plain"
    )


def test_a_file_that_asks_for_what_is_not_there(dirs: list[Path]) -> None:
    write(dirs[0] / "experiment" / "wrong.yaml", "# @package _global_\ndefaults: [override /trainer: gpuu]\n")
    with pytest.raises(ConfigError) as error:
        compose(["experiment=wrong", "task=toy"], [TOY, *dirs])
    assert str(error.value).startswith(
        "trainer=gpuu: no such trainer; did you mean 'gpu'?; there are: auto, "
    )


def test_a_file_that_is_not_yaml(dirs: list[Path]) -> None:
    write(dirs[0] / "experiment" / "wrong.yaml", "a: [\n")
    with pytest.raises(ConfigError, match=r"^a configuration file is not valid YAML: "):
        compose(["experiment=wrong", "task=toy"], [TOY, *dirs])


@pytest.mark.parametrize(
    "word",
    ["+callbacks=[ema,early_stop]", "callbacks=[ema,early_stop]", "callbacks=[default,ema,early_stop]"],
)
def test_callbacks_are_added_by_name(word: str) -> None:
    plain = compose(["task=toy"], [TOY])
    assert set(plain.callbacks) == {"pictures", "progress", "checkpoint", "finite"}
    added = compose(["task=toy", word, "callbacks.early_stop.patience=2"], [TOY])
    assert set(added.callbacks) == {*plain.callbacks, "ema", "early_stop"}
    assert added.callbacks.early_stop.patience == 2
    assert added.callbacks.early_stop.monitor == "val/loss"
    assert "finite" not in compose(["task=toy", "~callbacks.finite"], [TOY]).callbacks


def test_a_file_that_chooses_callbacks_takes_none_away(dirs: list[Path]) -> None:
    content = "# @package _global_\ndefaults:\n  - override /callbacks: ema\n"
    write(dirs[0] / "experiment" / "averaged.yaml", content)
    assert set(compose(["experiment=averaged", "task=toy"], [TOY, *dirs]).callbacks) == {
        *compose(["task=toy"], [TOY]).callbacks,
        "ema",
    }


def test_own_configurations_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_APPS_CONF", str(TOY))
    assert compose(["task=toy"]).module._target_ == "toy.ToyModule"
    monkeypatch.setenv("VISION_APPS_CONF", "nowhere")
    with pytest.raises(ConfigError) as error:
        compose(["task=toy"])
    folder = Path.cwd() / "nowhere"
    assert (
        str(error.value)
        == f"configuration folder {folder} does not exist; see VISION_APPS_CONF and --config-dir"
    )


def test_what_tilde_leaves_can_still_be_run() -> None:
    config = compose(["task=toy", "~scheduler", "~logger"], [TOY])
    assert config.scheduler is None
    assert config.logger == {}
