"""An explanation in words for people, and as JSON values for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from kws.digits import probability
from kws.metadata import ModelInfo
from kws.runtime.explain.diagnosis import CLEAR, Diagnosis, Phone
from kws.runtime.explain.explainer import Explanation
from kws.runtime.explain.sound import Sound
from kws.units import HOP_SAMPLES, SAMPLE_RATE, seconds

_FAINT = 0.1  # the posterior from which on a phone was heard a little
_SURE = 0.995  # a score from here on is written as 1.00
_QUIET_DB = -60.0  # of the loudest 20 ms, so a peak of about -50 dBFS: from there on models miss more
_CLIPPED = 0.001
_TELEPHONE_DB = -45.0
_EDGE_FRAMES = 3
_CLOSE = 0.5  # of the threshold: a score from here on is worth a lower threshold


def in_words(explanation: Explanation, info: ModelInfo) -> list[str]:
    """The lines of an explanation: for each diagnosis a headline and its reasons, then
    faults of the sound.
    """
    lines = [
        line for diagnosis in explanation.diagnoses for line in diagnosis_lines(diagnosis, explanation.sound, info)
    ]
    if not lines:
        lines = [f"it lasts {1000 * seconds(explanation.sound.samples):.3g} ms: too short to hold a keyword"]
    return [*lines, *(f"the sound: {fact}" for fact in sound_facts(explanation.sound))]


def diagnosis_lines(diagnosis: Diagnosis, sound: Sound, info: ModelInfo) -> list[str]:
    """A headline, and below it each phone and the reasons."""
    below = [*_table(diagnosis), *reasons(diagnosis, sound, info)]
    return [headline(diagnosis, info), *(f"  {line}" for line in below)]


def headline(diagnosis: Diagnosis, info: ModelInfo) -> str:
    """One line that says whether the keyword fired, when and with what score."""
    time = f"{_at(diagnosis.decided + 1, info):.2f} s"
    name, verdict = diagnosis.keyword.name, diagnosis.verdict
    score = probability(diagnosis.score if verdict is None else verdict.score)
    threshold = probability(diagnosis.keyword.threshold)
    if diagnosis.cause == "refused":
        return f"{name} did not fire at {time}: the verifier refused it, score {score}, threshold {threshold}"
    if diagnosis.cause == "fired":
        peak = probability(_final_peak(diagnosis))
        return f"{name} fired at {time}: score {score}, peak {peak}, threshold {threshold}"
    if diagnosis.cause in ("too long", "gap"):
        return f"{name} did not fire at {time}: said too slowly (score {score} otherwise, threshold {threshold})"
    if diagnosis.cause == "refractory":
        return f"{name} did not fire at {time}: too soon after the event before (score {score}, threshold {threshold})"
    if verdict is None and info.verifier is not None:
        return (
            f"{name} did not fire: at best {score} at {time}, the first pass's floor is {probability(diagnosis.limit)}"
        )
    return f"{name} did not fire: at best score {score} at {time}, threshold {threshold}"


def reasons(diagnosis: Diagnosis, sound: Sound, info: ModelInfo) -> list[str]:
    """Sentences that say why a keyword fired or did not, what was heard instead, and
    what may be done.
    """
    begin, end = _at(diagnosis.start, info), _at(diagnosis.frame + 1, info)
    heard = " ".join(token.name for token in diagnosis.heard_near) or "no phone at all"
    lines = [*_why(diagnosis, info), f"the model heard from {begin:.2f} to {end:.2f} s: {heard}"]
    if not diagnosis.fired:
        lines += _advice(diagnosis, sound, info)
    return lines


def _table(diagnosis: Diagnosis) -> Iterator[str]:
    """The keyword's phones, and below each the highest posterior that its path found
    for it.
    """
    of = f"  (the best of {n} spellings)" if (n := len(diagnosis.keyword.spellings)) > 1 else ""
    yield "phone  " + "".join(f"{phone.name:<8}" for phone in diagnosis.phones).rstrip() + of
    yield "heard  " + "".join(f"{probability(phone.best):<8}" for phone in diagnosis.phones).rstrip()


def _why(diagnosis: Diagnosis, info: ModelInfo) -> Iterator[str]:
    """The cause, in one sentence or a few."""
    scoring = info.scoring
    if diagnosis.verdict is not None:
        yield from _verdict(diagnosis, info)
    elif diagnosis.cause == "fired":
        yield from _fired(diagnosis, info)
    if diagnosis.cause == "fired":
        return
    if diagnosis.cause == "refractory":
        assert diagnosis.event is not None
        after = _ms(diagnosis.frame - diagnosis.event, info)
        limit = _ms(scoring.refractory_frames, info)
        yield f"it came {after} after the event at {_at(diagnosis.event + 1, info):.2f} s; {limit} must lie between"
    elif diagnosis.cause == "too long":
        longest = scoring.longest_frames(diagnosis.spelling, diagnosis.borders)
        length, limit = (_ms(n, info) for n in (diagnosis.frame + 1 - diagnosis.start, longest))
        yield f"all of it was heard, but over {length}; it may take at most {limit}"
    yield from _gap(diagnosis, info)
    if diagnosis.cause in ("phones", "nothing like it"):
        if info.verifier is not None:
            yield "the verifier was not asked"
        yield from _lacks(diagnosis, info)


def _gap(diagnosis: Diagnosis, info: ModelInfo) -> Iterator[str]:
    """The longest silence inside the phrase that is too long, if any is."""
    scoring, phones = info.scoring, diagnosis.phones
    limits = [scoring.pause_frames if n in diagnosis.borders else scoring.max_gap_frames for n in range(len(phones))]
    label = max(range(len(phones)), key=lambda n: phones[n].gap - limits[n])
    if phones[label].gap > limits[label]:
        gap, limit = (_ms(n, info) for n in (phones[label].gap, limits[label]))
        before, after = phones[label - 1].name, phones[label].name
        yield f"between {before} and {after} there were {gap} without any phone; at most {limit} may be"


def _verdict(diagnosis: Diagnosis, info: ModelInfo) -> Iterator[str]:
    """Sentences on the verifier's decision, and on what would have changed it."""
    verdict, verifier = diagnosis.verdict, info.verifier
    assert verdict is not None and verifier is not None
    span = f"{seconds(verifier.segment_frames * HOP_SAMPLES):.3g} s"
    yield f"the first pass proposed it with {probability(diagnosis.score)}; the verifier heard the {span} up to then"
    if verdict.accepted:
        yield _silent_above(verdict.peak)


