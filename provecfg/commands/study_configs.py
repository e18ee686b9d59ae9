"""Which configs the targets of a command stand for, where a study stands for what was generated of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from provecfg.errors import ExitCode, ProvecfgError


def generated_option(function: Any) -> Any:
    """Add `-o DIR`, where the configs of studies are, handed to the command as `generated`."""
    return click.option(
        "-o",
        "generated",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("generated"),
        metavar="DIR",
        show_default=True,
        help="Where `provecfg generate` has written the configs of a study.",
    )(function)


def configs_of(targets: Sequence[str], generated: Path) -> list[Path]:
    """The configs that targets stand for, absolute, each once.

    Args:
        targets: Configs, folders of them, studies.
        generated: Where the configs of studies are.

    Raises:
        ProvecfgError: A target does not exist, a study is wrong, or its configs are not there.
    """
    from provecfg.generate.cells import Selection
    from provecfg.generate.write import targets_of
    from provecfg.study.load import read_study
    from provecfg.targets import files_of, is_study

    configs: list[Path] = []
    for path in files_of(targets, Path.cwd()):
        if not is_study(path):
            configs.append(path)
            continue
        study, findings = read_study(path)
        if study is None or findings:
            raise ProvecfgError(f"{path} is not right", hint=f"provecfg validate {path}", exit_code=ExitCode.FINDINGS)
        for target in targets_of(study, Selection(), generated):
            if not target.path.is_file():
                raise ProvecfgError(f"{target.path} does not exist", hint=f"provecfg generate {path} -o {generated}")
            configs.append(target.path.absolute())
    return list(dict.fromkeys(configs))
