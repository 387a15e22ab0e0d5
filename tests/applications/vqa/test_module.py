"""The application around its network: pictures and typed questions in, named answers out."""

import json
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from torch import Tensor, nn

from vision_apps.applications.vqa.film import Film
from vision_apps.applications.vqa.module import LONGEST, Vqa, questions_of
from vision_apps.applications.vqa.pictures import lit_up
from vision_apps.applications.vqa.question_encoder import QuestionEncoder
from vision_apps.applications.vqa.types import VqaBatch, VqaInputs, VqaOutputs
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.fields import row as row_of
from vision_apps.core.fields import together
from vision_apps.data.augmentation.crops import Flip
from vision_apps.networks.backbones import Small

WORDS = ["", "<unknown>", "what", "is", "it", "red"]
NAMES = ["yes", "no", "disc"]


class Spoken(nn.Module):
    """Answers each question with the number of its words, as far as there are answers; keeps what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, pixels: Tensor, questions: Tensor) -> VqaOutputs:
        self.seen = pixels
        numbers = ((questions != 0).sum(-1) - 1).clamp(0, 2)
        logits = 9 * nn.functional.one_hot(numbers, 3) * self.weight
        places = pixels.new_zeros(*questions.shape[:2], 2, 2)
        places[..., 0, 1] = 3
        return VqaOutputs(logits, places)


def application(network: nn.Module | None = None, **changes: Any) -> Vqa:
    given = {"vocabulary": WORDS, "answer_names": NAMES, "type_names": ["is it"], "image_size": 16}
    return Vqa(network or Spoken(), **{**given, "mean": [0.5] * 3, "std": [0.25] * 3, **changes}).eval()


def picture(height: int = 16, width: int = 16) -> Tensor:
    return torch.full((1, 3, height, width), 255, dtype=torch.uint8)


# ---- what is typed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is it?", ["what is it"]),
        ("what is it? is it red?", ["what is it", " is it red"]),
        ("is it red", ["is it red"]),
        ('["what is it?", "red"]', ["what is it?", "red"]),
        ("??", []),
        ("这是红色吗\uff1f这是什么颜色\uff1f", ["这是红色吗", "这是什么颜色"]),
        ("ما هذا\u061f هل هو أحمر\u061f", ["ما هذا", " هل هو أحمر"]),
        ("τι είναι\u037e είναι κόκκινο\u037e", ["τι είναι", " είναι κόκκινο"]),
        ("red; or not?", ["red; or not"]),
    ],
)
def test_several_questions_in_one_text(text: str, expected: list[str]) -> None:
    assert questions_of(text) == expected


def test_a_typed_question_becomes_numbers() -> None:
    inputs = application().encode(picture(), {"question": "What is it? Is it BLUE?"})
    assert inputs.questions.tolist() == [[[2, 3, 4], [3, 4, 1]]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no word in ''"),
        ("?!", "there is no word in"),
        ('["is it", "!"]', "there is no word in"),
        ("wo bist du", "no word of 'wo bist du' was in the questions of the training.*what, is, it"),
        ("[is it", "begins like a JSON list and is none"),
        ("[1]", "expected a list of texts"),
    ],
)
def test_what_cannot_be_asked_is_told(text: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        application().encode(picture(), {"question": text})


@pytest.mark.parametrize("settings", [{}, {"longest": 3}])
def test_a_question_of_ten_thousand_words_is_cut_and_told(
    settings: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    words = settings.get("longest", LONGEST)
    inputs = application(**settings).encode(picture(), {"question": "is it red? " + 5000 * "what is "})
    assert inputs.questions.shape == (1, 2, words)
    assert inputs.questions[0, 0].tolist()[:3] == [3, 4, 5] and inputs.questions[0, 1].all()
    (told,) = caplog.messages
    assert f"has 10000 words, and the first {words} are read" in told


def test_usual_questions_are_asked_where_none_is_typed() -> None:
    module = application(usual_questions={"is it": "is it red?", "what": "what is it?"})
    assert module.encode(picture(), {}).questions.tolist() == [[[3, 4, 5], [2, 3, 4]]]
    with pytest.raises(DataError, match="there is no word in ''"):
        application().encode(picture(), {})


def test_rows_name_questions_answers_and_unknown_words() -> None:
    module = application()
    inputs = module.encode(picture(), {"question": "it? is blue? what is it?"})
    (row,) = module.presentation.describe(inputs, module(inputs))
    assert [one["answer"] for one in row["answers"]] == NAMES
    assert [one["question"] for one in row["answers"]] == ["it", "is <unknown>", "what is it"]
    assert [one.get("unknown_words") for one in row["answers"]] == [None, 1, None]
    assert row["answer"] == "yes" and row["probability"] == pytest.approx(1, abs=1e-3)
    assert row["answers"][2]["top"][0]["answer"] == "disc"
    assert sum(one["probability"] for one in row["answers"][2]["top"]) == pytest.approx(1, abs=1e-5)


def test_pictures_with_other_numbers_of_questions_are_answered_together() -> None:
    module = application()
    one, more = (module.encode(picture(), {"question": text}) for text in ("it", "is it? what is it?"))
    both = module(together([one, more]))
    (row,) = module.presentation.describe(one, row_of(both, 0))
    assert [said["answer"] for said in row["answers"]] == ["yes"]
    drawn = module.presentation.draw_answer(one, row_of(both, 0))
    assert len(drawn) == 1 and drawn[0].dtype == torch.uint8


def test_answers_to_numbered_questions_are_written_as_the_challenge_reads_them() -> None:
    module = application()
    inputs = module.encode(picture(), {"question": "what is it?"})
    (row,) = module.presentation.describe(inputs, module(inputs))
    rows = [{**row, "question_id": 7}, row, {**row, "answers": row["answers"] * 2, "question_id": 8}]
    files = module.presentation.closing_files(rows)
    assert json.loads(files["results.json"] or "") == [{"question_id": 7, "answer": "disc"}]
    assert module.presentation.closing_files([row]) == {"results.json": None}


# ---- what the network gets ------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "below"), [("stretch", 2.0), ("letterbox", (114 / 255 - 0.5) / 0.25)])
def test_the_network_gets_normalised_pixels_of_its_size(mode: Any, below: float) -> None:
    module = application(network := Spoken(), resize_mode=mode)
    module(VqaInputs(picture(10, 20), torch.tensor([[[2]]])))
    assert network.seen.shape == (1, 3, 16, 16)
    torch.testing.assert_close(network.seen[0, :, :8], torch.full((3, 8, 16), 2.0))
    torch.testing.assert_close(network.seen[0, :, 8:], torch.full((3, 8, 16), below))


def test_a_blind_network_answers_alike_whatever_is_shown() -> None:
    torch.manual_seed(0)
    film = Film(Small(8), QuestionEncoder(WORDS, words=4, width=4), NAMES, width=8, hidden=8)
    questions = torch.tensor([[[2, 3, 4]]])
    noise = torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8)
    for blind in (False, True):
        module = application(film, blind=blind)
        shown = [module(VqaInputs(images, questions)).probabilities for images in (picture(), noise)]
        assert torch.equal(*shown) == blind
        told = " ".join(module.check(module.example()))
        assert ("the network sees no picture" in told) == blind


def test_places_sum_to_one() -> None:
    answer = application()(VqaInputs(picture(), torch.tensor([[[2], [3]]])))
    torch.testing.assert_close(answer.places.sum((2, 3)), torch.ones(1, 2))
    assert answer.places[0, 0, 0, 1] == 1


def test_what_was_looked_at_stays_bright() -> None:
    lit = lit_up(picture(8, 8)[0], torch.tensor([[0.0, 1.0], [0.0, 0.0]])).float()
    assert lit[0, 0, -1] == 255 and lit[0, -1, 0] < 70


def test_places_of_words_are_shares_of_the_whole_and_are_drawn() -> None:
    module = application(network := Spoken())
    inputs = VqaInputs(picture(), torch.tensor([[[2, 3], [4, 0]]]))
    outputs = network(module.normalize(inputs.images), inputs.questions)
    by_word = torch.tensor([[[[[0.0, 2], [0, 0]], [[0, 1], [0, 0]]], [[[0, 3], [0, 0]], [[0, 0], [0, 0]]]]])
    answer = module.answer(outputs._replace(by_word=by_word), inputs)
    assert answer.by_word is not None
    torch.testing.assert_close(answer.by_word.sum(2), answer.places)
    plain, drawn = (
        module.presentation.draw_answer(inputs, one)[0] for one in (answer._replace(by_word=None), answer)
    )
    assert drawn.shape[2] == plain.shape[2] and not torch.equal(drawn[:, : plain.shape[1]], plain)


# ---- what it is measured beside -------------------------------------------------------------------------


def batch() -> VqaBatch:
    return VqaBatch(
        picture().expand(2, -1, -1, -1),
        torch.tensor([[[2, 0], [3, 4]], [[4, 4], [0, 0]]]),
        torch.tensor([[0, 1], [1, -1]]),
        torch.tensor([[0, 0], [0, -1]]),
    )


def test_the_prior_is_the_commonest_answer_of_a_type() -> None:
    module = application()
    module.prepare(batch())
    found = module.baselines(batch())
    assert [*found] == ["prior"]
    torch.testing.assert_close(found["prior"].probabilities[0, 0], torch.tensor([1 / 3, 2 / 3, 0]))
    metrics = module.build_metrics()
    module.score(metrics, found["prior"], batch())
    assert float(metrics["accuracy"].compute()) == pytest.approx(2 / 3)


def test_another_picture_is_asked_where_the_data_have_one() -> None:
    module = application(network := Spoken())
    with_other = batch()._replace(other_images=torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    assert [*module.baselines(with_other)] == ["prior", "wrong_image"]
    assert (network.seen == -2).all()


def test_quality_is_the_mean_probability_of_the_truth() -> None:
    module = application()
    answer = module(module.inputs(batch()))
    torch.testing.assert_close(module.quality(answer, batch()), torch.ones(2), atol=1e-3, rtol=0)
    unlisted = batch()._replace(answers=torch.tensor([[0, -1], [1, -1]]))
    torch.testing.assert_close(module.quality(answer, unlisted), torch.tensor([0.5, 1]), atol=1e-3, rtol=0)
    assert "1 of 3 training questions (33%)" in " ".join(module.check(unlisted))


def test_people_are_learned_by_their_shares() -> None:
    module = application(people=4)
    example = module.example()
    assert example.human_answers is not None
    assert module.loss(module.outputs(module.inputs(example)), example)["loss"].count == 3
    assert not torch.allclose(module(module.inputs(example)).probabilities.sum(-1), torch.ones(()))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"objective": "bce"}, "module.objective: bce learns what several people answered"),
        ({"vocabulary": ["what", "is"]}, "module.vocabulary: begins with"),
        ({"answer_names": ["yes"]}, "module.answer_names.*expected at least 2"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        application(**changes)


def test_a_mirror_image_is_refused_as_a_question_may_say_left() -> None:
    with pytest.raises(ConfigError, match="'questions': it may say left and right"):
        Flip()(batch())
