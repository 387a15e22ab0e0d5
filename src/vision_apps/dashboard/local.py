"""What this machine serves by itself: a page of three files, and what else a handler knows."""

import math
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from vision_apps.core import pages
from vision_apps.core.errors import UserError
from vision_apps.dashboard.boards import in_use
from vision_apps.dashboard.hosts import HOST

JSON = "application/json"
Content = tuple[bytes, str]  # and its type

_FILES = {
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
_SILENCE = 10  # s without a byte, after which nothing more of a request is waited for


class RefusedError(Exception):
    """What was asked for is not given.

    Args:
        reason: by default what the status is called.
        retry: seconds after which it may be.
    """

    def __init__(self, status: HTTPStatus, reason: str = "", retry: float = 0.0) -> None:
        super().__init__(reason or status.phrase)
        self.status, self.retry = status, retry


class LocalServer(ThreadingHTTPServer):
    """Without a ``host`` only browsers on this machine that ask for it by its own name get anything: another
    site's page, whatever its name is resolved to, does not. `RunError` where the port is in use."""

    daemon_threads = True

    def __init__(self, handler: type["LocalHandler"], port: int | None, host: str | None = None) -> None:
        try:
            super().__init__((host or HOST, port or 0), handler)
        except OSError:
            raise in_use(port) from None
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")} if host is None else None
        self.address = f"http://{host or HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of a browser that has left in between."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class LocalHandler(BaseHTTPRequestHandler):
    """Replies with what it makes, or with why not."""

    folder: ClassVar[Path]  # with page.html, page.js, and page.css: what the page adds to `pages.style`
    unusable: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR  # a `UserError` says why
    expected: ClassVar[str] = ""  # what there is, said of what is not there
    timeout = _SILENCE
    server_version, sys_version = "vision-apps", ""

    def do_GET(self) -> None:
        self._reply(self.content)

    def do_POST(self) -> None:
        self._reply(self.posted)

    def content(self) -> Content:
        """What GET is answered with: a file of the page. `RefusedError` where the path names none."""
        if self.path not in _FILES:
            raise RefusedError(HTTPStatus.NOT_FOUND, self.expected)
        name, kind = _FILES[self.path]
        file = self.folder / name
        return pages.style(file).encode() if file.suffix == ".css" else file.read_bytes(), kind

    def posted(self) -> Content:
        """What POST is answered with."""
        raise RefusedError(HTTPStatus.NOT_FOUND, self.expected)

    def _reply(self, make: Callable[[], Content]) -> None:
        headers = dict(_HEADERS)
        try:
            known = self.server.names  # type: ignore[attr-defined]
            if known is not None and self.headers.get("Host") not in known:
                raise RefusedError(HTTPStatus.FORBIDDEN, "asked by another name than this machine's own")
            content, headers["Content-Type"] = make()
            status = HTTPStatus.OK
        except RefusedError as refused:
            status = refused.status
            content, headers["Content-Type"] = self.told(refused)
            if refused.retry:
                headers["Retry-After"] = str(math.ceil(refused.retry))
        except UserError as error:
            status = self.unusable
            content, headers["Content-Type"] = self.told(error)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def told(self, error: Exception) -> Content:
        """What is replied instead."""
        return f"{error}\n".encode(errors="backslashreplace"), "text/plain; charset=utf-8"

    def require_own_page(self) -> None:
        """`RefusedError` where a page of another site asks."""
        origin = self.headers.get("Origin")
        own = self.server.names or {self.headers.get("Host")}  # type: ignore[attr-defined]
        if origin is not None and origin.partition("://")[2] not in own:
            raise RefusedError(HTTPStatus.FORBIDDEN, "asked by another site's page")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for the person."""
