"""What keeps to this machine what happens on it: a library that reports to its makers is told not to."""

import os


def no_telemetry() -> None:
    """To be called before onnxruntime is loaded, and without effect afterwards.

    Its official builds from 1.29 on otherwise give the device an identifier and send how it is used to their makers
    (onnxruntime's Privacy.md, "Disabling Telemetry"). What the user has set in the environment stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
