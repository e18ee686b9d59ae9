"""The page of a running study on this machine's own address, for reading only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from provecfg.errors import ProvecfgError

HOST: Final = "127.0.0.1"
_NAMES: Final = (HOST, "localhost")
"""What a browser may call this machine: a page of elsewhere that its name server points here has another name."""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


class PageServer:
    """Serves one page, which is written anew when it is asked for and is older than it may be.

    Args:
        write: Gives the page.
        port: 0 for any free one.
        fresh_seconds: How old the page may be, and how often a browser asks again.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, write: Callable[[], str], port: int, fresh_seconds: float) -> None:
        self._write, self._fresh_seconds = write, fresh_seconds
        self._lock = threading.Lock()
        self._page, self._written_at = b"", -float("inf")
        self._server = ThreadingHTTPServer((HOST, port), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        """What to open."""
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def serve(self) -> None:
        """Serve until `stop`, or an exception such as `KeyboardInterrupt`."""
        try:
            self._server.serve_forever()
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self._server.shutdown()

    def page(self) -> bytes:
        """The page, written now if the last is too old. Two that ask at once wait for the same."""
        with self._lock:
            if time.monotonic() - self._written_at > self._fresh_seconds:
                self._page = self._write().encode()
                self._written_at = time.monotonic()
            return self._page

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(with_body=True)

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def _answer(self, *, with_body: bool) -> None:
                if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
                    self.send_error(HTTPStatus.FORBIDDEN, "this page is this machine's alone")
                    return
                if self.path.partition("?")[0] != "/":
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                try:
                    body = server.page()
                except ProvecfgError as error:
                    self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=error.message)
                    return
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Security-Policy", _POLICY)
                self.send_header("Refresh", f"{max(1, round(server._fresh_seconds))}")
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: who reads it is who started it."""

        return Handler
