"""The mistakes of a report, worst first, and the sound of each."""

import base64
import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from kws.arrays import Samples
from kws.errors import KwsError, require
from kws.evaluate.report.model import Report, Trial
from kws.units import SAMPLE_RATE

Sound = Callable[[str, str, float, float], Samples]  # (audio, condition, start_s, end_s) -> float32 (S,) at 16 kHz

BEFORE_S, AFTER_S = 1.5, 0.75  # of sound around an event
_LONGEST_S = 8.0
_AROUND = 60  # characters before and after what is said at an event
_LONGEST_WORD = 24  # characters: some languages have no spaces
_BARS = 72  # of the drawing of a clip
_LOUDNESS_STEPS = 35


class Passage(NamedTuple):
    """The words before, at and after a place in a text, cut short where it is long."""

    before: str
    here: str
    after: str


@dataclass(frozen=True)
class Event:
    """A word that was missed, or a false accept, at some operating point of a report.

    scores: at each of the points, None where there is no mistake. start_s, end_s: of
    the word in the clip, None where they are not known. role: that of the recording.
    order, out_of: its number among its keyword's words of the same condition (misses),
    or among its keyword's false accepts. at_s: seconds into all audio; None for misses
    and confusable phrases.
    """

    kind: Literal["miss", "accept"]
    keyword: str
    audio: str
    name: str
    condition: str
    speaker: str
    words: Passage | None
    scores: tuple[float | None, ...]
    start_s: float | None
    end_s: float | None
    role: str
    order: int
    out_of: int
    at_s: float | None


def events(report: Report) -> list[Event]:
    """All misses and false accepts of a report, at any of its operating points, the
    worst first.

    The worst miss has the lowest score, the worst false accept the highest. The
    keywords take turns, so that none crowds out another. False accepts and clean misses
    come before the misses of the other conditions.
    """
    conditions = {name: number for number, name in enumerate(report.conditions)}
    found = sorted([*_misses(report), *_accepts(report)], key=_badness, reverse=True)
    turns: Counter[tuple[str, str, str]] = Counter()
    ranked = []
    for event in found:
        group = (event.kind, event.keyword, event.condition)
        ranked.append((conditions.get(event.condition, 0), turns[group], event))
        turns[group] += 1
    return [event for _, _, event in sorted(ranked, key=lambda entry: entry[:2])]


def passage(text: str, start: float, end: float) -> Passage:
    """The words of a text at a place, which is given as shares of the recording's
    length, and some words around them.

    The times of the words are not known: the share of the text stands for the share of
    the time.
    """
    text = " ".join(text.split())
    first, last = (round(min(1.0, max(0.0, share)) * len(text)) for share in (start, end))
    first = max(text.rfind(" ", 0, first) + 1, first - _LONGEST_WORD)
    blank = text.find(" ", last)
    last = min(len(text) if blank < 0 else blank, last + _LONGEST_WORD)
    before, after = text[:first], text[last:]
    if len(before) > _AROUND:
        before = "…" + (before[-_AROUND:].partition(" ")[2] or before[-_AROUND:])
    if len(after) > _AROUND:
        after = (after[:_AROUND].rpartition(" ")[0] or after[:_AROUND]) + "…"
    return Passage(before, text[first:last], after)


def _badness(event: Event) -> float:
    scores = [score for score in event.scores if score is not None]
    return -min(scores) if event.kind == "miss" else max(scores)


def _misses(report: Report) -> Iterator[Event]:
    def group(trial: Trial) -> tuple[str, str]:
        return trial.keyword, trial.condition

    totals = Counter(map(group, report.trials))
    orders: Counter[tuple[str, str]] = Counter()
    for trial in report.trials:
        orders[group(trial)] += 1
        if any(trial.missed):
            yield Event(
                kind="miss",
                keyword=trial.keyword,
                audio=trial.audio,
                name=trial.name,
                condition=trial.condition,
                speaker=trial.speaker,
                words=None,
                scores=tuple(trial.score if missed else None for missed in trial.missed),
                start_s=trial.start_s,
                end_s=trial.end_s,
                role="positive",
                order=orders[group(trial)],
                out_of=totals[group(trial)],
                at_s=None,
            )


def _accepts(report: Report) -> Iterator[Event]:
    totals = Counter(accept.keyword for accept in report.accepts)
    orders: Counter[str] = Counter()
    for accept in report.accepts:
        orders[accept.keyword] += 1
        start, end = (place_s / max(accept.seconds, 1e-9) for place_s in (accept.start_s, accept.end_s))
        yield Event(
            kind="accept",
            keyword=accept.keyword,
            audio=accept.audio,
            name=accept.name,
            condition=report.conditions[0],
            speaker="",
            words=passage(accept.text, start, end) if accept.text else None,
            scores=accept.scores,
            start_s=accept.start_s,
            end_s=accept.end_s,
            role=accept.kind,
            order=orders[accept.keyword],
            out_of=totals[accept.keyword],
            at_s=accept.at_s,
        )


@dataclass(frozen=True)
class Clip:
    """The sound around an event. start: seconds into its recording. mark: the second of
    the clip in which the event is, where that is known. bars: its loudness (`bars`).
    mp3: in base64.
    """

    start: float
    seconds: float
    mark: tuple[float, ...]
    bars: str
    mp3: str


@dataclass(frozen=True)
class NoClip:
    """The reason why a sound cannot be had any more."""

    note: str


def cut(event: Event, sound: Sound) -> Clip | NoClip:
    """The sound around an event."""
    start = 0.0 if event.start_s is None else max(0.0, event.start_s - BEFORE_S)
    end = start + _LONGEST_S if event.end_s is None else min(event.end_s + AFTER_S, start + _LONGEST_S)
    try:
        samples = sound(event.audio, event.condition, start, end)
    except KwsError as error:
        return NoClip(str(error))
    if not len(samples):
        return NoClip(f"{event.name} has no sound there")
    seconds = len(samples) / SAMPLE_RATE
    marks = () if event.start_s is None or event.end_s is None else (event.start_s - start, event.end_s - start)
    return Clip(
        start=round(start, 3),
        seconds=round(seconds, 3),
        mark=tuple(round(min(mark, seconds), 3) for mark in marks),
        bars=bars(samples),
        mp3=base64.b64encode(mp3(samples)).decode("ascii"),
    )


def bars(samples: Samples) -> str:
    """The loudness of a clip over time, a character (0 to z) per bar, the loudest being
    z.
    """
    edges = np.linspace(0, len(samples), min(_BARS, len(samples)) + 1).astype(int)[:-1]
    peaks = np.sqrt(np.maximum.reduceat(np.abs(samples), edges))
    levels = np.rint(peaks / max(float(peaks.max()), 1e-6) * _LOUDNESS_STEPS).astype(int)
    return "".join(np.base_repr(level, 36).lower() for level in levels)


def mp3(samples: Samples) -> bytes:
    """MP3 at 40 kbit/s: the one small format that Chromium, Firefox and every Safari
    play.

    Safari before 18.4 knows no Ogg, and FLAC, which all know, is more than twice as
    large.
    """
    soundfile = require("soundfile", extra="score")
    file = io.BytesIO()
    pcm = np.clip(samples, -1.0, 1.0)
    kind = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.8}
    soundfile.write(file, pcm, SAMPLE_RATE, **kind)
    return file.getvalue()
