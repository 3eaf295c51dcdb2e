"""An explanation as a picture: sound, phones and best path, score and threshold, on one
axis of time.

S samples, M mel bands, N columns of the spectrogram.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Samples
from kws.digits import probability
from kws.errors import KwsError, require
from kws.files import whole
from kws.metadata import ModelInfo
from kws.runtime.explain.diagnosis import Diagnosis
from kws.runtime.explain.explainer import Explanation
from kws.runtime.explain.search import Excerpt
from kws.runtime.explain.text import headline, reasons, sound_facts
from kws.units import HOP_SAMPLES, SAMPLE_RATE

SUFFIXES = (".png", ".svg", ".pdf")

# Okabe and Ito's colours, which the colour-blind tell apart (https://jfly.uni-koeln.de/color/).
_PATH, _SCORE, _LIMIT, _FIRE, _LACK = "#D55E00", "#0072B2", "#666666", "#009E73", "#D55E00"
_POINTS, _BANDS, _LOWEST_HZ, _COLUMNS, _RANGE_DB = 512, 96, 60, 1200, 65.0  # of a spectrogram
_TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000)
_WIDTH, _LINE, _LANE, _SOUND, _CURVE = 11.0, 0.19, 0.23, 1.7, 1.2  # inches
_HEARD, _AIR = 0.22, 0.8  # inches of the row of phones that were heard, and between and around the rows
_CHARACTERS = 130  # of a line below the picture: longer ones would squeeze it aside
_MARGIN = 0.01  # left of the titles, of the whole width
_BEFORE_S = 1.0  # shown before the path
_NOTHING_DB = -100.0  # of the power of digital silence


def picture_paths(output: Path | None, files: Sequence[str]) -> list[Path]:
    """The path of each file's picture: in the folder `output` (None: the current one),
    or that very path.

    Raises KwsError for one path for several files and for a format that is none of
    SUFFIXES.
    """
    folder = output or Path()
    if folder.suffix[1:].isalpha() and not folder.is_dir():
        if folder.suffix.lower() not in SUFFIXES:
            raise KwsError(f"{folder} can be no picture: give a folder or one of {', '.join(SUFFIXES)}")
        if len(files) != 1:
            raise KwsError(f"{folder} is one picture, and {len(files)} files are to be drawn: give a folder")
        return [folder]
    paths: list[Path] = []
    for file in files:
        path, number = folder / f"{Path(file).stem}.explain.png", 1
        while path in paths:
            number += 1
            path = folder / f"{Path(file).stem}.explain-{number}.png"
        paths.append(path)
    return paths


def draw(path: Path, name: str, explanation: Explanation, info: ModelInfo) -> Path | None:
    """Write the picture of a file called `name`, whose path it returns; None where
    there is nothing to draw.

    Raises KwsError without matplotlib, and where nothing can be written to `path`.
    """
    figures = require("matplotlib.figure", extra="score")
    diagnoses = [diagnosis for diagnosis in explanation.diagnoses if diagnosis.excerpt is not None]
    if not diagnoses:
        return None
    told = [reasons(diagnosis, explanation.sound, info) for diagnosis in diagnoses]
    told[-1] += [f"the sound: {fact}" for fact in sound_facts(explanation.sound)]
    captions = [[row for line in lines for row in textwrap.wrap(line, _CHARACTERS)] for lines in told]
    heights = [
        [_SOUND, _HEARD, _LANE * len(diagnosis.phones), _CURVE, _LINE * (len(lines) + 0.5)]
        for diagnosis, lines in zip(diagnoses, captions, strict=True)
    ]
    figure = figures.Figure((_WIDTH, sum(map(sum, heights)) + _AIR * len(diagnoses) + 0.3), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.02, hspace=0.0)
    figure.suptitle(f"{name}  ({info.name})", fontsize=10, color="#444444", x=_MARGIN, ha="left")
    parts = figure.subfigures(len(diagnoses), 1, height_ratios=[sum(h) + _AIR for h in heights], squeeze=False)
    for part, diagnosis, lines, ratios in zip(parts[:, 0], diagnoses, captions, heights, strict=True):
        _draw_diagnosis(part, diagnosis, lines, ratios, info)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            figure.savefig(partial, format=path.suffix[1:], dpi=130, facecolor="white")
    except OSError as error:
        raise KwsError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def coverage(explanation: Explanation) -> str:
    """How many of the diagnoses the picture shows, where it does not show all."""
    shown = sum(diagnosis.excerpt is not None for diagnosis in explanation.diagnoses)
    return "" if shown == len(explanation.diagnoses) else f" (shows {shown} of these {len(explanation.diagnoses)})"


def spectrogram(axes: Any, samples: Samples, start_s: float = 0.0) -> None:
    """Draw the mel spectrogram of samples (S,) at 16 kHz, the first of them at second
    `start_s`.
    """
    hop = max(HOP_SAMPLES, samples.size // _COLUMNS)
    decibels = mel_db(samples, hop)
    top = max(float(decibels.max()), _NOTHING_DB + _RANGE_DB)  # silence is white
    extent = (start_s, start_s + decibels.shape[1] * hop / SAMPLE_RATE, _mel(_LOWEST_HZ), _mel(SAMPLE_RATE / 2))
    options = {"vmin": top - _RANGE_DB, "vmax": top, "cmap": "Greys", "aspect": "auto", "origin": "lower"}
    axes.imshow(decibels, extent=extent, interpolation="bilinear", **options)
    axes.set_yticks([_mel(hz) for hz in _TICKS_HZ], [f"{hz / 1000:g}" for hz in _TICKS_HZ])
    axes.set_ylabel("kHz")


def mel_db(samples: Samples, hop: int) -> NDArray[np.float64]:
    """(M, N): the power of samples (S,) in mel bands, in decibels, column i centred on
    samples [hop i, hop (i + 1)).
    """
    count = max(1, -(-samples.size // hop))
    before = max(0, _POINTS - hop) // 2
    padded = np.pad(samples, (before, count * hop + _POINTS - samples.size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _POINTS)[: count * hop : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(_POINTS), axis=1).T) ** 2
    bins = np.arange(len(power)) * SAMPLE_RATE / _POINTS
    centres = 700 * (10 ** (np.linspace(_mel(_LOWEST_HZ), _mel(SAMPLE_RATE / 2), _BANDS) / 2595) - 1)
    # Triangles around the centres, as wide as the distance to the next one, and at least two bins wide.
    widths = np.maximum(np.gradient(centres), SAMPLE_RATE / _POINTS)[:, None]
    bands = np.maximum(0, 1 - np.abs(bins - centres[:, None]) / widths)
    decibels: NDArray[np.float64] = 10 * np.log10(
        bands @ power / bands.sum(axis=1, keepdims=True) + 10 ** (_NOTHING_DB / 10)
    )
    return decibels


def _mel(hz: float) -> float:
    """A frequency on the mel scale (the formula of HTK)."""
    return 2595 * math.log10(1 + hz / 700)


def _draw_diagnosis(part: Any, diagnosis: Diagnosis, lines: list[str], ratios: list[float], info: ModelInfo) -> None:
    excerpt = diagnosis.excerpt
    assert excerpt is not None
    frame_s = info.frame_samples / SAMPLE_RATE
    part.suptitle(headline(diagnosis, info), fontsize=13, weight="bold", x=_MARGIN, ha="left")
    sound, heard, lanes, curve, words = part.subplots(5, 1, sharex=False, height_ratios=ratios)
    for axes in (heard, lanes, curve):
        axes.sharex(sound)
    spectrogram(sound, excerpt.samples, excerpt.first_frame * frame_s)
    for axes in (sound, curve):
        axes.axvspan(diagnosis.start * frame_s, (diagnosis.frame + 1) * frame_s, color=_PATH, alpha=0.08, linewidth=0)
    _draw_heard(heard, diagnosis, frame_s)
    _draw_lanes(lanes, diagnosis, excerpt, info.tokens, frame_s)
    _draw_curve(curve, diagnosis, excerpt, info)
    begin = max(excerpt.first_frame, diagnosis.start - round(_BEFORE_S / frame_s))
    sound.set_xlim(begin * frame_s, (excerpt.first_frame + len(excerpt.scores)) * frame_s)
    for axes in (sound, heard, lanes):
        axes.tick_params(labelbottom=False)
    words.axis("off")
    words.text(0, 1, "\n".join(lines), fontsize=9, va="top", transform=words.transAxes, linespacing=1.35)
    part.align_ylabels([sound, lanes, curve])


def _draw_heard(axes: Any, diagnosis: Diagnosis, frame_s: float) -> None:
    """The best path in letters, where each token begins; grey away from the keyword's
    path.
    """
    near = diagnosis.heard_near
    for token in diagnosis.heard:
        colour = "black" if token in near else "#999999"
        at = (token.frame + 0.5) * frame_s
        axes.text(at, 0.5, token.name, ha="center", va="center", fontsize=8, color=colour, clip_on=True)
    axes.set(yticks=[0.5], ylim=(0, 1))
    axes.set_yticklabels(["heard"], fontsize=9)
    axes.tick_params(length=0)
    for side in ("top", "bottom", "left", "right"):
        axes.spines[side].set_visible(False)


def _draw_lanes(axes: Any, diagnosis: Diagnosis, excerpt: Excerpt, tokens: tuple[str, ...], frame_s: float) -> None:
    """A lane for each phone of the spelling: how sure the model was of it, and the path
    through them.
    """
    columns = [tokens.index(phone.name) for phone in diagnosis.phones]
    posteriors = np.exp(excerpt.log_posteriors[:, columns].T)
    first = excerpt.first_frame
    extent = (first * frame_s, (first + posteriors.shape[1]) * frame_s, len(columns) - 0.5, -0.5)
    axes.imshow(posteriors, aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    times = (diagnosis.start + np.arange(len(diagnosis.places)) + 0.5) * frame_s
    axes.plot(times, diagnosis.places / 2, color=_PATH, linewidth=1.6, zorder=3)
    on_label = diagnosis.places % 2 == 0
    axes.plot(times[on_label], diagnosis.places[on_label] / 2, ".", color=_PATH, markersize=6, zorder=3)
    axes.set_yticks(range(len(columns)), [phone.name for phone in diagnosis.phones], fontsize=9)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(columns)), [probability(phone.best) for phone in diagnosis.phones], fontsize=9)
    right.tick_params(length=0)
    right.set_ylabel("at best", fontsize=9, color=_LIMIT)
    for label, text in enumerate(right.get_yticklabels()):
        if label in diagnosis.lacking:
            text.set(color=_LACK, weight="bold")
    for lane in range(1, len(columns)):
        axes.axhline(lane - 0.5, color="white", linewidth=1)
    axes.set_ylabel("phones")


def _draw_curve(axes: Any, diagnosis: Diagnosis, excerpt: Excerpt, info: ModelInfo) -> None:
    """The keyword's score over time, its threshold, and where it fired."""
    frame_s = info.frame_samples / SAMPLE_RATE
    times = (excerpt.first_frame + 1 + np.arange(len(excerpt.scores))) * frame_s
    scores = excerpt.scores[:, diagnosis.column]
    threshold = diagnosis.limit
    axes.fill_between(times, scores, color=_SCORE, alpha=0.25, linewidth=0)
    axes.plot(times, scores, color=_SCORE, linewidth=1.5)
    axes.axhline(threshold, color=_LIMIT, linestyle="--", linewidth=1)
    top = 1.2 * max(threshold, diagnosis.score, float(scores.max(initial=0.0)))
    axes.text(
        1.005,
        threshold / top,
        f"{'threshold' if info.verifier is None else 'floor'}\n{probability(threshold)}",
        color=_LIMIT,
        fontsize=8,
        va="center",
        transform=axes.transAxes,
    )
    end_s = (diagnosis.frame + 1) * frame_s
    mark = {"color": _FIRE, "marker": "v"} if diagnosis.fired else {"color": _LACK, "marker": "x"}
    axes.plot(
        [end_s], [diagnosis.score], linestyle="none", markersize=8, markeredgewidth=2, zorder=3, clip_on=False, **mark
    )
    note = f"fired {probability(diagnosis.score)}" if diagnosis.fired else probability(diagnosis.score)
    if diagnosis.verdict is not None:
        word = "fired" if diagnosis.fired else "verified"
        note = f"{probability(diagnosis.score)}, {word} {probability(diagnosis.verdict.score)}"
    axes.annotate(
        note + (" without the limit" if diagnosis.cause in ("too long", "gap") else ""),
        (end_s, diagnosis.score),
        (-8, 3),  # to the left: an event comes while the score rises
        textcoords="offset points",
        ha="right",
        fontsize=9,
        color=mark["color"],
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
    )
    axes.set(ylabel="score" if info.verifier is None else "first pass", xlabel="seconds", ylim=(0, top))
