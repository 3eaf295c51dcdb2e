"""Counts the misses of a verifier on speakers whom it never met: those of the fold that
a recipe leaves out.

The verifier is asked alone, without the first pass's score, since the first pass may
have met them. Thresholds are chosen on the very negatives that are counted, for each
keyword alone, and candidates are counted, not events: good for steering, not for a
report.

K keywords, N candidates, F hops of 10 ms, M mel bands.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from kws.data.scenes.config import SceneConfig
from kws.data.scenes.surroundings import Surroundings
from kws.model.verifier import Verifier
from kws.train.verifier.candidates import Proposal
from kws.train.verifier.recipe import VerifierTaskConfig
from kws.train.verifier.segments import SegmentDataset, TapeSource
from kws.units import HOP_SAMPLES, seconds

FA_PER_HOUR = (0.5, 1.0, 2.0)  # of each keyword
_SNRS_DB = {"clean": None, "10 dB": 10.0, "5 dB": 5.0}
_AT_ONCE = 256
_NOISE_ALONE = SceneConfig(
    noise_probability=1.0,
    row_gain_db=(0.0, 0.0),
    room_probability=0.0,
    babble_probability=0.0,
    microphone_probability=0.0,
    floor_probability=0.0,
)


class Asked(NamedTuple):
    """A candidate for which the verifier is asked, the tape that it lies on, and a name
    for the clip there.
    """

    source: TapeSource
    proposal: Proposal
    clip: tuple[int, int]


@dataclass(frozen=True)
class HeldOut:
    """said: the number of clips that hold a keyword. hours: of speech. wrong, right:
    candidates without and with their keyword. features: (N, F, M) of the wrong ones
    and, by condition, of the right ones.
    """

    said: int
    hours: float
    wrong: list[Asked]
    right: list[Asked]
    features: dict[str, torch.Tensor]


def held_out(data: SegmentDataset, task: VerifierTaskConfig) -> HeldOut:
    """The candidates of the speakers held out, in the first copy of each corpus, so
    that nobody is counted at two speeds.
    """
    asked: list[Asked] = []
    said, hours, seen = 0, 0.0, set[tuple[str, str]]()
    for number, source in enumerate(sorted(data.sources, key=lambda source: source.number)):
        rows = source.tape.rows
        clips = {(row.text, row.speaker) for row in rows}
        if clips <= seen:
            continue
        seen |= clips
        said += int(source.holds[source.closed].sum())
        hours += sum(seconds(rows[row].end - rows[row].start) for row in source.closed) / 3600
        asked += [Asked(source, p, (number, p.row or 0)) for p in source.held_out if p.score >= task.floor]
    wrong = [a for a in asked if not a.source.holds[a.clip[1]].any()]
    right = [a for a in asked if a.source.holds[a.clip[1], a.proposal.keyword]]
    features = {"wrong": _features(data, wrong, None)}
    features |= {condition: _features(data, right, snr_db) for condition, snr_db in _SNRS_DB.items()}
    return HeldOut(said, hours, wrong, right, features)


def _features(data: SegmentDataset, asked: list[Asked], snr_db: float | None) -> torch.Tensor:
    """The features of the segments of candidates, in noise of the recipe where it is
    asked for.
    """
    if snr_db is not None:
        scene = replace(_NOISE_ALONE, snr_db=(snr_db, snr_db))
        noisy = Surroundings(scene, data.samples, data.surroundings.noise, None, _no_voice)
    made = [torch.zeros(0, data.length // HOP_SAMPLES, data.task.model.mels)]
    for first in range(0, len(asked), _AT_ONCE):
        rows = [a.source.tape.cut(a.proposal.end, data.samples) for a in asked[first : first + _AT_ONCE]]
        if snr_db is not None:
            rows = [noisy.place(row, np.random.default_rng((17, first, number))) for number, row in enumerate(rows)]
        made.append(data.features(torch.from_numpy(np.stack(rows).astype(np.float32))))
    return torch.cat(made)


def count(model: Verifier, found: HeldOut) -> dict[str, Any]:
    """The clips missed in each condition at each rate of false accepts, and the number
    of clips.
    """
    false = _log_odds(model, found.features["wrong"], found.wrong)
    missed: dict[str, list[int]] = {}
    for condition in _SNRS_DB:
        true = _log_odds(model, found.features[condition], found.right)
        missed[condition] = [
            found.said - _heard(found.right, true, _thresholds(found.wrong, false, int(rate * found.hours)))
            for rate in FA_PER_HOUR
        ]
    return {
        "clips": found.said,
        "hours": round(found.hours, 2),
        "candidates": len(found.wrong),
        "fa_per_hour": FA_PER_HOUR,
        "missed": missed,
    }


def _log_odds(model: Verifier, features: torch.Tensor, asked: list[Asked]) -> npt.NDArray[np.float64]:
    """The log-odds (N,) of each candidate's keyword."""
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        odds = [model(part.to(device))[0].double().cpu().numpy() for part in features.split(_AT_ONCE)]
    return np.concatenate(odds)[np.arange(len(asked)), [a.proposal.keyword for a in asked]]


def _thresholds(wrong: list[Asked], scores: npt.NDArray[np.float64], allowed: int) -> dict[int, float]:
    """The score that `allowed` false candidates of a keyword exceed."""
    by_keyword: dict[int, list[float]] = {}
    for a, score in zip(wrong, scores.tolist(), strict=True):
        by_keyword.setdefault(a.proposal.keyword, []).append(score)
    return {k: sorted(own, reverse=True)[allowed] for k, own in by_keyword.items() if len(own) > allowed}


def _heard(right: list[Asked], scores: npt.NDArray[np.float64], thresholds: dict[int, float]) -> int:
    """The clips with a candidate above its keyword's threshold."""
    pairs = zip(right, scores, strict=True)
    return len({(a.clip, a.proposal.keyword) for a, s in pairs if s > thresholds.get(a.proposal.keyword, -np.inf)})


def _no_voice(most: int, _: np.random.Generator) -> npt.NDArray[np.float32]:
    return np.zeros(most, np.float32)
