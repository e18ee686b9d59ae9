"""`provecfg run`: validate, check the data and the machine, train."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provecfg.commands.cfg_options import CommandWithCfgOptions, parse_cfg_options
from provecfg.commands.findings import settings_reader, show_findings
from provecfg.commands.options import Terminal, terminal_options
from provecfg.engines.cell_process import end_with_engine
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.findings import Finding, is_failure, placed
from provecfg.findings.pipeline import screened
from provecfg.header import Header
from provecfg.interruption import StopRequested, StopSignals
from provecfg.mmconfig import ConfigView, read_config
from provecfg.targets import refuse_study

if TYPE_CHECKING:
    from provecfg.training.options import RunOptions
    from provecfg.training.outcome import Outcome
    from provecfg.training.preflight import Prepared


@click.command(cls=CommandWithCfgOptions)
@click.argument("configs", metavar="CONFIG...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--smoke", is_flag=True, help="A few iterations on data that provecfg draws: does it train at all?")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Read every dataset of the config from here.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="What to train on."
)
@click.option("--gpus", type=click.IntRange(min=1), default=1, metavar="N", help="Processes on each machine.")
@click.option("--nodes", type=click.IntRange(min=1), default=1, metavar="N", help="Machines.")
@click.option(
    "--launcher",
    type=click.Choice(["none", "pytorch", "slurm"]),
    default="none",
    help="`pytorch` starts torchrun even for one process; several always do. `slurm`: srun has started a task a GPU.",
)
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where checkpoints and logs go; with several configs, a folder of each below it.",
)
@click.option(
    "--resume/--no-resume", default=True, help="Go on where the work dir stopped (default), or refuse a used one."
)
@click.option(
    "--max-iters", type=click.IntRange(min=1), metavar="N", help="Iterations; the schedule and the intervals follow."
)
@click.option("--no-pretrained", is_flag=True, help="Start from random weights.")
@click.option("--trust-checkpoint", is_flag=True, help="Load checkpoints that hold more than data and can run code.")
@click.option("--cfg-options", multiple=True, metavar="KEY=VALUE...", help="Change the config, as mmseg's tools do.")
@click.option("--dry-run", is_flag=True, help="Check and build everything, print what would run, and train nothing.")
@click.option("--require-proof", is_flag=True, help="Train only what `provecfg prove` has proved, as it is now.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first config that fails.")
@click.option("--parallel", metavar="N|auto", help="Train so many at once; `auto`: as many as there are GPUs for.")
@click.option("--gpus-per-run", type=click.IntRange(min=1), metavar="N", help="GPUs of each, with --parallel.")
@click.option("--devices", metavar="LIST", help="The GPUs that --parallel may use, as 0,1,3.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    metavar="N",
    help="How often to start again what was killed, with --parallel.  [default: 1]",
)
@terminal_options
def command(
    configs: tuple[Path, ...],
    work_dir: Path | None,
    no_pretrained: bool,
    cfg_options: tuple[str, ...],
    dry_run: bool,
    require_proof: bool,
    fail_fast: bool,
    parallel: str | None,
    gpus_per_run: int | None,
    devices: str | None,
    retries: int | None,
    terminal: Terminal,
    **asked: Any,
) -> int:
    """Train configs, one after the other or several at once. This executes them.

    Each is validated first, then the data, the weights, the device and the disk are checked, and all that is wrong is
    said before anything trains. The work dir keeps the config, a record and the checkpoints; running the same command
    again goes on where it stopped. Ctrl-C, SIGTERM and SIGHUP write a checkpoint first (exit code 130); SIGUSR1 and
    SIGUSR2, which schedulers send before a time limit, too, and ask to be started again (exit code 75).

    With --parallel each config is a process of its own on GPUs of its own, and the next begins where one ends. What
    they print is in `console.log` of their work dirs.
    """
    from provecfg.training.options import RunOptions

    signals = StopSignals()
    end_with_engine()
    for path in configs:
        if not path.is_file():
            raise ProvecfgError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
        refuse_study(path, "train")
    parse_cfg_options(cfg_options)  # wrong usage is said before anything else
    options = RunOptions(
        work_dir=work_dir,
        pretrained=not no_pretrained,
        cfg_options=cfg_options,
        command=tuple(sys.argv),
        quiet=terminal.quiet,
        verbose=terminal.verbose,
        **asked,
    )
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ProvecfgError(
            "this process was started by torchrun, which `provecfg run` starts itself",
            hint="provecfg run CONFIG --gpus N --nodes N",
        )
    of_queue = {"--gpus-per-run": gpus_per_run, "--devices": devices, "--retries": retries}
    if parallel is not None and options.launcher == "slurm":
        raise click.UsageError("--parallel starts its runs itself, and srun would have started them: leave one out")
    if parallel is None and (unused := [name for name, value in of_queue.items() if value is not None]):
        raise click.UsageError(f"{unused[0]} is for --parallel")
    try:
        with signals.listening():
            if parallel is not None:
                from provecfg.commands.run_parallel import Queueing, run_in_parallel

                queueing = Queueing(parallel, gpus_per_run, devices, 1 if retries is None else retries, fail_fast)
                return run_in_parallel(
                    configs, options, queueing, signals, terminal, dry_run=dry_run, require_proof=require_proof
                )
            if options.launcher == "slurm":
                return _run_under_srun(configs, options, signals, terminal, dry_run, require_proof, fail_fast)
            return _run_all(configs, options, signals, terminal, dry_run, require_proof, fail_fast)
    except StopRequested as stop:
        click.echo(f"{stop} while nothing was training: there is nothing to save", err=True)
        return ExitCode.REQUEUE if stop.requeue else ExitCode.INTERRUPTED


def _run_under_srun(configs: tuple[Path, ...], options: RunOptions, signals: StopSignals, *further: Any) -> int:
    """The same in a task of srun's: the first of its node runs the configs, the others wait for it."""
    from provecfg.training.srun import slurm_task

    task = slurm_task()
    if options.gpus != 1 or options.nodes != 1:
        raise click.UsageError("--gpus and --nodes are srun's to say, with --launcher slurm")
    if task.index_on_node != 0:
        signals.finish()
        return task.follow()
    os.environ.update(task.rendezvous())
    launched = replace(options, launcher="pytorch", gpus=task.tasks_per_node, nodes=task.nodes)
    with task.leading() as code:
        code.append(_run_all(configs, launched, signals, *further))
    return code[0]


