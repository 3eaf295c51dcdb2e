"""What `kws bench` says of the machine: read where it can be, left out where it cannot."""

from pathlib import Path

import numpy as np
import onnxruntime

from kws.runtime.bench.board import read_board

PI = {
    "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/meminfo": "MemTotal:        3884348 kB\nMemFree: 1 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
}
SERVER = {"proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: other\n"}


def files(root: Path, content: dict[str, str]) -> Path:
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_board_says_what_it_is(tmp_path):
    board = read_board(files(tmp_path, PI))
    assert board.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert board.cpu == "CPU part 0xd08 of implementer 0x41"
    assert (board.governor, board.mhz, board.mhz_most, board.memory_mb) == ("ondemand", 600, 1800, 3884)
    for words in ("Raspberry Pi 4 Model B Rev 1.4", "600 MHz now", "1800 MHz at most", "governor ondemand", "3884 MB"):
        assert words in str(board)


def test_a_server_is_named_by_its_processor(tmp_path):
    board = read_board(files(tmp_path, SERVER))
    assert board.cpu == "AMD EPYC"
    assert (board.board, board.governor, board.mhz) == (None, None, None)
    assert str(board).startswith("AMD EPYC, ")


def test_what_cannot_be_read_is_left_out(tmp_path):
    board = read_board(tmp_path)
    assert (board.board, board.governor, board.mhz, board.mhz_most, board.memory_mb) == (None,) * 5
    assert "None" not in str(board) and "governor" not in str(board)
    assert len(str(board).splitlines()) == 3


def test_files_that_hold_nothing_useful_are_borne(tmp_path):
    odd = dict.fromkeys(PI, "") | {"proc/meminfo": "MemTotal: many\n", "proc/cpuinfo": ": x\nmodel name :\nno colon\n"}
    board = read_board(files(tmp_path, odd))
    assert (board.board, board.governor, board.mhz, board.memory_mb) == (None,) * 4


def test_the_versions_are_those_that_hear():
    versions = read_board().versions
    assert versions["numpy"] == np.__version__ and versions["onnxruntime"] == onnxruntime.__version__
    assert read_board().cores >= 1
