"""Words that sound or are written like others: by definition of the edit distance."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from kws.data.synthesis.edits import to_prefixes
from kws.data.synthesis.near import sounding_like, written_like
from kws.lexicon import Lexicon

LEXICON = Lexicon.from_lines(
    ["for F AO R", "tea T IY", "two T UW", "too T UW", "forty F AO R T IY", "party P AA R T IY", "shorty SH AO R T IY"]
)


def distance(one: str, other: str) -> int:
    """By the recursion that defines it."""

    @cache
    def of(i: int, j: int) -> int:
        if not (i and j):
            return i + j
        return min(of(i - 1, j) + 1, of(i, j - 1) + 1, of(i - 1, j - 1) + (one[i - 1] != other[j - 1]))

    return of(len(one), len(other))


@given(st.lists(st.text("abc", max_size=6), max_size=6), st.text("abd", min_size=1, max_size=6))
def test_the_distance_to_each_prefix(sequences, wanted):
    found = to_prefixes(sequences, wanted)
    assert found.tolist() == [[distance(one, wanted[:n]) for n in range(len(wanted) + 1)] for one in sequences]


def test_words_and_pairs_of_common_words_the_nearest_first():
    near = sounding_like({"forty"}, LEXICON.spell("forty"), LEXICON, {"for": 3, "tea": 2, "too": 1}, 5)
    assert [(one.edits, one.text) for one in near] == [(0, "for tea"), (1, "for too"), (1, "shorty")]
    assert sounding_like({"forty"}, LEXICON.spell("forty"), LEXICON, {}, 1)[0].text == "shorty"


def test_what_holds_the_phrase_is_the_phrase():
    near = sounding_like({"two"}, LEXICON.spell("two"), LEXICON, {"two": 3, "tea": 2}, 9)
    assert [one.text for one in near] == ["too"]


def test_words_with_nearly_the_letters():
    assert written_like("fortee", LEXICON, {}, 2) == ["forty"]
    assert written_like("你好", LEXICON, {}, 2) == []
    assert written_like("x", LEXICON, {}, 2) == []
