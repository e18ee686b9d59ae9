from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator

import pytest

from provecfg.errors import ProvecfgError
from provecfg.results.formats.server import PageServer


def test_what_cannot_be_written_is_said_to_the_browser() -> None:
    def write() -> str:
        raise ProvecfgError("the study <b>has become faulty")

    served = PageServer(write, 0, 3600.0)
    thread = threading.Thread(target=served.serve)
    thread.start()
    status, text, _ = asked(served, "GET", "/")
    served.stop()
    thread.join()
    assert status == 500
    assert "the study &lt;b&gt;has become faulty" in text


@pytest.fixture
def server() -> Iterator[PageServer]:
    """Of a page that says how often it was written, and is fresh for an hour."""
    written = iter(range(1, 10))
    served = PageServer(lambda: f"<p>{next(written)}", 0, 3600.0)
    thread = threading.Thread(target=served.serve)
    thread.start()
    yield served
    served.stop()
    thread.join()


def asked(server: PageServer, method: str, path: str, host: str | None = None) -> tuple[int, str, str | None]:
    connection = http.client.HTTPConnection(server.address.removeprefix("http://").rstrip("/"), timeout=10)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text, response.getheader("Content-Security-Policy")


def test_it_serves_one_page_and_writes_it_anew_only_when_it_is_old(server: PageServer) -> None:
    assert server.address.startswith("http://127.0.0.1:")
    status, text, policy = asked(server, "GET", "/")
    assert (status, text) == (200, "<p>1")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert asked(server, "GET", "/")[1] == "<p>1"
    assert asked(server, "HEAD", "/")[:2] == (200, "")
    server._fresh_seconds = -1.0
    assert asked(server, "GET", "/")[1] == "<p>2"


@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("GET", "/etc/passwd", None, 404),
        ("GET", "/../page.html", None, 404),
        ("POST", "/", None, 501),
        ("DELETE", "/", None, 501),
        ("GET", "/", "elsewhere.example:80", 403),
        ("GET", "/", "localhost:80", 200),
    ],
)
def test_it_is_this_machines_alone_and_for_reading(
    method: str, path: str, host: str | None, status: int, server: PageServer
) -> None:
    assert asked(server, method, path, host)[0] == status
