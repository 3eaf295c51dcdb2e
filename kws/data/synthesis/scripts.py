"""The scripts of synthetic corpora: keywords, sentences that carry them, and
confusables.

A *confusable* sounds like a keyword or is a part of one and never contains it; CMUdict
spells all its words. Those of the six wake words were chosen by hand;
`kws.data.synthesis.confusables` makes those of any phrase.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from kws.data.synthesis.confusables import confusables_of, sound_name
from kws.data.synthesis.edits import to_prefixes
from kws.data.synthesis.tts import kokoro_phones
from kws.lexicon import Lexicon
from kws.lexicon.text import normalise

Kind = Literal["bare", "carrier", "confusable"]

WAKE_WORDS = ("alexa", "computer", "jarvis", "smart mirror", "snowboy", "view glass")

# Shares of a set, in tenths: half bare words, a fifth carriers, three tenths confusables.
DECK: tuple[Kind, ...] = ("bare",) * 5 + ("carrier",) * 2 + ("confusable",) * 3

# How a bare word is punctuated for the synthesiser: statement, call, question, nothing.
ENDINGS = (".", ".", "!", "!", "?", "", ",")

CARRIERS = (
    "Hey {word}.", "Hey, {word}!", "Okay {word}.", "Okay, {word}.", "Hey {word}, what time is it?",
    "{word}, turn on the light.", "{word}, stop.", "Hello {word}.", "I said {word}.",
    "{word}, play some music.", "Please ask {word} to wait.", "The word is {word} today.",
    "Is {word} listening?", "Good morning, {word}.", "{word}, what is the weather?",
    "Now {word} is ready.", "We call it {word}.", "Thank you, {word}.",
)  # fmt: skip

CONFUSABLES: dict[str, tuple[str, ...]] = {
    "alexa": (
        "alex", "lexus", "alexander", "a lecture", "alexis", "electric", "election", "elect her",
        "a lesson", "elects", "lex", "a letter", "axe", "relax", "relax her", "selects a", "reflex",
        "a lack of", "alaska", "a lexicon", "annexed", "texas", "a legs", "in texas", "perplexed",
        "i'll ask her", "all except", "alas",
    ),
    "computer": (
        "compute", "computing", "commuter", "competitor", "compete", "computation", "community",
        "computed", "come", "the tutor", "company", "can you do it", "commute", "composer",
        "compared her", "pewter", "tutor", "dispute her", "comp", "complete her", "accumulate",
        "come to her", "compact", "suitor", "confuse her",
    ),
    "jarvis": (
        "jar", "service", "harvest", "jarring", "carve this", "jars", "java", "travis", "marvel",
        "nervous", "harvey", "jealous", "starve us", "job is", "charge this", "charles", "target",
        "john is", "large", "davis", "marvelous", "garments", "jazz", "purpose", "surface",
        "are this", "the jar is", "elvis", "carvers", "jarred",
    ),
    "smart mirror": (
        "smart", "mirror", "smart phone", "small mirror", "mirrors", "start mirror", "smart meter",
        "smart mayor", "smarter", "smart mirage", "smart move", "mart", "rear mirror", "smart man",
        "hear her", "clearer", "the mirror", "part mirror", "smart miller", "smart minor",
        "some art", "broken mirror", "dark mirror", "nearer", "smart enough", "art miracle",
        "sport mirror", "smart letter", "smart memory",
    ),
    "snowboy": (
        "snow", "boy", "cowboy", "snowball", "no boy", "slow boy", "know boys", "snowman", "soy",
        "playboy", "boil", "snow bow", "snowy", "show boy", "snow white", "so boring", "toy",
        "no point", "snowbound", "old boy", "know by", "tomboy", "go boy", "snow bird", "snow bay",
        "enjoy", "snobs", "snow day",
    ),
    "view glass": (
        "view", "glass", "few glasses", "review class", "few", "you pass", "new glass", "grass",
        "class", "views", "blue glass", "view last", "you guess", "the glasses", "viewer",
        "through glass", "view classes", "a few laughs", "preview", "gloss", "the view was",
        "wine glass", "view plus", "you class", "view gas", "few girls", "viewing", "rude class",
        "hourglass",
    ),
}  # fmt: skip

_SOUND = re.compile(r"<([A-Za-z ]+)>")

_SPELLED = {"snowboy": "S N OW B OY"}  # of the words that CMUdict lacks
_LOOKED_AT, _OF_A_WORD = 400, 40  # confusables that a lexicon is asked for, and that are spoken
_PHONES_AWAY = 2

# The synthesiser's dictionary lacks the word; the hyphen gives its second half the weaker stress of "cowboy".
SPOKEN_AS = {"snowboy": "snow-boy"}


@dataclass(frozen=True)
class ScriptLine:
    """A line to say. spoken: punctuated for the synthesiser. text: the lower-case
    transcript.
    """

    kind: Kind
    keyword: str  # the wake word that it holds, or for a confusable the one that it sounds like
    spoken: str
    text: str


def script_line(kind: Kind, keyword: str, sentence: str) -> ScriptLine:
    """A line from its written form with punctuation; sounds that are no words stand as
    ``<K AH M>``.
    """
    return ScriptLine(kind, keyword, spoken_form(sentence), transcript(sentence))


def spoken_form(sentence: str) -> str:
    """The sentence as the synthesiser should read it, with a capital at its head."""
    for written, said in SPOKEN_AS.items():
        sentence = re.sub(rf"\b{written}\b", said, sentence, flags=re.IGNORECASE)
    sentence = _SOUND.sub(lambda found: f"/{kokoro_phones(found[1].upper().split())}/", sentence)
    return sentence[:1].upper() + sentence[1:]


def transcript(spoken: str) -> str:
    """The normalised words of a line; a sound that is no word has its name."""
    return normalise(_SOUND.sub(lambda found: sound_name(tuple(found[1].split())), spoken))


Card = tuple[Kind, str]  # what to say next: a kind of line, and the word or text that it is about


class Script(Protocol):
    """The lines of a synthetic corpus: cards are dealt a shuffled deck at a time, and
    each becomes one line.
    """

    def deal(self, rng: np.random.Generator) -> list[Card]: ...

    def draw(self, card: Card, rng: np.random.Generator) -> ScriptLine: ...


@dataclass(frozen=True)
class KeywordScript:
    """Keywords in the shares of `DECK`: bare, in carrier sentences, and their
    confusables.

    said: how to say a keyword that the synthesiser cannot read: by the ``<SOUND S>`` of
    its phones.
    """

    confusables: Mapping[str, tuple[str, ...]]  # by keyword
    said: tuple[tuple[str, str], ...] = ()

    def deal(self, rng: np.random.Generator) -> list[Card]:
        """Every keyword in every kind (10 cards each)."""
        return shuffled([(kind, word) for word in self.confusables for kind in DECK], rng)

    def draw(self, card: Card, rng: np.random.Generator) -> ScriptLine:
        """One line of that kind for that keyword."""
        kind, keyword = card
        ending = ENDINGS[rng.integers(len(ENDINGS))]
        if kind == "confusable":
            others = self.confusables[keyword]
            return script_line(kind, keyword, others[rng.integers(len(others))] + ending)
        form = CARRIERS[rng.integers(len(CARRIERS))] if kind == "carrier" else "{word}" + ending
        spoken = spoken_form(form.format(word=dict(self.said).get(keyword, keyword)))
        return ScriptLine(kind, keyword, spoken, transcript(form.format(word=keyword)))


@dataclass(frozen=True)
class WordScript:
    """Single words, each as often as it stands in `words`."""

    words: tuple[str, ...]

    def deal(self, rng: np.random.Generator) -> list[Card]:
        """A card for every word."""
        return shuffled([("bare", word) for word in self.words], rng)

    def draw(self, card: Card, rng: np.random.Generator) -> ScriptLine:
        """The word, with some punctuation."""
        return script_line("bare", card[1], card[1] + ENDINGS[rng.integers(len(ENDINGS))])


def confusable_script(readable: Collection[str], lexicon: Lexicon) -> WordScript:
    """The confusables of the six wake words by themselves: those chosen by hand, each
    three times, and once those of the lexicon that are two phones or more away and
    whose words are all among the `readable` ones.
    """
    chosen = [text for texts in CONFUSABLES.values() for text in texts]
    found = [text for word in WAKE_WORDS for text in _from_lexicon(word, readable, lexicon) if text not in chosen]
    return WordScript((*chosen * 3, *dict.fromkeys(found)))


def _from_lexicon(word: str, readable: Collection[str], lexicon: Lexicon) -> list[str]:
    phrase, found = f"{word}={_SPELLED[word]}" if word in _SPELLED else word, []
    wanted = lexicon.spell(phrase)
    for other in confusables_of(phrase, lexicon, _LOOKED_AT):
        near = min(int(to_prefixes([other.spelling], spelling)[0, -1]) for spelling in wanted)
        if near >= _PHONES_AWAY and all(unit.text in readable for unit in other.units):
            found.append(other.text)
    return found[:_OF_A_WORD]


def shuffled(deck: Iterable[Card], rng: np.random.Generator) -> list[Card]:
    """The cards in a random order."""
    deck = list(deck)
    return [deck[index] for index in rng.permutation(len(deck))]
