"""What the rules say happens, held against what does: their bad examples are trained by mmengine's own Runner.

    python -m tests.rules.claims [--keep FILE]

An example is a part of a config. What it leaves out is filled in from a small one that trains, as far as the rule still
finds what it found: sections, then arguments that the example's classes take. Each is loaded, built, trained for three
iterations, validated, and its checkpoint saved, in a process of its own on drawn images. A rule whose text names an
exception has to be right about it, one that says that something fails or is refused about that. Writes docs/claims.md,
and fails where a rule is wrong and is not among `DEFENDED`. What was seen is kept in FILE as it comes, and an example
that stands there is not tried again.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import json
import logging
import os
import pprint
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from provecfg.findings import Severity
from provecfg.mmconfig import read_config
from provecfg.paths import write_atomically
from provecfg.registry import registry_for
from provecfg.rules import RULES, Rule, judge

PAGE: Final = Path(__file__).parents[2] / "docs" / "claims.md"
SECONDS: Final = 60
"""A run that takes longer does not end."""
ITERATIONS: Final = 3
NAMED: Final = re.compile(r"\b[A-Z]\w*Error\b")
FAILING: Final = re.compile(r"\b(fails?|failed|refused?|refuses|raises|asserts?|assertion|error|out of bounds)\b")

DEFENDED: Final[Mapping[str, str]] = {}
"""Rules whose example does otherwise than the rule says -> why that is right."""

_PIPELINE: Final = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations"},
    {"type": "RandomCrop", "crop_size": (64, 64)},
    {"type": "PackSegInputs"},
]
_VAL_PIPELINE: Final = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations"},
    {"type": "PackSegInputs"},
]
_VAL_LOADER: Final = {
    "batch_size": 1,
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "dataset": {
        "type": "CityscapesDataset",
        "data_prefix": {"img_path": "leftImg8bit/val", "seg_map_path": "gtFine/val"},
        "pipeline": _VAL_PIPELINE,
    },
}
COMPLETE: Final[Mapping[str, Any]] = {
    "default_scope": "mmseg",
    "model": {
        "type": "EncoderDecoder",
        "data_preprocessor": {"type": "SegDataPreProcessor", "size": (64, 64)},
        "backbone": {"type": "ResNetV1c", "depth": 18, "norm_cfg": {"type": "BN"}},
        "decode_head": {
            "type": "FCNHead",
            "in_channels": 512,
            "in_index": 3,
            "channels": 8,
            "num_convs": 1,
            "num_classes": 19,
            "norm_cfg": {"type": "BN"},
            "loss_decode": {"type": "CrossEntropyLoss"},
        },
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
    },
    "train_dataloader": {
        "batch_size": 2,
        "sampler": {"type": "InfiniteSampler", "shuffle": True},
        "dataset": {
            "type": "CityscapesDataset",
            "data_prefix": {"img_path": "leftImg8bit/train", "seg_map_path": "gtFine/train"},
            "pipeline": _PIPELINE,
        },
    },
    "val_dataloader": _VAL_LOADER,
    "val_evaluator": {"type": "IoUMetric", "iou_metrics": ["mIoU"]},
    "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 40000, "val_interval": 4000},
    "val_cfg": {"type": "ValLoop"},
    "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.01}},
    "default_hooks": {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 4000}},
}
"""A config that trains, validates and saves."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run.

    Args:
        stage: Where it ended: `loading`, `building`, `first iteration`, `training`, `validation`, `saving`; `runs`
            where it did all that, `does not end` where it was stopped.
        error: Name of the exception's class; empty where there was none.
        words: What the exception said.
    """

    stage: str
    error: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule, and what its example did; `outcome` is None where the example could not be completed."""

    rule: Rule
    outcome: Outcome | None

    @property
    def says(self) -> str:
        """What the text claims."""
        text = f"{self.rule.problem.summary} {self.rule.problem.why}"
        named = list(dict.fromkeys(NAMED.findall(text)))
        return ", ".join(named) or ("fails" if FAILING.search(text) else "runs")

    @property
    def is_as_said(self) -> bool:
        """Whether what is seen is what the text claims."""
        if self.outcome is None:
            return True
        if self.says == "runs":
            return not self.outcome.error
        return bool(self.outcome.error) if self.says == "fails" else self.outcome.error in self.says.split(", ")


