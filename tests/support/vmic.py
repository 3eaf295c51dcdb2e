"""A virtual microphone: a PulseAudio server of one's own with a sink whose monitor PortAudio hears. No sound card."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

_NATIVE = """
import sys, sounddevice
true = sounddevice.query_devices
def query_devices(*args, **words):  # PortAudio names 44100 Hz for every device of ALSA's plugins
    found = true(*args, **words)
    for device in [found] if isinstance(found, dict) else found:
        device["default_samplerate"] = {rate}.0
    return found
sounddevice.query_devices = query_devices
from kws.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

PACKAGES = "apt-get install -y --no-install-recommends libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils"

_ALSA = """</usr/share/alsa/alsa.conf>
pcm.!default { type pulse device "vmic.monitor" }
ctl.!default { type pulse }
"""
_FLAGS = "--exit-idle-time=-1 --disable-shm=yes --enable-memfd=no --daemonize=no --use-pid-file=no"


def missing() -> str:
    """What to run where the virtual microphone cannot be had; empty where it can."""
    plugin = any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    if not (plugin and all(map(shutil.which, ("pulseaudio", "paplay", "pactl")))):
        return f"the virtual microphone needs: {PACKAGES}"
    if find_spec("sounddevice") is None:
        return "the virtual microphone needs: pip install '.[listen]'"
    try:
        import sounddevice  # noqa: F401
    except OSError:
        return f"the virtual microphone needs: {PACKAGES}"
    return ""


class VirtualMicrophone:
    """A server in a folder; `environment` is for the processes that are to hear it."""

    def __init__(self, folder: Path, rate: int) -> None:
        self.rate = rate
        home = dict.fromkeys(("HOME", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR"), str(folder))
        (folder / "alsa.conf").write_text(_ALSA)
        self.environment = {
            **os.environ,
            **home,
            "PULSE_SERVER": f"unix:{folder}/socket",
            "ALSA_CONFIG_PATH": str(folder / "alsa.conf"),
        }
        (folder / "script.pa").write_text(
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={folder}/socket\n{self._sink()}\n"
        )
        words = ["pulseaudio", "-n", "-F", str(folder / "script.pa"), *_FLAGS.split()]
        self.server = subprocess.Popen(words, env=self.environment, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while self._run("pactl", "info", check=False).returncode and time.monotonic() < until:
            time.sleep(0.05)

    def _sink(self) -> str:
        return f"load-module module-null-sink sink_name=vmic rate={self.rate} channels=1 format=s16le norewinds=1"

    def _run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, check=check)

    def play(self, recording: Path) -> None:
        """Into the microphone, in real time."""
        self._run("paplay", "--device=vmic", str(recording))

    def unplug(self) -> None:
        """The device is gone."""
        self._run("pactl", "unload-module", "module-null-sink")

    def plug(self) -> None:
        """It is there again."""
        self._run("pactl", *self._sink().split())


@contextmanager
def virtual_microphone(folder: Path, rate: int) -> Iterator[VirtualMicrophone]:
    """A microphone of `rate` Hz; the test is skipped where the packages are missing."""
    if reason := missing():
        pytest.skip(reason)
    microphone = VirtualMicrophone(folder, rate)
    try:
        yield microphone
    finally:
        microphone.server.terminate()
        microphone.server.wait()


class Listening:
    """A process of `kws listen` at a device of a given rate, its lines as they come."""

    def __init__(self, device, *words: str) -> None:
        command = [sys.executable, "-c", _NATIVE.format(rate=device.rate), "listen", *words]
        self.process = subprocess.Popen(
            command, env=device.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.greeting = self.process.stderr.readline()

    def __enter__(self) -> "Listening":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> tuple[str, str]:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        return out, err
