"""The one place that imports onnxruntime, which is told not to report its use to its
makers.
"""

import os
from types import ModuleType


def load_onnxruntime() -> ModuleType:
    """Import onnxruntime with its telemetry off; takes effect on the first import of
    the process.
    """
    refuse_telemetry()
    import onnxruntime

    return onnxruntime


def refuse_telemetry() -> None:
    """Turn the telemetry of onnxruntime off, for libraries that import it by
    themselves. To be called before they do.

    Official builds from 1.29 on otherwise give the device an identifier and send how it
    is used to their makers (onnxruntime's Privacy.md, "Disabling Telemetry"). What the
    user has set in the environment stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
