"""How a cluster is to be asked: a YAML file whose keys have submitit's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provecfg.errors import ProvecfgError
from provecfg.files import read_text
from provecfg.spelling import unknown

Scalar = str | int | float | bool


class Profile(BaseModel):
    """A cluster's settings. What is None is left to the cluster.

    Keys that begin with an engine's name are that engine's alone; `slurm_additional` and `lsf_additional` go to it as
    they are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Literal["slurm", "lsf", "kubernetes"] = "slurm"
    name: str | None = Field(None, description="Of the job; the study's unless said.")
    nodes: int = Field(1, ge=1, description="Machines of a cell.")
    gpus_per_node: int = Field(0, ge=0, description="GPUs of a cell on each machine; 0 trains on the processor.")
    cpus_per_task: int | None = Field(None, ge=1, description="Processors of a cell on each machine.")
    mem_gb: float | None = Field(None, gt=0, description="Memory of a cell on each machine.")
    timeout_min: int | None = Field(None, ge=1, description="Time limit of a task, after which it is started again.")
    array_parallelism: int | None = Field(None, ge=1, description="Tasks that run at once.")
    cells_per_task: int = Field(1, ge=1, description="Cells that a task trains one after the other.")
    max_num_timeout: int = Field(20, ge=0, description="How often a task is started again.")
    retries: int = Field(1, ge=0, description="How often a cell is tried again that was killed.")
    signal_delay_s: int = Field(
        300, ge=1, description="Signal so long before the time limit; longer than a validation and a checkpoint take."
    )
    setup: tuple[str, ...] = Field((), description="Lines of shell before anything else.")
    python: str | None = Field(None, description="The Python to run with; the one that submits unless said.")
    max_array_size: int | None = Field(None, ge=1, description="Tasks of one array; asked of Slurm unless said.")
    slurm_partition: str | None = None
    slurm_account: str | None = None
    slurm_qos: str | None = None
    slurm_constraint: str | None = None
    slurm_srun_args: tuple[str, ...] = ()
    slurm_additional: dict[str, Scalar] = Field(
        {}, description="Options of sbatch by their long names; true for one without a value."
    )
    lsf_queue: str | None = None
    lsf_project: str | None = None
    lsf_additional: tuple[str, ...] = Field((), description="Options of bsub, each with its value.")
    kubernetes_image: str | None = None
    kubernetes_namespace: str | None = None
    kubernetes_volume_claim: str | None = Field(None, description="The persistent volume with study, data and code.")
    kubernetes_mount_path: str = Field("/mnt/studies", description="Where it is mounted.")


_ALIASES = {
    f"slurm_{name}": name
    for name in (
        "array_parallelism",
        "signal_delay_s",
        "setup",
        "python",
        "mem_gb",
        "gpus_per_node",
        "cpus_per_task",
        "nodes",
        "timeout_min",
    )
} | {"lsf_setup": "setup", "slurm_job_name": "name"}
"""submitit's names with the engine before them -> ours."""


def read_profile(path: Path | None, **options: Any) -> Profile:
    """The profile of a file, or all of its defaults.

    Args:
        path: The file, or None.
        options: What the command line says, which wins where it is not None.

    Raises:
        ProvecfgError: It cannot be read, or a key or value is none; names it.
    """
    fields: Any = {}
    if path is not None:
        try:
            fields = yaml.safe_load(read_text(path)) or {}
        except OSError as error:
            raise ProvecfgError(f"{path}: {error.strerror or error}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ProvecfgError(f"{path} is no YAML: {error}") from error
        if not isinstance(fields, dict):
            raise ProvecfgError(f"{path} holds no settings: a profile is a list of `key: value`")
    return profile_of({**fields, **{key: value for key, value in options.items() if value is not None}}, path)


def profile_of(fields: dict[str, Any], path: Path | None = None) -> Profile:
    """The profile that fields make.

    Args:
        fields: By key.
        path: Where they are from, for messages.

    Raises:
        ProvecfgError: A key or value is none; names it.
    """
    named = {_ALIASES.get(str(key), str(key)): value for key, value in fields.items()}
    prefix = f"{path}: " if path is not None else ""
    for key in named:
        if key not in Profile.model_fields:
            raise ProvecfgError(prefix + unknown("setting", key, Profile.model_fields))
    try:
        profile = Profile(**named)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ProvecfgError(f"{prefix}{key} is {first['input']!r}: {first['msg']}") from error
    if profile.timeout_min is not None and profile.signal_delay_s >= 60 * profile.timeout_min:
        raise ProvecfgError(
            f"{prefix}signal_delay_s is {profile.signal_delay_s}: a task of {profile.timeout_min} minutes would be "
            "told to end as it begins",
            hint="it has to be longer than a validation and a checkpoint take, and shorter than timeout_min",
        )
    return profile
