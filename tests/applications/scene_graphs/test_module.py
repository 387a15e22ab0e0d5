"""Scene graphs as an application: what each protocol gives and tells, and what has to be beaten."""

from typing import Any

import pytest
import torch

from vision_apps.applications.scene_graphs.module import SceneGraphs
from vision_apps.applications.scene_graphs.network import RelationNetwork
from vision_apps.applications.scene_graphs.objects import NO_OBJECTS
from vision_apps.applications.scene_graphs.protocols import graph
from vision_apps.applications.scene_graphs.types import SceneGraphBatch, SceneGraphInputs
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.losses import values
from vision_apps.core.seeding import seed_batch
from vision_apps.networks.backbones import Small

CLASSES, PREDICATES = ["cat", "dog", "mat"], ["on", "near"]


def module(**settings: Any) -> SceneGraphs:
    torch.manual_seed(0)
    network = RelationNetwork(Small(width=8), 3, 2, width=12, heads=2, points=2)
    given = {"class_names": CLASSES, "predicate_names": PREDICATES, "num_classes": 3, "num_predicates": 2}
    return SceneGraphs(network, **given, image_size=32, mean=[0.5] * 3, std=[0.25] * 3, **settings).eval()


def test_each_protocol_gives_what_it_may() -> None:
    net = module()
    batch = net.example()
    assert net.inputs_of(batch, "predcls").box_labels is not None
    assert torch.equal(net.inputs(batch).box_labels, batch.box_labels)  # type: ignore[arg-type]
    asked = net.inputs_of(batch, "sgcls").box_labels
    assert asked is not None and asked.tolist() == [[3, 3, 3, -1], [3, -1, -1, -1]]
    assert net.inputs_of(batch, "sgdet").boxes is None
    ignored = batch._replace(ignored=torch.tensor([[True, False, False, False]] * 2))
    assert net.inputs(ignored).box_labels.tolist()[0] == [-1, 2, 0, -1]  # type: ignore[union-attr]


@torch.no_grad()
def test_all_protocols_are_answered_in_one_run_and_each_as_alone() -> None:
    net = module()
    batch = net.example()
    _, answer = net.evaluate(batch)
    assert answer.object_boxes.shape[:2] == (2, 2)
    for number, protocol in enumerate(net.protocols):
        alone = net(net.inputs_of(batch, protocol))
        for whole, one in zip(graph(answer, number), alone, strict=True):
            assert torch.equal(whole, one), protocol
    assert torch.equal(answer.object_labels[:, 0], batch.box_labels)
    assert ((answer.object_scores[:, 0] == 1) == (batch.box_labels >= 0)).all()
    assert (answer.object_scores[:, 1] < 1).all()
    there = batch.box_labels >= 0
    nothing = ~(there[:, :, None] & there[:, None, :]) | torch.eye(4, dtype=torch.bool)
    assert not answer.predicates[:, 0][nothing].any() and (answer.predicates.sum(-1) <= 1).all()


@torch.no_grad()
@pytest.mark.parametrize(("most", "expected"), [(8, 2), (256, 12)])
def test_of_a_picture_no_more_related_pairs_are_learned_from_than_their_share(
    most: int, expected: int
) -> None:
    net = module(taught_pairs=most, foreground=0.25).train()
    pairs = [(one, other, 0) for one in range(4) for other in range(4) if one != other]
    one = net.example()
    batch = SceneGraphBatch(
        *(one.images[:1], torch.tensor([[[0.0, 0, 20, 20]] * 4]), torch.zeros(1, 4, dtype=torch.int64)),
        *(torch.zeros(1, 4, dtype=torch.bool), one.sizes[:1], torch.tensor([pairs])),
    )
    seed_batch(0, 0, 0, 0)
    parts = net.loss(net.training_outputs(batch), batch)
    assert float(parts["relations"].count) == expected


@torch.no_grad()
def test_the_prior_is_that_of_training_pictures_and_kept_with_the_weights() -> None:
    net, batch = module(), module().example()
    net.prepare(batch)
    found = net.baselines(batch)
    assert set(found) == {"frequency", "frequency_overlap"}
    own = found["frequency"].predicates[0, 0]
    assert own[0, 1].tolist() == pytest.approx([0.5, 0], abs=2e-3), "one cat is on the mat, the other is not"
    assert own[2, 0].tolist() == pytest.approx([0, 0.5], abs=2e-3)
    overlap = found["frequency_overlap"].predicates[0, 0]
    assert overlap[0, 1].tolist() == pytest.approx([1, 0], abs=4e-3), "the other does not touch it"
    assert overlap[2, 0].max() < 2e-3
    other = module()
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.baselines(batch)["frequency"].predicates, found["frequency"].predicates)
    assert net.seen.sum() == 2 and net.seen[0, 0, 2] and net.seen[0, 1, 0]


