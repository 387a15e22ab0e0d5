"""By which name a local server is asked: only this machine's own, for a page of another site reaches a local
port by having its own name resolved to it."""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from vision_apps.core.errors import RunError

HOST = "127.0.0.1"
_OWN = re.compile(rf"({re.escape(HOST)}|localhost)(:\d+)?", re.IGNORECASE)
_TOLD = b"asked by another name than this machine's own\n"

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def is_own(host: str | None) -> bool:
    """Whether a request's ``Host`` names this machine."""
    return host is not None and _OWN.fullmatch(host) is not None


def asgi(app: Asgi) -> Asgi:
    """The application, which answers 403 where it is asked by another name."""

    async def own(
        scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        hosts = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] == "lifespan" or (len(hosts) == 1 and is_own(hosts[0])):
            await app(scope, receive, send)
        elif scope["type"] == "http":
            plain = (b"content-type", b"text/plain; charset=utf-8")
            await send({"type": "http.response.start", "status": 403, "headers": [plain]})
            await send({"type": "http.response.body", "body": _TOLD})
        else:  # a WebSocket that is closed before it is accepted is answered 403
            await send({"type": "websocket.close", "code": 1008})

    return own


def wsgi(app: Wsgi) -> Wsgi:
    """The same of the older interface."""

    def own(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if is_own(environ.get("HTTP_HOST")):
            return app(environ, start)
        start("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [_TOLD]

    return own


def guard(uvicorn: Any) -> None:
    """The same of a running uvicorn server. `RunError` where this version of it cannot be guarded."""
    config = getattr(uvicorn, "config", None)
    if not callable(getattr(config, "loaded_app", None)):
        raise RunError(
            "dashboard: this version of trackio serves in a way that cannot be kept to this machine's own "
            "names; pip install 'vision-apps[dashboard]' for one that can, or use --tensorboard"
        )
    assert config is not None
    config.loaded_app = asgi(config.loaded_app)
