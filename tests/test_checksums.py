from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from provecfg.checksums import ChecksumError, checksum_line, checksum_path, verify_checksum
from provecfg.files import NotRegularError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "iter_4.pth"
    path.write_bytes(b"weights")
    checksum_path(path).write_text(checksum_line(hashlib.sha256(b"weights").hexdigest(), path))
    return path


def test_a_flipped_bit_is_found(checkpoint: Path) -> None:
    assert verify_checksum(checkpoint)
    checkpoint.write_bytes(b"weighus")
    with pytest.raises(ChecksumError, match=r"does not hold what was written: .* iter_4\.pth\.sha256"):
        verify_checksum(checkpoint)


def test_what_is_no_checksum_file_is_passed_over_and_not_waited_for(checkpoint: Path) -> None:
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: path.write_text("x")):
        path = checksum_path(checkpoint)
        path.rmdir() if path.is_dir() else path.unlink()
        make(path)
        assert not verify_checksum(checkpoint)


def test_a_pipe_in_the_checkpoints_place_is_not_waited_for(checkpoint: Path) -> None:
    checkpoint.unlink()
    os.mkfifo(checkpoint)
    with pytest.raises(NotRegularError, match="a pipe"):
        verify_checksum(checkpoint)
