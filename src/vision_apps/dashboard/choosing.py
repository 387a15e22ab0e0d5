"""A page on which a person chooses, served to this machine alone."""

import json
import threading
import webbrowser
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from vision_apps.core.choosing import Question
from vision_apps.core.errors import UserError
from vision_apps.dashboard.local import JSON, Content, LocalHandler, LocalServer, RefusedError

_LONGEST = 1000  # bytes of what the page says


def ask(
    questions: Sequence[Question],
    chosen: Callable[[int, int | None], None],
    port: int | None = None,
    browse: bool = True,
) -> None:
    """As `core.choosing.Ask` has it, until the person has finished or Ctrl-C. `RunError` where the port is in
    use; what ``chosen`` raises ends it."""
    server = Server(questions, chosen, port)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    serving.start()
    try:
        print(f"choose    {server.address}\nend it there, or with Ctrl-C", flush=True)
        if browse:
            webbrowser.open(server.address)
        server.finished.wait()
    except KeyboardInterrupt:
        print()
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    if server.problem is not None:
        raise server.problem


class Server(LocalServer):
    """Questions, their pictures and what is chosen."""

    def __init__(
        self, questions: Sequence[Question], chosen: Callable[[int, int | None], None], port: int | None
    ) -> None:
        super().__init__(_Handler, port)
        self.questions = list(questions)
        self.chosen = chosen
        self.finished = threading.Event()
        self.problem: UserError | None = None
        self.keeping = threading.Lock()  # of what is chosen: one line after the other

    def keep(self, number: int, candidate: int | None) -> None:
        with self.keeping:
            try:
                self.chosen(number, candidate)
            except UserError as error:
                self.problem = error
                raise


class _Handler(LocalHandler):
    server: Server
    folder = Path(__file__).parent / "choosing_page"
    finishing = False

    def finish(self) -> None:
        super().finish()
        if self.finishing or self.server.problem is not None:  # after the page has its answer
            self.server.finished.set()

    def content(self) -> Content:
        if self.path == "/questions":
            told = [{"file": one.file, "candidates": one.candidates} for one in self.server.questions]
            return json.dumps(told).encode(), JSON
        folder, _, number = self.path.rpartition("/")
        if folder == "/picture":
            return self.server.questions[self._question(number)].picture(), "image/png"
        return super().content()

    def _question(self, number: object) -> int:
        text = str(number)
        if not (text.isascii() and text.isdigit() and int(text[:9]) < len(self.server.questions)):
            raise RefusedError(HTTPStatus.NOT_FOUND)
        return int(text[:9])

    def posted(self) -> Content:
        # a form or script of another site cannot send this kind without asking first, which is refused
        if self.headers.get("Content-Type") != JSON:
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        self.require_own_page()
        said: Any = self._said()
        if self.path == "/finish":
            self.finishing = True
        elif self.path == "/choice" and isinstance(said, dict):
            number, candidate = said.get("question"), said.get("candidate")
            if type(number) is not int or not 0 <= number < len(self.server.questions):
                raise RefusedError(HTTPStatus.BAD_REQUEST)
            count = len(self.server.questions[number].candidates)
            if candidate is not None and (type(candidate) is not int or not 0 <= candidate < count):
                raise RefusedError(HTTPStatus.BAD_REQUEST)
            self.server.keep(number, candidate)
        else:
            raise RefusedError(HTTPStatus.NOT_FOUND)
        return b"{}", JSON

    def _said(self) -> object:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length[:9]) <= _LONGEST):
            raise RefusedError(HTTPStatus.BAD_REQUEST)
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise RefusedError(HTTPStatus.BAD_REQUEST) from None
