"""Writing: whole or not at all, and every reason against it in words."""

from __future__ import annotations

import os
import resource
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.paths import write_atomically


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o640)
    write_atomically(path, "after\r\né")
    assert path.read_bytes() == "after\r\né".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert left_in(tmp_path) == ["file"]


def test_of_a_link_the_file_that_it_points_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to("file")
    write_atomically(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "after"


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("é" * 127), "text")
    assert left_in(tmp_path) == ["é" * 127]


def behind_a_dangling_link(folder: Path) -> tuple[Path, str]:
    (folder / "link").symlink_to("gone")
    return folder / "link", f"it is a link to {folder / 'gone'}, which does not exist"


def in_a_dangling_link(folder: Path) -> tuple[Path, str]:
    (folder / "link").symlink_to("gone")
    return folder / "link" / "file", f"{folder / 'link'} is not a folder"


def below_a_file(folder: Path) -> tuple[Path, str]:
    (folder / "file").write_text("")
    return folder / "file" / "below", f"{folder / 'file'} is not a folder"


def on_a_folder(folder: Path) -> tuple[Path, str]:
    (folder / "folder").mkdir()
    return folder / "folder", "it is a folder"


def on_a_full_disk(folder: Path) -> tuple[Path, str]:
    return Path("/dev/full"), "No space left on device"


def on_a_pipe_that_nobody_reads(folder: Path) -> tuple[Path, str]:
    os.mkfifo(folder / "pipe")
    return folder / "pipe", "it is a pipe that nobody reads"


def under_an_overlong_name(folder: Path) -> tuple[Path, str]:
    return folder / ("a" * 300), "File name too long"


def under_a_name_with_a_null(folder: Path) -> tuple[Path, str]:
    return folder / "a\0b", "embedded null"


@pytest.mark.parametrize(
    "make",
    [
        behind_a_dangling_link,
        in_a_dangling_link,
        below_a_file,
        on_a_folder,
        on_a_full_disk,
        on_a_pipe_that_nobody_reads,
        under_an_overlong_name,
        under_a_name_with_a_null,
    ],
)
def test_what_cannot_be_written_is_said_with_path_and_reason(
    tmp_path: Path, make: Callable[[Path], tuple[Path, str]]
) -> None:
    path, reason = make(tmp_path)
    before = left_in(tmp_path)
    with pytest.raises(ProvecfgError) as raised:
        write_atomically(path, "text")
    assert raised.value.message.startswith(f"cannot write {path}: ")
    assert reason in raised.value.message
    assert left_in(tmp_path) == before


def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write everywhere, nobody may not
    try:
        with pytest.raises(ProvecfgError, match="Permission denied"):
            write_atomically(tmp_path / "file", "text")
    finally:
        os.seteuid(user)


def test_a_disk_that_fills_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ProvecfgError, match="File too large"):
            write_atomically(path, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "before"
    assert left_in(tmp_path) == ["file"]


def test_half_of_a_character_is_said_and_not_written(tmp_path: Path) -> None:
    with pytest.raises(ProvecfgError, match="surrogates not allowed"):
        write_atomically(tmp_path / "file", "\ud800")
    assert left_in(tmp_path) == []


def test_a_device_and_a_pipe_that_is_read_take_the_text(tmp_path: Path) -> None:
    write_atomically(Path("/dev/null"), "text")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    os.mkfifo(tmp_path / "pipe")
    text = "x" * 1_000_000  # more than a pipe holds
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    while not read and reader.is_alive():
        try:
            write_atomically(tmp_path / "pipe", text)
            break
        except ProvecfgError:  # the reader has not opened it yet
            continue
    reader.join(10)
    assert read == [text]
