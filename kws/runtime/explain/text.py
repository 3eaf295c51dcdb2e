"""An explanation in words for people, and as JSON values for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from kws.metadata import ModelInfo
from kws.runtime.explain.diagnosis import CLEAR, Phone, Story
from kws.runtime.explain.explainer import Explanation
from kws.runtime.explain.sound import Sound
from kws.units import SAMPLE_RATE, seconds

_FAINT = 0.1  # the posterior from which on a phone was heard a little
_SURE = 0.995  # a score from here on is written as 1.00
_QUIET_DB = -35.0
_CLIPPED = 0.001
_TELEPHONE_DB = -45.0
_EDGE_FRAMES = 3
_CLOSE = 0.5  # of the threshold: a score from here on is worth a lower threshold


def in_words(explanation: Explanation, info: ModelInfo) -> list[str]:
    """The lines of an explanation: a headline per story, what supports it below, and what is wrong with the sound."""
    lines = [line for story in explanation.stories for line in story_lines(story, explanation.sound, info)]
    if not lines:
        lines = [f"it lasts {1000 * seconds(explanation.sound.samples):.3g} ms: too short to hold a keyword"]
    return [*lines, *(f"the sound: {fact}" for fact in sound_facts(explanation.sound))]


def story_lines(story: Story, sound: Sound, info: ModelInfo) -> list[str]:
    """What happened, in a line, and below it each phone and why."""
    below = [*_table(story), *reasons(story, sound, info)]
    return [headline(story, info), *(f"  {line}" for line in below)]


def headline(story: Story, info: ModelInfo) -> str:
    """What happened to the keyword, when and with what score."""
    time = f"{_at(story.frame + 1, info):.2f} s"
    name, score, threshold = story.keyword.name, number(story.score), number(story.keyword.threshold)
    if story.cause == "fired":
        return f"{name} fired at {time}: score {score}, threshold {threshold}"
    if story.cause in ("too long", "gap"):
        return f"{name} did not fire at {time}: said too slowly (score {score} otherwise, threshold {threshold})"
    if story.cause == "refractory":
        return f"{name} did not fire at {time}: too soon after the event before (score {score}, threshold {threshold})"
    return f"{name} did not fire: at best score {score} at {time}, threshold {threshold}"


def reasons(story: Story, sound: Sound, info: ModelInfo) -> list[str]:
    """Why it fired or did not, what was heard instead, and what may be done, in a sentence each."""
    begin, end = _at(story.start, info), _at(story.frame + 1, info)
    heard = " ".join(token.name for token in story.heard_near) or "no phone at all"
    lines = [*_why(story, info), f"the model heard from {begin:.2f} to {end:.2f} s: {heard}"]
    if not story.fired:
        lines += _advice(story, sound, info)
    return lines


def _table(story: Story) -> Iterator[str]:
    """The keyword's phones, and below each the highest posterior that its path found for it."""
    of = f"  (the best of {n} spellings)" if (n := len(story.keyword.spellings)) > 1 else ""
    yield "phone  " + "".join(f"{phone.name:<8}" for phone in story.phones).rstrip() + of
    yield "heard  " + "".join(f"{number(phone.best):<8}" for phone in story.phones).rstrip()


def _why(story: Story, info: ModelInfo) -> Iterator[str]:
    """The cause, in one sentence or a few."""
    scoring = info.scoring
    if story.cause == "fired":
        yield from _fired(story, info)
    elif story.cause == "refractory":
        assert story.event is not None
        after = _ms(story.frame - story.event, info)
        limit = _ms(scoring.refractory_frames, info)
        yield f"it came {after} after the event at {_at(story.event + 1, info):.2f} s; {limit} must lie between"
    elif story.cause == "too long":
        length, limit = (_ms(n, info) for n in (story.frame + 1 - story.start, scoring.max_duration_frames))
        yield f"all of it was heard, but over {length}; it may take at most {limit}"
    if story.gap > scoring.max_gap_frames:
        label = max(range(len(story.phones)), key=lambda n: story.phones[n].gap)
        gap, limit = (_ms(n, info) for n in (story.gap, scoring.max_gap_frames))
        before, after = story.phones[label - 1].name, story.phones[label].name
        yield f"between {before} and {after} there were {gap} without any phone; at most {limit} may be"
    if story.cause in ("phones", "nothing like it"):
        yield from _lacks(story, info)


def _fired(story: Story, info: ModelInfo) -> Iterator[str]:
    """What an event rests on, and what would have kept it silent."""
    best, frame = story.rose
    weakest = min(story.phones, key=lambda phone: phone.best)
    early = weakest is story.phones[-1] and frame > story.frame
    if weakest.best < CLEAR and not early:
        yield _weak(weakest, info)
    if frame > story.frame:
        before = f"it fired while {weakest.name} was only beginning; " if early else ""
        yield f"{before}its score rose to {number(best)} at {_at(frame + 1, info):.2f} s"
    above = "no threshold" if best >= _SURE else f"only a threshold above {number(best)}"
    yield f"{above} would have kept it silent"


