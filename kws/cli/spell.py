"""`kws spell`: shows how a phrase would be listened for, if it were typed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from kws.cli import options
from kws.cli.keywords import FA_PER_HOUR
from kws.errors import KwsError
from kws.lexicon.borders import WORD_END, written
from kws.runtime.shipped import PHRASE_MODEL

if TYPE_CHECKING:
    from kws.lexicon import Lexicon, Lookup
    from kws.lexicon.borders import Spelled
    from kws.metadata import Keyword
    from kws.runtime.detector import Detector
    from kws.runtime.speech.store import StoredSpeech

_CONFUSABLES = 5
_PROPOSALS = 3  # of words whose pronunciation could be borrowed
_EXAMPLES = f"""examples:
  kws spell "good morning"
  kws spell "hey computer" "zorgo=Z AO R G OW" --fa-per-hour 1
  kws spell {options.DEFAULT_MODEL} "good night" --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say how phrases are spelled, where that comes from, at which threshold each would fire, and what it can be "
        "taken for."
    )
    parser.epilog = _EXAMPLES
    options.add_model_and_files_arguments(
        parser, "PHRASE", 'phrases, or "PHRASE=PH ON ES" with their phones', PHRASE_MODEL
    )
    options.add_json_option(parser, "print each phrase as one line of JSON")
    parser.add_argument(
        "--fa-per-hour",
        type=options.rate_per_hour,
        default=FA_PER_HOUR,
        metavar="RATE",
        help="false accepts per hour, for which the threshold is found (%(default)s)",
    )


@dataclass
class _Phrase:
    """A phrase, and the facts about it or the reason why it cannot be heard.

    words: each with the entries that are said for it; empty for a phrase that comes
    with its phones. borrowed: the phrase as it can be typed with the phones of other
    words, which `like` names.
    """

    name: str
    typed: list[str]
    spellings: Spelled = field(default_factory=dict)
    words: list[Lookup] = field(default_factory=list)
    error: str = ""
    borrowed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    keyword: Keyword | None = None
    threshold: str = ""
    confusables: list[str] = field(default_factory=list)


def run(args: argparse.Namespace) -> int:
    """Print the facts about each phrase; returns 1 when one of them cannot be heard."""
    from kws.runtime.detector import Detector

    model, typed = _model_and_phrases(args)
    detector = Detector.load(model)
    lexicon = _lexicon(typed)
    speech = _speech(detector)
    common = _common(speech)
    phrases = [_spelled(name, same, lexicon, common) for name, same in _by_name(typed).items()]
    general = _heard([phrase for phrase in phrases if not phrase.error], detector, speech, args.fa_per_hour)
    for phrase in phrases:
        if not phrase.error:
            phrase.confusables = _confusables(phrase, lexicon, common)
    if args.json:
        print("\n".join(json.dumps(_values(phrase)) for phrase in phrases))
    else:
        known = [phrase for phrase in phrases if phrase.words or phrase.spellings]
        print("\n\n".join("\n".join(_lines(phrase)) for phrase in known), end="\n" if known else "")
    for sentence in [*(phrase.error for phrase in phrases if phrase.error), *general]:
        options.log_to_stderr(f"kws: {sentence}")
    return int(any(phrase.error for phrase in phrases))


def _model_and_phrases(args: argparse.Namespace) -> tuple[str, list[str]]:
    """A first word that means a model is one only if a phrase follows it."""
    model, words = args.model, list(args.words)
    if model is None and len(words) > 1 and options.is_model(words[0]):
        model = words.pop(0)
    return model or PHRASE_MODEL, words


def _by_name(typed: Sequence[str]) -> dict[str, list[str]]:
    """The phrases by their names; one without a name, which is an error, by itself."""
    from kws.lexicon.text import phrase_name

    found: dict[str, list[str]] = {}
    for phrase in typed:
        found.setdefault(phrase_name(phrase) or phrase, []).append(phrase)
    return found


def _lexicon(typed: Sequence[str]) -> Lexicon:
    """The dictionary; an empty one where it is not installed and nothing needs it."""
    from kws.lexicon import Lexicon, load_cmudict

    try:
        return load_cmudict()
    except KwsError:
        if all("=" in phrase for phrase in typed):
            return Lexicon({})
        raise


def _speech(detector: Detector) -> StoredSpeech | None:
    """The speech stored for the model; None where there is none, or only that of
    another model.
    """
    from kws.runtime.speech.phrases import speech_of

    try:
        return speech_of(detector.model)
    except KwsError:  # which `calibrate_added` says
        return None


def _common(speech: StoredSpeech | None) -> dict[str, int]:
    """How often each word is said in the stored speech."""
    from collections import Counter

    return Counter(word for recording in speech.recordings for word, _ in recording.words) if speech else {}