def claiming() -> list[Rule]:
    """The rules whose examples are tried: those of errors, and others whose text claims that something fails."""
    return [
        rule
        for rule in RULES
        if rule.severity is Severity.ERROR or NAMED.search(rule.problem.why) or FAILING.search(rule.problem.why)
    ]


def trained_examples(rules: Iterable[Rule], folder: Path, known: Mapping[str, Outcome | None]) -> Iterator[Tried]:
    """Try the examples of rules.

    Args:
        rules: The rules.
        folder: Takes what is written.
        known: Outcomes by the text of the example.
    """
    import provecfg.plugin  # the stand-in for mmcv's compiled operators, where there are none

    del provecfg.plugin
    import mmseg.datasets
    import mmseg.engine
    import mmseg.evaluation
    import mmseg.models
    import mmseg.visualization  # noqa: F401

    drawing = Drawing(train=4, val=2, width=128, height=96)
    roots = {
        "ADE20KDataset": smoke_data_for(DATASETS["ade20k"], drawing, folder / "ade20k"),
        "CityscapesDataset": smoke_data_for(DATASETS["cityscapes"], drawing, folder / "cityscapes"),
    }
    for rule in rules:
        if rule.problem.bad in known:
            yield Tried(rule, known[rule.problem.bad])
            continue
        place = folder / rule.code
        place.mkdir()
        config = completed_example(rule, place)
        yield Tried(rule, None if config is None else outcome_of(config, roots, place))


def completed_example(rule: Rule, folder: Path) -> Path | Outcome | None:
    """A file of the rule's bad example, filled in as far as the rule still finds something in it.

    Returns:
        What loading the example came to, where it cannot be loaded; None where no way of filling it in leaves the rule
        anything to find.
    """
    from mmengine.config import Config

    text = rule.problem.bad + "\n"
    parts = re.split(r"^([\w/]+\.(?:py|yaml|json)):\n", text, flags=re.MULTILINE)
    for name, part in zip(["config.py", *parts[1::2]], parts[0::2], strict=True):
        (folder / name).write_text(part, encoding="utf-8")
    try:
        example = Config.fromfile(str(folder / "config.py"), import_custom_modules=False)._cfg_dict.to_dict()
    except Exception as error:  # whatever the example makes mmengine raise is what is asked for
        return Outcome("loading", type(error).__name__, str(error))
    sections = {key: value for key, value in COMPLETE.items() if key not in example}
    for filled in (merged(COMPLETE, example), {**sections, **example}, example):
        path = folder / "completed.py"
        path.write_text("".join(f"{key} = {pprint.pformat(value)}\n" for key, value in filled.items()), "utf-8")
        view = read_config(path)
        if rule.code in {finding.code for finding in judge(view, registry=registry_for(view))}:
            return path
    return None


def merged(base: Any, example: Any) -> Any:
    """The example, with what the base has and the example does not; of another class, with what that class takes."""
    if isinstance(example, list) and isinstance(base, dict):
        return [merged(base, item) for item in example]
    if not isinstance(base, Mapping) or not isinstance(example, Mapping):
        return example
    taken = dict(base)
    if "type" in example and example["type"] != base.get("type"):
        names = arguments_of(example["type"])
        taken = {key: value for key, value in base.items() if key in names}
    both = {key: merged(value, example[key]) if key in example else value for key, value in taken.items()}
    return {**both, **{key: value for key, value in example.items() if key not in both}}


def arguments_of(name: str) -> set[str]:
    """Names that the constructor of a registered class takes, its parents' included."""
    import mmseg.registry
    from mmengine.registry import Registry

    for registry in vars(mmseg.registry).values():
        found = registry.get(name) if isinstance(registry, Registry) else None
        if inspect.isclass(found):
            constructors = [vars(cls)["__init__"] for cls in found.__mro__[:-1] if "__init__" in vars(cls)]
            return {name for constructor in constructors for name in inspect.signature(constructor).parameters}
    return set()


def outcome_of(config: Path | Outcome, roots: Mapping[str, Path], folder: Path) -> Outcome:
    """Train a config in a process of its own."""
    if isinstance(config, Outcome):
        return config
    report = folder / "outcome.json"
    child = os.fork()
    if child == 0:
        os.setsid()
        _train(config, roots, folder, report)
    begin = time.monotonic()
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() - begin > SECONDS:
            os.killpg(child, 9)
            os.waitpid(child, 0)
            return Outcome("does not end")
        time.sleep(0.05)
    return Outcome(**json.loads(report.read_text(encoding="utf-8")))


