"""mmengine's backends of TensorBoard, MLflow and Weights & Biases, but that a run which goes on is one run there, too.

By themselves they begin another each time that training is resumed. Here a work dir is one run of its tracker's, named
as the work dir is: in a submitted study that is the cell's id. What the tracker calls it is kept in the work dir.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from mmengine.config import Config
from mmengine.registry import VISBACKENDS
from mmengine.visualization.vis_backend import (
    MLflowVisBackend,
    TensorboardVisBackend,
    WandbVisBackend,
    force_init_env,
)

from provecfg.paths import write_atomically

TRACKER_RUNS: Final = "tracker_runs.json"
"""In the work dir: tracker -> what it calls the run."""
TENSORBOARD_FOLDER: Final = "tensorboard"
"""In the work dir, for the event files of all its lives."""

_URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"


@VISBACKENDS.register_module()
class TensorboardRunBackend(TensorboardVisBackend):
    """TensorBoard's event files in `tensorboard/` of the work dir, whichever life of the run writes them.

    What a life writes takes the place of what an earlier one wrote of the same iterations and later ones: they were not
    kept, and are made again.

    Args:
        save_dir: Folder below the work dir, as the visualizer gives it.
    """

    _tensorboard: Any  # a SummaryWriter, set by `_init_env`

    def __init__(self, save_dir: str) -> None:
        self._first_step: int | None = None
        super().__init__(str(_work_dir_of(save_dir) / TENSORBOARD_FOLDER))

    @force_init_env
    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Write numbers of an iteration."""
        if self._first_step is None:
            from torch.utils.tensorboard import SummaryWriter

            self._first_step = step
            self._tensorboard.close()
            self._tensorboard = SummaryWriter(self._save_dir, purge_step=step)
        super().add_scalars(scalar_dict, step, file_path, **kwargs)


@VISBACKENDS.register_module()
class MLflowRunBackend(MLflowVisBackend):
    """A run of an MLflow server's, or of a database in the work dir.

    Iterations that are made again, because no checkpoint knew of them, stand there twice.

    Args:
        save_dir: Folder below the work dir, as the visualizer gives it.
        tracking_uri: The server. By itself what MLFLOW_TRACKING_URI says, and without that `mlflow.db` in the work dir:
            an SQLite file for each run, since many that write to one wait for each other.
        arguments: Of mmengine's MLflowVisBackend.
    """

    def __init__(self, save_dir: str, tracking_uri: str | None = None, **arguments: Any) -> None:
        uri = tracking_uri or os.environ.get(_URI_VARIABLE)
        if uri is None:
            work_dir = _work_dir_of(save_dir)
            uri = f"sqlite:///{work_dir / 'mlflow.db'}"
            arguments.setdefault("artifact_location", (work_dir / "mlflow_artifacts").as_uri())
            arguments.setdefault("artifact_suffix", ())  # the work dir's files are beside it
        super().__init__(save_dir, tracking_uri=uri, **arguments)

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Begin the run, or go on with the one of earlier lives; the config is told once."""
        work_dir = Path(config.work_dir).absolute()
        earlier = _tracker_runs(work_dir).get("mlflow")
        if earlier is not None:
            self.cfg = config
            with suppress(self._mlflow.MlflowException):  # somebody has deleted it
                self._mlflow.start_run(run_id=earlier)
                return
        run = self._mlflow.start_run(run_name=work_dir.name)
        _keep_tracker_run(work_dir, "mlflow", run.info.run_id)
        super().add_config(config, **kwargs)


@VISBACKENDS.register_module()
class WandbRunBackend(WandbVisBackend):
    """A run of Weights & Biases.

    Args:
        save_dir: Folder below the work dir, as the visualizer gives it.
        init_kwargs: Of `wandb.init`; the run's id, name and folder are set here.
        arguments: Of mmengine's WandbVisBackend.
    """

    def __init__(self, save_dir: str, init_kwargs: dict[str, Any] | None = None, **arguments: Any) -> None:
        work_dir = _work_dir_of(save_dir)
        self._run_id: str = _tracker_runs(work_dir).get("wandb") or secrets.token_hex(8)
        of_run = {"id": self._run_id, "name": work_dir.name, "dir": str(work_dir), "resume": "allow"}
        super().__init__(save_dir, init_kwargs={**(init_kwargs or {}), **of_run}, **arguments)

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Tell the config. A run that goes on has another `resume` and `load_from`."""
        _keep_tracker_run(Path(config.work_dir), "wandb", self._run_id)
        self._wandb.config.update(config.to_dict(), allow_val_change=True)


def _work_dir_of(save_dir: str) -> Path:
    """The work dir of WORK_DIR/TIMESTAMP/vis_data, which is what mmengine's runner gives to backends."""
    return Path(save_dir).absolute().parents[1]


def _tracker_runs(work_dir: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        runs = json.loads((work_dir / TRACKER_RUNS).read_text(encoding="utf-8"))
        if isinstance(runs, dict):
            return {str(tracker): str(run) for tracker, run in runs.items()}
    return {}


def _keep_tracker_run(work_dir: Path, tracker: str, run: str) -> None:
    runs = {**_tracker_runs(work_dir), tracker: run}
    write_atomically(work_dir / TRACKER_RUNS, json.dumps(runs, indent=2) + "\n")
