"""`kws spell`, and what each verb and Python say of a phrase that cannot be heard: one sentence, the same."""

import json
import subprocess
import sys

import pytest

import kws
import kws.lexicon
import stored
import tones
from kws.cli.main import main
from kws.lexicon import Lexicon, load_cmudict
from kws.runtime.speech.store import place
from waves import write_wave

LINES = [
    *("a AH0", "a(2) EY1", "b B D", "bed B EH D", "cafe K AH F EY", "computer K AH M P Y UW T ER", "fargo F AA R G OW"),
    *("forty F AO R T IY", "hey HH EY", "two T UW", "commuter K AH M Y UW T ER", "come K AH M", "pewter P Y UW T ER"),
]
EMPTY = "an empty phrase cannot be spelled: give at least one word"
UNHEARD = " is an empty phrase, since only letters and digits can be heard: give at least one word"
ABOUT = '; give phones yourself, as in "{0}=HH EY K AH M"'
PROPOSED = ' (kws spell "{0}" proposes some)'
PHONES = "; the phones are " + " ".join(kws.lexicon.PHONES)
TOO_LONG = "...' has 320 phones, and 100 are the most that a phrase may have: choose a shorter one"
UNHEARABLE = [
    ("", EMPTY),
    ("  \t ", EMPTY),
    ("...", "'...'" + UNHEARD),
    ("\N{GRINNING FACE}", "'\N{GRINNING FACE}'" + UNHEARD),
    ("=", "'=' has an empty phrase before its '=': give at least one word there"),
    ("=HH EY", "'=HH EY' has an empty phrase before its '=': give at least one word there"),
    ("x=", "'x': no phones given" + PHONES),
    ("x=HH EY|", "'x': no phones given" + PHONES),
    ("zorgo=Z AO Q", "'zorgo': not ARPAbet phones: Q" + PHONES),
    ("3.14", '3.14 can be said in several ways: write it in words, as in "three point one four"'),
    ("hey 1984", '1984 can be said in several ways: write it in words, as in "one nine eight four"'),
    ("\N{VULGAR FRACTION ONE HALF}", "\N{VULGAR FRACTION ONE HALF} can be said in several ways: write it in words"),
    ("zorgo", "the dictionary has no spelling for: zorgo" + (ABOUT + PROPOSED).format("zorgo")),
    ("hey xyz foo", "the dictionary has no spelling for: xyz, foo" + (ABOUT + PROPOSED).format("hey xyz foo")),
    ("привет", "the dictionary has no spelling for: привет" + ABOUT.format("привет")),
    ("你好", "the dictionary has no spelling for: 你好" + ABOUT.format("你好")),
    (" ".join(["computer"] * 40), "'" + ("computer " * 5)[:40] + TOO_LONG),
]
HEARD = {
    "42": ["F AO R T IY T UW"],
    "caf\u00e9": ["K AH F EY"],
    "CAFE\u0301!": ["K AH F EY"],
    "a": ["AH", "EY"],
    "hey \N{GRINNING FACE}": ["HH EY"],
    "x=HH EY1|HH": ["HH EY", "HH"],
}


@pytest.fixture
def _small(monkeypatch):
    """A dictionary of few words: reading the whole one takes a second."""
    monkeypatch.setattr(kws.lexicon, "load_cmudict", lambda: Lexicon.from_lines(LINES))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write_wave(tmp_path_factory.mktemp("sounds") / "tune.wav", tones.speak("  BDFB   FED   "))


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(("typed", "sentence"), UNHEARABLE)
def test_a_phrase_that_cannot_be_heard_is_one_sentence_everywhere(typed, sentence, tone_model, sound, capsys):
    for words in (
        ["detect", str(tone_model), "--keyword", typed, str(sound)],
        ["listen", str(tone_model), "--keyword", typed],
        ["score", str(tone_model), "--keyword", typed, "--negatives", str(sound.parent)],
        ["spell", str(tone_model), typed],
    ):
        assert main(words) == 1
        assert capsys.readouterr().err == f"kws: {sentence}\n", words[0]
    for ask in (kws.spell, lambda phrase: kws.Detector.load(tone_model).with_keywords([phrase])):
        with pytest.raises(kws.KwsError) as refused:
            ask(typed)
        assert str(refused.value) == sentence


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("typed", HEARD)
def test_a_phrase_that_can_be_heard(typed):
    assert [" ".join(spelling) for spelling in kws.spell(typed)] == HEARD[typed]


