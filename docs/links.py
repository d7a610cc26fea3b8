"""Faults of a built site that a reader would meet: dead links, and Markdown that stayed text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

UNRENDERED = re.compile(r"^\s*(?:[-*] \S|\d+\. \S|\|.*\|\s*$|```)", re.MULTILINE)


class Page(HTMLParser):
    """The anchors of a page, its links, its pictures without a text, and its unrendered lines."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.faults: list[str] = []
        self._paragraph: list[str] | None = None
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {found.get(name) or "" for name in ("id", "name")}
        self.links += [value for name in ("href", "src") if (value := found.get(name))]
        source = found.get("href") if tag == "link" else found.get("src")
        if source and source.startswith(("http:", "https:", "//")):
            self.faults.append(f"{source} is loaded from the network")
        if tag == "img" and not found.get("alt"):
            self.faults.append(f"{found.get('src')} has no alternative text")
        if tag == "p":
            self._paragraph = []
        elif self._paragraph is not None:
            self._paragraph.append("<>")  # a number in bold begins no list

    def handle_data(self, data: str) -> None:
        if self._paragraph is not None:
            self._paragraph.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "p" and self._paragraph is not None:
            text = "".join(self._paragraph)
            self.faults += [f"is not rendered: {line}" for line in UNRENDERED.findall(text)]
            self._paragraph = None


def made(site: Path) -> list[Path]:
    """The pages of the site itself; reports and explorers lie beside them, whole in one file."""
    found = sorted(site.rglob("*.html"))
    return [path for path in found if 'name="generator"' in path.read_text("utf-8")[:5000]]


def faults(site: Path) -> list[str]:
    """A line for each link that leads nowhere and each piece of Markdown that stayed text."""
    pages = {path: Page(path) for path in made(site)}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name}: {fault}" for fault in page.faults]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not there.is_file():
                found.append(f"{name}: {link} leads nowhere")
            elif there in pages and unquote(parts.fragment) not in pages[there].anchors | {""}:
                found.append(f"{name}: {link} has no such place")
    return found
