"""Spellings of phrases."""

import pytest

from kws.data.transcripts import transcribe
from kws.errors import KwsError
from kws.lexicon import PHONES, TOKENS, Lexicon, load_cmudict, parse_phones, phrase_name

LINES = [
    ";;; a comment",
    "hey HH EY1",
    "tomato T AH0 M EY1 T OW2",
    "tomato(2) T AH0 M AA1 T OW2 # the British way",
    "broken",
    "odd Q Q",
]


@pytest.fixture
def lexicon() -> Lexicon:
    return Lexicon.from_lines(LINES)


def test_stress_goes_and_variants_stay(lexicon):
    assert lexicon.spell("Hey  tomato") == [
        ("HH", "EY", "T", "AH", "M", "EY", "T", "OW"),
        ("HH", "EY", "T", "AH", "M", "AA", "T", "OW"),
    ]
    assert "odd" not in lexicon and len(lexicon) == 2


def test_all_missing_words_are_named(lexicon):
    with pytest.raises(KwsError, match="frobnicate, xyzzy;"):
        lexicon.spell("hey frobnicate tomato xyzzy frobnicate")


def test_phones_may_be_given(lexicon):
    assert lexicon.spell("snow boy=S N OW1 B OY") == [("S", "N", "OW", "B", "OY")]
    assert phrase_name("Snow  Boy=S N") == "snow boy"
    more = lexicon.extended([("Snowboy", "S N OW B OY"), ("hey", "HH AY")])
    assert more.spell("hey snowboy") == [
        ("HH", "EY", "S", "N", "OW", "B", "OY"),
        ("HH", "AY", "S", "N", "OW", "B", "OY"),
    ]


@pytest.mark.parametrize(("text", "wrong"), [("HH EX", "EX"), ("", "no phones"), ("1", "not ARPAbet")])
def test_bad_phones(text, wrong):
    with pytest.raises(KwsError, match=wrong):
        parse_phones(text)


def test_empty_phrase(lexicon):
    with pytest.raises(KwsError, match="empty"):
        lexicon.spell("  ")


def test_spellings_do_not_multiply_without_end(lexicon):
    assert len(lexicon.spell("tomato " * 10)) == 8


def test_tokens_are_blank_and_the_39_phones():
    assert len(set(PHONES)) == 39 and ("<blank>", *PHONES) == TOKENS


def test_the_dictionary_knows_the_wake_words():
    pytest.importorskip("pocketsphinx")
    cmudict = load_cmudict()
    assert len(cmudict) > 100_000
    assert cmudict.spell("smart mirror")[0] == ("S", "M", "AA", "R", "T", "M", "IH", "R", "ER")
    assert cmudict.missing("hey snowboy computer") == ["snowboy"]


def test_several_spellings_may_be_given(lexicon):
    assert lexicon.spell("hey=HH EY|HH AY|HH EY") == [("HH", "EY"), ("HH", "AY")]
    with pytest.raises(KwsError, match="no phones"):
        lexicon.spell("hey=HH EY|")


def test_phrases_with_phones_become_entries(lexicon):
    taught = lexicon.taught(["snow boy=S N OW B OY|S N OW", "tomato", "hey=HH AY"])
    assert taught.spell("Snow  boy") == [("S", "N", "OW", "B", "OY"), ("S", "N", "OW")]
    assert taught.spell("hey") == [("HH", "AY")] and taught.spell("tomato") == lexicon.spell("tomato")
    assert transcribe("hey snow boy", taught) == (("HH", "AY", "S", "N", "OW", "B", "OY"), 0)
    assert transcribe("snow hey", taught)[1] == 1  # half of the phrase is a word that must be guessed
