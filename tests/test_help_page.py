from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from provecfg.help_page import HELP_FILE

SLOW = ("-X", "importtime", "-c", "from provecfg.cli import main; main(['--help'])")
QUICK = ("-X", "importtime", "-m", "provecfg", "--help")


def shipped() -> str:
    """The page without the line before it."""
    return Path(HELP_FILE).read_text().partition("\n")[2]


def printed(*arguments: str, columns: int, **environment: str) -> tuple[str, bool]:
    """What Python prints to a terminal, and whether click was imported for it."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    others = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        env=others | environment,
    )
    os.close(writer)
    text = b""
    try:
        while part := os.read(reader, 65536):
            text += part
    except OSError:  # Linux says so that the other end was closed
        pass
    os.close(reader)
    return text.decode().replace("\r\n", "\n"), " click.core\n" in done.stderr


@pytest.mark.parametrize(
    ("columns", "environment", "is_quick"),
    [(80, {}, True), (200, {}, True), (79, {}, False), (200, {"COLUMNS": "60"}, False), (60, {"COLUMNS": "80"}, True)],
)
def test_help_is_as_click_prints_it_in_any_terminal(columns: int, environment: dict[str, str], is_quick: bool) -> None:
    page, with_click = printed(*QUICK, columns=columns, **environment)
    assert with_click is not is_quick
    assert page == printed(*SLOW, columns=columns, **environment)[0]
    assert (page == shipped()) is is_quick


def test_the_page_is_the_same_bytes_in_every_terminals_code() -> None:
    assert Path(HELP_FILE).read_bytes().isascii()


@pytest.mark.parametrize("content", [None, "00000000\nof an earlier command line\n"])
def test_a_page_that_is_not_there_or_of_another_source_is_made(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "help.txt").write_text(content)
    program = f"import sys; from provecfg import help_page; help_page.HELP_FILE = {str(tmp_path / 'help.txt')!r}; "
    program += "sys.argv = ['provecfg', '-h']; from provecfg.__main__ import main; main()"
    assert printed("-c", program, columns=80)[0] == shipped()