def _spelled(name: str, typed: list[str], lexicon: Lexicon, common: Mapping[str, int]) -> _Phrase:
    """A phrase with its spellings, or with words to borrow them from."""
    from kws.lexicon import spell_with

    words = [word for phrase in typed if "=" not in phrase for word in lexicon.look_up(phrase)]
    phrase = _Phrase(name, typed, words=list(dict.fromkeys(words)))
    try:
        phrase.spellings = spell_with(lexicon, typed)[name]
    except KwsError as error:
        phrase.error = str(error)
        phrase.borrowed = list(islice(_borrowed(phrase, lexicon, common), _PROPOSALS))
    return phrase


def _borrowed(phrase: _Phrase, lexicon: Lexicon, common: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """(words alike, what to type) with the nearest of each missing word, then the
    second nearest, and so on.
    """
    from kws.data.synthesis.near import written_like
    from kws.lexicon.text import phrase_name

    missing = [word.word for word in phrase.words if not word.entries]
    alike = {word: written_like(word, lexicon, common, _PROPOSALS) for word in missing}
    if not missing or not all(alike.values()):
        return
    written = phrase_name(next(typed for typed in phrase.typed if "=" not in typed))
    for rank in range(max(map(len, alike.values()))):
        chosen = {word: others[min(rank, len(others) - 1)] for word, others in alike.items()}
        entries = [entry for word in phrase.words for entry in (word.entries or (chosen[word.word],))]
        phones = f" {WORD_END} ".join(" ".join(lexicon.spell(entry)[0]) for entry in entries)
        yield ", ".join(chosen.values()), f"{written}={phones}"


def _heard(
    phrases: Sequence[_Phrase], detector: Detector, speech: StoredSpeech | None, fa_per_hour: float
) -> list[str]:
    """Gives each phrase its notes and its threshold. Returns notes on all phrases
    together.
    """
    from kws.runtime.keywords import calibrate_added, notes
    from kws.runtime.speech.phrases import calibrated

    added: list[_Phrase] = []
    for phrase in phrases:
        try:
            hearing = detector.with_keywords({phrase.name: phrase.spellings})
        except KwsError as error:
            phrase.error = str(error)
            continue
        phrase.keyword = hearing.keywords[-1]
        phrase.notes = [note for typed in phrase.typed for note in notes(hearing, [typed])]
        phrase.notes = list(dict.fromkeys(phrase.notes))
        added.append(phrase)
    if not added:
        return []
    if speech is None:
        return calibrate_added(detector.with_keywords({one.name: one.spellings for one in added}), [], fa_per_hour)[1]
    keywords = [phrase.keyword for phrase in added if phrase.keyword]
    for phrase, found in zip(added, calibrated(speech, detector.info, keywords, fa_per_hour), strict=True):
        phrase.keyword, phrase.threshold = found.keyword, str(found)
    return []


def _confusables(phrase: _Phrase, lexicon: Lexicon, common: Mapping[str, int]) -> list[str]:
    from kws.data.synthesis.near import sounding_like

    names = {phrase.name, " ".join(entry for word in phrase.words for entry in word.entries)}
    return [near.text for near in sounding_like(names, list(phrase.spellings), lexicon, common, _CONFUSABLES)]


def _lines(phrase: _Phrase) -> list[str]:
    """A phrase as lines for a person."""
    facts: list[tuple[str, str]] = []
    if phrase.spellings:
        counts = sorted({len(spelling) for spelling in phrase.spellings})
        facts += [("spelled", written(*one)) for one in phrase.spellings.items()]
        facts.append(("phones", " or ".join(map(str, counts))))
    facts += [("word", _origin(word)) for word in phrase.words]
    facts += [("given", typed) for typed in phrase.typed if "=" in typed and phrase.spellings]
    facts += [("as", f'{like}: --keyword "{typed}"') for like, typed in phrase.borrowed]
    facts += [("note", note) for note in phrase.notes]
    facts += [("threshold", phrase.threshold)] if phrase.threshold else []
    facts += [("confusable", ", ".join(phrase.confusables))] if phrase.confusables else []
    return [phrase.typed[0] if phrase.error else phrase.name, *(f"  {name:<12}{value}" for name, value in facts)]


def _origin(word: Lookup) -> str:
    """The origin of a word's pronunciation."""
    if not word.entries:
        return f"{word.word}: missing"
    said = " ".join(word.entries)
    return f"{word.word}: the dictionary" + ("" if said == word.word else f', read as "{said}"')


def _values(phrase: _Phrase) -> dict[str, Any]:
    """A phrase as JSON values."""
    if phrase.error:
        missing = [word.word for word in phrase.words if not word.entries]
        return {"phrase": phrase.typed[0], "error": phrase.error, "missing": missing, "borrowed": dict(phrase.borrowed)}
    assert phrase.keyword is not None
    return {
        "phrase": phrase.name,
        "spellings": [written(*one) for one in phrase.spellings.items()],
        "words": [word._asdict() for word in phrase.words],
        "notes": phrase.notes,
        "threshold": phrase.keyword.threshold,
        "calibration": asdict(phrase.keyword.calibration) if phrase.keyword.calibration else None,
        "said": phrase.threshold,
        "confusables": phrase.confusables,
    }
