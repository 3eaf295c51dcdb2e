"""A streaming voice-trigger detector.

>>> import kws
>>> stream = kws.Detector.load("wake-words").stream()
>>> detections = stream.push(samples)

The names in `__all__` are the public ones; each is imported when it is first asked for,
so that `import kws` costs nothing and a device loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kws.demo.live import listen as listen
    from kws.errors import InputError as InputError
    from kws.errors import KwsError as KwsError
    from kws.evaluate.replay.systems import Engine as Engine
    from kws.events import Detection as Detection
    from kws.lexicon import spell as spell
    from kws.runtime.detector import Detector as Detector
    from kws.runtime.stream import Stream as Stream
    from kws.runtime.streams import Streams as Streams
    from kws.train.recipe import Recipe as Recipe

__version__ = "0.2.0"
__all__ = [
    "Detection",
    "Detector",
    "Engine",
    "InputError",
    "KwsError",
    "Recipe",
    "Stream",
    "Streams",
    "__version__",
    "listen",
    "spell",
    "verify_streaming",
]

_HOMES = {
    "Detection": "kws.events",
    "Detector": "kws.runtime.detector",
    "Engine": "kws.evaluate.replay.systems",
    "InputError": "kws.errors",
    "KwsError": "kws.errors",
    "Recipe": "kws.train.recipe",
    "Stream": "kws.runtime.stream",
    "Streams": "kws.runtime.streams",
    "listen": "kws.demo.live",
    "spell": "kws.lexicon",
    "verify_streaming": "kws.model.contract",
}
_NAMES_THERE = {"verify_streaming": "verify"}  # where the module calls it otherwise


def __getattr__(name: str) -> Any:
    """A public name, from the module in which it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kws' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), _NAMES_THERE.get(name, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
