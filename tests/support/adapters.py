"""Adapters of engines that hear whatever is loud, and how the tests of adapters use any."""

import numpy as np

from kws.evaluate.replay import systems
from kws.evaluate.replay.systems import EngineSystem, SystemSpec, open_system

ADAPTER = """
from __future__ import annotations
from dataclasses import dataclass, field
import numpy as np

@dataclass
class Loud:
    asked: list[str] = field(default_factory=list)
    version = "1"
    size_bytes = 0
    chunk_samples = 160
    def __post_init__(self):
        self.keywords, self.thresholds = self.asked or ["abc"], [0.25] * max(1, len(self.asked))
    def process(self, chunk):
        return [float(np.abs(chunk).max() / 32768)] * len(self.keywords)
    def reset(self): pass

class Fires(Loud):
    def process(self, chunk): return bool(np.abs(chunk).max() > 8000)
class Short(Loud):
    def process(self, chunk): return [0.5]
class Wild(Loud):
    def process(self, chunk): return [float("nan"), 2.0]
class Raises(Loud):
    def process(self, chunk): raise RuntimeError("no licence")
class Stuck(Loud):
    def reset(self): raise ValueError
class Refuses(Loud):
    def __post_init__(self): raise OSError("no model file")
class Empty:
    def __init__(self, keywords): pass
class Uneven(Loud):
    def __post_init__(self): self.keywords, self.thresholds = ["a", "b"], [0.5]
"""


def opened(model: object, *keywords: str) -> EngineSystem:
    """The system, opened anew."""
    systems._open.cache_clear()
    return open_system(SystemSpec(str(model), keywords))


def sound(*loudness: float, chunk: int) -> np.ndarray:
    """One chunk of each loudness."""
    return np.repeat(np.array(loudness, np.float32), chunk)


def scores(system: EngineSystem, samples: np.ndarray) -> np.ndarray:
    return system.stream().process(samples, last=True).scores
