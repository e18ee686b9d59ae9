"""A file backend of mmengine's that never leaves a half-written file under the file's own name."""

from __future__ import annotations

import contextlib
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from provecfg.checksums import checksum_line, checksum_path

BACKEND = "provecfg_atomic_local"
PARTIAL = ".partial"
_CHECKPOINT = ".pth"


class AtomicLocalBackend(LocalBackend):
    """Local files, written beside and then renamed; checkpoints with a checksum beside them (see `checksums`).

    A process killed at any moment leaves the old file or the new one whole, and at worst one named `*.partial`. A
    checksum is never that of another content: it may be absent, where the process was killed between the two.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to the file, which gets them all or, if writing raises, none."""
        path = Path(filepath)
        if path.suffix != _CHECKPOINT:
            self._write(obj, path)
            return
        # While the disk is waited for: hashing leaves the interpreter to others.
        with ThreadPoolExecutor(1, thread_name_prefix="checksum") as pool:
            digest = pool.submit(lambda: hashlib.sha256(obj).hexdigest())
            self._write(obj, path)
        checksum = checksum_path(path)
        try:
            checksum.write_text(checksum_line(digest.result(), path), encoding="utf-8")
        except OSError:  # the checkpoint itself is whole
            with contextlib.suppress(OSError):
                checksum.unlink()

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text to the file, as `put` does."""
        self.put(obj.encode(encoding), filepath)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file and its checksum."""
        checksum_path(Path(filepath)).unlink(missing_ok=True)
        super().remove(filepath)

    @staticmethod
    def _write(contents: bytes, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + PARTIAL)
        try:
            with open(partial, "wb") as file:
                file.write(contents)
                file.flush()
                # Else a crash of the machine could leave the new name on data that was never written.
                os.fsync(file.fileno())
            # Before the content that it is not of takes the name.
            checksum_path(path).unlink(missing_ok=True)
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise


# force: this module can be executed twice, by importlib.reload
register_backend(BACKEND, AtomicLocalBackend, force=True)
