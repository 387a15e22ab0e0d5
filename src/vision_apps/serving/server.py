"""The page on which a picture is dropped, and the same as JSON: ``POST /answer`` with a picture as body."""

import base64
import json
import math
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from vision_apps.core.errors import UserError
from vision_apps.dashboard.boards import HOST, in_use
from vision_apps.python.model import Model
from vision_apps.python.pictures import decoded
from vision_apps.serving.limits import Limits, Rate

_HERE = Path(__file__).parent / "page"
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_JSON = "application/json"
_SILENCE = 10  # s without a byte, after which nothing more of a request is waited for
_CHUNK = 1 << 16  # bytes
_LONGEST_WORDS = 4000  # characters of an address


def serve(
    run: str,
    changes: list[str],
    host: str | None = None,
    port: int | None = None,
    browse: bool = True,
    limits: Limits = Limits(),  # noqa: B008 - it cannot be changed
) -> None:
    """Serve a run until Ctrl-C.

    Args:
        changes: as in `vision_apps.load`.
        host: an address of this machine at which others may ask; by default none may.

    Raises:
        RunError: the port is in use.
    """
    server = Server(Model(run, *changes), host, port, limits)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    serving.start()
    try:
        print(f"serve     {server.address}\ntakes     {server.model.takes}\nend it with Ctrl-C", flush=True)
        if host is not None:
            print(f"note      everybody who reaches {host} may ask; nothing is encrypted", flush=True)
        if browse:
            webbrowser.open(server.address)
        serving.join()
    except KeyboardInterrupt:
        print("\nserving ended")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class Server(ThreadingHTTPServer):
    """Answers of one model. Without a ``host`` only browsers on this machine that ask for it by its own name
    get any: another site's page, whatever its name is resolved to, gets nothing."""

    daemon_threads = True

    def __init__(self, model: Model, host: str | None, port: int | None, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.rate = Rate(limits.per_minute)
        self.answering = threading.Lock()
        self.waiting = threading.BoundedSemaphore(limits.waiting)
        self.connections = threading.BoundedSemaphore(limits.connections)
        try:
            super().__init__((host or HOST, port or 0), _Handler)
        except OSError:
            raise in_use(port) from None
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")} if host is None else None
        self.address = f"http://{host or HOST}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, of which there are not too many."""
        if self.connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of a browser that has left in between."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, reason: str, retry: float = 0.0) -> None:
        super().__init__(reason)
        self.status, self.retry = status, retry


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = _SILENCE
    server_version, sys_version = "vision-apps", ""

    def do_GET(self) -> None:
        self._reply(self._content)

    def do_POST(self) -> None:
        self._reply(self._answer)

    def _reply(self, make: Callable[[], tuple[bytes, str]]) -> None:
        headers = dict(_HEADERS)
        try:
            known = self.server.names
            if known is not None and self.headers.get("Host") not in known:
                raise _RefusedError(HTTPStatus.FORBIDDEN, "asked for by another name than this machine's own")
            content, headers["Content-Type"] = make()
            status = HTTPStatus.OK
        except _RefusedError as refused:
            status, content = refused.status, _told(refused)
            headers |= {"Retry-After": str(math.ceil(refused.retry))} if refused.retry else {}
        except UserError as error:  # of the picture, or of the words
            status, content = HTTPStatus.UNPROCESSABLE_ENTITY, _told(error)
        if status != HTTPStatus.OK:
            self.close_connection = True  # what was not read is no request
            headers["Content-Type"] = _JSON
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _content(self) -> tuple[bytes, str]:
        if self.path in _FILES:
            name, kind = _FILES[self.path]
            return (_HERE / name).read_bytes(), kind
        if self.path == "/about":
            model, limits = self.server.model, self.server.limits
            told = {"run": model.run, "takes": model.takes, "words": dict(model.words)}
            return json.dumps(
                {**told, "pictures": model.pictures, "megabytes": limits.megabytes}
            ).encode(), _JSON
        raise _RefusedError(HTTPStatus.NOT_FOUND, "expected /, /about, or a picture to /answer")

    def _answer(self) -> tuple[bytes, str]:
        address = urlsplit(self.path)
        if address.path != "/answer":
            raise _RefusedError(HTTPStatus.NOT_FOUND, "expected a picture to /answer")
        origin = self.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != self.headers.get("Host"):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "asked by another site's page")
        length = self._length()
        # a form of another site can send neither kind
        kind = self.headers.get("Content-Type", "")
        if length and not kind.startswith(("image/", "application/octet-stream")):
            raise _RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{kind or 'nothing'}: expected Content-Type image/..."
            )
        if len(address.query) > _LONGEST_WORDS:
            raise _RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, f"more than {_LONGEST_WORDS} characters")
        if seconds := self.server.rate.wait():
            most = self.server.limits.per_minute
            raise _RefusedError(HTTPStatus.TOO_MANY_REQUESTS, f"more than {most} in a minute", seconds)
        if not self.server.waiting.acquire(blocking=False):
            most = self.server.limits.waiting
            raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"{most} others wait for their answers", 1)
        try:
            return self._answered(self._body(length), dict(parse_qsl(address.query)))
        finally:
            self.server.waiting.release()

    def _answered(self, body: bytes, words: dict[str, str]) -> tuple[bytes, str]:
        drawn = words.pop("drawing", "false") == "true"
        levels = self.server.model.levels
        pictures = [decoded(body, self.server.limits.pixels, levels)] if body else []
        with self.server.answering:
            (answer,) = self.server.model.answers(pictures, words)
            picture = answer._repr_png_() if drawn else None
        row = dict(answer.row)
        if picture is not None:
            row["drawing"] = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        return json.dumps(row, ensure_ascii=False).encode(), _JSON

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "")
        if not (text.isascii() and text.isdigit()):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length")
        most = self.server.limits.megabytes
        if len(text) > 12 or int(text) > most * 1e6:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {most:g} MB")
        return int(text)

    def _body(self, length: int) -> bytes:
        started, parts = time.monotonic(), bytearray()
        while len(parts) < length:
            part = self.rfile.read1(min(_CHUNK, length - len(parts)))
            late = time.monotonic() - started > self.server.limits.seconds
            if not part or late:
                raise _RefusedError(HTTPStatus.REQUEST_TIMEOUT, "the picture did not come in as a whole")
            parts += part
        return bytes(parts)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for the person."""


def _told(error: Exception) -> bytes:
    return json.dumps({"error": str(error)}).encode()
