"""A file backend of mmengine's that never leaves a half-written file under the file's own name."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

BACKEND = "provecfg_atomic_local"
PARTIAL = ".partial"


class AtomicLocalBackend(LocalBackend):
    """Local files, written beside and then renamed.

    A process killed at any moment leaves the old file or the new one whole, and at worst one named `*.partial`.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to the file, which gets them all or, if writing raises, none."""
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + PARTIAL)
        try:
            with open(partial, "wb") as file:
                file.write(obj)
                file.flush()
                # Else a crash of the machine could leave the new name on data that was never written.
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text to the file, as `put` does."""
        self.put(obj.encode(encoding), filepath)


# force: this module can be executed twice, by importlib.reload
register_backend(BACKEND, AtomicLocalBackend, force=True)
