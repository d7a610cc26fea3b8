"""What the tests of downloads share: a local server stands for the internet."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vaelab.data import download


class Server(ThreadingHTTPServer):
    """/good/ serves the files, /corrupt/ other ones, /long/ more than there is, and /broken/ half
    of what it promises. Anything else gives 404.
    """

    daemon_threads = True
    requests: list[str]
    files: dict[str, bytes]

    def mirror(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        _, mirror, file = self.path.split("/")
        content = self.server.files[file]
        if mirror == "corrupt":
            content = b"captive portal"
        elif mirror == "long":
            content += bytes(10**6)
        packs = "gzip" in self.headers.get("Accept-Encoding", "")  # as many servers do if they may
        content = gzip.compress(content) if packs else content
        known = mirror in ("good", "corrupt", "broken", "long")
        self.send_response(200 if known else 404)
        if packs:
            self.send_header("Content-Encoding", "gzip")
        if mirror != "long":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if mirror == "broken" else content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.requests, server.files = [], {}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no proxy between here and the server."""
    monkeypatch.setenv("VAELAB_CACHE_DIR", str(tmp_path / "cache" / "vaelab"))
    monkeypatch.setattr(download, "TIMEOUT", 5.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("VAELAB_DATA_DIR", raising=False)
    return tmp_path / "cache"
