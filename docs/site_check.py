"""Whether the pages of a built site hold together: their links, and that they fetch nothing from outside."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes whose address a browser fetches as it opens a page; that of an `a` it follows only when asked.
FETCHED = {"src", "srcset", "data", "poster"}
FETCHED_RELATIONS = {
    "stylesheet",
    "icon",
    "preload",
    "modulepreload",
    "preconnect",
    "dns-prefetch",
    "manifest",
}


class Page(HTMLParser):
    """What one page names and points to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[key] for key in ("id", "name") if key in given}
        self.fetched |= {given[name].split()[0] for name in FETCHED & given.keys() if given[name].strip()}
        if "href" in given:
            fetches = tag == "link" and FETCHED_RELATIONS & set(given.get("rel", "").split())
            (self.fetched if fetches else self.links).add(given["href"])


def problems(site: Path) -> Iterator[str]:
    """Of every page: files and anchors that are not there, and what would be fetched from elsewhere."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    for path, page in pages.items():
        if path.name == "404.html":  # its addresses begin at the root of a server
            continue
        for address in page.fetched:
            if urlsplit(address).netloc or urlsplit(address).scheme not in ("", "data"):
                yield f"{path.relative_to(site.resolve())}: fetches {address}"
        for address in page.links | page.fetched:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{path.relative_to(site.resolve())}: no file {address}"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                yield f"{path.relative_to(site.resolve())}: no anchor {address}"
