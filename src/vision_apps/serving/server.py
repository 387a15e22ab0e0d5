"""The page on which a picture is dropped, and the same as JSON: ``POST /answer`` with a picture as body."""

import base64
import json
import threading
import time
import webbrowser
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from vision_apps.dashboard.local import JSON, Content, LocalHandler, LocalServer, RefusedError
from vision_apps.python.model import Model
from vision_apps.python.pictures import decoded
from vision_apps.serving.limits import Limits, Rate

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
        print(f"serve     {server.address}\ntakes     {server.takes}\nend it with Ctrl-C", flush=True)
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


class Server(LocalServer):
    """Answers of one model."""

    def __init__(self, model: Model, host: str | None, port: int | None, limits: Limits) -> None:
        super().__init__(_Handler, port, host)
        self.model, self.limits = model, limits
        self.rate = Rate(limits.per_minute)
        self.answering = threading.Lock()
        self.waiting = threading.BoundedSemaphore(limits.waiting)
        self.connections = threading.BoundedSemaphore(limits.connections)

    @property
    def takes(self) -> str:
        """In words: of what `Model` takes only what fits a request."""
        picture = "a picture" if self.model.pictures else "no picture"
        return f"{picture}, with {', '.join(self.model.words)}" if self.model.words else picture

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


class _Handler(LocalHandler):
    server: Server
    folder = Path(__file__).parent / "page"
    unusable = HTTPStatus.UNPROCESSABLE_ENTITY  # the picture, or the words
    expected = "expected /, /about, or a picture to /answer"

    def told(self, error: Exception) -> Content:
        return json.dumps({"error": str(error)}).encode(), JSON

    def content(self) -> Content:
        if self.path != "/about":
            return super().content()
        model, limits = self.server.model, self.server.limits
        about = {"run": model.run, "takes": self.server.takes, "words": dict(model.words)}
        more = {"pictures": model.pictures, "megabytes": limits.megabytes}
        return json.dumps(about | more).encode(), JSON

    def posted(self) -> Content:
        address = urlsplit(self.path)
        if address.path != "/answer":
            return super().posted()
        self.require_own_page()
        length = self._length()
        # a form of another site can send neither kind
        kind = self.headers.get("Content-Type", "")
        if length and not kind.startswith(("image/", "application/octet-stream")):
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{kind or 'nothing'}: expected Content-Type image/..."
            )
        if len(address.query) > _LONGEST_WORDS:
            raise RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, f"more than {_LONGEST_WORDS} characters")
        if seconds := self.server.rate.wait():
            most = self.server.limits.per_minute
            raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, f"more than {most} in a minute", seconds)
        if not self.server.waiting.acquire(blocking=False):
            most = self.server.limits.waiting
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"{most} others wait for their answers", 1)
        try:
            return self._answered(self._body(length), dict(parse_qsl(address.query)))
        finally:
            self.server.waiting.release()

    def _answered(self, body: bytes, words: dict[str, str]) -> Content:
        drawn = words.pop("drawing", "false") == "true"
        levels = self.server.model.levels
        pictures = [decoded(body, self.server.limits.pixels, levels)] if body else []
        with self.server.answering:
            (answer,) = self.server.model.answers(pictures, words)
            picture = answer._repr_png_() if drawn else None
        row = dict(answer.row)
        if picture is not None:
            row["drawing"] = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        return json.dumps(row, ensure_ascii=False).encode(), JSON

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "")
        if not (text.isascii() and text.isdigit()):
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length")
        most = self.server.limits.megabytes
        if len(text) > 12 or int(text) > most * 1e6:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {most:g} MB")
        return int(text)

    def _body(self, length: int) -> bytes:
        started, parts = time.monotonic(), bytearray()
        while len(parts) < length:
            part = self.rfile.read1(min(_CHUNK, length - len(parts)))
            late = time.monotonic() - started > self.server.limits.seconds
            if not part or late:
                raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "the picture did not come in as a whole")
            parts += part
        return bytes(parts)