def _fired(diagnosis: Diagnosis, info: ModelInfo) -> Iterator[str]:
    """Sentences on what an event rests on, and on what would have kept it silent."""
    best, frame = diagnosis.peak
    weakest = min(diagnosis.phones, key=lambda phone: phone.best)
    early = weakest is diagnosis.phones[-1] and frame > diagnosis.frame
    if weakest.best < CLEAR and not early:
        yield _weak(weakest, info)
    if frame > diagnosis.frame:
        before = f"it fired while {weakest.name} was only beginning; " if early else ""
        yield f"{before}its score rose to {probability(best)} at {_at(frame + 1, info):.2f} s"
    yield _silent_above(best)


def _silent_above(peak: float) -> str:
    """The threshold above which an event would not have fired, in a sentence."""
    above = "no threshold" if peak >= _SURE else f"only a threshold above {probability(peak)}"
    return f"{above} would have kept it silent"


def _lacks(diagnosis: Diagnosis, info: ModelInfo) -> Iterator[str]:
    """Which phones the score lacks, and what stood in their place."""
    if diagnosis.cause == "nothing like it":
        clear = [phone.name for phone in diagnosis.phones if phone.best >= CLEAR]
        were = "was" if len(clear) == 1 else "were"
        heard = f"only {_list(clear)} {were} clear" if clear else "none of its phones was clear"
        lacking, of = len(diagnosis.lacking), len(diagnosis.phones)
        yield f"nothing like it was heard: {heard}, and {lacking} of {of} phones lacked"
        return
    missing = [_weak(diagnosis.phones[label], info) for label in sorted(diagnosis.lacking)]
    missing += [_stray(diagnosis, label) for label in sorted(diagnosis.extra_sounds)]
    yield f"{'; '.join(missing)}"
    alone = "that alone" if len(missing) == 1 else "these alone"
    kept = "silent" if info.verifier is None else "from the verifier"
    yield f"{alone} kept it {kept}: otherwise its score would be {probability(diagnosis.score_if_perfect)}"


def _weak(phone: Phone, info: ModelInfo) -> str:
    """A sentence on a phone that was heard badly: its best posterior, and the token
    heard in its place.
    """
    how = "was not heard" if phone.best < _FAINT else "was weak" if phone.best < CLEAR else "could be clearer"
    rival = f", {phone.rival} was heard there with {probability(phone.rival_best)}" if phone.rival else ""
    return f"{phone.name} {how} ({probability(phone.best)} at {_at(phone.start, info):.2f} s{rival})"


def _stray(diagnosis: Diagnosis, label: int) -> str:
    return f"other sounds between {diagnosis.phones[label - 1].name} and {diagnosis.phones[label].name}"


def _cut(diagnosis: Diagnosis, sound: Sound, info: ModelInfo) -> str | None:
    """The end of the file, "begin" or "end", at which the word may be cut off."""
    if not any(phone.best >= CLEAR for phone in diagnosis.phones):
        return None  # there is no word of which something might be missing
    if diagnosis.start <= _EDGE_FRAMES and diagnosis.phones[0].best < CLEAR:
        return "begin"
    last = sound.samples // info.frame_samples
    return "end" if diagnosis.frame >= last - _EDGE_FRAMES and diagnosis.phones[-1].best < CLEAR else None


