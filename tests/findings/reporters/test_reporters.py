from __future__ import annotations

import importlib.util
import json
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from provecfg.findings import Applicability, Edit, Finding, Fix, Problem, Severity, Span
from provecfg.findings.finding import Cause
from provecfg.findings.reporters import FORMATS, report

ROOT = Path("/project")
CONFIG = ROOT / "configs" / "net.py"
BASE = ROOT / "configs" / "_base_" / "model.py"
OTHER = ROOT / "configs" / "fine.py"
TEXTS = {
    CONFIG: "model = dict(\n    decode_head=dict(\n\t    loss_decode=dict(type='DiceLoss', use_sigmoid=True)))\n",
    BASE: "norm_cfg = dict(type='BN')\n",
}

DICE = Problem("LOSS004", "sigmoid-dice-beside-softmax", "Dice trains sigmoids.", "Inference is argmax.")
ERROR = Finding(
    DICE,
    message="use_sigmoid is True, and 100% of the rest is softmax",
    filename=CONFIG,
    span=Span(3, 52, 3, 56),
    key="model.decode_head.loss_decode.use_sigmoid",
    hint="set use_sigmoid=False",
    fix=Fix("set use_sigmoid to False", Applicability.UNSAFE, (Edit(CONFIG, Span(3, 52, 3, 56), "False"),)),
)
INHERITED = Finding(
    Problem("HEAD001", "plain-bn", "BN on two GPUs.", "Each sees half.", Severity.WARNING),
    message="BN on two GPUs",
    filename=BASE,
    span=Span(1, 12, 1, 27),
    target=CONFIG,
)
NOTE = Finding(
    Problem("RUN001", "unjudged", "Not judged.", "Unknown.", Severity.NOTE), "not judged: data", filename=CONFIG
)


def shown(*findings: Finding, format: str, files: tuple[Path, ...] = (CONFIG, OTHER), **options: Any) -> str:
    source = options.pop("source", lambda path: TEXTS.get(path, ""))
    return report(findings, format=format, files=files, base=ROOT, source=source, **options)


