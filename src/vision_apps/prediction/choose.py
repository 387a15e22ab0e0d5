"""The command: from what a person chooses among a run's answers to the weights that order them so."""

import io
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vision_apps.core import known_data
from vision_apps.core.choosing import Ask, Chooser, Question
from vision_apps.core.command import command
from vision_apps.core.data import SPLITS
from vision_apps.core.errors import CheckpointError, ConfigError, DataError, UserError, some
from vision_apps.core.fields import replaced
from vision_apps.core.module import VisionModule
from vision_apps.core.neutral import visible
from vision_apps.core.pictures import to_pil
from vision_apps.core.plain_files import refuse_links
from vision_apps.core.spelling import alike
from vision_apps.data.images import Levels, read_image
from vision_apps.prediction import choices, fitting, inputs, reading
from vision_apps.prediction.batching import Answerer, answered
from vision_apps.prediction.choices import Choice
from vision_apps.prediction.takes import Takes
from vision_apps.trained import evaluate

_FEW = 30  # choices: of fewer, two of three people's weights would be others
_TOLD = 3  # files, or lines, that are named


def choose(
    place: str, words: list[str], listed: str | None, ask: Ask, changes: Sequence[str] = ()
) -> list[float]:
    """Ask which of a run's answers is best of each picture, keep what is chosen, and fit the weights to all
    choices that are kept.

    Args:
        words: the pictures, see `inputs.find`; those that were chosen of before are not asked again. Without
            any, nothing is asked.
        listed: the file of the choices; by default ``choices.jsonl`` of the run, else
            ``<checkpoint>-choices.jsonl`` here.
        changes: ``module.key=value`` settings of the trained module, as in ``module.best=5``.

    Raises:
        ConfigError: the run's answers have no order that weights decide.
        DataError: nothing was chosen that weights could be fitted to, or a picture is one that the run is
            tested on.
    """
    trained = evaluate.load(place)
    if trained.graph is not None:
        raise CheckpointError(f"{place} holds an exported network, whose order is fixed; choose of the run")
    module = trained.module(changes)
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    chooser = module.chooser
    if chooser is None or not chooser.weights:
        why = "".join(f"\n  {key}: {reason}" for key, reason in chooser.left_out.items()) if chooser else ""
        raise ConfigError(f"{place}: there are no weights that could order its answers{why}")
    usual = trained.run.path / "choices.jsonl" if trained.run else Path(f"{trained.beside('choices')}.jsonl")
    file = Path(listed) if listed else usual
    if not listed and trained.run is not None:
        refuse_links(trained.run.path, usual.name)
    if not words and not file.is_file():
        example = command("choose", place, "photos")
        raise ConfigError(f"{file}: there are no choices yet; name the pictures to choose of: {example}")
    for key, reason in chooser.left_out.items():
        print(f"left out  {visible(f'{key}: {reason}')}")
    if words:
        _ask_about(words, file, ask, module, chooser, trained)
    known, problems = choices.read(file)
    _require_not_tested([_path(choice, file) for choice in known], trained)
    for problem in problems[:_TOLD]:
        print(f"left out  {visible(problem)}")
    if len(problems) > _TOLD:
        print(f"left out  {len(problems) - _TOLD} more lines")
    compared = list(_compared(known, file, module, chooser, trained.levels))
    if not compared and known and not any(_path(choice, file).is_file() for choice in known):
        raise DataError(
            f"{file}: none of its {len(known)} pictures is there, such as {known[0].file}; expected names as "
            f"seen from {file.absolute().parent} or from here"
        )
    if not compared:
        raise DataError(
            f"{file}: of {len(known)} choices none says which of several answers is best; expected lines "
            f"such as {choices.ROW}"
        )
    return _fitted(compared, chooser, place)


def _ask_about(
    words: list[str],
    file: Path,
    ask: Ask,
    module: VisionModule,
    chooser: Chooser,
    trained: evaluate.Trained,
) -> None:
    found = inputs.find(words, Takes.of(module))
    if films := [source.name for source in found if source.kind != "picture"]:
        raise ConfigError(f"{films[0]}: expected pictures to choose of")
    _require_not_tested([Path(source.name) for source in found], trained)
    listed = choices.read(file)[0] if file.is_file() else []
    before = {os.path.abspath(_path(choice, file)) for choice in listed}
    left = [source for source in found if os.path.abspath(source.name) not in before]
    questions, alone = [], 0
    with closing(reading.read(left, module.encode, levels=trained.levels)) as items:
        for item, answer in answered(items, Answerer(module, module.device)):
            name = left[item.source].name
            if isinstance(answer, str):
                print(f"left out  {visible(name, kept='')}: {visible(answer)}")
                continue
            (texts,) = chooser.candidates(answer)
            texts = list(dict.fromkeys(texts))
            random.Random(name).shuffle(texts)  # the first of a list is chosen more often
            alone += len(texts) < 2
            if len(texts) > 1:
                questions.append(Question(name, texts, partial(_png, name, trained.levels)))
    if alone:
        print(f"left out  {alone} pictures with one answer; module.beam_width and module.best give more")
    if len(left) < len(found):
        print(
            f"known     {len(found) - len(left)} pictures were chosen of before, see {visible(file, kept='')}"
        )

    def chosen(number: int, candidate: int | None) -> None:
        question = questions[number]
        text = None if candidate is None else question.candidates[candidate]
        name = os.path.abspath(question.file)
        choices.append(file, Choice(name, tuple(question.candidates), text))

    if questions:
        ask(questions, chosen)
        print(f"choices   in {visible(file, kept='')}")
    if not file.is_file():
        raise DataError(f"nothing was chosen of {len(questions)} pictures, and there is no {file}")


