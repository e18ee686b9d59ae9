"""Prove configs: every check on each, each config in a process of its own."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from provecfg.errors import ProvecfgError, wants_traceback
from provecfg.findings import Finding, is_failure, placed
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.settings import Settings, settings_for
from provecfg.mmconfig import ConfigView, read_config
from provecfg.parallel import processors
from provecfg.proof.problems import NOT_LOADED, PROCESS_DIED, TOOK_TOO_LONG
from provecfg.proof.processes import Ended, Progress, each_in_a_process
from provecfg.proof.releases import packages_of_no_release
from provecfg.proof.section import Section, TimedSection
from provecfg.training.preflight import import_stack, read_by_mmengine, require_stack, unimportable

_PLUGIN = "provecfg.plugin"
_STACK = ("mmseg.datasets", "mmseg.models", "mmseg.engine", "mmseg.evaluation", "mmseg.visualization")
_ROOMS = "provecfg.proof.rooms"


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """What a proof is asked for.

    Args:
        device: `auto`, `cpu` or `cuda`.
        data_root: Where the datasets are; the data is looked at only then.
        cfg_options: `KEY=VALUE` texts, applied to the config as it is loaded.
        parsed_options: The same, as `read_config` takes them.
        gpu_memory: Bytes of the GPU that the forecast is held against, or None for the one that is there.
        thorough: Whether what takes long is tried, too: every variant of an augmented test, the settings of
            large parts.
        processes: How many configs are proved at a time; as many as there are processors unless given.
        seconds: How long each may take.
        progress: Told how many configs are proved, and which are at work.
        settings_at: The settings that hold in a folder: which codes are off there.
    """

    device: str = "auto"
    data_root: Path | None = None
    cfg_options: tuple[str, ...] = ()
    parsed_options: tuple[tuple[str, Any], ...] = ()
    gpu_memory: int | None = None
    thorough: bool = False
    processes: int | None = None
    seconds: float = 600.0
    progress: Callable[[int, Sequence[Path]], None] | None = None
    settings_at: Callable[[Path], Settings] = settings_for


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proved of one config, and what was not.

    Args:
        path: The config's file, as it was named.
        config: The loaded config as plain data, or None where it does not load.
        device: `cpu` or `cuda`.
        sections: In the order in which they were carried out.
        findings: What is wrong, in file order.
        files: Text of the config and its bases, by path.
        seconds: How long it took.
        packages: Top-level names of modules of no known release that were imported for it.
    """

    path: Path
    config: Mapping[str, Any] | None
    device: str
    sections: tuple[TimedSection, ...]
    findings: tuple[Finding, ...]
    files: Mapping[Path, str]
    seconds: float
    packages: tuple[str, ...] = ()

    @property
    def is_proved(self) -> bool:
        """Whether nothing is an error."""
        return not is_failure(self.findings)


def prove_configs(paths: Sequence[Path], options: ProofOptions) -> Iterator[Proof]:
    """Prove configs. This executes them.

    The stack is imported once, in this process, and each config is built and tried in a process forked from it: a crash
    of one is its own, and none sees what another registered.

    Yields:
        The proof of each, in the order of the paths.

    Raises:
        ProvecfgError: The stack is missing.
    """
    require_stack()
    for path in paths:
        options.settings_at(path.absolute().parent)  # what is wrong with them is said before anything is executed
    _import_before_forking(options.device)
    processes = options.processes or (processors() if not _has_cuda(options.device) else 1)
    with tempfile.TemporaryDirectory(prefix="provecfg-proof-") as folder:

        def prove(job: tuple[Path, Path]) -> Proof:
            path, work_dir = job
            work_dir.mkdir()
            return _prove(path, options, work_dir)

        jobs = [(path, Path(folder, str(index))) for index, path in enumerate(paths)]
        results = each_in_a_process(
            prove,
            jobs,
            processes=processes,
            seconds=options.seconds,
            silent=not wants_traceback(),
            progress=_of_paths(options.progress),
        )
        for path, result in zip(paths, results, strict=True):
            yield _unfinished(path, options, result) if isinstance(result, Ended) else result


def _of_paths(progress: Callable[[int, Sequence[Path]], None] | None) -> Progress | None:
    return None if progress is None else lambda done, jobs: progress(done, [path for path, _ in jobs])


def _import_before_forking(device: str) -> None:
    if device == "cpu":
        # mmengine asks torch once, when it is imported.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    # Or else torch asks CUDA itself, and no forked process could use it any more.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages, on import
        # The plugin also for configs that do not name it: with it comes the stand-in for mmcv's compiled operators,
        # without which mmdet cannot be imported. Each process takes the plugin's classes away again, see `_import_for`.
        for module in (_PLUGIN, *_STACK, _ROOMS):
            try:
                importlib.import_module(module)
            except (Exception, SystemExit) as error:  # of a fork on PYTHONPATH, in any way
                raise unimportable("mmseg", error) from error


def _has_cuda(device: str) -> bool:
    import torch

    return device != "cpu" and torch.cuda.is_available()


