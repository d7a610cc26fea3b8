"""What the tests of pages share: an opened page that notes what goes wrong in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Opened:
    """A page, what it asked for, and what went wrong."""

    def __init__(self, browser: Browser, path: Path, width: int = 1280, **options: Any) -> None:
        self.asked: list[str] = []
        self.wrong: list[str] = []
        viewport = {"width": width, "height": 900}
        self.page: Page = browser.new_page(viewport=viewport, **options)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.url = path.as_uri()
        self.page.goto(self.url, wait_until="load")

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.page.close()

    @property
    def foreign(self) -> list[str]:
        """What was asked for beyond the file and what is inside it."""
        inside = ("data:", "blob:")
        return [url for url in self.asked if url != self.url and not url.startswith(inside)]