@pytest.mark.usefixtures("_small")
def test_what_is_printed_of_a_phrase(tone_model, capsys):
    assert main(["spell", str(tone_model), "bed=B D", "b", "hey zorgo"]) == 1
    said = capsys.readouterr()
    blocks = [block.splitlines() for block in said.out.split("\n\n")]
    assert [block[0] for block in blocks] == ["bed", "b", "hey zorgo"]
    assert {"  spelled     B D", "  phones      2", "  given       bed=B D"} <= set(blocks[0])
    assert {"  spelled     B D", "  word        b: the dictionary"} <= set(blocks[1])
    assert {
        "  word        hey: the dictionary",
        "  word        zorgo: missing",
        '  as          fargo: --keyword "hey zorgo=HH EY - F AA R G OW"',
    } <= set(blocks[2])
    assert any(line.startswith("  note        'bed' has 2 phones") for line in blocks[0])
    assert blocks[0][-1] == "  confusable  b"
    missing, default = said.err.splitlines()
    assert "no spelling for: zorgo" in missing
    assert "'bed', 'b': the threshold is the default of tones, 0.4" in default


@pytest.mark.usefixtures("_small")
def test_what_is_borrowed_can_be_typed(capsys):
    assert main(["spell", "hey zorgo", "--json"]) == 1
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["missing"] == ["zorgo"]
    assert kws.spell(line["borrowed"]["fargo"]) == kws.spell("hey fargo")


@pytest.mark.usefixtures("_small")
def test_the_threshold_is_the_one_that_detect_says(tmp_path, sound, capsys):
    model = tones.write_model(tmp_path / "tones.onnx")
    stored.store(model, ["  ABD  ", " BDF A BD", "EEB   ", "FEDABD E"], repeats=50).write(place(model))
    asked = ["bdf=B D F", "bdfb=B D F B"]
    rate = ["--fa-per-hour", "2"]
    assert main(["detect", str(model), str(sound), "--keyword", asked[0], "--keyword", asked[1], *rate]) == 0
    detected = capsys.readouterr().err
    assert main(["spell", "-m", str(model), *asked, "--json", *rate]) == 0
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        assert f"kws: {line['said']}\n" in detected
        assert line["calibration"]["fa_per_hour"] == 2
    assert main(["spell", str(model), *asked, *rate]) == 0
    assert "  threshold   'bdf' fires at" in capsys.readouterr().out


@pytest.mark.usefixtures("_small")
def test_a_phrase_twice_is_one_with_the_spellings_of_both(tone_model, capsys):
    assert main(["spell", str(tone_model), "x=B", "X=D D D D", "x=B", "--json"]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["phrase"], line["spellings"]) == ("x", ["B", "D D D D"])


@pytest.mark.usefixtures("_small")
def test_a_word_of_the_model_and_the_name_of_a_model(tone_model, capsys):
    assert main(["spell", str(tone_model), "abc=B D F"]) == 1
    assert capsys.readouterr().err == "kws: the model hears 'abc' already\n"
    assert main(["spell", "phones"]) == 1  # a phrase, since none follows
    assert "no spelling for: phones" in capsys.readouterr().err


def test_the_whole_dictionary_on_a_device():
    """Confusables of the real dictionary, with what a device has installed alone."""
    pytest.importorskip("pocketsphinx")
    script = (
        "import sys\nfor name in ('torch', 'scipy', 'torchaudio', 'soundfile'):\n    sys.modules[name] = None\n"
        "from kws.cli.main import main\nsys.exit(main(['spell', 'computer', 'good morning', 'caf\u00e9', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    computer, morning, cafe = map(json.loads, done.stdout.splitlines())
    assert (done.stderr, computer["words"]) == ("", [{"word": "computer", "entries": ["computer"]}])
    assert "commuter" in computer["confusables"]
    assert "could morning" in morning["confusables"]
    assert {"word": "caf\u00e9", "entries": ["cafe"]} in cafe["words"]
    assert "cafe" not in cafe["confusables"]
    assert all(0 < len(line["confusables"]) <= 5 for line in (computer, morning, cafe))
    assert load_cmudict().spell("computer")[0] == tuple(computer["spellings"][0].split())