def _prove(path: Path, options: ProofOptions, work_dir: Path) -> Proof:
    """Every check of one config, in the process that is its own."""
    import torch

    from provecfg.proof.declared.loading import watched_loading
    from provecfg.proof.rooms import sections_of
    from provecfg.proof.subject import Subject

    warnings.simplefilter("ignore")  # of the config's classes: what matters of it is a finding
    torch.set_num_threads(1)  # crops are small: threads would mostly wait for each other
    started, before = time.monotonic(), frozenset(sys.modules)
    device = "cuda" if _has_cuda(options.device) else "cpu"
    view, files = _read(path, options)
    config: Any = None
    stage = ""  # the key that is at fault where it does not load
    sections: list[TimedSection] = []
    try:
        with watched_loading() as loaded_files:
            config = read_by_mmengine(path, options.cfg_options)
        stage = "custom_imports" if config.get("custom_imports") else ""
        _import_for(config, path.parent)
    except ProvecfgError as error:
        loaded = Section("loaded", findings=(Finding(NOT_LOADED, error.message, stage, error.hint),))
        sections.append(TimedSection(loaded, time.monotonic() - started))
    else:
        sections += sections_of(
            Subject(
                path.absolute(),
                config,
                device,
                options.data_root,
                work_dir,
                tuple(loaded_files),
                options.gpu_memory,
                options.thorough,
            )
        )
    sections, findings = _screened(sections, path, view, files, options)
    return Proof(
        path=path,
        config=None if config is None else config.to_dict(),
        device=device,
        sections=tuple(sections),
        findings=tuple(findings),
        files=files,
        seconds=time.monotonic() - started,
        packages=packages_of_no_release(before),
    )


def _screened(
    sections: Sequence[TimedSection],
    path: Path,
    view: ConfigView,
    files: Mapping[Path, str],
    options: ProofOptions,
) -> tuple[list[TimedSection], list[Finding]]:
    """The sections with the findings that neither settings nor comments silence, and these in file order."""
    located = [
        replace(timed.section, findings=tuple(placed(finding, path, view) for finding in timed.section.findings))
        for timed in sections
    ]
    every = tuple(finding for section in located for finding in section.findings)
    shown = screened([Judgement(view.path, every, files)], options.settings_at)
    kept = {replace(finding, caused_by=None) for finding in shown}
    return [
        replace(
            timed,
            section=replace(section, findings=tuple(finding for finding in section.findings if finding in kept)),
        )
        for timed, section in zip(sections, located, strict=True)
    ], shown


def _read(path: Path, options: ProofOptions) -> tuple[ConfigView, dict[Path, str]]:
    view = read_config(path, cfg_options=options.parsed_options)
    return view, {file: view.sources(file) for file in view.files}


def _import_for(config: Any, folder: Path) -> None:
    """Import what the config imports, and leave the plugin's classes registered only where that brings them."""
    imports = (config.get("custom_imports") or {}).get("imports") or []
    names = [imports] if isinstance(imports, str) else list(imports)
    if any(_is_of_plugin(name) for name in names):
        import_stack(config, folder)
        return
    classes, modules = _unregistered()
    import_stack(config, folder)
    comes_along = _PLUGIN in sys.modules  # a module of the user's has imported it
    # The same classes as before come back, not new ones beside them: this module's checks know those.
    _unregistered()
    sys.modules.update(modules)
    vars(sys.modules["provecfg"])["plugin"] = modules[_PLUGIN]
    if comes_along:
        for registry, name, cls in classes:
            registry.module_dict[name] = cls


def _is_of_plugin(module: str) -> bool:
    return module == _PLUGIN or module.startswith(f"{_PLUGIN}.")


def _unregistered() -> tuple[list[tuple[Any, str, Any]], dict[str, ModuleType]]:
    """The plugin's classes, each with its registry, and its modules, neither of them where they were any more."""
    from mmengine.registry import Registry, root

    classes = []
    for tree in (value for value in vars(root).values() if isinstance(value, Registry)):
        for registry in (tree, *tree.children.values()):
            for name, cls in list(registry.module_dict.items()):
                if _is_of_plugin(str(getattr(cls, "__module__", ""))):
                    classes.append((registry, name, registry.module_dict.pop(name)))
    # The stand-in for mmcv's operators has its place among mmcv's modules, and keeps it.
    names = [name for name in sys.modules if _is_of_plugin(name) and name != f"{_PLUGIN}.mmcv_ops"]
    return classes, {name: sys.modules.pop(name) for name in names}


def _unfinished(path: Path, options: ProofOptions, ended: Ended) -> Proof:
    problem = PROCESS_DIED if ended.in_time else TOOK_TOO_LONG
    view, files = _read(path, options)
    finding = Finding(problem, f"the proof {ended.reason}", hint=_hint(ended))
    loaded = TimedSection(Section("loaded", findings=(finding,)), ended.seconds)
    sections, findings = _screened([loaded], path, view, files, options)
    return Proof(
        path=path,
        config=None,
        device=options.device,
        sections=tuple(sections),
        findings=tuple(findings),
        files=files,
        seconds=ended.seconds,
    )


def _hint(ended: Ended) -> str:
    if "SIGKILL" in ended.reason:
        return "if memory ran out, prove fewer at a time: --jobs 1"
    if ended.in_time:
        return "PROVECFG_FULL_ERROR=1 with --jobs 1 shows more"
    return "give it more with --timeout, or see what it builds with `provecfg show`"
