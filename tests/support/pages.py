"""Pages of made-up reports, with a made-up sound."""

from pathlib import Path
from typing import Any

import numpy as np

import reports
import tones
from kws.errors import KwsError
from kws.evaluate.report.page import clips
from kws.evaluate.report.page import document as page

NASTY = "</script><script>alert(1)</script><!-- \" ' & \u2028 \udcff \x00 $x ${y} ü 語 </title>"


def sound(audio: str, condition: str, start_s: float, end_s: float) -> np.ndarray:
    """A tune of 2.4 s, of which there is what was asked for."""
    whole = np.concatenate([tones.speak("ABC"), np.zeros(16_000, np.float32), tones.speak("FEDABC")])
    return whole[int(start_s * 16_000) : int(end_s * 16_000)] if end_s < 20 else whole


def page_of(report: dict[str, Any], folder: Path, voice: clips.Sound = sound) -> str:
    path = folder / "report.html"
    page.write_page(reports.typed(report), voice, path)
    return path.read_text(encoding="utf-8")


def unreadable(what: str) -> clips.Sound:
    def fails(*_: object) -> np.ndarray:
        raise KwsError(f"{what} does not exist")

    return fails


CASES = {
    "six": lambda: reports.with_more(reports.make_report(positives=12, conditions=["clean", "5 dB"])),
    "one condition": lambda: reports.make_report(["alexa", "jarvis"], 12, conditions=["clean"]),
    "no other audio": reports.silent_report,
    "nobody spoke": lambda: reports.make_report(["computer", "jarvis"], 0, 5.0, ["clean"], 10.0),
    "35 words": lambda: reports.make_report([f"word {i}" for i in range(35)], 4, 2.0, ["clean", "0 dB"], 4.0),
    "many points": lambda: reports.make_report(["computer"], 300, 40.0, ["clean"], 40.0),
}


def write_all(folder: Path) -> dict[str, Path]:
    """A page of each of CASES."""
    written = {}
    for number, (name, make) in enumerate(CASES.items()):
        written[name] = folder / f"{number}.html"
        page.write_page(reports.typed(make()), sound if name == "six" else unreadable("a clip"), written[name])
    return written
