"""What people really wrote, and the right answer to it: `field_answers.py`."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provecfg.parallel import processors
from tests.cases.field_answers import CORRECT, FAULTY, TWINS, Correct, Faulty, Judge
from tests.cases.scoring import CLEAN, is_within
from tests.command_server import CommandServer, RunningCommand

FIELD = Path(__file__).with_name("field")
JUDGED = {path.relative_to(FIELD).as_posix() for path in FIELD.glob("R*/*.py")}


@dataclass(frozen=True, slots=True)
class Alarm:
    """An error or a warning that is not shown under another."""

    code: str
    key: str
    text: str
    fix: str | None


Alarms = Callable[[Faulty | Correct], list[Alarm]]
Command = Callable[..., tuple[int, str, str]]


def alarms_of(report: str) -> list[Alarm]:
    """What a JSON report says, without its notes and its consequences."""
    return [
        Alarm(
            finding["code"],
            finding["key"],
            f"{finding['message']} {finding['hint'] or ''}",
            (finding["fix"] or {}).get("applicability"),
        )
        for finding in json.loads(report)
        if finding["severity"] != "note" and not finding.get("caused_by")
    ]


def not_yet(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(raises=AssertionError, strict=True, reason=reason)


def of_judge(cases: Iterable[Faulty | Correct], judge: Judge) -> list[Any]:
    """The cases as parameters. What is not met yet is expected to fail, and has to be unmarked once it does not."""
    return [
        pytest.param(
            case,
            id=case.file,
            marks=[not_yet(case.not_yet)] if case.not_yet else [],
        )
        for case in cases
        if case.judge is judge
    ]


def copy_of_cases(folder: Path) -> Path:
    """The cases, copied to where each folder of `wild/` is a repository of its own."""
    shutil.copytree(FIELD, folder, dirs_exist_ok=True)
    for repository in (folder, *(folder / "wild").iterdir()):
        (repository / ".git").mkdir()
    return folder


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the cases that nothing writes into."""
    return copy_of_cases(tmp_path_factory.mktemp("field"))


@pytest.fixture
def validated(field: Path, monkeypatch: pytest.MonkeyPatch, provecfg: Command) -> Alarms:
    """The errors and warnings of `provecfg validate FILE`."""

    def call(case: Faulty | Correct) -> list[Alarm]:
        monkeypatch.chdir(field / case.folder)
        code, out, err = provecfg("validate", os.path.relpath(field / case.file), "--output-format", "json")
        assert code in (0, 1), err
        return alarms_of(out)

    return call


@pytest.fixture(scope="module")
def proved(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    command_server: CommandServer,
    command_environment: dict[str, str],
) -> Alarms:
    """The errors and warnings of `provecfg prove FILE`; all that this session's tests ask for are proved at once."""
    asked: dict[str, Faulty | Correct] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path == Path(__file__) and "proved" in item.fixturenames:
            case = item.callspec.params["case"]
            asked[case.file] = case
            asked.update({twin.file: twin for twin in twins_of(case)})
    ended: dict[str, tuple[int, str, str]] = {}
    running: deque[tuple[str, RunningCommand]] = deque()
    for case in asked.values():
        field = copy_of_cases(tmp_path_factory.mktemp("proved"))  # its own, since what is proved may write
        folder = field / case.folder
        if case.folder == "R32":
            write_weights_of_a_backbone(folder / "data/road")
        options = ["--gpu-memory", case.gpu_memory] if case.gpu_memory else []
        words = ["prove", os.path.relpath(field / case.file, folder), "--device", "cpu", "--output-format", "json"]
        running.append((case.file, command_server.start([*words, *options], folder, command_environment)))
        if len(running) == processors():
            file, command = running.popleft()
            ended[file] = command.finished()
    ended.update({file: command.finished() for file, command in running})

    def call(case: Faulty | Correct) -> list[Alarm]:
        code, out, err = ended[case.file]
        assert code in (0, 1), err
        return alarms_of(out)

    return call


