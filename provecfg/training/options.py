"""What a run was asked for, apart from its config."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `provecfg run`, for one config.

    Args:
        smoke: A few iterations on data that provecfg draws.
        data_root: Replaces every `data_root` of the config.
        device: `auto`, `cpu` or `cuda`.
        gpus: Processes on each machine.
        nodes: Machines.
        launcher: `none`: this process; `pytorch`: through torchrun; `slurm`: see `srun`.
        work_dir: Replaces the config's.
        resume: Go on where the work dir stopped; otherwise it has to be unused.
        max_iters: Replaces the config's; its other clocks follow.
        pretrained: Start from the weights that the config names.
        trust_checkpoint: Load checkpoints that can run code.
        cfg_options: `KEY=VALUE` texts, applied to the config as it is loaded.
        command: The words that started the run, for its record.
        quiet: No progress.
        verbose: mmengine's own log on the console, in place of the progress.
    """

    smoke: bool = False
    data_root: Path | None = None
    device: str = "auto"
    gpus: int = 1
    nodes: int = 1
    launcher: str = "none"
    work_dir: Path | None = None
    resume: bool = True
    max_iters: int | None = None
    pretrained: bool = True
    trust_checkpoint: bool = False
    cfg_options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    quiet: bool = False
    verbose: bool = False

    @property
    def is_launched(self) -> bool:
        """Whether processes are started for it."""
        return self.launcher != "none" or self.processes > 1

    @property
    def is_first_machine(self) -> bool:
        """Whether this is the one machine, or the first of several, which has the work dir."""
        return self.nodes == 1 or os.environ.get("NODE_RANK", "0") == "0"

    @property
    def processes(self) -> int:
        """Over all machines."""
        return self.gpus * self.nodes

    def to_json(self) -> str:
        """For another process of the same run."""
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> RunOptions:
        """Undo `to_json`."""
        fields = json.loads(text)
        for name in ("data_root", "work_dir"):
            if fields[name] is not None:
                fields[name] = Path(fields[name])
        for name in ("cfg_options", "command"):
            fields[name] = tuple(fields[name])
        return cls(**fields)
