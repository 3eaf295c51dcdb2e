"""The memory that a process needed. It imports nothing else, so that measuring does not
add to the figure.
"""

import sys


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    try:
        # Not getrusage where this exists: its peak is at least that of the process that started this one.
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would add to it
            kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    return kb * 1024 / 1e6
