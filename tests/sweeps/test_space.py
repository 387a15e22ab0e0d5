"""What can vary, and what is said where it cannot."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError
from vision_apps.sweeps.space import parse

TOY = ["task=toy"]


def test_hydras_grammar_as_distributions() -> None:
    found = parse(
        [
            *TOY,
            "model.width=4,8",
            "optimizer.lr=tag(log,interval(1e-4,1e-1))",
            "seed=range(0,6,2)",
            "data.batch_size=int(interval(1,64))",
            "model.dropout=interval(0,1)",
            "scheduler=choice(constant, warmup_cosine)",
            "+trainer.note='choice(\"a b\",c)'".replace("'", ""),
        ],
        {},
    )
    assert found.distributions == {
        "model.width": CategoricalDistribution([4, 8]),
        "optimizer.lr": FloatDistribution(1e-4, 1e-1, log=True),
        "seed": IntDistribution(0, 4, step=2),  # the end is excluded, as in Python
        "data.batch_size": IntDistribution(1, 64),
        "model.dropout": FloatDistribution(0, 1),
        "scheduler": CategoricalDistribution(["constant", "warmup_cosine"]),
        "trainer.note": CategoricalDistribution(["a b", "c"]),
    }
    assert found.fixed == TOY
    assert found.combinations is None
    words = found.words(
        {
            "model.width": 8,
            "optimizer.lr": 1e-05,
            "seed": 2,
            "data.batch_size": 3,
            "model.dropout": 0.25,
            "scheduler": "constant",
            "trainer.note": "a b",
        }
    )
    config = compose([*found.fixed, *words])
    assert (config.model.width, config.optimizer.lr, config.seed) == (8, 1e-05, 2)
    assert (config.data.batch_size, config.model.dropout, config.scheduler) == (3, 0.25, None)
    assert config.trainer.note == "a b"


def test_a_grid_is_every_combination() -> None:
    found = parse([*TOY, "model.width=4,8", "seed=range(0,3)"], {})
    assert found.combinations == 6
    assert found.grid() == [{"model.width": w, "seed": s} for w in (4, 8) for s in (0, 1, 2)]


def test_the_command_line_wins_over_the_file() -> None:
    found = parse([*TOY, "model.width=4", "seed=1,2"], {"model.width": "choice(1, 2)", "seed": "range(0,9)"})
    assert found.fixed == ["task=toy", "model.width=4"]
    assert found.grid() == [{"seed": 1}, {"seed": 2}]


def test_short_names_and_every_option_is_looked_at() -> None:
    found = parse(["task=toy", "model=choice(net, plain)", "seed=1,2"], {})
    assert found.distributions["model"] == CategoricalDistribution(["toy_net", "toy_plain"])
    assert found.samples() == [["model=toy_net", "seed=1"], ["model=toy_plain", "seed=1"]]


def test_what_is_no_number_or_text_keeps_its_spelling() -> None:
    found = parse([*TOY, "data.augment={},null", "trainer.max_time=choice([1],[2])"], {})
    assert found.grid()[0] == {"data.augment": "{}", "trainer.max_time": "[1]"}
    assert found.words(found.grid()[-1]) == ["data.augment=null", "trainer.max_time=[2]"]


def test_a_range_goes_down_in_its_order() -> None:
    found = parse([*TOY, "trainer.max_epochs=range(6,0,-2)", "seed=range(0,1)"], {})
    assert found.distributions["trainer.max_epochs"] == IntDistribution(2, 6, step=2)
    assert [values["trainer.max_epochs"] for values in found.grid()] == [6, 4, 2]


def test_steps_of_a_range_are_those_that_were_written() -> None:
    found = parse([*TOY, "model.dropout=range(0,0.5,0.1)", "optimizer.lr=range(0.3,0,-0.1)"], {})
    assert [axis.points for axis in found.axes] == [[0.0, 0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1]]
    assert found.distributions["model.dropout"] == FloatDistribution(0, 0.4, step=0.1)
    assert found.distributions["optimizer.lr"] == FloatDistribution(0.1, 0.3, step=0.1)
    # as a sampler gives them
    values = {"model.dropout": 0.1 + 0.2, "optimizer.lr": 0.1 + 2 * 0.1}
    assert found.words(values) == ["model.dropout=0.3", "optimizer.lr=0.3"]


def test_a_logarithmic_range_of_single_steps() -> None:
    found = parse([*TOY, "model.width=tag(log,range(1,9))"], {})
    assert found.distributions["model.width"] == IntDistribution(1, 8, log=True)


def test_values_that_python_takes_for_one() -> None:
    found = parse([*TOY, "+trainer.limit_val_batches=1,1.0,true"], {})
    assert found.combinations == 3
    words = [found.words(values) for values in found.grid()]
    assert words == [[f"+trainer.limit_val_batches={text}"] for text in ("1", "1.0", "true")]
    # Optuna has to tell them apart
    distribution = found.distributions["trainer.limit_val_batches"]
    assert len({distribution.to_internal_repr(v["trainer.limit_val_batches"]) for v in found.grid()}) == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["seed=1,2,1"], "seed=1,2,1: the same value twice"),
        (
            ["optimizer.lr=1e-3,0.001"],
            "the same value twice; every value is tried once, and seeds=2 runs it twice",
        ),
        (
            ["trainer.max_epochs=tag(log,range(1,9,2))"],
            "a logarithmic scale has no steps; use choice(1,3,5,7), or tag(log,interval(1,7))",
        ),
        (["seed=tag(log,range(0,9))"], "a logarithmic scale begins above 0"),
        (["seed=tag(log,choice(1,2))"], "a logarithmic scale is one of interval(...)"),
        (["seed=tag(lin,interval(1,2))"], "the tag lin means nothing here; expected log"),
        (["seed=shuffle(1,2,3)"], "the sampler chooses the order; leave shuffle() out"),
        (["optimizer.lr=interval(0,inf)"], "expected interval(low, high)"),
        (["run.dir=a,b"], "run.dir=a,b: the runs of a sweep lie in its folder, which dir=FOLDER chooses"),
        (["run.root=a,b"], "run.root=a,b: the runs of a sweep lie in its folder"),
        (["seed=1,2", "run.dir=x"], "run.dir=x: the runs of a sweep lie in its folder"),
        ([], "the space is empty: nothing varies; give a key several values"),
        (["seed=1"], "the space is empty"),
        (["model=net,nett"], "model=nett: no such model; did you mean 'net'?"),
        (["seed=interval(3,1)"], "seed=interval(3,1): expected interval(low, high) with low <= high"),
        (["optimizer.lr=tag(log,interval(0,1))"], "a logarithmic scale begins above 0"),
        (["seed=range(3,3)"], "the range holds no value; its end is excluded"),
        (["seed=interval(1"], "seed=interval(1: cannot be read"),
        (["seed"], "seed: expected key=value"),
        (["seed=glob(*)"], "seed=glob(*): a sweep takes a,b, choice(...), range(...) or interval(...)"),
    ],
)
def test_what_cannot_vary(words: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse([*TOY, *words], {})
    assert text in str(error.value)