def write_weights_of_a_backbone(file: Path) -> None:
    """What R32 loads: the weights of its backbone, under the backbone's own names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages, on import
        import provecfg.plugin  # noqa: F401, I001  (first, for those of mmcv's operators that are not compiled)
        import torch
        from mmseg.models.backbones import ResNetV1c

    file.parent.mkdir()
    torch.save({"state_dict": ResNetV1c(depth=18).state_dict()}, file)


def twins_of(case: Faulty | Correct) -> list[Correct]:
    """The correct twin of a faulty config, as its judge sees it."""
    return [twin for twin in TWINS if isinstance(case, Faulty) and (twin.file, twin.judge) == (case.twin, case.judge)]


def assert_found(case: Faulty, alarms: list[Alarm], of_twin: list[Alarm]) -> None:
    """A finding points at the mistake, says what it has to, and has a code that the correct twin does not give."""
    codes = {alarm.code for alarm in of_twin}
    hits = [
        alarm
        for alarm in alarms
        if alarm.code not in codes and case.says in alarm.text and (not case.keys or is_within(alarm.key, case.keys))
    ]
    assert hits, alarms
    assert not case.alone or alarms == hits[:1]


def assert_not_accused(case: Correct, alarms: list[Alarm]) -> None:
    """Nothing is said of what is right about the config."""
    assert [
        alarm
        for alarm in alarms
        if (not case.keys or is_within(alarm.key, case.keys)) and (not case.codes or alarm.code in case.codes)
    ] == []


@pytest.mark.parametrize("case", of_judge(FAULTY, Judge.VALIDATE))
def test_validate_finds_the_mistake(case: Faulty, validated: Alarms) -> None:
    assert_found(case, validated(case), [alarm for twin in twins_of(case) for alarm in validated(twin)])


@pytest.mark.parametrize("case", of_judge((*TWINS, *CORRECT), Judge.VALIDATE))
def test_validate_accuses_nothing_that_is_right(case: Correct, validated: Alarms) -> None:
    assert_not_accused(case, validated(case))


@pytest.mark.stack
@pytest.mark.long
@pytest.mark.parametrize("case", of_judge(FAULTY, Judge.PROVE))
def test_prove_finds_the_mistake(case: Faulty, validated: Alarms, proved: Alarms) -> None:
    of_twin = [alarm for twin in twins_of(case) for judged in (proved, validated) for alarm in judged(twin)]
    assert_found(case, proved(case) if case.alone else [*proved(case), *validated(case)], of_twin)


@pytest.mark.stack
@pytest.mark.long
@pytest.mark.parametrize("case", of_judge((*TWINS, *CORRECT), Judge.PROVE))
def test_prove_accuses_nothing_that_is_right(case: Correct, validated: Alarms, proved: Alarms) -> None:
    assert_not_accused(case, [*proved(case), *validated(case)])


def test_every_config_with_a_mistake_and_every_twin_has_an_answer() -> None:
    assert {case.file for case in (*FAULTY, *TWINS) if not case.file.startswith("wild/")} == JUDGED
    assert len(JUDGED) >= 50


def test_no_safe_fix_drops_the_settings_of_a_sliding_window(validated: Alarms) -> None:
    (case,) = [case for case in FAULTY if case.file == "R11/bad.py"]
    alarms = validated(case)
    assert alarms
    assert [alarm for alarm in alarms if alarm.fix == "safe"] == []


@pytest.mark.parametrize("file", ["hook_scope.py", "loop_scope.py", "torgb.py"])
def test_one_note_says_that_another_scope_is_not_judged(
    file: str, field: Path, monkeypatch: pytest.MonkeyPatch, provecfg: Command
) -> None:
    monkeypatch.chdir(field / "wild/b")
    findings = json.loads(provecfg("validate", file, "--output-format", "json")[1])
    assert [finding["severity"] for finding in findings] == ["note"]


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(
            "wild/f",
            id="YAML of conda, of a citation, of another tool",
        ),
        pytest.param("wild/k", id="Python that is no config"),
    ],
)
def test_what_is_no_config_is_left_alone(folder: str, field: Path, tmp_path: Path, provecfg: Command) -> None:
    shutil.copytree(field / folder, tmp_path / "folder")
    (config,) = [path for path in CLEAN if path.stem == "class_weights"]
    shutil.copy(config, tmp_path / "folder")
    code, out, err = provecfg("validate", tmp_path / "folder", "--output-format", "json")
    assert (code, json.loads(out)) == (0, []), err


def test_a_fragment_is_judged_in_the_config_that_inherits_it(
    field: Path, monkeypatch: pytest.MonkeyPatch, provecfg: Command
) -> None:
    monkeypatch.chdir(field / "wild/o")
    findings = json.loads(provecfg("validate", ".", "--output-format", "json")[1])
    assert "REG001" not in {finding["code"] for finding in findings}
