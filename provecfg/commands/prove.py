"""`provecfg prove`: check on the real classes that what a config declares is what trains."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provecfg.commands import names
from provecfg.commands.cfg_options import CommandWithCfgOptions, parse_cfg_options
from provecfg.commands.findings import settings_reader, show_findings
from provecfg.commands.options import Terminal, is_terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.findings.reporters import FORMATS
from provecfg.paths import write_atomically
from provecfg.spelling import first_few, printable
from provecfg.targets import files_of, is_study, refuse_study

if TYPE_CHECKING:
    from provecfg.proof.prover import Proof
    from provecfg.proof.receipt import Receipt


@click.command(cls=CommandWithCfgOptions)
@click.argument(
    "targets", metavar="CONFIG...", nargs=-1, required=True, shell_complete=names.completing(tuple, files=True)
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Read a sample of every dataset from here.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="What to try it on."
)
@click.option(
    "--gpu-memory", metavar="SIZE", help="Memory of the GPU that it is to train on, such as 24GiB: will it fit?"
)
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The run's work dir, where the receipt goes; with several configs, a folder of each below it.",
)
@click.option(
    "--output-format", type=click.Choice(list(FORMATS)), envvar="PROVECFG_OUTPUT_FORMAT", help="[default: text]"
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the receipt to a file, too."
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Configs at a time [default: one a processor].")
@click.option(
    "--thorough",
    is_flag=True,
    help="Try what takes long, too: every variant of an augmented test, and every key of large parts.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long each config may take.",
)
@click.option("--cfg-options", multiple=True, metavar="KEY=VALUE...", help="Change the config, as mmseg's tools do.")
@terminal_options
def command(
    targets: tuple[str, ...],
    data_root: Path | None,
    device: str,
    gpu_memory: str | None,
    work_dir: Path | None,
    output_format: str | None,
    output: Path | None,
    jobs: int | None,
    thorough: bool,
    timeout: float,
    cfg_options: tuple[str, ...],
    terminal: Terminal,
) -> int:
    """Prove that what configs declare is what trains. This executes them.

    CONFIG is a config, a folder of them, or `configs`: every generated config of the project you stand in.
    Each is built by its real classes and trained for one step on a batch made for it; its schedules and its early
    stopping live through the whole run without training. The receipt goes into the config's work dir, where
    `provecfg run --require-proof` looks for it.
    """
    from provecfg.proof.memory.memory_size import parse_memory
    from provecfg.proof.prover import ProofOptions, prove_configs
    from provecfg.proof.receipt import receipt_path
    from provecfg.proof.report import receipt_of, receipts_as_text
    from provecfg.training.work_dir import work_dir_of

    configs = _configs(targets)
    options = ProofOptions(
        device=device,
        data_root=data_root.absolute() if data_root is not None else None,
        cfg_options=cfg_options,
        parsed_options=parse_cfg_options(cfg_options),
        gpu_memory=parse_memory(gpu_memory) if gpu_memory is not None else None,
        thorough=thorough,
        processes=jobs,
        seconds=timeout,
        progress=_progress(terminal, len(configs)),
        settings_at=settings_reader(),
    )
    written = output_format or "text"
    proofs: list[Proof] = []
    receipts: list[Receipt] = []
    unwritten: list[ProvecfgError] = []
    for proof in prove_configs(configs, options):
        proofs.append(proof)
        receipts.append(receipt_of(proof))
        chosen = work_dir / proof.path.stem if work_dir is not None and len(configs) > 1 else work_dir
        if proof.config is not None:
            folder = work_dir_of(proof.path, proof.config, chosen=chosen, cfg_options=cfg_options)
            try:
                receipts[-1].write(receipt_path(folder, proof.path))
            except ProvecfgError as error:  # what was proved is said all the same
                unwritten.append(error)
        _tell(proof, terminal, whole=len(configs) == 1, as_result=written == "text")
    if written == "text":
        terminal.result("")
    show_findings(
        [finding for proof in proofs for finding in proof.findings],
        terminal,
        output_format=written,
        files=[proof.path for proof in proofs],
        texts={file: text for proof in proofs for file, text in proof.files.items()},
    )
    if output is not None:
        write_atomically(output, receipts_as_text(receipts) + "\n")
    if unwritten:
        others = f"; nor {len(unwritten) - 1} more receipts" if len(unwritten) > 1 else ""
        raise ProvecfgError(f"{unwritten[0].message}{others}", hint=unwritten[0].hint)
    return ExitCode.CLEAN if all(proof.is_proved for proof in proofs) else ExitCode.FINDINGS


def _progress(terminal: Terminal, total: int) -> Callable[[int, Sequence[Path]], None] | None:
    """One line on a terminal that says how far the proofs are, and is gone when they are done."""
    if terminal.quiet or not is_terminal(sys.stderr):
        return None
    started = time.monotonic()

    def show(done: int, at_work: Sequence[Path]) -> None:
        names = first_few([path.name for path in at_work])
        line = f"{done} of {total} proved, {time.monotonic() - started:.0f} s; now {names}" if at_work else ""
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[K{printable(line)[:width]}")
        sys.stderr.flush()

    return show


def _configs(targets: Sequence[str]) -> list[Path]:
    """The configs that the targets stand for; studies in a folder are passed over.

    Raises:
        ProvecfgError: A target does not exist, stands for no config, or is a study.
    """
    here = Path.cwd()
    for target in targets:
        refuse_study(Path(target), "prove")
    files = [file for file in files_of(targets, here) if not is_study(file)]
    if not files:
        raise ProvecfgError(f"no config below {', '.join(targets)}")
    # From here, where that is shorter to read.
    return [file.relative_to(here) if file.is_relative_to(here) else file for file in files]


def _tell(proof: Proof, terminal: Terminal, *, whole: bool, as_result: bool) -> None:
    from provecfg.proof.report import as_line, as_text

    text = as_text(proof) if whole or terminal.verbose else as_line(proof)
    if as_result:
        terminal.result(text)
    elif not whole:
        terminal.note(as_line(proof))
