"""What findings look like in an editor, as a picture for the pages: `python -m docs.generate.editor_picture`.

Neovim itself is shown, with `provecfg lsp` at work, on a terminal of tmux.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from docs.generate.terminal_screen import write_screen

PICTURE = Path(__file__).parents[1] / "screens" / "editor.svg"
PROJECT = Path(__file__).parents[2]
CONFIG = """\
_base_ = 'mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py'

model = dict(
    decode_head=dict(
        num_clases=7))

custom_hooks = [
    dict(
        type='EarlyStoppingHook',
        monitor='val/mIoU',
        rule='greater')]
"""
STARTED = """\
vim.o.number, vim.o.signcolumn, vim.o.laststatus, vim.o.ruler, vim.o.shortmess = true, 'yes', 0, false, 'aFIcstTW'
vim.o.background = 'dark'
vim.cmd('syntax on')
vim.cmd('highlight SignColumn ctermbg=none | highlight NormalFloat ctermbg=236 | highlight FloatBorder ctermfg=244')
vim.diagnostic.config({{virtual_text = {{prefix = '■'}}}})
vim.lsp.buf_attach_client(0, vim.lsp.start_client({{name = 'provecfg', cmd = {command}}}))
local function explained()
  if #vim.diagnostic.get(0) == 0 then return vim.defer_fn(explained, 100) end
  vim.api.nvim_win_set_cursor(0, {{10, 16}})
  local options = {{scope = 'line', header = '', prefix = '', border = 'single', width = 76}}
  local _, window = vim.diagnostic.open_float(options)
  vim.wo[window].linebreak = true
end
explained()
"""
COLUMNS, ROWS = 112, 20
SECONDS = 60.0


def shown() -> str:
    """The screen once the language server has answered, with its colours."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TERM": "xterm-256color"}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pspnet.py").write_text(CONFIG, encoding="utf-8")
        command = "{" + ", ".join(f"'{word}'" for word in (sys.executable, "-m", "provecfg", "lsp")) + "}"
        started = Path(folder, "started.lua")
        started.write_text(STARTED.format(command=command), encoding="utf-8")
        tmux = ["tmux", "-L", f"provecfg-{os.getpid()}", "-f", os.devnull]
        editor = shlex.join(["nvim", "-u", "NONE", "-n", "-S", str(started), "pspnet.py"])
        size = ["-x", str(COLUMNS), "-y", str(ROWS)]
        subprocess.run([*tmux, "new-session", "-d", *size, editor], cwd=folder, env=environment, check=True)
        try:
            return _screen(tmux)
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)


def _screen(tmux: list[str]) -> str:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done = subprocess.run([*tmux, "capture-pane", "-p", "-e"], capture_output=True, text=True, check=True)
        if "evaluator gives" in done.stdout:
            time.sleep(1.0)  # the popup is drawn after the line's end
            done = subprocess.run([*tmux, "capture-pane", "-p", "-e"], capture_output=True, text=True, check=True)
            return done.stdout.rstrip()
        time.sleep(0.2)
    raise SystemExit(f"the language server said nothing in {SECONDS:g} s:\n{done.stdout}")


def main() -> None:
    write_screen(shown(), PICTURE, title="pspnet.py - Neovim", columns=COLUMNS)


if __name__ == "__main__":
    main()
