"""Replays the recordings that a user names (manifests, splits of manifests, folders)
under the conditions that are asked for.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from kws.audio.pickup import AS_IT_IS, Pickup
from kws.errors import KwsError
from kws.evaluate.replay.conditions import ROOM, Rules, mixed_kind, parse_condition, sound_files, with_sound
from kws.evaluate.replay.many import replay_all
from kws.evaluate.replay.recording import CLEAN, Replayed
from kws.evaluate.replay.sources import sources_of, under_conditions
from kws.evaluate.replay.systems import SystemSpec, open_system
from kws.lexicon.text import says
from kws.log import Log
from kws.units import SAMPLE_RATE, samples, seconds

NOISES = ("20 dB", "10 dB", "5 dB", "0 dB")  # where noise is given and no conditions are asked for
_ROUNDED_S = 0.1  # by which a label may end after its recording


def mixing_rules(
    silence_s: float,
    seed: int,
    noise: str | None,
    rooms: str | None,
    unusable: list[str],
    pickup: Pickup = AS_IT_IS,
) -> Rules:
    """The rules of a replay: the noise and room impulse responses that SOURCEs name,
    and the channel and gain of `pickup`.

    `unusable` gets a line for each file that nothing can be mixed with. Raises KwsError
    where no file of a SOURCE can be used.
    """
    return Rules(
        silence_s,
        seed,
        with_sound(sound_files(noise, unusable), unusable) if noise else (),
        with_sound(sound_files(rooms, unusable), unusable) if rooms else (),
        pickup,
    )


def conditions_of(rules: Rules, asked: Sequence[str] | None) -> list[str]:
    """The conditions that a user asks for, each once; by default all that the rules
    have files for.

    Raises KwsError for a condition that does not exist or lacks its files.
    """
    usual = [*(NOISES if rules.noise else ()), *([ROOM] if rules.rirs else [])]
    found = [parse_condition(text) for texts in asked for text in texts.split(",")] if asked else usual
    for condition in found:
        kind = mixed_kind(condition)
        if kind and not (rules.rirs if kind == "rooms" else rules.noise):
            raise KwsError(f"the condition {condition} needs --{kind}")
    return list(dict.fromkeys(found))


def replay_named(
    spec: SystemSpec,
    positives: Sequence[str],
    negatives: Sequence[str],
    confusables: Sequence[str] = (),
    *,
    rules: Rules,
    conditions: Sequence[str] = (),
    store: Path | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    skipped: list[str],
    log: Log,
) -> list[Replayed]:
    """Replays the recordings of three lists of SOURCEs through a system.

    conditions: those of positives, besides clean. store, jobs, dask: see `replay_all`.
    skipped: gets a line for each row or recording that cannot be used. log: gets those
    lines, a line for each recording that is named twice for different purposes, and how
    much was replayed.

    Raises KwsError where nothing can be replayed, or where `positives` say no keyword
    of the system.
    """
    repeated: list[str] = []
    faults: list[str] = []
    sources = sources_of(positives, negatives, confusables, repeated, faults)
    for line in faults:  # at once, for they may be why no keyword is left
        log(f"skipped: {line}")
    keywords = open_system(spec).keywords
    if positives and sources:
        _demand_a_keyword({label.text for source in sources for label in source.labels}, keywords)
    replayed = replay_all(
        spec,
        under_conditions(sources, conditions, keywords),
        rules,
        store=store,
        jobs=jobs,
        dask=dask,
        skipped=skipped,
    )
    recordings = list(_labelled_inside(replayed, skipped))
    for line in [*repeated, *(f"skipped: {line}" for line in skipped)]:
        log(line)
    skipped[:0] = faults
    if not recordings:
        raise KwsError("there is no recording to hear: give --positives or --negatives, and check their splits")
    clean = [recording for recording in recordings if recording.item.condition == CLEAN]
    hours = sum(recording.samples for recording in clean) / SAMPLE_RATE / 3600
    log(f"{len(clean)} recordings, {hours:.2f} h, {len(sources) - len(clean) + len(faults)} skipped")
    return recordings


def _demand_a_keyword(said: Collection[str], keywords: Sequence[str]) -> None:
    if not any(says(text, keyword) for text in said for keyword in keywords):
        raise KwsError("none of the recordings says a keyword of the model: check --positives and its text column")


def _labelled_inside(recordings: Iterable[Replayed], skipped: list[str]) -> Iterator[Replayed]:
    """The recordings whose labels end inside them. `skipped` gets a line for each other
    recording.
    """
    for recording in recordings:
        latest = max(recording.item.labels, key=lambda label: label.end or 0, default=None)
        if latest is None or (latest.end or 0) <= recording.samples + samples(_ROUNDED_S):
            yield recording
        elif recording.item.condition == CLEAN:
            ends = f"ends at {seconds(latest.end or 0):.2f} s in its manifest"
            skipped.append(f"{recording.item.audio} has {seconds(recording.samples):.2f} s, and '{latest.text}' {ends}")
