"""What a run says it takes: its help, and the command after training."""

import asking
import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

from vision_apps.cli import main
from vision_apps.core import report
from vision_apps.core.errors import ConfigError
from vision_apps.prediction.predict import predict, usage

pytestmark = pytest.mark.usefixtures("asking")


def test_help_of_a_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    assert main(["predict", "--help"]) == 0
    assert capsys.readouterr().out.startswith("vision-apps predict RUN [INPUT ...] [--with NAME=TEXT]")
    run = asking.saved("Question")
    assert main(["predict", run, "--help"]) == 0
    assert capsys.readouterr().out == (
        "loading torch and lightning ...\n"
        "question.ckpt: question (QuestionModule)\n\n"
        "takes pictures and videos, each with question, shades, hint\n"
        "  question  what is asked about the picture\n"
        "  shades    a list of numbers\n"
        "  hint      a number\n\n"
        "vision-apps predict question.ckpt photo.jpg --with question=... --with shades=... --with hint=...\n"
        "vision-apps predict question.ckpt rows.jsonl   with lines such as "
        '{"file": "photo.jpg", "question": "...", "shades": "...", "hint": "..."}\n\n'
        "folders, webcams and options: vision-apps predict --help\n"
    )
    assert usage(asking.saved("Way")).splitlines()[2:7] == [
        "takes no pictures, but start, goal",
        "  start  x,y of where to begin",
        "  goal   x,y of where to end",
        "",
        "vision-apps predict way.ckpt --with start=... --with goal=...",
    ]


def test_a_run_that_takes_pictures_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    run = asking.saved("Question")
    with pytest.raises(
        ConfigError, match=r"which pictures\? vision-apps predict question.ckpt photo.jpg --with q"
    ):
        predict(run, [])


def test_what_is_said_after_training() -> None:
    modules = [kind(asking.Scale()) for kind in (asking.QuestionModule, asking.WayModule)]
    assert [report.takes(module) for module in modules] == [
        ["YOUR_PICTURE.jpg", "--with", "question=...", "--with", "shades=...", "--with", "hint=..."],
        ["--with", "start=...", "--with", "goal=..."],
    ]
