"""The long form of the attack: new seeds until the time is over. `make attack`, or `python -m tests.attack.attack`.

What is found is printed with its seed, from which the same program or mutant is made again. The figures can be written
into docs/reliability.md with `--page`; `tests.attack.kills` adds its own, and those of `tests.attack.coverage_guided`
stay.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

from provecfg import __version__
from tests.attack.bounds import MAX_MEGABYTES, MAX_SECONDS, MAX_SECONDS_OF_LARGE, measured, run_command, warm_up
from tests.attack.coverage_guided import HEADING
from tests.attack.hostile_files import cases, costly_cases
from tests.attack.mutants import lay_out_zoo
from tests.attack.programs import Programs, without_faults
from tests.attack.test_hostile_files import fault_of_case
from tests.attack.test_mutants import fault_of_config_mutant, fault_of_study_mutant, zoo
from tests.attack.test_programs import disagreements

_CASES, _CONFIGS, _PROGRAMS = 10, 5, 50
"""Of each, beside one study, in a round; the programs run in one process."""


@dataclass
class Figures:
    """What was tried, and what was found.

    Args:
        tried: Kind of thing -> how many.
        finds: Kind, seed or name, and what is wrong.
        seconds: How long it took.
    """

    tried: Counter[str] = field(default_factory=Counter)
    finds: list[tuple[str, object, str]] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, kind: str, name: object, fault: str | None) -> None:
        """Count one, and print what is wrong with it."""
        self.tried[kind] += 1
        if fault is not None:
            self.finds.append((kind, name, fault))
            print(f"{kind} {name}: {fault}\n", flush=True)


def attack(seconds: float, seed: int, slack: float, folder: Path) -> Figures:
    """Hostile files until each was tried, programs and mutants of seeds from `seed` on until the time is over.

    Args:
        seconds: How long.
        seed: The first.
        slack: How many times the processor time that it should take a thing may take.
        folder: Empty; everything is done there.
    """
    figures = Figures()
    warm_up(folder)
    (folder / "log.json").write_text('{"mIoU": 1.0, "step": 1}\n')
    run_command("replay", str(folder / "log.json"))  # imports the stack
    start = time.monotonic()
    hostile = [*cases(), *costly_cases()]
    random.Random(seed).shuffle(hostile)  # so that a short attack has some of each kind
    untried = enumerate(hostile)
    zoo_folder, study_folder = folder / "zoo", folder / "studies"
    zoo_folder.mkdir()
    study_folder.mkdir()
    lay_out_zoo(zoo(), zoo_folder)
    seeds = count(seed)
    while time.monotonic() - start < seconds:
        for number, case in islice(untried, _CASES):
            figures.note("hostile files", case.name, fault_of_case(case, folder / f"case{number}", slack=slack))
        for number in islice(seeds, _CONFIGS):
            figures.note("changed configs of mmseg", number, fault_of_config_mutant(number, zoo_folder, slack))
        number = next(seeds)
        figures.note("changed studies", number, fault_of_study_mutant(number, study_folder, slack))
        _programs(range(number * _PROGRAMS, (number + 1) * _PROGRAMS), folder, figures)
    figures.seconds = time.monotonic() - start
    return figures


def _programs(seeds: range, folder: Path, figures: Figures) -> None:
    def work() -> tuple[dict[int, str], int]:
        warnings.simplefilter("ignore")
        return disagreements(seeds, folder), sum(without_faults(Programs(seed).program()) is not None for seed in seeds)

    outcome = measured(work, folder)
    if outcome.raised:
        figures.note("made programs", seeds, outcome.raised)
        return
    faults, running = outcome.result
    for seed in seeds:
        figures.note("made programs", seed, faults.get(seed))
    figures.tried["of them, with a part that runs to its end"] += running


def page(figures: Figures, options: argparse.Namespace) -> str:
    """docs/reliability.md."""
    rows = "\n".join(f"| {kind} | {number:,} |" for kind, number in figures.tried.items())
    finds = f"{len(figures.finds)} finds" if figures.finds else "nothing"
    executed = sum("executed" in fault for _, _, fault in figures.finds) or "nothing"
    return f"""\
# Reliability

Configs, studies, settings, weights, logs and records come from other people and other programs. Whatever they hold,
`validate`, `show`, `compare` and `generate` execute nothing of it, end with a word and one of their exit codes, take no
more than {MAX_SECONDS:g} s of processor time and {MAX_MEGABYTES} MB for one hostile file ({MAX_SECONDS_OF_LARGE:g} s
for one of hundreds of kilobytes with thousands of findings or keys to print), print nothing that a terminal would obey,
and say the same for the same input. Of a config's values, they claim only what Python makes of it; what cannot be known
without running is said to be not known.

`tests/attack/` attacks this, for about a minute in every run of the tests and for as long as one likes with
`make attack`:

- a **corpus of hostile files** by kind, each given to the commands that read it: pipes, devices, links to `/dev/zero`,
  gigabytes, other encodings, deep nesting, huge numbers, odd YAML tags, aliases that multiply, half characters, control
  characters, code where a value should be; in place of settings, studies, weights, configs, bases, options, records,
  logs, counts and the files that `generate` would replace;
- **outputs that cannot be written**: full disks, folders that are files, dangling links, pipes that nobody reads; one
  line and exit 2, and what was there is as it was;
- **programs made by chance** in the language of configs, run by Python and read by provecfg: every value that the
  reader gives is the one that Python made, every error it reports is one that Python raises, and what Python refuses or
  raises is not passed over;
- **mutants** of the configs that mmseg ships, and of studies: misspelt keys, lost lines, values of another kind or
  hostile ones; read, judged, shown and compared, each twice, and fixed: safe fixes bring no error, and change no value
  but their own;
- **kills** of `generate`, `report`, `prove` (on a slow disk half of the time) and the queue of `run --parallel` at
  random moments, by SIGKILL, SIGTERM, SIGINT or SIGHUP: each file is the old or the new one, whole (SIGKILL may leave a
  hidden part of one beside it), nothing is left running, and the same command goes on to its end; those of what trains
  are in `tests/training/kills.py`;
- **checkpoints** that carry code, are cut off or have other bytes than were written: refused, and nothing of them run.

An audit hook in each process that reads a hostile file sees what is started, connected to, written outside of the
folder, or run of a file's code.

## The figures of one run

Made with provecfg {__version__} and Python {platform.python_version()} by

```
make attack SECONDS={options.seconds:g} SEED={options.seed} SLACK={options.slack:g}
```

| tried | number |
|---|---|
{rows}

Found: {finds}. Executed: {executed}. `SLACK` is how many times those seconds a machine may take that does other work.
"""


def main() -> int:
    """Attack, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument(
        "--seed", type=int, default=1_000_000, help="the first of the seeds; others than the tests have"
    )
    parser.add_argument("--slack", type=float, default=1.0, help="how much more time a busy machine may take")
    parser.add_argument("--page", type=Path, help="write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="provecfg-attack-") as folder:
        figures = attack(options.seconds, options.seed, options.slack, Path(folder))
    for kind, number in figures.tried.items():
        print(f"{number:8,} {kind}")
    print(f"{len(figures.finds)} finds in {figures.seconds / 60:.1f} minutes")
    if options.page is not None:
        _, heading, guided = options.page.read_text(encoding="utf-8").partition(f"\n{HEADING}\n")
        text = page(figures, options)
        options.page.write_text(f"{text}\n{HEADING}\n{guided}" if heading else text, encoding="utf-8")
    return 1 if figures.finds else 0


if __name__ == "__main__":
    sys.exit(main())
