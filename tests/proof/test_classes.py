from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.registry import MODELS

from provecfg.proof.classes import is_registered

pytestmark = pytest.mark.stack

REGISTRY = (
    "from mmengine.registry import MODELS as ROOT, Registry\nMODELS = Registry('model', parent=ROOT, locations={0})\n"
)
MODELS_OF_IT = "from {0}.registry import MODELS\n\n@MODELS.register_module()\nclass OwnNet:\n    pass\n"


def test_a_scope_is_asked_for_what_its_package_registers_though_nobody_has_imported_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "classes_scope"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "registry.py").write_text(REGISTRY.format(["classes_scope.nets"]))
    (package / "nets.py").write_text(MODELS_OF_IT.format("classes_scope"))
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert is_registered("OwnNet", "classes_scope")
        assert not is_registered("OtherNet", "classes_scope")
    finally:
        MODELS.children.pop("classes_scope", None)


def test_a_scope_without_a_package_has_nothing_registered() -> None:
    assert not is_registered("OwnNet", "no_such_package")
    assert not is_registered("OwnNet", None)
