"""Spellings of phrases."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.data.transcripts import transcribe
from kws.errors import KwsError
from kws.lexicon import PHONES, TOKENS, Lexicon, load_cmudict, parse_phones, spell_all
from kws.lexicon.borders import joined, written
from kws.lexicon.notes import phrase_notes
from kws.lexicon.text import contains, normalise, phrase_name, says

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


# Texts and keywords are compared by their words.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Turn on the View-Glass!", "turn on the view glass"),
        ("\u201cALEXA\u2019s\u201d\t snake case", "alexa's snake case"),
        ("com\u00adputer \uff23\uff4f\uff4d", "computer com"),
        ("cafe\u0301 ' -- \u0928\u092e\u0938\u094d\u0924\u0947", "caf\u00e9 \u0928\u092e\u0938\u094d\u0924\u0947"),
        ("eight o'clock precisely", "eight o'clock precisely"),
        (" ... ", ""),
        ("_unknown_", "_unknown_"),
    ],
)
def test_normalised_text_is_words(text, words):
    assert normalise(text) == words


@given(st.text())
def test_normalising_again_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("turn on the computer.", "computer", True),
        ("a view-glass, please", "view glass", True),
        ("Alexa's", "alexa", True),
        ("the computers' room; the 'view glass'", "view glass", True),
        ("the computers", "computer", False),
        ("review glass", "view glass", False),
        ("glass view", "view glass", False),
        ("let go", "let's go", False),
        ("anything", "", False),
    ],
)
def test_a_text_contains_a_phrase_by_whole_words(text, phrase, found):
    assert contains(text, phrase) == found


words = st.lists(st.text(string.ascii_lowercase + "\u00e9\u00df\u0436", min_size=1, max_size=3), min_size=1, max_size=4)
between = st.sampled_from([" ", "-", ", ", "! ", "\u2014", ' "', "\u2026 "])


@given(words, words, st.lists(between, min_size=3, max_size=3), st.sampled_from([str.lower, str.upper, str.title]))
def test_punctuation_and_case_do_not_count(said, asked, marks, cased):
    spoken = "".join(word + marks[n % 3] for n, word in enumerate(said))
    plain, phrase = " ".join(said), " ".join(asked)
    assert contains(cased(spoken), phrase) == contains(plain, phrase) == contains(plain, cased(phrase))
    assert says(cased(spoken), plain)
    assert contains(f"{spoken} {cased(phrase)}.", phrase) and contains(f"so {phrase}'s {spoken}", phrase)


def test_a_phrase_may_be_written_with_punctuation(lexicon):
    assert lexicon.spell("Hey, Tomato!") == lexicon.spell("hey tomato") and phrase_name("Hey, Tomato!") == "hey tomato"
    hyphenated = lexicon.extended([("x-ray", "EH K S R EY")])
    assert hyphenated.spell("hey x-ray") == [("HH", "EY", "EH", "K", "S", "R", "EY")]
    with pytest.raises(KwsError, match="empty"):
        lexicon.spell("!!=HH EY")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("smart_mirror", "smart mirror"),
        ("Smart__Mirror!", "smart mirror"),
        ("_unknown_", "_unknown_"),
        ("_a_b_", "_a b_"),
        ("e\u0301_e", "\u00e9 e"),
    ],
)
def test_an_underscore_inside_is_a_space(written, words):
    assert normalise(written) == words
    assert normalise(words) == words


def test_a_phrase_that_is_given_twice_has_both_spellings():
    both = {name: list(spelled) for name, spelled in spell_all(["x=B D", "y=B", "X=F|B D"]).items()}
    assert both == {"x": [("B", "D"), ("F",)], "y": [("B",)]}


def test_a_word_ends_where_its_phones_do(lexicon):
    assert lexicon.spell_words("hey tomato hey") == {
        ("HH", "EY", "T", "AH", "M", "EY", "T", "OW", "HH", "EY"): (2, 8),
        ("HH", "EY", "T", "AH", "M", "AA", "T", "OW", "HH", "EY"): (2, 8),
    }
    assert lexicon.spell_words("snow boy=S N OW - B OY|S N OW B") == {
        ("S", "N", "OW", "B", "OY"): (3,),
        ("S", "N", "OW", "B"): (),
    }


phones_of_words = st.lists(st.lists(st.sampled_from(PHONES), min_size=1, max_size=4), min_size=1, max_size=4)


@given(st.lists(phones_of_words, min_size=1, max_size=3))
def test_phones_are_read_as_they_are_written_with_their_borders(variants):
    spelled = joined(variants)
    text = "|".join(written(*one) for one in spelled.items())
    assert Lexicon({}).spell_words(f"x={text}") == spelled
    first = variants[0]
    assert written(*next(iter(spelled.items()))) == " - ".join(map(" ".join, first))


@pytest.mark.parametrize("phones", ["B - ", "- B", "B - - D", "B|-", "B-D"])
def test_a_word_without_phones_is_refused(phones):
    with pytest.raises(KwsError, match="phones"):
        Lexicon({}).spell_words(f"x={phones}")


def test_notes_on_a_phrase():
    assert phrase_notes("hey-zorgo's_dog=HH EY Z AO", [("HH", "EY", "Z", "AO")]) == []
    (short,) = phrase_notes("a", [("AH",), ("EY", "EY", "EY", "EY")])
    assert short.startswith("'a' has one phone")
    (dropped,) = phrase_notes("rock & roll \u2014 now\u200b!", [("R", "AA", "K", "R")])
    assert dropped.startswith("& ! is left out of 'rock roll now'")