def _run_all(
    configs: tuple[Path, ...],
    options: RunOptions,
    signals: StopSignals,
    terminal: Terminal,
    dry_run: bool,
    require_proof: bool,
    fail_fast: bool,
) -> int:
    failed: list[str] = []
    work_dir = options.work_dir
    for path in configs:
        signals.start_over()
        own = replace(options, work_dir=work_dir / path.stem) if work_dir and len(configs) > 1 else options
        try:
            code = _run(path, own, signals, terminal, dry_run=dry_run, require_proof=require_proof)
        except ProvecfgError as error:
            if len(configs) == 1:
                raise
            terminal.failure(f"{path.stem}: error: {error}")
            code = error.exit_code
        if code in (ExitCode.INTERRUPTED, ExitCode.REQUEUE):
            return code
        if code != ExitCode.CLEAN:
            failed.append(path.stem)
            if fail_fast or len(configs) == 1:
                return code
    if failed:
        terminal.failure(f"{len(failed)} of {len(configs)} failed: {', '.join(failed)}")
    return ExitCode.FINDINGS if failed else ExitCode.CLEAN


def _run(
    path: Path,
    options: RunOptions,
    signals: StopSignals,
    terminal: Terminal,
    *,
    dry_run: bool,
    require_proof: bool,
) -> int:
    from provecfg.training import preflight
    from provecfg.validate import judgement_of_view

    preflight.require_stack()
    view = read_config(path, cfg_options=parse_cfg_options(options.cfg_options))
    judgement = judgement_of_view(view)
    settings_at = settings_reader()

    def passes(findings: Iterable[Finding], *, says_unused: bool = False) -> bool:
        """Show what was found, and say whether none of it keeps the config from training."""
        judged = replace(judgement, findings=tuple(findings))
        shown = screened([judged], settings_at, says_unused=says_unused)
        show_findings(shown, terminal, files=[view.path], texts=judgement.texts, on_stderr=True, says_none=False)
        return not is_failure(shown)

    if not passes(judgement.findings, says_unused=True):
        terminal.note(f"{path.stem}: not trained, see `provecfg validate {path}`")
        return ExitCode.FINDINGS
    if require_proof and not passes(_missing_proof(path, options, view)):
        terminal.note(f"{path.stem}: not trained, --require-proof asks for a fresh proof")
        return ExitCode.FINDINGS
    prepared = preflight.prepare(path, options, view)
    unbuilt = _unbuilt(prepared, view) if dry_run and not prepared.is_complete else []
    if not passes([*prepared.findings, *unbuilt]):
        terminal.note(f"{path.stem}: not trained")
        return ExitCode.FINDINGS
    if dry_run:
        terminal.result(_plan_of(prepared))
        return ExitCode.CLEAN
    if prepared.is_complete and prepared.work_dir.record is not None:
        terminal.note(f"{prepared.name}: already {prepared.work_dir.record.state}, see {prepared.work_dir.path}")
        return ExitCode.CLEAN
    terminal.detail(_plan_of(prepared))
    if options.is_launched:
        from provecfg.training.launch import launch

        outcome = launch(prepared, signals)
    else:
        from provecfg.training.runner import train

        outcome = train(prepared, signals)
    _tell(outcome, terminal)
    return int(outcome.exit_code)


