from __future__ import annotations

import sys

import pytest


@pytest.mark.parametrize("absent", ["lsprotocol", "pygls", "pygls.lsp.server"])  # the last: of pygls 1
def test_the_extra_is_named_where_its_package_is_missing_or_old(provecfg, monkeypatch, absent: str) -> None:  # type: ignore[no-untyped-def]
    for name in [name for name in sys.modules if name.startswith("provecfg.editor")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    code, out, err = provecfg("lsp")
    assert (code, out) == (2, "")
    assert err == (
        "error: the language server needs pygls 2, which is not installed\n  hint: pip install 'provecfg[lsp]'\n"
    )
