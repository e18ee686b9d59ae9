"""torchrun as the child of `launch`: `python -m provecfg.training.torchrun WORDS...`, the words being torchrun's own.

torchrun takes a signal for its own end: it sends SIGTERM to its processes, kills them 30 seconds later, written
checkpoint or not, and ends in a traceback. Here signals pass it by. They are blocked in this process before anything is
imported, and `launch` hands them to the processes that train, which are born with them blocked and receive them when
they listen. If this process is killed, they are told to end by the kernel.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from provecfg.errors import ExitCode, wants_traceback
from provecfg.interruption import end_with_parent, hold
from provecfg.training.launch_folder import PARENT_VARIABLE, VARIABLE, LaunchFolder, ProcessExit


def main(words: Sequence[str]) -> int:
    """Run torchrun.

    Returns:
        The exit code: 0 where every process has ended well.
    """
    hold()
    end_with_parent(signal.SIGKILL, int(os.environ[PARENT_VARIABLE]))
    os.environ[PARENT_VARIABLE] = str(os.getpid())
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.ERROR)  # which process failed is said once, by `launch`
    try:
        run.main(list(words))
    except ChildFailedError as error:
        exits = tuple(ProcessExit(rank, failure.exitcode) for rank, failure in sorted(error.failures.items()))
        LaunchFolder(Path(os.environ[VARIABLE])).tell_exits(exits)
        return ExitCode.FINDINGS
    except Exception as error:  # its rendezvous can fail in many ways, none of which a traceback makes clearer
        if wants_traceback():
            raise
        print(f"error: torchrun: {type(error).__name__}: {error}", file=sys.stderr)
        return ExitCode.FINDINGS
    return ExitCode.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
