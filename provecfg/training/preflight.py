"""All that is checked before a run trains, said at once."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import io
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.facts.facts import Facts
from provecfg.files import read_text
from provecfg.findings import Finding, Severity, in_file_order, placed
from provecfg.invariants import images_for_pooled_batch_norm
from provecfg.mmconfig.view import ConfigView
from provecfg.pairs import Selection
from provecfg.registry.builders import OPTIONAL
from provecfg.rules.heads.segmentor import SYNCHRONISED_NORMS, normalising_pooled
from provecfg.training.fingerprint import fingerprint_of, stopping_of
from provecfg.training.options import RunOptions
from provecfg.training.problems import AMP_ON_CPU, NO_SUCH_DEVICE, NO_SUCH_OPTIMIZER, ONE_IMAGE_TO_NORMALISE
from provecfg.training.work_dir import WorkDir, check_lease, check_work_dir, read_work_dir, work_dir_of

_STACK = ("torch", "mmengine", "mmcv", "mmseg")
_LAUNCHED = "RANK"  # torchrun sets it in the processes that it starts


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to train, or the reasons why it is not.

    Args:
        path: The config's file.
        name: The config's name.
        config: The loaded mmengine Config, changed as the options say.
        options: What was asked for.
        fingerprint: See `fingerprint.fingerprint_of`; `data` is the digest of the data's own, where there is one.
        stopping: See `fingerprint.stopping_of`.
        work_dir: The work dir as it was found.
        device: `cpu`, `cuda` or another that mmengine knows.
        files: Text of the config and its bases, by path.
        findings: What the checks found, in file order.
    """

    path: Path
    name: str
    config: Any
    options: RunOptions
    fingerprint: Mapping[str, str]
    stopping: str
    work_dir: WorkDir
    device: str
    files: Mapping[Path, str]
    findings: tuple[Finding, ...]

    @property
    def is_ready(self) -> bool:
        """Whether nothing stands in the way."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to train."""
        return self.options.resume and self.work_dir.is_complete(self.fingerprint, self.stopping)

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint to go on from."""
        return self.work_dir.resume_from if self.options.resume else None


def prepare(path: Path, options: RunOptions, view: ConfigView | None = None) -> Prepared:
    """Load a config (which executes it), change it as the options say, and check all that training needs.

    Args:
        path: The config.
        options: What was asked for.
        view: The same config as data, for the places in the file that findings point at.

    Returns:
        What is ready to train, unless its findings have errors. A process that torchrun started is told nothing new:
        the process that started torchrun has checked.

    Raises:
        ProvecfgError: The stack is missing, or the config does not load.
    """
    require_stack()
    choose_device(options.device)
    declared = read_by_mmengine(path, options.cfg_options)
    load_from = declared.get("load_from")
    config, name = _adapted(declared, path, options), path.stem
    fingerprint, stopping = fingerprint_of(config), stopping_of(config)
    from provecfg.data.recorded_fingerprint import recorded_digest, recorded_fingerprint
    from provecfg.training.data_survey import check_survey

    recorded = None if options.smoke else recorded_fingerprint(path, _text(path))
    digest = recorded_digest(recorded)
    if digest is not None:  # a run of other data is another run
        fingerprint = {**fingerprint, "data": digest}
    work_dir = read_work_dir(Path(config.work_dir), smoke=options.smoke, fingerprint=fingerprint)
    files = {file: view.sources(file) for file in view.files} if view else {path.absolute(): _text(path)}
    is_worker = _LAUNCHED in os.environ
    findings: list[Finding] = []
    if options.resume and work_dir.is_complete(fingerprint, stopping):
        device = work_dir.record.attempts[-1].device if work_dir.record else options.device
    else:
        # The files are looked at while the imports take their seconds: decoding needs no interpreter lock.
        data = None if is_worker else _in_background(config)
        import_stack(config, path.parent)
        device = _device()
        if options.smoke and device == "cpu":
            config = _in_full_precision(config)
        if data is not None:
            work_dir, findings = _check_work_dir(work_dir, fingerprint, options)
            if options.is_first_machine:  # the others train in its work dir, with it
                findings += check_lease(work_dir.path)
            findings += _check_device(config, options, device)
            findings += _check_optimizer(config)
            findings += _check_batch_norm(config, view, options)
            findings += _check_weights(config, load_from, options, resumed=work_dir.resume_from is not None)
            findings += data.result()
            findings += _check_other_data(config)
            if not options.smoke:
                findings += check_survey(config, recorded)
    findings = in_file_order([placed(finding, path.absolute(), view) for finding in findings])
    return Prepared(path, name, config, options, fingerprint, stopping, work_dir, device, files, tuple(findings))


def prepared_again(prepared: Prepared) -> Prepared:
    """What was prepared, with the work dir as it is now, where another process may have used it since.

    For the holder of the work dir's lease, after which nobody else changes it.

    Raises:
        ProvecfgError: It cannot be gone on in any more; says why.
    """
    options, fingerprint = prepared.options, prepared.fingerprint
    work_dir = read_work_dir(prepared.work_dir.path, smoke=options.smoke, fingerprint=fingerprint)
    if (work_dir.record, work_dir.newest) == (prepared.work_dir.record, prepared.work_dir.newest):
        return prepared
    if not (options.resume and work_dir.is_complete(fingerprint, prepared.stopping)):
        work_dir, findings = _check_work_dir(work_dir, fingerprint, options)
        for finding in findings:
            if finding.severity is Severity.ERROR:
                raise ProvecfgError(finding.message, hint=finding.hint, exit_code=ExitCode.FINDINGS)
    return dataclasses.replace(prepared, work_dir=work_dir)


def require_stack() -> None:
    """Refuse to go on without the packages that training needs.

    Raises:
        ProvecfgError: Names the first that is missing, and the extra that brings it.
    """
    for package in _STACK:
        if sys.modules.get(package, package) is None or find_spec(package) is None:
            raise ProvecfgError(f"training needs {package}: pip install 'provecfg[train]'")


def load_config(path: Path, options: RunOptions) -> Any:
    """The config as mmengine loads it (executing it), changed as the options say. Modules it names are not imported."""
    return _adapted(read_by_mmengine(path, options.cfg_options), path, options)


def _adapted(config: Any, path: Path, options: RunOptions) -> Any:
    from provecfg.training import adapt

    if config.get("train_cfg") is None or config.get("train_dataloader") is None:
        raise ProvecfgError(f"{path} has no training loop: train_cfg or train_dataloader is absent")
    if config.get("runner_type", "Runner") != "Runner":
        raise ProvecfgError(f"{path}: runner_type {config.runner_type!r}: only mmengine's Runner is run here")
    if options.smoke:
        config = adapt.for_smoke(config, functools.partial(_smoke_root, path, options))
    elif options.data_root is not None:
        config = adapt.with_data_root(config, options.data_root)
    if options.max_iters is not None:
        config = adapt.with_max_iters(config, options.max_iters)
    if not options.pretrained:
        config = adapt.without_pretrained(config)
    config.work_dir = str(
        work_dir_of(path, config, chosen=options.work_dir, cfg_options=options.cfg_options, smoke=options.smoke)
    )
    return config


def _smoke_root(path: Path, options: RunOptions, key: str, dataset: Any) -> Path:
    """Where the drawn data of a dataset is."""
    from provecfg.data.layouts import paired_layout
    from provecfg.data.scenes import Drawing, smoke_data_for, smoke_split_for
    from provecfg.training.adapt import catalog_dataset

    if options.data_root is not None:
        return options.data_root
    known = catalog_dataset(dataset)
    if known is not None:
        return smoke_data_for(known)
    layout = paired_layout(dataset)
    if layout is None:
        raise ProvecfgError(
            f"{path}: --smoke draws data in the layout of datasets that it knows, and not of {dataset.get('type')}",
            hint="train it on its own data for a few iterations: --max-iters 10",
        )
    # A list or a share is of files that are there.
    layout = dataclasses.replace(layout, selection=Selection(layout.selection.images, layout.selection.labels))
    drawing = Drawing()
    return smoke_split_for(layout, drawing.train if key.startswith("train_dataloader") else drawing.val, drawing)


def read_by_mmengine(path: Path, cfg_options: Sequence[str] = ()) -> Any:
    """The config as mmengine loads it (executing it), with `KEY=VALUE` options. Modules it names are not imported.

    Raises:
        ProvecfgError: It does not load.
    """
    from mmengine.config import Config, DictAction

    try:
        with _scope_of_onedl():
            config = Config.fromfile(str(path), import_custom_modules=False)
        if cfg_options:
            pairs = (option.partition("=") for option in cfg_options)
            config.merge_from_dict({key: DictAction._parse_iterable(value) for key, _, value in pairs})
    except Exception as error:  # a config is a program, and can fail in any way
        raise ProvecfgError(
            f"{path} does not load: {type(error).__name__}: {error}", exit_code=ExitCode.FINDINGS
        ) from error
    return config


@contextlib.contextmanager
def _scope_of_onedl() -> Iterator[None]:
    """Let bases such as `mmseg::...` be found where mmsegmentation is OneDL's.

    mmengine looks for the scope's package under upstream's name only (onedl-mmengine 0.10.12, config/utils.py).
    """
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.utils import is_installed

    upstream = MODULE2PACKAGE["mmseg"]
    if not is_installed(upstream):
        MODULE2PACKAGE["mmseg"] = "mmseg"
    try:
        yield
    finally:
        MODULE2PACKAGE["mmseg"] = upstream


def import_stack(config: Any, folder: Path) -> None:
    """Import torch, mmengine's Runner, and the modules that the config names.

    Args:
        config: The loaded config.
        folder: Where the config is. Modules beside it can be imported, after all that can be imported anyway.

    Raises:
        ProvecfgError: One of them cannot be imported.
    """
    if str(folder.absolute()) not in sys.path:
        sys.path.append(str(folder.absolute()))
    # mmseg and mmdet print about packages that they could use.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            from mmengine.utils import import_modules_from_strings

            custom_imports = config.get("custom_imports") or {}
            if custom_imports:
                import_modules_from_strings(**custom_imports)
            for part in config.values():
                _build_lazily_imported(part)
        except (Exception, SystemExit) as error:  # a module is a program, and can fail in any way
            raise ProvecfgError(
                f"a module that the config imports cannot be imported: {cause_of(error)}",
                hint=_hint_for_import(error),
                exit_code=ExitCode.FINDINGS,
            ) from error
        try:
            importlib.import_module("mmseg.datasets")
        except (Exception, SystemExit) as error:  # a fork's may be anything
            raise unimportable("mmseg", error) from error


def unimportable(package: str, error: BaseException) -> ProvecfgError:
    """What is said where a package of the stack is there, and cannot be imported: which one it is, and why."""
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    return ProvecfgError(
        f"{package} cannot be imported from {places[0] if places else 'where it is'}: {cause_of(error)}",
        hint="mend it, or take it off PYTHONPATH",
    )


def cause_of(error: BaseException) -> str:
    """What a module of the config raised, with its line of source, though mmengine has hidden it in an ImportError."""
    first = _raised_by_config(error)
    text = next((line.strip() for line in str(first).splitlines() if line.strip()), "")
    cause = f"{type(first).__name__}: {text}" if text else type(first).__name__
    frames = [frame for frame in traceback.extract_tb(first.__traceback__) if not _is_importing(frame.filename)]
    frames = [frame for frame in frames if frame.filename != __file__]
    if frames:
        file = Path(frames[-1].filename)
        name = f"{file.parent.name}/{file.name}" if file.name == "__init__.py" else file.name
        return f"{cause} ({name}, line {frames[-1].lineno}: `{frames[-1].line}`)"
    after = str(error).splitlines()[0] if str(error) else ""
    return after if text and text in after else f"{after}: {cause}" if after else cause


def _raised_by_config(error: BaseException) -> BaseException:
    """The exception itself, or what it came from where mmengine raised it."""
    while (before := error.__cause__ or error.__context__) is not None:
        frames = traceback.extract_tb(error.__traceback__)
        if not frames or not _is_importing(frames[-1].filename):
            break
        error = before
    return error


def _is_importing(filename: str) -> bool:
    """Whether a frame is of what imports, and not of what is imported."""
    path = Path(filename)
    return filename.startswith("<frozen") or path.parent.name == "importlib" or "mmengine" in path.parts


_RENAMED = {"mmcls": "mmpretrain"}
"""Packages of OpenMMLab that go by another name since (mmpretrain 1.0, docs/en/changelog.md)."""


def _hint_for_import(error: BaseException) -> str:
    first = _raised_by_config(error)
    missing = first.name if isinstance(first, ModuleNotFoundError) else None
    if missing is None:
        return "mend that module; the config imports it, itself or by custom_imports"
    if (renamed := _RENAMED.get(missing.partition(".")[0])) is not None:
        return f"the package is called {renamed} now: install it, and name that"
    return f"{missing!r} has to be installed, on PYTHONPATH or beside the config"


def _build_lazily_imported(value: Any) -> None:
    """Import what a config of the newer syntax names, which mmengine does only when it is asked for it."""
    if isinstance(value, dict):
        for part in value.values():
            _build_lazily_imported(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _build_lazily_imported(part)


def _in_background(config: Any) -> Future[list[Finding]]:
    from provecfg.training.data_checks import check_data

    pool = ThreadPoolExecutor(1, thread_name_prefix="data-check")
    future = pool.submit(check_data, config, known=True)
    pool.shutdown(wait=False)
    return future


def _check_other_data(config: Any) -> list[Finding]:
    from provecfg.training.data_checks import check_data

    return check_data(config, known=False)


def _check_work_dir(
    work_dir: WorkDir, fingerprint: Mapping[str, str], options: RunOptions
) -> tuple[WorkDir, list[Finding]]:
    """The work dir with a checkpoint that is whole, and what stands against training in it."""
    from provecfg.training.weight_checks import check_resumed, with_whole_checkpoint

    findings = check_work_dir(work_dir, fingerprint, smoke=options.smoke, resume=options.resume)
    if options.resume and work_dir.resume_from is not None:
        work_dir = with_whole_checkpoint(work_dir)
        findings += check_resumed(work_dir, trusted=options.trust_checkpoint)
    return work_dir, findings


def _check_weights(config: Any, load_from: str | None, options: RunOptions, *, resumed: bool) -> list[Finding]:
    from provecfg.training.weight_checks import check_dropped, check_weights

    resumed = resumed and options.resume
    findings = check_weights(config, trusted=options.trust_checkpoint, resumed=resumed)
    if not (options.pretrained or options.smoke or resumed):
        findings += check_dropped(load_from)
    return findings


def _in_full_precision(config: Any) -> Any:
    from provecfg.training.adapt import without_amp

    return without_amp(config)


def choose_device(device: str) -> None:
    """Let mmengine find no other device than the wanted one; before anything imports it."""
    if device == "cpu":
        # mmengine asks torch once, when it is imported.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def _device() -> str:
    from mmengine.device import get_device

    return str(get_device())


def _check_device(config: Any, options: RunOptions, device: str) -> list[Finding]:
    import torch

    findings = []
    if options.device == "cuda" and device != "cuda":
        built = f"torch {torch.__version__} is built without CUDA" if torch.version.cuda is None else "torch finds none"
        findings.append(
            Finding(NO_SUCH_DEVICE, f"there is no CUDA device: {built}", hint="--device cpu, or auto for what there is")
        )
    elif device == "cuda" and torch.cuda.device_count() < options.gpus:
        findings.append(
            Finding(
                NO_SUCH_DEVICE,
                f"--gpus {options.gpus}, and there are {torch.cuda.device_count()} CUDA devices",
                hint="lower --gpus, or make more visible with CUDA_VISIBLE_DEVICES",
            )
        )
    if device == "cpu" and (config.get("optim_wrapper") or {}).get("type") == "AmpOptimWrapper":
        findings.append(
            Finding(
                AMP_ON_CPU,
                "AmpOptimWrapper trains in mixed precision, which mmengine has on accelerators only",
                "optim_wrapper.type",
                hint="train on a GPU, or in full precision: set runtime.amp to false in the study, or use OptimWrapper "
                "without loss_scale",
            )
        )
    return findings


def _check_optimizer(config: Any) -> list[Finding]:
    """An optimizer that no package registers here: mmengine would call None, and say that it is not callable."""
    from mmengine.registry import OPTIMIZERS

    optimizer = (config.get("optim_wrapper") or {}).get("optimizer")
    kind = optimizer.get("type") if isinstance(optimizer, dict) else None
    if not isinstance(kind, str):
        return []
    # as mmengine builds it: from the registry of the config's scope, where the user's package may have put it
    with OPTIMIZERS.switch_scope_and_registry(config.get("default_scope")) as registry:
        if registry.get(kind) is not None:
            return []
    message = f"no optimizer is registered as {kind!r}"
    return [Finding(NO_SUCH_OPTIMIZER, message, "optim_wrapper.optimizer.type", hint=hint_for_optimizer(kind))]


def hint_for_optimizer(kind: str) -> str:
    """What to do where an optimizer of this name is not registered."""
    package = OPTIONAL["optimizer"].get(kind)
    if package is not None:
        return f"mmengine registers it where the package {package!r} is installed"
    return "custom_imports has to import the module that registers it"


def _check_batch_norm(config: Any, view: ConfigView | None, options: RunOptions) -> list[Finding]:
    """What a config cannot tell and the number of processes does: whether SyncBN has two images."""
    message = images_for_pooled_batch_norm(config.train_dataloader.get("batch_size") or 1)
    if view is None or message is None or options.processes > 1:
        return []
    kind = normalising_pooled(Facts(view), SYNCHRONISED_NORMS)
    if kind is None:
        return []
    key = "train_dataloader.batch_size"
    hint = "set batch_size=2 or more, or train on several processes: --gpus 2"
    return [Finding(ONE_IMAGE_TO_NORMALISE, f"{kind}, SyncBN on one process: {message}", key, hint=hint)]


def _text(path: Path) -> str:
    return read_text(path, errors="replace")
