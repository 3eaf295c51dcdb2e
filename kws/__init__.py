"""A streaming voice-trigger detector.

>>> import kws
>>> stream = kws.Detector.load("wake-words").stream()
>>> detections = stream.push(samples)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kws.errors import KwsError as KwsError
    from kws.events import Detection as Detection
    from kws.runtime.detector import Detector as Detector
    from kws.runtime.detector import Stream as Stream

__version__ = "0.1.0"
__all__ = ["Detection", "Detector", "KwsError", "Stream", "__version__"]

_HOMES = {
    "Detection": "kws.events",
    "Detector": "kws.runtime.detector",
    "KwsError": "kws.errors",
    "Stream": "kws.runtime.detector",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for, so that `import kws` itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kws' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
