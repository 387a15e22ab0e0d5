"""Runs in buildings, from files in R2R's and RxR's formats to the file of results, which is scored by what
knows nothing of ours."""

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import networkx
import pytest
from omegaconf import OmegaConf
from PIL import Image

from slow_path_metrics import scores
from vision_apps.core import assembly, engine
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError
from vision_apps.data.episodes.r2r import R2R, RxR
from vision_apps.prediction.predict import predict
from vision_apps.trained import evaluate

KINDS: dict[str, type[R2R]] = {"r2r": R2R, "rxr": RxR}
SMALL = ["model.words=8", "model.hidden=16", "model.action=4"]


def instructions(root: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Of each instruction of the test its number, scan and path."""
    file = root / "R2R_val_unseen.json"
    if file.is_file():
        for row in json.loads(file.read_text()):
            for number in range(len(row["instructions"])):
                yield f"{row['path_id']}_{number}", row["scan"], row["path"]
    else:
        packed = (root / "rxr_val_unseen_guide.jsonl.gz").read_bytes()
        for line in gzip.decompress(packed).splitlines():
            row = json.loads(line)
            yield str(row["instruction_id"]), row["scan"], row["path"]


def distances(root: Path, scan: str) -> dict[str, dict[str, float]]:
    graph = networkx.Graph()
    rooms = json.loads((root / "connectivity" / f"{scan}_connectivity.json").read_text())
    for one in rooms:
        for other, free in zip(rooms, one["unobstructed"], strict=True):
            if free:
                ends = [[room["pose"][at] for at in (3, 7, 11)] for room in (one, other)]
                graph.add_edge(one["image_id"], other["image_id"], weight=math.dist(*ends))
    return dict(networkx.all_pairs_dijkstra_path_length(graph))


def scored(root: Path, results: list[dict[str, Any]]) -> dict[str, float]:
    truth = {name: (scan, path) for name, scan, path in instructions(root)}
    assert sorted(truth) == sorted(one["instr_id"] for one in results)
    ways = {scan: distances(root, scan) for scan, _ in truth.values()}
    every = []
    for one in results:
        scan, path = truth[one["instr_id"]]
        walked = [viewpoint for viewpoint, _, _ in one["trajectory"]]
        assert walked[0] == path[0]
        every.append(scores(walked, path, lambda a, b, of=ways[scan]: of[a][b]))
    return {name: fmean(own[name] for own in every) for name in every[0]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_from_files_to_results_that_others_score_the_same(kind: str, tmp_path: Path) -> None:
    root, run = tmp_path / "data", tmp_path / "run"
    given = KINDS[kind].fake(root)
    words = ["task=navigation", f"data={kind}", "model=seq2seq_small", *SMALL, "logger=csv", f"run.dir={run}"]
    words += [f"data.root={root}", f"data.features={given['features']}", "data.image_size=64"]
    words += ["data.least_word=1", "data.batch_size=8", "data.workers=0", "trainer.max_epochs=1"]
    values = engine.train(compose([*words, "module.imitation=student"]))

    results = json.loads((run / "results.json").read_text())
    for name, value in scored(root, results).items():
        assert values[f"test/{name}"] == pytest.approx(value, rel=1e-5, abs=1e-6), name
    expert = json.loads((run / "metrics.json").read_text())["final"]
    assert expert["test/expert/success"] == 1 and expert["test/expert/ndtw"] == pytest.approx(1)

    with Image.open(run / "images" / "test-episodes.gif") as film:
        assert film.n_frames > 6  # of as many episodes, each of which has two and more

    for left in (run / "results.json", run / "images" / "test-episodes.gif"):
        left.unlink()
    again = evaluate.test(str(run), [])
    assert (run / "images" / "test-episodes.gif").is_file()
    assert again["test/spl"] == pytest.approx(values["test/spl"])
    assert json.loads((run / "results.json").read_text()) == results


@pytest.mark.slow
def test_what_is_predicted_is_what_was_measured(tmp_path: Path) -> None:
    root, run = tmp_path / "data", tmp_path / "run"
    given = R2R.fake(root)
    words = ["task=navigation", "data=r2r", "model=seq2seq_small", *SMALL, "logger=csv", f"run.dir={run}"]
    words += [f"data.root={root}", f"data.features={given['features']}", "data.image_size=64"]
    words += ["data.least_word=1", "data.batch_size=8", "data.workers=0", "trainer.max_epochs=1"]
    engine.train(compose(words))
    results = json.loads((run / "results.json").read_text())

    rows = []
    for row in json.loads((root / "R2R_val_unseen.json").read_text()):
        for number, text in enumerate(row["instructions"]):
            own = {"scan": row["scan"], "viewpoint": row["path"][0], "heading": row["heading"]}
            rows.append({"instr_id": f"{row['path_id']}_{number}", "instruction": text, **own})
    file = tmp_path / "episodes.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    out = predict(str(run), [str(file)], str(tmp_path / "out"))

    def by_id(content: list[dict[str, Any]]) -> dict[str, Any]:
        return {one["instr_id"]: [place[0] for place in one["trajectory"]] for one in content}

    assert by_id(json.loads((out / "results.json").read_text())) == by_id(results)
    told = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert len(told) == len(rows) and all((out / row["picture"]).is_file() for row in told)
    assert len(list(out.rglob("*.gif"))) == len(rows)


def test_an_agent_that_looks_at_pictures_has_none_in_a_building(tmp_path: Path) -> None:
    given = R2R.fake(tmp_path / "data")
    words = ["task=navigation", "data=r2r", "model=navigation_film", f"data.root={given['root']}"]
    config: Any = OmegaConf.to_container(compose([*words, "data.least_word=1"]), resolve=True)
    facts = assembly.build_data(config).facts
    with pytest.raises(ConfigError, match=r"FilmGru looks at pictures, and the data give features of views"):
        assembly.build_module(config, facts, trainable=False)
    config["model"] = OmegaConf.to_container(compose(words[:2]), resolve=True)["model"]  # type: ignore[index,call-overload]
    module = assembly.build_module(config, facts, trainable=False)
    assert module.exportable is not None
    assert "Seq2Seq looks at features of views" in str(module.exportable.refusal())
