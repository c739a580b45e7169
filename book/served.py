"""Serves a built book as a static host does: zipped, cached by the browser. It builds nothing and is for looking only.

What was sent is recorded, so that pages can be weighed.
"""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ZIPPED = {".html", ".css", ".js", ".json", ".svg", ".xml", ".txt", ".ttf", ".ipynb"}
CACHE_SECONDS = 600  # what GitHub Pages says


@dataclass
class Site:
    """A served book. sent: each answer's path and the bytes of its body on the wire, in order."""

    address: str
    sent: list[tuple[str, int]] = field(default_factory=list)

    def page(self, name: str) -> str:
        return f"{self.address}/{name}.html"


def body(file: Path) -> bytes:
    """A file as it goes over the wire: text zipped, pictures as they are."""
    return _zipped(str(file), file.stat().st_mtime) if file.suffix in ZIPPED else file.read_bytes()


@lru_cache(maxsize=512)
def _zipped(file: str, changed: float) -> bytes:
    return gzip.compress(Path(file).read_bytes(), compresslevel=6, mtime=0)


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        file = Path(self.translate_path(self.path))
        if file.is_dir():
            file /= "index.html"
        if not file.is_file():
            self.server.site.sent.append((self.path, 0))
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        sent = body(file)
        self.server.site.sent.append((self.path, len(sent)))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Length", str(len(sent)))
        self.send_header("Cache-Control", f"max-age={CACHE_SECONDS}")
        if file.suffix in ZIPPED:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # a browser that goes away in the middle of an answer is no error


@contextmanager
def served(folder: Path) -> Iterator[Site]:
    """The folder's files on a free port of this machine, as long as the block lasts."""
    server = _Server(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.site = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.site
    finally:
        server.shutdown()
        server.server_close()
