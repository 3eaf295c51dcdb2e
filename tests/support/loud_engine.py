"""An engine behind an adapter, as a user would write one, that does what a test leaves notes for in a folder.

Its one "keyword" is the folder. It scores how loud a chunk is, and writes a line to `streams` for every stream; `kill`
holds how many of its processes are still to be killed, by a chunk that is full scale; `slow` makes it so.
"""

import os
import signal
import time
from pathlib import Path

import numpy as np


class Loud:
    version, size_bytes, chunk_samples = "1", 0, 1280

    def __init__(self, wanted: list[str]) -> None:
        self.notes = Path(wanted[0])
        self.keywords, self.thresholds = ["loud"], [0.5]

    def reset(self) -> None:
        with (self.notes / "streams").open("a") as file:
            file.write(f"{os.getpid()}\n")

    def process(self, chunk: np.ndarray) -> float:
        if np.abs(chunk).max() > 32_000 and (self.notes / "kill").exists():
            left = int((self.notes / "kill").read_text()) - 1
            if left:
                (self.notes / "kill").write_text(str(left))
            else:
                (self.notes / "kill").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.notes / "slow").exists():
            time.sleep(0.05)
        return float(np.abs(chunk).mean() / 32_768)
