"""Which configs the targets of a command stand for, where a study stands for what was generated of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provecfg.commands import names
from provecfg.errors import ExitCode, ProvecfgError

if TYPE_CHECKING:
    from provecfg.study.schema import Study


def targets_argument(function: Any) -> Any:
    """Add `STUDY|CONFIG...`, what `configs_of` takes, handed to the command as `targets`."""
    return click.argument(
        "targets",
        metavar="STUDY|CONFIG...",
        nargs=-1,
        required=True,
        shell_complete=names.completing(names.studies, files=True),
    )(function)


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
        targets: Configs, folders of them, studies, names of `provecfg list studies`.
        generated: Where the configs of studies are.

    Raises:
        ProvecfgError: A target does not exist, a study is wrong, or its configs are not there, or are not of it as it
            stands now. What was edited by hand is taken as it is.
    """
    from provecfg.study.named import studies_named
    from provecfg.targets import files_of, is_study

    configs: list[Path] = []
    for target in targets:
        if named := studies_named(target):
            configs += _configs_of_studies(named, target, generated)
            continue
        for path in files_of([target], Path.cwd()):
            configs += _configs_of_studies([_read(path)], path, generated) if is_study(path) else [path]
    return list(dict.fromkeys(configs))


def refuse_without_training(absent: Mapping[Path, Sequence[str]]) -> None:
    """Refuse configs that train nothing, all at once.

    Args:
        absent: Of each config, the keys that it lacks for training.

    Raises:
        ProvecfgError: Names each, and what it lacks.
    """
    lines = [f"  {path}: no {', '.join(keys)}" for path, keys in absent.items() if keys]
    if lines:
        raise ProvecfgError(
            "not a training config:\n" + "\n".join(lines), hint="a base is no cell: name what inherits from it"
        )


def _configs_of_studies(studies: Iterable[Study], named: str | Path, generated: Path) -> Iterator[Path]:
    from provecfg.generate.cells import Selection
    from provecfg.generate.write import Change, targets_of

    hint = f"provecfg generate {named} -o {generated}"
    for study in studies:
        for config in targets_of(study, Selection(), generated):
            if config.change is Change.NEW:
                raise ProvecfgError(f"{config.path} does not exist", hint=hint)
            if config.is_stale:
                raise ProvecfgError(
                    f"{config.path} is not what {named} makes now",
                    hint=f"{hint}; or name the files themselves, if --set made them",
                )
            if config.change is Change.FOREIGN:
                raise ProvecfgError(
                    f"{config.path} is of another study than {named}",
                    hint=f"provecfg generate {named} -o DIR, and name that folder here, too",
                )
            yield config.path.absolute()


def _read(path: Path) -> Study:
    from provecfg.study.load import read_study

    study, findings = read_study(path)
    if study is None or findings:
        raise ProvecfgError(f"{path} is not right", hint=f"provecfg validate {path}", exit_code=ExitCode.FINDINGS)
    return study