@torch.no_grad()
@pytest.mark.parametrize("debias", ["logit_adjustment", "tde"])
def test_debiasing_reads_the_same_weights_in_another_way(debias: Any) -> None:
    plain, other = module(), module(debias=debias)
    batch = plain.example()
    common = batch._replace(relations=batch.relations.index_fill(2, torch.tensor([2]), 0))
    common = common._replace(relations=torch.where(batch.relations < 0, -1, common.relations))
    for net in (plain, other):
        net.prepare(common)
    assert plain.state_dict().keys() == other.state_dict().keys()
    one, two = (net(net.inputs(batch)).predicates[0, 0, 0, 1] for net in (plain, other))
    assert not torch.allclose(one, two)
    if debias == "logit_adjustment":
        assert two[1] / two[0] > one[1] / one[0], "what is rare is likelier"
        again = module(debias=debias, adjustment=0.0)
        again.prepare(common)
        torch.testing.assert_close(again(again.inputs(batch)).predicates[0, 0, 0, 1], one)


def test_what_relations_name_that_is_no_object_teaches_nothing() -> None:
    net = module().train()
    batch = net.example()
    wrong = batch.relations.clone()
    wrong[1, 0] = torch.tensor([0, 3, 1])
    for one in (batch, batch._replace(relations=wrong)):
        seed_batch(0, 0, 0, 0)
        found = values(net.loss(net.training_outputs(one), one))
        if one is batch:
            expected = found
        assert torch.equal(found["loss"], expected["loss"])


@pytest.mark.parametrize("count", [0, 1])
def test_pictures_with_one_object_or_none_and_without_relations(count: int) -> None:
    net = module().train()
    batch = net.example()
    labels = torch.full((2, 1), -1)
    labels[0, :count] = 0
    empty = SceneGraphBatch(
        *(batch.images, batch.boxes[:, :1], labels, torch.zeros(2, 1, dtype=torch.bool), batch.sizes),
        torch.full((2, 1, 3), -1),
    )
    net.prepare(empty)
    found = values(net.loss(net.training_outputs(empty), empty))
    found["loss"].backward()
    assert found["loss"].isfinite() and found["relations"] == 0
    net.eval()
    with torch.no_grad():
        parts, answer = net.evaluate(empty)
        metrics = net.build_metrics()
        net.score(metrics, answer, empty)
        assert all(float(value) == float(value) for value in values(parts).values())
        drawn = net.presentation.draw_with_truth(empty, answer)
    assert len(drawn.rows) == 2 and not answer.predicates.any()


def test_without_a_detector_and_without_objects_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    net = module()
    images = torch.zeros(2, 3, 50, 40, dtype=torch.uint8)
    inputs = net.encode(images[:1], {})
    answer = net(SceneGraphInputs(images))
    assert NO_OBJECTS in caplog.text and not (answer.object_labels >= 0).any()
    assert net.presentation.describe(inputs, answer)[0]["told"] == NO_OBJECTS
    said = net.encode(images[:1], {"objects": "cat 1,2,30,40; 5,5,20,20"})
    with torch.no_grad():
        found = net(said)
    assert (
        found.object_labels[0, 0, 0] == 0
        and found.object_scores[0, 0, 0] == 1
        and found.object_scores[0, 0, 1] < 1
    )
    assert found.object_boxes[0, 0].tolist() == [[1, 2, 30, 40], [5, 5, 20, 20]]
    with pytest.raises(DataError, match="no class of this run"):
        net.encode(images[:1], {"objects": "bird 1,2,3,4"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocols": ["predcls", "sgdet"]}, r"sgdet needs a detector .* data\.detector=RUN"),
        ({"protocols": ["sgcl"]}, "expected some of predcls, sgcls, sgdet"),
        ({"prior": "often"}, "module.prior: 'often'; expected frequency, overlap, none"),
        ({"debias": "some"}, "module.debias: 'some'; expected none, logit_adjustment, tde"),
        ({"given_classes": 1.5}, "module.given_classes: 1.5; expected 0 to 1"),
        ({"max_relations": 0}, "module.max_relations: 0; expected at least 1"),
        ({"adjustment": -1.0}, "module.adjustment: -1.0"),
        ({"predicate_names": ["on"]}, "1 names for num_predicates=2"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    names = {"predicate_names": PREDICATES} | settings
    torch.manual_seed(0)
    network = RelationNetwork(Small(width=8), 3, 2, width=12, heads=2, points=2)
    with pytest.raises(ConfigError, match=message):
        SceneGraphs(network, 3, CLASSES, 2, image_size=32, mean=[0.5] * 3, std=[0.25] * 3, **names)


def test_predicates_that_no_picture_shows_are_told() -> None:
    net = module()
    batch = net.example()
    assert net.check(batch) == []
    (told,) = net.check(batch._replace(relations=torch.where(batch.relations == 1, 0, batch.relations)))
    assert told.startswith("relations: none of 2 training pictures that were looked at has 1 of 2 predicates")
