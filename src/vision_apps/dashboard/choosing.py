"""A page on which a person chooses, served to this machine alone."""

import json
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from vision_apps.core.choosing import Question
from vision_apps.core.errors import UserError
from vision_apps.dashboard.boards import HOST, in_use

_HERE = Path(__file__).parent / "choosing_page"
_FILES = {  # all that is served beside pictures and questions
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LONGEST = 1000  # bytes of what the page says
_SECONDS = 10  # that a request may take to come in


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


class Server(ThreadingHTTPServer):
    """Questions, their pictures and what is chosen, for browsers on this machine that ask for it by its own
    name: another site's page, whatever its name is resolved to, gets nothing."""

    daemon_threads = True

    def __init__(
        self, questions: Sequence[Question], chosen: Callable[[int, int | None], None], port: int | None
    ) -> None:
        self.questions = list(questions)
        self.chosen = chosen
        self.finished = threading.Event()
        self.problem: UserError | None = None
        self.keeping = threading.Lock()  # of what is chosen: one line after the other
        try:
            super().__init__((HOST, port or 0), _Handler)
        except OSError:
            raise in_use(port) from None
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.address = f"http://{HOST}:{self.server_port}/"

    def keep(self, number: int, candidate: int | None) -> None:
        with self.keeping:
            try:
                self.chosen(number, candidate)
            except UserError as error:
                self.problem = error
                raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of a browser that has left in between."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = _SECONDS
    server_version, sys_version = "vision-apps", ""

    finishing = False

    def do_GET(self) -> None:
        self._answer(self._content)

    def do_POST(self) -> None:
        self._answer(self._taken)
        if self.finishing or self.server.problem is not None:  # after the page has its answer
            self.server.finished.set()

    def _answer(self, make: Callable[[], tuple[bytes, str]]) -> None:
        try:
            if self.headers.get("Host") not in self.server.names:
                raise _RefusedError(HTTPStatus.FORBIDDEN)
            content, kind = make()
            status = HTTPStatus.OK
        except _RefusedError as refused:
            content, kind, status = f"{refused}\n".encode(), "text/plain; charset=utf-8", refused.status
        except UserError as error:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            content, kind = f"{error}\n".encode(errors="backslashreplace"), "text/plain; charset=utf-8"
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _content(self) -> tuple[bytes, str]:
        if self.path in _FILES:
            name, kind = _FILES[self.path]
            return (_HERE / name).read_bytes(), kind
        if self.path == "/questions":
            told = [{"file": one.file, "candidates": one.candidates} for one in self.server.questions]
            return json.dumps(told).encode(), "application/json"
        folder, _, number = self.path.rpartition("/")
        if folder == "/picture":
            return self.server.questions[self._question(number)].picture(), "image/png"
        raise _RefusedError(HTTPStatus.NOT_FOUND)

    def _question(self, number: object) -> int:
        text = str(number)
        if not (text.isascii() and text.isdigit() and int(text[:9]) < len(self.server.questions)):
            raise _RefusedError(HTTPStatus.NOT_FOUND)
        return int(text[:9])

    def _taken(self) -> tuple[bytes, str]:
        # a form or script of another site cannot send this kind without asking first, which is refused
        if self.headers.get("Content-Type") != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.names:
            raise _RefusedError(HTTPStatus.FORBIDDEN)
        said: Any = self._said()
        if self.path == "/finish":
            self.finishing = True
        elif self.path == "/choice" and isinstance(said, dict):
            number, candidate = said.get("question"), said.get("candidate")
            if type(number) is not int or not 0 <= number < len(self.server.questions):
                raise _RefusedError(HTTPStatus.BAD_REQUEST)
            count = len(self.server.questions[number].candidates)
            if candidate is not None and (type(candidate) is not int or not 0 <= candidate < count):
                raise _RefusedError(HTTPStatus.BAD_REQUEST)
            self.server.keep(number, candidate)
        else:
            raise _RefusedError(HTTPStatus.NOT_FOUND)
        return b"{}", "application/json"

    def _said(self) -> object:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length[:9]) <= _LONGEST):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _RefusedError(HTTPStatus.BAD_REQUEST) from None

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for the person."""
