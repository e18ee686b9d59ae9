"""The receipt, and when it is stale."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provecfg.errors import ProvecfgError
from provecfg.proof.receipt import (
    FAILED,
    PROVED,
    Receipt,
    check_receipt,
    code_of,
    made_now,
    read_receipt,
    receipt_path,
)
from provecfg.training.fingerprint import digests_of

CONFIG = {"model": {"type": "EncoderDecoder", "heads": [1, 2]}, "train_cfg": {"max_iters": 10}, "work_dir": "a"}


def receipt(config: dict[str, Any], verdict: str = PROVED, **changes: Any) -> Receipt:
    made, versions = made_now()
    made_receipt = Receipt(
        name="x",
        config="x.py",
        verdict=verdict,
        digests=digests_of(config),
        code=code_of(config, Path()),
        versions=versions,
        device="cpu",
        made=made,
        seconds=1.0,
        sections=(),
        findings=[{"severity": "error", "code": "PROOF020", "message": "dropped"}] if verdict == FAILED else [],
    )
    return replace(made_receipt, **changes)


@pytest.fixture
def messages_of(tmp_path: Path):
    """What is said against training `config` with a receipt."""

    def check(kept: Receipt | None, config: dict[str, Any]) -> list[str]:
        path = receipt_path(tmp_path, Path("x.py"))
        if kept is not None:
            kept.write(path)
        return [f"{finding.problem.code} {finding.message}" for finding in check_receipt(path, Path("x.py"), config)]

    return check


def test_a_receipt_outlives_writing_and_reading(tmp_path: Path) -> None:
    receipt(CONFIG).write(tmp_path / "r.json")
    kept = read_receipt(tmp_path / "r.json")
    assert kept is not None
    assert kept.as_data() == json.loads((tmp_path / "r.json").read_text())
    assert kept.differences(CONFIG, tmp_path) == []


def test_evidence_that_is_not_finite_is_written_as_text(tmp_path: Path) -> None:
    evidence = {"total": float("nan"), "terms": [float("inf"), -float("inf"), 1.5]}
    receipt(CONFIG, sections=[{"name": "equation", "evidence": evidence}]).write(tmp_path / "r.json")
    kept = read_receipt(tmp_path / "r.json")
    assert kept is not None
    assert kept.sections[0]["evidence"] == {"total": "nan", "terms": ["inf", "-inf", 1.5]}


def test_a_fresh_receipt_is_enough(messages_of) -> None:
    assert messages_of(receipt(CONFIG), CONFIG) == []


def test_no_receipt_is_said(messages_of) -> None:
    (message,) = messages_of(None, CONFIG)
    assert message.startswith("PROOF114")


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", {"type": "EncoderDecoder", "heads": [1, 3]}), ("train_cfg", {"max_iters": 11}), ("custom_hooks", [])],
)
def test_an_edited_config_makes_it_stale_and_the_key_is_named(messages_of, key: str, value: Any) -> None:
    (message,) = messages_of(receipt(CONFIG), {**CONFIG, key: value})
    assert message.startswith("PROOF115")
    assert f"the config has changed since in {key}" in message


def test_a_key_that_is_gone_makes_it_stale(messages_of) -> None:
    (message,) = messages_of(receipt(CONFIG), {"model": CONFIG["model"]})
    assert "train_cfg" in message


def test_the_order_of_keys_and_where_files_go_do_not(messages_of) -> None:
    config = {"work_dir": "b", "train_cfg": {"max_iters": 10}, "model": {"heads": (1, 2), "type": "EncoderDecoder"}}
    assert messages_of(receipt(CONFIG), config) == []


def test_another_version_makes_it_stale_and_both_are_named(messages_of) -> None:
    _, versions = made_now()
    (message,) = messages_of(receipt(CONFIG, versions={**versions, "python": "3.1.4"}), CONFIG)
    assert message.startswith("PROOF115")
    assert f"python was 3.1.4 and is {versions['python']}" in message


def test_edited_code_that_the_config_imports_makes_it_stale(
    messages_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "proof_receipt_user_losses.py"
    module.write_text("WEIGHT = 1\n")
    monkeypatch.chdir(tmp_path)  # beside the config
    config = {**CONFIG, "custom_imports": {"imports": [module.stem]}}
    kept = receipt(config)
    assert messages_of(kept, config) == []
    module.write_text("WEIGHT = 2\n")
    (message,) = messages_of(kept, config)
    assert "the code of proof_receipt_user_losses has changed since" in message


def test_a_module_two_namespace_packages_deep_is_bound_too(
    messages_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "proof_receipt_space" / "inner" / "losses.py"
    module.parent.mkdir(parents=True)
    module.write_text("WEIGHT = 1\n")
    monkeypatch.chdir(tmp_path)
    config = {**CONFIG, "custom_imports": {"imports": ["proof_receipt_space.inner.losses"]}}
    kept = receipt(config)
    assert messages_of(kept, config) == []
    module.write_text("WEIGHT = 2\n")
    (message,) = messages_of(kept, config)
    assert "the code of proof_receipt_space.inner.losses has changed since" in message


def test_a_failed_proof_is_said_with_what_failed(messages_of) -> None:
    (message,) = messages_of(receipt(CONFIG, verdict=FAILED), CONFIG)
    assert message.startswith("PROOF116")
    assert "PROOF020 dropped" in message


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "name": "x"}'])
def test_a_file_that_is_no_receipt_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ProvecfgError, match=r"r\.json is no receipt"):
        read_receipt(tmp_path / "r.json")


def test_a_value_of_another_type_is_no_receipt(tmp_path: Path) -> None:
    receipt(CONFIG, code=["x"]).write(tmp_path / "r.json")
    with pytest.raises(ProvecfgError, match="of another type"):
        read_receipt(tmp_path / "r.json")


def test_a_receipt_says_what_it_protects_from() -> None:
    assert receipt(CONFIG).as_data()["protects"].startswith("from mistakes, not from people")


def test_configs_of_one_name_have_a_receipt_each(tmp_path: Path) -> None:
    first, second = (tmp_path / name / "x.py" for name in "ab")
    for config in (first, second):
        config.parent.mkdir()
        config.touch()
        replace(receipt(CONFIG), config=str(config)).write(receipt_path(tmp_path, config))
    assert [receipt_path(tmp_path, config).name for config in (first, second)] == ["x.proof.json", "x-2.proof.json"]


def test_a_config_that_was_moved_keeps_its_receipt(tmp_path: Path) -> None:
    moved = tmp_path / "b/x.py"
    replace(receipt(CONFIG), config=str(tmp_path / "gone/x.py")).write(receipt_path(tmp_path, moved))
    assert receipt_path(tmp_path, moved).name == "x.proof.json"


def test_a_package_of_no_release_that_is_gone_or_edited_makes_it_stale(
    messages_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "proof_receipt_fork.py"
    module.write_text("WEIGHT = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    kept = receipt(CONFIG, code=code_of(CONFIG, tmp_path, [module.stem]))
    assert messages_of(kept, CONFIG) == []
    module.write_text("WEIGHT = 2\n")
    assert "the code of proof_receipt_fork has changed since" in messages_of(kept, CONFIG)[0]
    module.unlink()
    assert "the code of proof_receipt_fork has changed since" in messages_of(kept, CONFIG)[0]