def dedented(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def test_text_points_at_the_source() -> None:
    text = shown(ERROR, format="text")
    assert text == (
        "configs/net.py:3:52: error LOSS004 use_sigmoid is True, and 100% of the rest is softmax"
        "  [model.decode_head.loss_decode.use_sigmoid]\n"
        "  |\n"
        "3 | \t    loss_decode=dict(type='DiceLoss', use_sigmoid=True)))\n"
        "  | \t                                                  ^^^^\n"
        "  = hint: set use_sigmoid=False\n"
        "  = fix (--unsafe-fixes): set use_sigmoid to False\n"
        "\n"
        "Found 1 error in 2 files. --unsafe-fixes mends 1, changing what is trained."
    )


def test_a_base_in_a_packages_archive_is_named_as_configs_name_it() -> None:
    packed = replace(INHERITED, filename=Path("/lib/configs.json.xz/mmseg::/fcn/fcn.py"))
    assert shown(packed, format="text").startswith("mmseg::fcn/fcn.py:1:12: warning HEAD001 BN on two GPUs")
    assert shown(packed, format="github").startswith("::warning title=HEAD001 plain-bn,file=mmseg%3A%3Afcn/fcn.py,")


def test_a_finding_in_a_base_is_said_once_with_the_configs_that_inherit_it() -> None:
    targets = [ROOT / f"configs/c{number}.py" for number in range(5)]
    text = shown(*(replace(INHERITED, target=target) for target in targets), format="text", files=tuple(targets))
    assert text == dedented("""
        configs/_base_/model.py:1:12: warning HEAD001 BN on two GPUs
          |
        1 | norm_cfg = dict(type='BN')
          |            ^^^^^^^^^^^^^^^
          = inherited by configs/c0.py, configs/c1.py, configs/c2.py and 2 more

        Found 1 warning in 5 files.
    """)


@pytest.mark.parametrize(
    ("line", "span", "carets"),
    [
        ("x = [1,", Span(1, 5, 3, 2), "    ^^^"),  # goes on in the next lines
        ("x = dict()", Span(1, 5, 1, 5), "    ^"),  # an insertion
        ("名 = 'a'", Span(1, 5, 1, 8), "     ^^^"),  # wide characters before
        ("x = 'é'", Span(1, 5, 1, 8), "    ^^^"),
        ("x", Span(1, 40, 1, 44), " ^"),  # a span that the text no longer has
    ],
)
def test_carets_stand_under_what_they_mean(line: str, span: Span, carets: str) -> None:
    text = shown(replace(ERROR, span=span), format="text", source=lambda _: line)
    assert text.splitlines()[2:4] == [f"1 | {line}", f"  | {carets}"]


def test_a_long_line_is_cut_around_the_finding() -> None:
    line = "x = [" + "1, " * 300 + "bad, " + "2, " * 300 + "]"
    column = line.index("bad") + 1
    text = shown(replace(ERROR, span=Span(1, column, 1, column + 3)), format="text", source=lambda _: line)
    excerpt, carets = text.splitlines()[2:4]
    assert len(excerpt) < 140
    assert excerpt[carets.index("^") : carets.rindex("^") + 1] == "bad"
    long = shown(replace(ERROR, span=Span(1, 5, 1, len(line))), format="text", source=lambda _: line)
    assert max(map(len, long.splitlines()[1:4])) < 140


def test_a_file_that_cannot_be_read_has_no_excerpt(tmp_path: Path) -> None:
    gone = replace(ERROR, filename=tmp_path / "gone.py", fix=None, hint=None)
    assert report([gone], base=tmp_path).splitlines()[1:] == ["", "Found 1 error."]
    assert report([gone], base=tmp_path, source=Path.read_text).splitlines()[1:] == ["", "Found 1 error."]
    (tmp_path / "gone.py").write_bytes(b"\xef\xbb\xbfx = 1\r\ny = 2\rz = \xff3\n")
    assert "3 | z = \ufffd3" in report([replace(gone, span=Span(3, 5, 3, 6))], base=tmp_path)


def test_controls_from_a_config_do_not_reach_the_terminal() -> None:
    evil = replace(ERROR, message="\x1b[2J\u202egone\udcff", key="a\x07", filename=ROOT / "a\nb.py")
    text = shown(evil, format="text", source=lambda _: "\n\nx = '\x1b[31m'" + " " * 60)
    assert not any(c in text for c in "\x1b\x07\u202e\udcff")
    assert "\\x1b[2J\\u202egone\\udcff" in text
    text.encode()


def test_colour_only_where_the_caller_wants_it() -> None:
    assert "\x1b[" not in shown(ERROR, format="text")
    colored = shown(ERROR, format="text", color=True)
    assert "\x1b[1;31merror LOSS004\x1b[0m" in colored
    assert "\x1b[" not in shown(ERROR, format="github", color=True)


@pytest.mark.parametrize(
    ("format", "text"),
    [("text", "2 files: no findings"), ("json", "[]"), ("github", "provecfg: no findings")],
)
def test_nothing_found(format: str, text: str) -> None:
    assert shown(format=format) == text


def test_json_has_exactly_the_fields_of_the_contract() -> None:
    (record,) = json.loads(shown(ERROR, format="json", docs_url="https://example.org/docs"))
    assert record == {
        "code": "LOSS004",
        "name": "sigmoid-dice-beside-softmax",
        "severity": "error",
        "message": "use_sigmoid is True, and 100% of the rest is softmax",
        "hint": "set use_sigmoid=False",
        "filename": str(CONFIG),
        "location": {"row": 3, "column": 52},
        "end_location": {"row": 3, "column": 56},
        "key": "model.decode_head.loss_decode.use_sigmoid",
        "fix": {
            "message": "set use_sigmoid to False",
            "applicability": "unsafe",
            "edits": [
                {
                    "filename": str(CONFIG),
                    "location": {"row": 3, "column": 52},
                    "end_location": {"row": 3, "column": 56},
                    "content": "False",
                }
            ],
        },
        "url": "https://example.org/docs/codes/LOSS004.html",
        "caused_by": None,
    }
    (bare,) = json.loads(shown(NOTE, format="json"))
    assert bare["location"] == bare["end_location"] == {"row": 1, "column": 1}
    assert bare["fix"] is bare["hint"] is bare["url"] is None


CAUSE = replace(ERROR, covers="model.decode_head")
FOLLOWS = replace(NOTE, problem=DICE, key="model.decode_head.x", caused_by=Cause("LOSS004", ERROR.key))


def test_a_consequence_is_named_under_its_cause_and_not_counted() -> None:
    text = shown(CAUSE, FOLLOWS, format="text")
    assert "= LOSS004 [model.decode_head.x] follows from it" in text
    assert "Found 1 error in 2 files." in text
    assert "not judged: data" not in text


def test_programs_find_a_consequence_in_its_place_with_its_cause() -> None:
    cause = {"code": "LOSS004", "key": ERROR.key}
    assert [entry["caused_by"] for entry in json.loads(shown(CAUSE, FOLLOWS, format="json"))] == [None, cause]
    results = json.loads(shown(CAUSE, FOLLOWS, format="sarif"))["runs"][0]["results"]
    assert [(result["level"], result.get("properties")) for result in results] == [
        ("error", None),
        ("note", {"caused_by": cause}),
    ]


@pytest.mark.parametrize("format", ["github", "junit"])
def test_annotations_and_test_reports_hold_causes_alone(format: str) -> None:
    assert "not judged: data" not in shown(CAUSE, FOLLOWS, format=format)


def sarif_schema() -> dict[str, Any]:
    path = Path(__file__).with_name("sarif_schema.py")
    spec = importlib.util.spec_from_file_location("sarif_schema", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    schema: dict[str, Any] = module.LOG
    return schema


def test_sarif_is_valid_and_relative_to_the_checkout() -> None:
    text = shown(ERROR, INHERITED, NOTE, format="sarif", docs_url="https://example.org/docs")
    log = json.loads(text)
    jsonschema.Draft202012Validator(sarif_schema()).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["HEAD001", "LOSS004", "RUN001"]
    assert rules[1]["name"] == "SigmoidDiceBesideSoftmax"
    assert rules[1]["helpUri"] == "https://example.org/docs/codes/LOSS004.html"
    assert rules[1]["help"]["text"].startswith("Dice trains sigmoids.")
    error, inherited, note = run["results"]
    assert [(r["ruleId"], r["level"], rules[r["ruleIndex"]]["id"]) for r in run["results"]] == [
        ("LOSS004", "error", "LOSS004"),
        ("HEAD001", "warning", "HEAD001"),
        ("RUN001", "note", "RUN001"),
    ]
    place = error["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "configs/net.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3, "startColumn": 52, "endLine": 3, "endColumn": 56},
    }
    assert error["fixes"][0]["artifactChanges"][0]["replacements"] == [
        {"deletedRegion": place["region"], "insertedContent": {"text": "False"}}
    ]
    assert inherited["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "configs/net.py"
    assert "region" not in note["locations"][0]["physicalLocation"]


def test_sarif_of_nothing_is_valid() -> None:
    log = json.loads(shown(format="sarif"))
    jsonschema.Draft202012Validator(sarif_schema()).validate(log)
    assert [artifact["location"]["uri"] for artifact in log["runs"][0]["artifacts"]] == [
        "configs/net.py",
        "configs/fine.py",
    ]


def test_fingerprints_survive_lines_above_and_tell_repeats_apart() -> None:
    def prints(*findings: Finding, text: str) -> list[str]:
        log = json.loads(shown(*findings, format="sarif", source=lambda _: text))
        return [result["partialFingerprints"]["configKey/v1"] for result in log["runs"][0]["results"]]

    before = prints(replace(ERROR, span=Span(1, 1, 1, 2)), text="x = 1")
    after = prints(replace(ERROR, span=Span(3, 5, 3, 6)), text="# new\n\n    x  = 1")
    assert before == after
    assert before != prints(replace(ERROR, span=Span(1, 1, 1, 2)), text="x = 2")
    twice = prints(ERROR, replace(ERROR, message="another"), text="")
    assert len(set(twice)) == 2


def test_paths_become_uris(tmp_path: Path) -> None:
    odd = replace(ERROR, filename=ROOT / "a b#ü.py", fix=None)
    outside = replace(ERROR, filename=tmp_path / "x.py", fix=None)
    log = json.loads(shown(odd, outside, format="sarif"))
    locations = [r["locations"][0]["physicalLocation"]["artifactLocation"] for r in log["runs"][0]["results"]]
    assert locations == [
        {"uri": "a%20b%23%C3%BC.py", "uriBaseId": "%SRCROOT%"},
        {"uri": (tmp_path / "x.py").as_uri()},
    ]


def test_github_commands_are_escaped_and_worst_first() -> None:
    odd = replace(NOTE, message="50%\nof, it: all", filename=ROOT / "a,b:c.py", span=Span(2, 1, 4, 2))
    assert shown(odd, INHERITED, ERROR, format="github").splitlines() == [
        "::error title=LOSS004 sigmoid-dice-beside-softmax,file=configs/net.py,line=3,col=52,endColumn=55"
        "::use_sigmoid is True, and 100%25 of the rest is softmax [model.decode_head.loss_decode.use_sigmoid]"
        "%0Aset use_sigmoid=False",
        "::warning title=HEAD001 plain-bn,file=configs/_base_/model.py,line=1,col=12,endColumn=26::BN on two GPUs",
        "::notice title=RUN001 unjudged,file=a%2Cb%3Ac.py,line=2,endLine=4::50%25%0Aof, it: all",
        "provecfg: 1 error, 1 warning, 1 note",
    ]


def test_a_message_cannot_start_a_command_of_its_own() -> None:
    text = shown(replace(ERROR, message="x\r\n::set-output name=a::b\n::error::c"), format="github")
    assert len([line for line in text.splitlines() if line.startswith("::")]) == 1


def test_junit_has_a_case_for_each_file() -> None:
    root = ET.fromstring(shown(ERROR, INHERITED, NOTE, format="junit"))
    assert root.tag == "testsuites"
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    net, fine = suite
    assert (net.get("name"), fine.get("name")) == ("configs/net.py", "configs/fine.py")
    assert [child.tag for child in net] == ["failure", "system-out"]
    assert net[0].get("type") == "LOSS004"
    assert net[0].get("message") == "LOSS004 use_sigmoid is True, and 100% of the rest is softmax"
    assert (net[0].text or "").startswith("configs/net.py:3:52: error LOSS004 use_sigmoid")
    assert "configs/_base_/model.py:1:12: warning HEAD001" in (net[1].text or "")
    assert list(fine) == []


def test_junit_fails_for_warnings_only_when_strict() -> None:
    for strict, failures in ((False, "0"), (True, "1")):
        root = ET.fromstring(shown(INHERITED, format="junit", strict=strict))
        assert root.get("failures") == failures


def test_junit_holds_any_text() -> None:
    evil = replace(ERROR, message="]]> <x> & \x00 \x0b \ufffe \udcff \U0001f600", filename=ROOT / "a\x01.py")
    root = ET.fromstring(shown(evil, format="junit"))
    message = root.findall(".//failure")[0].get("message") or ""
    assert message == "LOSS004 ]]> <x> & \\x00 \\x0b \\ufffe \\udcff \U0001f600"


@pytest.mark.parametrize("format", list(FORMATS))
def test_a_report_is_the_same_each_time_and_can_be_printed(format: str) -> None:
    evil = replace(ERROR, filename=ROOT / "\udcff.py", message="\udcff")
    text = shown(evil, INHERITED, NOTE, format=format)
    assert text == shown(evil, INHERITED, NOTE, format=format)
    text.encode()
    assert not text.endswith("\n")
