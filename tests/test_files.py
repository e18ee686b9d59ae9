"""Reading files that may be anything."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provecfg.files import NotRegularError, TooLargeError, open_regular, read_bytes, read_json, read_text, status_of


@pytest.fixture(autouse=True)
def _within_seconds() -> Iterator[None]:
    """A reading that waits for a pipe's writer ends as a failed test."""

    def fail(*_: object) -> None:
        raise TimeoutError("the reading waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def a_socket(folder: Path) -> Path:
    here = os.getcwd()
    os.chdir(folder)  # a socket's path has at most 108 characters
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
    finally:
        os.chdir(here)
    return folder / "socket"


def a_linked_device(folder: Path) -> Path:
    (folder / "link").symlink_to("/dev/zero")
    return folder / "link"


def a_folder(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, status_of, open_regular])
@pytest.mark.parametrize(
    ("make", "kind"),
    [(a_pipe, "a pipe"), (a_linked_device, "a device"), (a_folder, "a folder"), (a_socket, None)],
    ids=["pipe", "device behind a link", "folder", "socket"],
)
def test_what_is_no_file_is_named_and_not_waited_for(
    tmp_path: Path, read: Callable[[Path], object], make: Callable[[Path], Path], kind: str | None
) -> None:
    path = make(tmp_path)
    with pytest.raises(OSError, match=str(tmp_path)) as raised:
        read(path)
    if kind is not None:  # the system itself opens no socket
        assert isinstance(raised.value, NotRegularError)
        assert raised.value.strerror == f"it is {kind}"


@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, status_of])
def test_no_more_is_read_than_the_limit(tmp_path: Path, read: Callable[..., object]) -> None:
    path = tmp_path / "file"
    path.write_text("1" * 100)
    read(path, max_bytes=100)
    with pytest.raises(TooLargeError, match="larger than 99 bytes"):
        read(path, max_bytes=99)


def test_a_file_whose_size_the_system_does_not_say_is_held_to_the_limit() -> None:
    endless = Path("/proc/self/smaps")  # its status says 0 bytes
    if not endless.exists():
        pytest.skip("no /proc here")
    assert status_of(endless, max_bytes=1).st_size == 0
    with pytest.raises(TooLargeError):
        read_bytes(endless, max_bytes=1)


def test_a_null_in_the_name_is_an_error_of_the_system(tmp_path: Path) -> None:
    for read in (read_bytes, status_of):
        with pytest.raises(OSError, match="null"):
            read(tmp_path / "a\0b")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "{", "\ud800"])
def test_what_is_no_json_is_a_value_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"\w"):
        read_json(path)


def test_newlines_are_made_one_kind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\r\nb\rc\n")
    assert read_text(path) == "a\nb\nc\n"
    with open_regular(path) as stream:
        assert stream.read() == b"a\r\nb\rc\n"