class _DoneError(Exception):
    """The run has done all that it is asked to do."""


def _train(path: Path, roots: Mapping[str, Path], folder: Path, report: Path) -> None:
    """Load, build, train, validate and save; write the outcome and end the process."""
    stage = "loading"
    outcome = Outcome("runs")
    try:
        import torch
        from mmengine.config import Config
        from mmengine.hooks import CheckpointHook
        from mmengine.runner import Runner, loops

        torch.set_num_threads(1)
        logging.disable(logging.WARNING)
        config = Config.fromfile(str(path))
        config.work_dir = str(folder / "work_dir")
        config.setdefault("env_cfg", {})["dist_cfg"] = {"backend": "gloo"}
        for name in ("train_dataloader", "val_dataloader"):
            dataset = config.get(name, {}).get("dataset") if isinstance(config.get(name), Mapping) else None
            if isinstance(dataset, Mapping):
                dataset["data_root"] = str(roots.get(str(dataset.get("type")), roots["CityscapesDataset"]))

        def stop_after(run: Any) -> Any:
            def counted(self: Any, *batch: Any) -> None:
                nonlocal stage
                stage = "training" if self._iter else "first iteration"
                run(self, *batch)
                if self._iter < ITERATIONS:
                    return
                if self.runner.val_loop is not None:
                    stage = "validation"
                    self.runner.val_loop.run()
                stage = "saving"
                for hook in self.runner.hooks:
                    if isinstance(hook, CheckpointHook):
                        hook._save_checkpoint(self.runner)
                raise _DoneError

            return counted

        for loop in (loops.IterBasedTrainLoop, loops.EpochBasedTrainLoop):
            loop.run_iter = stop_after(loop.run_iter)
        stage = "building"
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            Runner.from_cfg(config).train()
    except _DoneError:
        pass
    except BaseException as error:  # whatever is raised is what is asked for
        outcome = Outcome(stage, type(error).__name__, str(error))
    finally:
        report.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
        os._exit(0)


def page(tried: list[Tried]) -> str:
    """docs/claims.md."""
    run = [each for each in tried if each.outcome is not None]
    right = [each for each in run if each.is_as_said]
    lines = [
        "# What rules say, and what is seen",
        "",
        "<!-- Written by `make claims`. -->",
        "",
        "A rule that says that a run fails has to be right about it. The bad example of each rule of severity error, "
        "and of those others whose text speaks of a failure, is filled in to a whole config, and trained for three "
        "iterations, validated and saved by mmengine's own Runner, on drawn images. `fails` is a text that names no "
        "exception.",
        "",
        f"{len(right)} of {len(run)} do what their rule says; {len(tried) - len(run)} others cannot be filled in "
        "without mending what is wrong with them.",
        "",
        "| rule | it says | what is seen | where | as said |",
        "|---|---|---|---|---|",
    ]
    for each in tried:
        code, outcome = each.rule.code, each.outcome
        if outcome is None:
            lines.append(f"| [{code}](rules.md#{code.lower()}) | {each.says} | | not tried | |")
            continue
        words = " ".join(outcome.words.split())[:90].replace("|", "\\|")
        seen = f"{outcome.error}: `{words}`" if words else outcome.error
        verdict = "yes" if each.is_as_said else DEFENDED.get(code, "no")
        lines.append(f"| [{code}](rules.md#{code.lower()}) | {each.says} | {seen} | {outcome.stage} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Try all of them, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FILE")
    file = parser.parse_args().keep
    kept = json.loads(file.read_text(encoding="utf-8")) if file is not None and file.is_file() else {}
    known = {example: None if fields is None else Outcome(**fields) for example, fields in kept.items()}
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="provecfg-claims-") as folder:
        for each in trained_examples(claiming(), Path(folder), known):
            tried.append(each)
            if file is not None:
                kept[each.rule.problem.bad] = None if each.outcome is None else asdict(each.outcome)
                write_atomically(file, json.dumps(kept, indent=1))
        text = page(tried).replace(folder, "…")
    write_atomically(PAGE, text)
    wrong = [each.rule.code for each in tried if not each.is_as_said and each.rule.code not in DEFENDED]
    print(f"{len(tried)} examples; otherwise than said: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
