"""Read configs, each in a process of its own, and print what it cost.

Run as a script by `test_hostile.py`: `measure.py FILE...` prints, for each file, one line of JSON: the codes of its
problems, its first message, the seconds of processor time and the megabytes of memory that reading it took.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

from provecfg.mmconfig import read_config


def measure(path: str) -> dict[str, object]:
    reader, writer = os.pipe()
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    child = os.fork()
    if child == 0:
        os.close(reader)
        # A reading that hangs or grows without bound ends here, and fails the test.
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))
        try:
            start = time.process_time()
            view = read_config(path)
            report: dict[str, object] = {
                "seconds": time.process_time() - start,
                "codes": sorted({problem.code for problem in view.problems}),
                "message": view.problems[0].message if view.problems else "",
                "nodes": sum(1 for _ in view.root.walk()),
            }
        except BaseException as error:
            report = {"raised": f"{type(error).__name__}: {str(error)[:200]}"}
        os.write(writer, json.dumps(report).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    _, status, usage = os.wait4(child, 0)
    report = json.loads(data) if data else {"raised": f"killed, status {status}"}
    report["megabytes"] = usage.ru_maxrss // 1024 - before_mb
    return report


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(json.dumps(measure(argument)), flush=True)