def _missing_proof(path: Path, options: RunOptions, view: ConfigView) -> list[Finding]:
    """What is wrong with the receipt in the work dir, which has to be of the config as it is now."""
    from provecfg.proof.receipt import check_receipt, receipt_path
    from provecfg.training.preflight import read_by_mmengine
    from provecfg.training.work_dir import work_dir_of

    config = read_by_mmengine(path, options.cfg_options).to_dict()  # as the proof had it, imported names aside
    work_dir = work_dir_of(path, config, chosen=options.work_dir, cfg_options=options.cfg_options)
    findings = check_receipt(receipt_path(work_dir, path), path, config)
    return [placed(finding, path, view) for finding in findings]


def _unbuilt(prepared: Prepared, view: ConfigView) -> list[Finding]:
    """What of a config cannot be built, found by building all of it, the data's files excepted."""
    from provecfg.proof.declared.check import unbuilt
    from provecfg.proof.declared.construction import build_declared
    from provecfg.proof.subject import Subject

    device = prepared.device if prepared.device == "cuda" else "cpu"
    with tempfile.TemporaryDirectory(prefix="provecfg-dry-run-") as folder:
        built = build_declared(Subject(prepared.path.absolute(), prepared.config, device, None, Path(folder)))
    findings = unbuilt(built.declaration) if built.declaration is not None else []
    return [placed(finding, prepared.path, view) for finding in findings]


def _plan_of(prepared: Prepared) -> str:
    config, options = prepared.config, prepared.options
    loop = config.train_cfg
    length = f"{loop.get('max_iters')} iterations" if loop.get("max_iters") else f"{loop.get('max_epochs')} epochs"
    resume = prepared.resume_from
    header = Header.of(next(iter(prepared.files.values())))  # the config's own: it may train other losses than its base
    equation = header.equation if header is not None else ""
    lines = [
        prepared.name,
        f"  loss      {equation or 'as the config says'}",
        f"  length    {length}, validation every {loop.get('val_interval')}",
        f"  batch     {config.train_dataloader.get('batch_size')} x {options.processes} on {prepared.device}",
        f"  data      {', '.join(_data_roots(config)) or 'as the config says'}",
        f"  work dir  {prepared.work_dir.path}",
        f"  start     {'resume from ' + resume.name if resume else 'from iteration 0'}",
    ]
    return "\n".join(lines)


def _data_roots(config: Any) -> list[str]:
    from provecfg.training.adapt import datasets_of

    return list(dict.fromkeys(str(dataset.get("data_root")) for _, dataset in datasets_of(config)))


def _tell(outcome: Outcome, terminal: Terminal) -> None:
    from provecfg.training import record
    from provecfg.training.progress import duration

    best = ""
    if outcome.best:
        best = f", best {outcome.best['metric']} {outcome.best['value']:.2f} in {outcome.best['checkpoint']}"
    summary = f"{outcome.name}: {outcome.state} at iteration {outcome.iteration}"
    if outcome.max_iters:
        summary += f" of {outcome.max_iters}"
    summary += f" after {duration(outcome.seconds)}{best}; {outcome.work_dir}"
    if outcome.state not in (record.FINISHED, record.STOPPED):
        terminal.failure(f"{summary}\n{outcome.message}")
    else:
        curves = _curves(outcome, terminal)
        terminal.note(summary + (f", its curves in {curves}" if curves else ""))


def _curves(outcome: Outcome, terminal: Terminal) -> str:
    """The name of the picture that was drawn into the work dir, or ''. A run is done whether or not that can be."""
    from provecfg.results.formats.curves import write_curves

    try:
        picture = write_curves(outcome.work_dir)
    except (OSError, ProvecfgError) as error:
        terminal.note(f"{outcome.name}: no picture of its curves: {error}")
        return ""
    return picture.name if picture is not None else ""
