"""Checkpoints that hold plain data only and are whole at any moment."""

from __future__ import annotations

import hashlib
import inspect
import os.path as osp
import pickle
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner, save_checkpoint

from provecfg.plugin.arguments import refuse_unknown
from provecfg.plugin.hooks.atomic_backend import BACKEND, PARTIAL, AtomicLocalBackend
from provecfg.plugin.hooks.plain_data import NotPlainError, from_plain, to_plain

_OUTDATED_BEST = "outdated_best_ckpts"
_SIGNATURE = inspect.signature(CheckpointHook.__init__)
_SIGNATURE = _SIGNATURE.replace(
    parameters=[parameter for parameter in _SIGNATURE.parameters.values() if parameter.name != "kwargs"]
)


@HOOKS.register_module()
class PlainCheckpointHook(CheckpointHook):
    """mmengine's `CheckpointHook`, whose files torch's safe loading takes and which no kill can break.

    Plain: before a checkpoint is written, what torch's safe loading refuses in it is turned into plain data (see
    `plain_data`), and turned back when it is loaded; so `torch.load(path, weights_only=True)` takes it with no
    allow-list, and upstream's mmengine 0.10.7, which loads that way, can resume. What cannot be turned is left out of
    the message hub, and elsewhere left as it is; either is logged as a warning, once.

    Whole: files are written beside and then renamed, `best_*.pth`, published ones and `last_checkpoint` too; old ones
    are removed only when the new one exists; each checkpoint has its SHA-256 beside it. Not so where
    `file_client_args` or `backend_args` say who writes.

    Args: those of `CheckpointHook`, with the same defaults.

    Raises:
        TypeError: An argument that `CheckpointHook` does not have. (That one keeps it until the first checkpoint, and
            fails then.)
    """

    # The parent's.
    backend_args: dict[str, Any] | None
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]
    file_backend: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        refuse_unknown(type(self).__name__, kwargs, set(_SIGNATURE.parameters) - {"self"})
        super().__init__(*args, **kwargs)
        self._warned: set[str] = set()

    # For those who ask what it takes: the parent's arguments, without its **kwargs.
    __init__.__signature__ = _SIGNATURE  # type: ignore[attr-defined]

    def before_train(self, runner: Runner) -> None:
        is_local = "://" not in str(self.out_dir or runner.work_dir)
        if is_local and self.backend_args is None and self.file_client_args is None:
            self.backend_args = {"backend": BACKEND}
        super().before_train(runner)
        if runner.iter > 0:
            # Else the parent does not write the best score found by a validation before the next checkpoint.
            self.last_ckpt = runner.message_hub.get_info("last_ckpt")
            self._disown_best_elsewhere(runner)
            self._remove_outdated_best(runner, runner.message_hub.get_info(_OUTDATED_BEST, []))
        if is_main_process():
            for folder in {str(self.out_dir), runner.work_dir}:
                _remove_partial_files(folder)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Turn the contents of the checkpoint into plain data. (Runs after the hooks of higher priority.)"""
        hub = checkpoint.get("message_hub")
        if hub is not None:
            for section in ("log_scalars", "runtime_info"):
                for key in list(hub[section]):
                    try:
                        hub[section][key] = to_plain(hub[section][key], f"message_hub.{section}.{key}")
                    except NotPlainError as error:
                        del hub[section][key]
                        self._warn_once(runner, f"{error}: not saved")
        for key in list(checkpoint):
            try:
                checkpoint[key] = to_plain(checkpoint[key], key)
            except NotPlainError as error:
                self._warn_once(runner, f"{error}: safe loading will refuse this checkpoint")

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Turn it back, before the runner resumes from it."""
        for key in list(checkpoint):
            checkpoint[key] = from_plain(checkpoint[key])

    def _warn_once(self, runner: Runner, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            runner.logger.warning(message)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        # Replaces the parent's, which removes the oldest checkpoint before it writes the new one.
        outdated = self._enlist(runner, step)
        self.last_ckpt = self._path_of(step)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
        )
        if not is_main_process():
            return
        AtomicLocalBackend().put_text(str(self.last_ckpt), osp.join(runner.work_dir, "last_checkpoint"))
        for old_step in outdated:
            _remove(self.file_backend, self._path_of(old_step))

    def _enlist(self, runner: Runner, step: int) -> list[int]:
        """Enter the checkpoint of a step among those that are kept; return the steps of those that are not any more."""
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return []
        steps = [*self.keep_ckpt_ids, step]
        # The outdated ones too: should this process die before it removes them, the one that resumes does it.
        runner.message_hub.update_info("keep_ckpt_ids", steps)
        self.keep_ckpt_ids.append(step)
        return steps[: -self.max_keep_ckpts]

    def _path_of(self, step: int) -> str:
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        # The parent removes the previous best before it writes the new one; here its removals wait.
        backend, outdated = self.file_backend, list[str]()
        # In the hub, and so in the checkpoint: should this process die before it removes them, the one that resumes
        # does it.
        runner.message_hub.update_info(_OUTDATED_BEST, outdated)
        self.file_backend = _LateRemoval(backend, outdated)
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        self._remove_outdated_best(runner, outdated)

    def _remove_outdated_best(self, runner: Runner, paths: list[str]) -> None:
        runner.message_hub.update_info(_OUTDATED_BEST, [])
        if is_main_process():
            for path in {self._own(path) for path in paths} - self._best_paths():
                if path is not None:
                    _remove(self.file_backend, path)

    def _disown_best_elsewhere(self, runner: Runner) -> None:
        """Forget best checkpoints outside of this run's folder, which the next best one would make the parent remove.

        They are another run's, if this one was resumed from its checkpoint. Where this run's folder was moved, they are
        in it by the same name, by which the message hub, and so whoever asks the run for its best, then knows them.
        """
        if not self.save_best:
            return
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = self._own(self.best_ckpt_path)
            runner.message_hub.update_info("best_ckpt", self.best_ckpt_path)
        else:
            self.best_ckpt_path_dict = {key: self._own(path) for key, path in self.best_ckpt_path_dict.items()}
            for key, path in self.best_ckpt_path_dict.items():
                runner.message_hub.update_info(f"best_ckpt_{key}", path)

    def _own(self, path: str | None) -> str | None:
        if path is None:
            return None
        own = self.file_backend.join_path(self.out_dir, osp.basename(path))
        return own if self.file_backend.exists(own) else None

    def _best_paths(self) -> set[str | None]:
        if not self.save_best:
            return set()
        if len(self.key_indicators) == 1:
            return {self.best_ckpt_path}
        return set(self.best_ckpt_path_dict.values())

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        # Replaces the parent's, which does not say how to write.
        from mmengine.runner.checkpoint import _load_checkpoint

        checkpoint = _load_checkpoint(ckpt_path)
        published = {key: value for key, value in checkpoint.items() if key in (self.published_keys or ())}
        digest = hashlib.sha256(pickle.dumps(published)).hexdigest()
        path = f"{osp.splitext(ckpt_path)[0]}-{digest[:8]}.pth"
        save_checkpoint(published, path, backend_args=self.backend_args)
        runner.logger.info(f"{ckpt_path} is published as {path} with {', '.join(published)}")


class _LateRemoval:
    """A file backend whose removals are only noted, in a list."""

    def __init__(self, backend: LocalBackend, removed: list[str]) -> None:
        self._backend = backend
        self._removed = removed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, filepath: str) -> None:
        self._removed.append(filepath)

    rmtree = remove


def _remove(backend: LocalBackend, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # DeepSpeed's checkpoints are folders
        backend.rmtree(path)


def _remove_partial_files(folder: str) -> None:
    """Remove what a process left that was killed while it wrote a checkpoint."""
    for pattern in (f"*.pth{PARTIAL}", f"last_checkpoint{PARTIAL}"):
        for path in Path(folder).glob(pattern):
            path.unlink()