def _lacks(story: Story, info: ModelInfo) -> Iterator[str]:
    """Which phones the score lacks, and what stood in their place."""
    if story.cause == "nothing like it":
        clear = [phone.name for phone in story.phones if phone.best >= CLEAR]
        were = "was" if len(clear) == 1 else "were"
        heard = f"only {_list(clear)} {were} clear" if clear else "none of its phones was clear"
        yield f"nothing like it was heard: {heard}, and {len(story.lacking)} of {len(story.phones)} phones lacked"
        return
    missing = [_weak(story.phones[label], info) for label in sorted(story.lacking)]
    missing += [_stray(story, label) for label in sorted(story.strays)]
    yield f"{'; '.join(missing)}"
    alone = "that alone" if len(missing) == 1 else "these alone"
    yield f"{alone} kept it silent: otherwise its score would be {number(story.would)}"


def _weak(phone: Phone, info: ModelInfo) -> str:
    """How well a phone was heard at best, and what was heard in its place."""
    how = "was not heard" if phone.best < _FAINT else "was weak" if phone.best < CLEAR else "could be clearer"
    rival = f", {phone.rival} was heard there with {number(phone.rival_best)}" if phone.rival else ""
    return f"{phone.name} {how} ({number(phone.best)} at {_at(phone.start, info):.2f} s{rival})"


def _stray(story: Story, label: int) -> str:
    return f"other sounds between {story.phones[label - 1].name} and {story.phones[label].name}"


def _cut(story: Story, sound: Sound, info: ModelInfo) -> str | None:
    """Where the word may be cut off: the "begin" or the "end" of the file."""
    if not any(phone.best >= CLEAR for phone in story.phones):
        return None  # there is no word of which something might be missing
    if story.start <= _EDGE_FRAMES and story.phones[0].best < CLEAR:
        return "begin"
    last = sound.samples // info.frame_samples
    return "end" if story.frame >= last - _EDGE_FRAMES and story.phones[-1].best < CLEAR else None


def _advice(story: Story, sound: Sound, info: ModelInfo) -> Iterator[str]:
    """What may have kept a word from being heard, and what may be done about it."""
    if -math.inf < story.level_db < _QUIET_DB:
        yield f"it is quiet there, {story.level_db:.0f} dB of full scale at the loudest: raise the gain"
    if cut := _cut(story, sound, info):
        yield f"it {cut}s where the file {cut}s: the word may be cut off there"
        return
    ways = []
    if _CLOSE <= story.score / story.keyword.threshold < 1 and story.cause == "phones":
        ways.append(f"a threshold of {math.floor(story.score * 1e4) / 1e4:g}")
    if story.proposal is not None:
        spelled = f'--keyword "{story.keyword.name} 2={" ".join(story.proposal.spelling)}"'
        ways.append(f"{spelled} (score {number(story.proposal.score)})")
    if ways:
        yield f"if it was said there: {' or '.join(ways)} would fire; count its false accepts with `kws score` first"


def sound_facts(sound: Sound) -> list[str]:
    """What is wrong with a sound as a whole."""
    if sound.peak == 0:
        return ["it is digital silence"]
    facts = []
    if sound.clipped >= _CLIPPED:
        facts.append(f"{sound.clipped:.1%} of its samples stand at full scale: it is clipped")
    if sound.above_telephone_db < _TELEPHONE_DB:
        facts.append("nothing is in it above 4 kHz, as on a telephone: S, F, T and their like are hard to tell")
    return facts


def as_values(explanation: Explanation, info: ModelInfo) -> list[dict[str, Any]]:
    """The stories for programs: the fields of an event's line in JSON, then what explains it."""
    return [_story_values(story, explanation.sound, info) for story in explanation.stories]


def _story_values(story: Story, sound: Sound, info: ModelInfo) -> dict[str, Any]:
    return {
        "keyword": story.keyword.name,
        "score": round(story.score, 4),
        "start_s": _second(story.start, info),
        "end_s": _second(story.frame + 1, info),
        "fired": story.fired,
        "threshold": story.keyword.threshold,
        "cause": story.cause,
        "best_score": round(story.rose[0], 4),
        "event_before_s": None if story.event is None else _second(story.event + 1, info),
        "lacking": list(story.lacking),
        "strays": list(story.strays),
        "score_without_lack": round(story.would, 4),
        "phones": [_phone_values(phone, info) for phone in story.phones],
        "heard": [
            {"phone": token.name, "start_s": _second(token.frame, info), "best": round(token.best, 4)}
            for token in story.heard_near
        ],
        "cut": None if story.fired else _cut(story, sound, info),
        "level_db": round(story.level_db, 1) if math.isfinite(story.level_db) else None,
        "proposal": story.proposal
        and {"phones": list(story.proposal.spelling), "score": round(story.proposal.score, 4)},
        "words": [headline(story, info), *reasons(story, sound, info)],
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


def number(value: float) -> str:
    """A score or a posterior: 0.97, 0.051, <0.001."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}" if value >= 0.001 else "<0.001"


def _list(names: Sequence[str]) -> str:
    """A, B and C."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
