"""Lets the threads of torch sleep while they wait for each other. A training beside
other work then loses its share of the processor and no more.
"""

import os


def wait_asleep() -> None:
    """Tell OpenMP that threads which wait shall not spin. To be called before torch is
    loaded; what the user has set in the environment stays, and processes that are
    started from here have it, too.

    By default a thread spins for a while where it waits for the others. Beside other
    work the others may not be running at all, and spinning takes the core that they
    wait for (docs/decisions.md, "Training beside other work"). OMP_WAIT_POLICY is read
    by every OpenMP (OpenMP Application Programming Interface, "OMP_WAIT_POLICY"):
    GNU's, which is in the wheels of torch for Linux, LLVM's and Intel's.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