def _advice(diagnosis: Diagnosis, sound: Sound, info: ModelInfo) -> Iterator[str]:
    """Sentences on what may have kept a word from being heard, and on what may be done
    about it.
    """
    if -math.inf < diagnosis.level_db < _QUIET_DB:
        yield f"it is quiet there, {diagnosis.level_db:.0f} dB of full scale at the loudest: raise the gain (--gain)"
    if cut := _cut(diagnosis, sound, info):
        yield f"it {cut}s where the file {cut}s: the word may be cut off there"
        return
    ways = []
    if _CLOSE <= (score := _final_score(diagnosis)) / diagnosis.keyword.threshold < 1:
        ways.append(f"a threshold of {math.floor(score * 1e4) / 1e4:g}")
    if diagnosis.proposal is not None:
        spelled = f'--keyword "{diagnosis.keyword.name} 2={" ".join(diagnosis.proposal.spelling)}"'
        ways.append(f"{spelled} (score {probability(diagnosis.proposal.score)})")
    if ways:
        yield f"if it was said there: {' or '.join(ways)} would fire; count its false accepts with `kws score` first"


def _final_score(diagnosis: Diagnosis) -> float:
    """The score that a lower threshold would have to meet; 0 where a lower threshold
    changes nothing.
    """
    if diagnosis.verdict is not None:
        return diagnosis.verdict.score
    return diagnosis.score if diagnosis.cause == "phones" and diagnosis.limit == diagnosis.keyword.threshold else 0.0


def _final_peak(diagnosis: Diagnosis) -> float:
    """The peak of an event, as `kws.Detection` has it."""
    return diagnosis.peak[0] if diagnosis.verdict is None else diagnosis.verdict.peak


def sound_facts(sound: Sound) -> list[str]:
    """The faults of a sound as a whole, a phrase each."""
    if sound.peak == 0:
        return ["it is digital silence"]
    facts = []
    if sound.clipped >= _CLIPPED:
        facts.append(f"{sound.clipped:.1%} of its samples stand at full scale: it is clipped")
    if sound.above_telephone_db < _TELEPHONE_DB:
        facts.append("nothing is in it above 4 kHz, as on a telephone: S, F, T and their like are hard to tell")
    return facts


def as_values(explanation: Explanation, info: ModelInfo) -> list[dict[str, Any]]:
    """The diagnoses as JSON values: the fields of an event's line in JSON, then the
    fields that explain it.
    """
    return [_values(diagnosis, explanation.sound, info) for diagnosis in explanation.diagnoses]


def _values(diagnosis: Diagnosis, sound: Sound, info: ModelInfo) -> dict[str, Any]:
    return {
        "keyword": diagnosis.keyword.name,
        "score": round(diagnosis.score if diagnosis.verdict is None else diagnosis.verdict.score, 4),
        "first_pass_score": None if info.verifier is None else round(diagnosis.score, 4),
        "start_s": _second(diagnosis.start, info),
        "end_s": _second(diagnosis.decided + 1, info),
        "fired": diagnosis.fired,
        "threshold": diagnosis.keyword.threshold,
        "cause": diagnosis.cause,
        "peak": round(_final_peak(diagnosis), 4) if diagnosis.fired else None,
        "event_before_s": None if diagnosis.event is None else _second(diagnosis.event + 1, info),
        "lacking": list(diagnosis.lacking),
        "strays": list(diagnosis.extra_sounds),
        "score_without_lack": round(diagnosis.score_if_perfect, 4),
        "phones": [_phone_values(phone, info) for phone in diagnosis.phones],
        "heard": [
            {"phone": token.name, "start_s": _second(token.frame, info), "best": round(token.best, 4)}
            for token in diagnosis.heard_near
        ],
        "cut": None if diagnosis.fired else _cut(diagnosis, sound, info),
        "level_db": round(diagnosis.level_db, 1) if math.isfinite(diagnosis.level_db) else None,
        "proposal": diagnosis.proposal
        and {"phones": list(diagnosis.proposal.spelling), "score": round(diagnosis.proposal.score, 4)},
        "words": [headline(diagnosis, info), *reasons(diagnosis, sound, info)],
        "sound": sound_facts(sound),
    }


def _phone_values(phone: Phone, info: ModelInfo) -> dict[str, Any]:
    return {
        "phone": phone.name,
        "start_s": _second(phone.start, info),
        "end_s": _second(phone.end, info),
        "best": round(phone.best, 4),
        "log_best": phone.peak,
        "llr": phone.llr,
        "gap_ms": round(1000 * seconds(phone.gap * info.frame_samples)),
        "gap_llr": phone.gap_llr,
        "rival": phone.rival,
        "rival_best": round(phone.rival_best, 4),
    }


def _second(frame: int, info: ModelInfo) -> float:
    return round(_at(frame, info), 3)


def _at(frame: int, info: ModelInfo) -> float:
    """The second in which a frame begins."""
    return seconds(frame * info.frame_samples)


def _ms(frames: int, info: ModelInfo) -> str:
    return f"{1000 * frames * info.frame_samples / SAMPLE_RATE:.0f} ms"


def _list(names: Sequence[str]) -> str:
    """The items as "A, B and C"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
