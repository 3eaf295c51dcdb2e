"""The machine that a benchmark ran on. A figure of `kws bench` means nothing without
it.

A field that cannot be read is None: a container hides the governor, and systems other
than Linux most fields.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kws import __version__

_CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"
_PACKAGES = ("numpy", "onnxruntime")  # what hears


@dataclass(frozen=True)
class Board:
    """A machine, and the versions of the packages that hear on it.

    board: its name, where its firmware gives one (a Raspberry Pi does). cores: those
    that this process may use. governor: the policy that sets the clock of the first
    core; "performance" keeps it at mhz_most. mhz: the clock of the first core now.
    """

    machine: str
    board: str | None
    cpu: str | None
    cores: int
    governor: str | None
    mhz: int | None
    mhz_most: int | None
    memory_mb: int | None
    system: str
    versions: dict[str, str | None]

    def __str__(self) -> str:
        clock = [
            None if self.mhz is None else f"{self.mhz} MHz now",
            None if self.mhz_most is None else f"{self.mhz_most} MHz at most",
            None if self.governor is None else f"governor {self.governor}",
        ]
        cpu = [self.board, self.cpu or self.machine, f"{self.cores} core{'s' * (self.cores != 1)}", *clock]
        memory = None if self.memory_mb is None else f"{self.memory_mb} MB of memory"
        system = [self.system, self.machine, memory]
        versions = (f"{name} {found or 'of unknown version'}" for name, found in self.versions.items())
        lines = (", ".join(filter(None, cpu)), ", ".join(filter(None, system)), ", ".join(versions))
        return "\n".join(lines)


def read_board(root: Path = Path("/")) -> Board:
    """The machine that this runs on. root: where its /proc and /sys are."""
    cpuinfo = _fields(root / "proc/cpuinfo")
    versions: dict[str, str | None] = {"Python": platform.python_version(), "kws": __version__}
    versions |= {name: _version(name) for name in _PACKAGES}
    memory = _fields(root / "proc/meminfo").get("MemTotal", "").split()
    return Board(
        machine=platform.machine(),
        board=_line(root / "proc/device-tree/model") or cpuinfo.get("Model"),
        cpu=cpuinfo.get("model name") or _arm_core(cpuinfo) or platform.processor() or None,
        cores=_cores(),
        governor=_line(root / _CPUFREQ / "scaling_governor"),
        mhz=_thousandth(_line(root / _CPUFREQ / "scaling_cur_freq")),
        mhz_most=_thousandth(_line(root / _CPUFREQ / "cpuinfo_max_freq")),
        memory_mb=_thousandth(memory[0]) if memory else None,
        system=_system(),
        versions=versions,
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _arm_core(cpuinfo: dict[str, str]) -> str | None:
    """Arm's kernel gives numbers where others give a name; Arm's manuals list them."""
    implementer, part = cpuinfo.get("CPU implementer"), cpuinfo.get("CPU part")
    return None if part is None else f"CPU part {part} of implementer {implementer}"


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.platform()
    return f"{name}, {platform.system()} {platform.release()}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # found on a path that no installer wrote
        return None


def _line(path: Path) -> str | None:
    """The first line of a small file; None where it is absent, empty or not for us."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip("\0\n ").splitlines()
    except OSError:
        return None
    return lines[0] if lines else None


def _fields(path: Path) -> dict[str, str]:
    """`name : value` lines as /proc has them, the first of each name."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        name, colon, text = line.partition(":")
        if colon and text.strip():
            found.setdefault(name.strip(), text.strip())
    return found


def _thousandth(text: str | None) -> int | None:
    """From kHz to MHz, from kB to MB."""
    return int(text) // 1000 if text is not None and text.isdecimal() else None