def _png(name: str, levels: Levels | None) -> bytes:
    content = io.BytesIO()
    to_pil(read_image(name, levels=levels)).save(content, "PNG")
    return content.getvalue()


def _path(choice: Choice, file: Path) -> Path:
    """Where its picture is: beside the list of the choices, or from here."""
    beside = file.parent / choice.file
    return beside if beside.is_file() else Path(choice.file)


def _require_not_tested(pictures: Sequence[Path], trained: evaluate.Trained) -> None:
    """`DataError` where one of the run's own pictures is of the test split that it has drawn. Those that it
    was trained on are told: it knows them better than any others."""
    root = trained.checkpoint["config"].get("data", {}).get("root")
    known = known_data.held_out(trained.run) if trained.run and isinstance(root, str) else {}
    if not known:
        return
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    for path in pictures:
        below = os.path.relpath(path, root)
        parts = alike(Path(below).as_posix()).split("/")
        # the names of samples begin at the root, or at the folder of the pictures in it
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        name = next((tail for tail in tails if tail in known), None)
        if name is not None and parts[0] != "..":
            splits[known[name]].append(str(path))
    if tested := splits["test"]:
        assert trained.run is not None
        raise DataError(
            f"{some(tested, _TOLD)}: among the pictures that the run is tested on; weights that are fitted "
            "to them would be measured by what they have seen. Choose of validation pictures, which "
            f"{trained.run.path / 'splits' / 'val.txt'} lists, or of others"
        )
    if splits["train"]:
        print(
            f"note      {len(splits['train'])} are training pictures, of which the run says what it has read"
        )


def _compared(
    known: Sequence[Choice],
    file: Path,
    module: VisionModule,
    chooser: Chooser,
    levels: Levels | None,
) -> Iterator[fitting.Compared]:
    """The choices that say something, with their scores; others are counted."""
    none, single, unread = 0, 0, []
    for choice in known:
        if choice.chosen is None:
            none += 1
        elif len(choice.candidates) < 2:
            single += 1
        else:
            try:
                image = read_image(str(_path(choice, file)), levels=levels)
            except UserError as error:
                unread.append(str(error))
                continue
            given: Any = replaced(module.encode(image[None], {}), lambda value: value.to(module.device))
            with torch.inference_mode():
                scores = chooser.scores(given, choice.candidates).double().cpu().numpy()
            yield fitting.Compared(scores, choice.candidates.index(choice.chosen))
    if none:
        print(f"left out  {none} pictures of which no answer is right")
    if single:
        print(f"left out  {single} choices among one answer")
    if unread:
        print(
            f"left out  {len(unread)} pictures that cannot be read: {visible(some(unread, _TOLD), kept='')}"
        )


def _fitted(compared: Sequence[fitting.Compared], chooser: Chooser, place: str) -> list[float]:
    found = fitting.fit(compared)
    before = fitting.agreement(compared, [0.0] * len(found.weights))
    after = fitting.agreement(compared, found.weights)
    print(f"chosen    {len(compared)} times; of these came first")
    print(f"  {before:6.1%}  by the search alone")
    print(f"  {after:6.1%}  with the weights below, which are fitted to these choices")
    if len(compared) > 1:
        others = fitting.held_out_agreement(compared)
        print(f"  {others:6.1%}  with weights that are fitted to others of them")
        if others <= before:
            print("note      no more than the search alone: nothing says that these weights are of use")
    if len(compared) < _FEW:
        print(f"note      {len(compared)} choices say little; {_FEW} and more are better")
    if found.turned:
        print("note      the choices go against the run's own order: look whether they are what was meant")
    settings = [f"{key}={weight:g}" for key, weight in zip(chooser.weights, found.weights, strict=True)]
    print("weights", *settings, sep="\n  ")
    print(f"test      {command('test', place, *settings)}")
    print(f"predict   {command('predict', place, 'photo.jpg', *settings)}", flush=True)
    return found.weights
