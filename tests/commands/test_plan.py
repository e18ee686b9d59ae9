from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.results.statistics import FEWEST_SEEDS, seeds_needed

if importlib.util.find_spec("scipy") is None:
    pytest.skip("needs scipy, which comes with the stack", allow_module_level=True)

from tests.results.simulated_study import Effects, study_of, write_study

Command = Callable[..., tuple[int, str, str]]


def plans(provecfg: Command, *arguments: object) -> dict[str, object]:
    code, out, err = provecfg("plan", *arguments, "--output-format", "json")
    assert code == 0, err
    return json.loads(out)


def test_the_seeds_are_those_that_find_the_difference(provecfg: Command) -> None:
    data = plans(provecfg, "loss-study", "--detect", 0.5, "--seed-sd", 0.6)
    assert (data["models"], data["losses"]) == (6, 4)
    (plan,) = data["plans"]
    seeds = seeds_needed(0.5, 0.6, blocks=6, losses=3)
    assert plan["seeds"] == seeds
    assert plan["cells"] == 24 * seeds
    assert plan["hours"] is None
    smallest = plan["smallest_effects"]
    assert list(smallest.values()) == sorted(smallest.values(), reverse=True)
    assert smallest["8"] > 0.5 > smallest["12"]


def test_without_a_standard_deviation_the_usual_ones_are_shown(provecfg: Command) -> None:
    code, out, _ = provecfg("plan", "loss-study", "--detect", 0.5)
    assert code == 0
    assert out.count("sd of a training") == 3
    assert "How much trainings vary is not known: give --seed-sd" in out


def test_few_models_need_seeds_for_a_test(provecfg: Command, tmp_path: Path) -> None:
    study = tmp_path / "small.yaml"
    study.write_text("name: small\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none, focal]}\n")
    code, out, _ = provecfg("plan", study, "--detect", 5, "--seed-sd", 0.5)
    assert code == 0
    assert out.startswith(f"{study}: 1 model, 1 loss against the reference\n")
    (plan,) = plans(provecfg, study, "--detect", 5, "--seed-sd", 0.5)["plans"]
    assert plan["seeds"] == FEWEST_SEEDS
    assert plan["smallest_effects"]["3"] is None


def test_noise_and_hours_are_taken_from_runs(provecfg: Command, tmp_path: Path) -> None:
    write_study(tmp_path / "runs", study_of(models=2, seeds=3), Effects(run_sd=0.5))
    study = tmp_path / "next.yaml"
    study.write_text("name: next\nmodels: [deeplabv3plus_r50, pspnet_r50]\n")
    (plan,) = plans(provecfg, study, "--detect", 1.0, "--measured", tmp_path / "runs")["plans"]
    assert plan["seed_sd"] == pytest.approx(0.5, abs=0.15)
    # 30,000 iterations to the earliest stop and 80,000 to the end, of half a second each.
    assert plan["hours"] == pytest.approx([plan["cells"] * iters * 0.5 / 3600 for iters in (30_000, 80_000)])
    study.write_text("name: next\nmodels: [deeplabv3plus_r50, hrnet_hr48]\n")
    (plan,) = plans(provecfg, study, "--detect", 1.0, "--measured", tmp_path / "runs")["plans"]
    assert plan["hours"] is None, "no step of hrnet_hr48 was measured"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml", "--detect", "1"], "nowhere.yaml does not exist"),
        (["one.yaml", "--detect", "1"], "one.yaml has one loss, so it has no difference to find"),
        (["loss-study", "--detect", "0"], "0"),
        (["loss-study", "--detect", "1", "--measured", "."], "no cell in . has two complete seeds"),
    ],
)
def test_what_cannot_be_planned_is_named(
    arguments: list[str], message: str, provecfg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text("name: one\nlosses: {auxiliary: [none]}\n")
    code, _, err = provecfg("plan", *arguments)
    assert code == 2
    assert message in err
