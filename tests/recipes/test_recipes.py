"""Recipes that deliver a model: a phrase of one's own, few recordings, made data; and the verb that lists them."""

import csv
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora import write_wav
from encoded import encoded
from kws.cli.main import INTERRUPTED, main

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")
pytest.importorskip("onnxscript")
pytest.importorskip("soundfile")
soxr = pytest.importorskip("soxr")

from kws.data.manifest import read_manifest, shared_speakers  # noqa: E402
from kws.data.prepare.copies import copies, sketch  # noqa: E402
from kws.data.prepare.usable import Wanted  # noqa: E402
from kws.data.synthesis import generate  # noqa: E402
from kws.data.synthesis.confusables import (  # noqa: E402
    SAME_TO_MANY,
    VOWELS,
    confusables_of,
    one_phone_off,
    sentences,
    sound,
    units_of,
)
from kws.data.synthesis.scripts import transcript  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.lexicon import PHONES, TOKENS, Lexicon, load_cmudict, parse_phones  # noqa: E402
from kws.lexicon.text import contains  # noqa: E402
from kws.metadata import ScorerConfig  # noqa: E402
from kws.model.checkpoint import halved, load_checkpoint  # noqa: E402
from kws.recipes.own import deliver, recordings  # noqa: E402
from kws.recipes.own.spelling import MOST_ADDED, decode, doubts, spellings_heard  # noqa: E402
from kws.recipes.tiny import recipe as tiny  # noqa: E402
from kws.runtime.detector import Detector  # noqa: E402
from kws.train.recipes.file import find_recipe  # noqa: E402
from kws.train.recipes.shipped import copy_recipe, describe, shipped_recipes  # noqa: E402
from room import room_for  # noqa: E402

SCORING = ScorerConfig(1.0, 50, 12, 25, 0.3)
NEW_WORD, ITS_PHONES = "gospel", "G AA S P AH L"  # out of the phones that the tiny recipe teaches


@pytest.fixture(scope="module")
def cmudict() -> Lexicon:
    return load_cmudict()


@pytest.fixture(scope="module")
def lexicon(cmudict) -> Lexicon:
    """A few hundred words of all lengths."""
    words = sorted(word for word, _ in cmudict.entries() if word.isalpha())
    kept = {*words[::300], "hey", "computer", "commuter", "compute", "smart", "mirror", "start", "nearer"}
    return Lexicon({word: options for word, options in cmudict.entries() if word in kept})


def run(*words: str) -> None:
    assert main(words) == 0, words


def edits(a, b) -> int:
    """Levenshtein's distance, by its definition."""
    table = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i, j in product(range(1, len(a) + 1), range(1, len(b) + 1)):
        step = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
        table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, step)
    return int(table[-1, -1])


def inside(part, whole) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


spellings = st.lists(st.sampled_from(PHONES), min_size=1, max_size=9).map(tuple)


class TestConfusables:
    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_none_contains_the_phrase_and_each_is_what_it_says(self, lexicon, data):
        words = sorted(word for word, _ in lexicon.entries())
        some_words = st.lists(st.sampled_from(words), min_size=1, max_size=3).map(" ".join)
        phrase = data.draw(some_words | spellings.map(lambda phones: f"zzz={' '.join(phones)}"))
        own = lexicon.spell(phrase)
        found = confusables_of(phrase, lexicon, 60)
        assert len({near.text for near in found}) == len(found) <= 60
        for near in found:
            assert not contains(near.text, phrase.partition("=")[0])
            assert not any(inside(spelling, near.spelling) for spelling in own), near
            if near.kind == "off":
                assert edits(near.spelling, own[0]) == 1
            if near.kind == "part":
                assert inside(near.spelling, own[0])

    @settings(max_examples=50, deadline=None)
    @given(spelling=spellings)
    def test_one_phone_off_is_one_edit_that_is_heard(self, spelling):
        for other in one_phone_off(spelling):
            assert edits(spelling, other) == 1
            if len(other) == len(spelling):
                (pair,) = [{a, b} for a, b in zip(spelling, other, strict=True) if a != b]
                assert len(pair & VOWELS) != 1
                assert not any(pair <= set(group.split()) for group in SAME_TO_MANY)

    def test_all_kinds_come_and_the_nearest_first(self, cmudict):
        found = confusables_of("computer", cmudict, 100)
        assert len(found) == 100
        texts = [near.text for near in found]
        assert {"commuter", "compute", "computed"} <= set(texts[:40])
        assert {near.kind for near in found[:40]} == {"head", "tail", "off", "part"}
        assert "computers" not in texts and "minicomputer" not in texts  # the phrase is in them

    def test_words_of_a_phrase_are_changed_one_at_a_time(self, lexicon):
        texts = [near.text for near in confusables_of("smart mirror", lexicon, 100)]
        assert {"smart", "mirror", "start mirror", "smart nearer"} <= set(texts)

    def test_sounds_have_names_that_no_word_has(self, cmudict):
        unit = sound(("K", "AH", "M"))
        assert (unit.text, unit.is_word) == ("k'ah'm", False)
        assert transcript("Hey <K AH M>!") == "hey k'ah'm"
        assert all(u.is_word for u in units_of("hey computer", cmudict))

    def test_sentences_are_words_without_the_phrase(self, lexicon):
        made = sentences("smart", lexicon, 200, np.random.default_rng(0))
        assert len(made) == 200 and all(2 <= len(text.split()) <= 6 for text in made)
        assert not any(contains(text, "smart") for text in made)
        assert all(word in lexicon for text in made for word in text.split())


class TestRecordings:
    def folder(self, root: Path, names: list[str]) -> Path:
        for name in names:
            write_wav(root / name, self.take(name))
        return root

    def take(self, name: str, seconds: float = 0.5) -> np.ndarray:
        """Noise, of each name its own."""
        return 0.1 * np.random.default_rng(list(name.encode())).standard_normal(int(seconds * 16_000))

    def prepare(self, source, tmp_path, **wanted):
        said = []
        return recordings.prepare(source, "hey you", tmp_path / "made", Wanted(**wanted), said.append), said

    @pytest.mark.parametrize("speakers", [2, 3, 11])
    def test_no_speaker_stands_on_two_sides(self, speakers, tmp_path):
        names = [f"s{s}/{i}.wav" for s in range(speakers) for i in range(1 + s)]
        own, _ = self.prepare(self.folder(tmp_path / "in", names), tmp_path)
        rows = read_manifest(own.folder)
        assert len(rows) == len(names) and {row.text for row in rows} == {"hey you"}
        assert shared_speakers(rows) == {}
        assert bool(own.held_out) == (len(names) >= 3)
        assert {bool(row.speaker) for row in rows} == {speakers >= 3}

    def test_recordings_of_a_telephone_are_read_and_what_is_none_is_named(self, tmp_path):
        names = [f"s{speaker}/{i}.wav" for speaker in range(3) for i in range(2)]
        source = self.folder(tmp_path / "in", names)
        for speaker in range(3):
            said = encoded(self.take(f"phone {speaker}"), "ipod", "aac", 16_000)
            (source / f"s{speaker}" / "phone.m4a").write_bytes(said)
        (source / "contract.docx").write_bytes(b"PK")
        own, log = self.prepare(source, tmp_path)
        assert len(own.rows) == 9
        assert all(row.speaker for row in own.rows)  # the stray file is no speaker
        (passed,) = (line for line in log if "contract.docx is passed over" in line)
        assert passed.startswith("skipped: ") and log[-1] == "skipped 1 of 10 recordings"

    def test_a_folder_without_a_recording_names_what_is_there(self, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "contract.docx").write_bytes(b"PK")
        with pytest.raises(KwsError, match=r"holds no recordings of 'hey you'.*contract\.docx is none by its name"):
            self.prepare(tmp_path / "in", tmp_path)

    def test_a_fifth_is_held_out(self, tmp_path):
        own, _ = self.prepare(self.folder(tmp_path / "in", [f"{i}.wav" for i in range(20)]), tmp_path)
        assert len(own.held_out) == 4

    def test_what_cannot_be_used_is_named_and_counted(self, tmp_path):
        source = self.folder(tmp_path / "in", ["a.wav", "b.wav", "negatives/c.wav"])
        (source / "broken.wav").write_bytes(b"RIFFnothing")
        (source / "notes.txt").write_text("not sound")
        own, said = self.prepare(source, tmp_path)
        assert sorted(row.audio.name for row in own.rows) == ["a.wav", "b.wav"]
        assert [row.audio for row in own.negatives] == [(source / "negatives" / "c.wav").absolute()]
        assert "broken.wav" in said[0] and said[-1] == "skipped 1 of 3 recordings"

    def test_a_manifest_tells_which_are_the_phrase(self, tmp_path):
        source = self.folder(tmp_path / "in", ["a.wav", "b.wav", "c.wav"])
        with (source / "manifest.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [("audio", "seconds", "text"), ("a.wav", 1, "Hey  you"), ("b.wav", 1, "no"), ("c.wav", 1, "hey you")]
            )
        own, _ = self.prepare(source, tmp_path)
        assert sorted(row.audio.name for row in own.rows) == ["a.wav", "c.wav"]

    def test_other_recordings_are_told_apart(self, tmp_path):
        source = self.folder(tmp_path / "in", ["a.wav", "c.wav"])
        first, _ = self.prepare(source, tmp_path)
        again, _ = self.prepare(source, tmp_path)
        self.folder(source, ["b.wav"])
        more, _ = self.prepare(source, tmp_path)
        assert first.digest == again.digest != more.digest

    @pytest.mark.parametrize(
        ("kind", "made", "why"),
        [
            ("zeros", lambda take: np.zeros(8_000), "is silent"),
            ("offset and dither", lambda take: 0.3 + 1e-4 * np.sign(take), "is silent"),
            ("a click", lambda take: take[:1_000], "has 0.06 s: too short"),
            ("a session", lambda take: np.tile(take, 40), "has more than 10 s"),
            ("the same", lambda take: take, "is a copy of 0.wav"),
            ("padded", lambda take: np.pad(take, (1_234, 567)), "is a copy of 0.wav"),
            ("louder", lambda take: 2.5 * take, "is a copy of 0.wav"),
            ("padded and dithered", lambda take: np.pad(take, (77, 0)) + 1e-4, "is a copy of 0.wav"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_recording_of_no_use_is_named_counted_and_skipped(self, kind, made, why, tmp_path):
        names = [f"{i}.wav" for i in range(6)]
        source = self.folder(tmp_path / "in", names)
        write_wav(source / f"{kind}.wav", made(self.take("0.wav")))
        own, said = self.prepare(source, tmp_path, longest_s=10.0)
        assert sorted(row.audio.name for row in own.rows) == names and len(own.held_out) == 1
        (line,) = (line for line in said if kind in line)
        assert line.startswith("skipped: ") and f"{kind}.wav {why}" in line
        assert said[-1] == "skipped 1 of 7 recordings"

    @pytest.mark.parametrize(
        ("suffix", "container", "codec", "rate"),
        [("mp3", "mp3", "libmp3lame", 44_100), ("m4a", "ipod", "aac", 16_000), ("opus", "ogg", "libopus", 48_000),
         ("ulaw.wav", "wav", "pcm_mulaw", 8_000)],
    )  # fmt: skip
    def test_a_copy_is_found_behind_a_codec(self, suffix, container, codec, rate, tmp_path):
        take = np.convolve(self.take("0.wav", 2.0), np.hanning(9), "same") / 3
        source = tmp_path / "in"
        write_wav(source / "a.wav", take)
        write_wav(source / "b.wav", self.take("b.wav"))
        coded = encoded(soxr.resample(np.float32(take), 16_000, rate), container, codec, rate)
        (source / f"c.{suffix}").write_bytes(coded)
        own, said = self.prepare(source, tmp_path)
        assert sorted(row.audio.name for row in own.rows) == ["a.wav", "b.wav"]
        assert f"c.{suffix} is a copy of a.wav" in "\n".join(said)

    def test_a_hum_that_all_takes_share_makes_no_copies(self, tmp_path):
        hum = 0.5 * np.sin(2 * np.pi * 350 * np.arange(8_000) / 16_000)
        for name in "abc":
            write_wav(tmp_path / "in" / f"{name}.wav", hum + 0.2 * self.take(name))
        own, said = self.prepare(tmp_path / "in", tmp_path)
        assert len(own.rows) == 3 and said == []

    def test_a_copy_is_found_behind_any_padding(self):
        """Lengths that are no multiple of four samples once stretched what was compared, each by its own."""
        sketches = [sketch(np.pad(np.float32(self.take("1")), (pad, 100))) for pad in range(2, 12)]
        assert copies(sketches) == dict.fromkeys(range(1, 10), 0)

    @given(data=st.data())
    @settings(max_examples=15, deadline=None)
    def test_no_held_out_recording_is_a_copy_of_one_that_is_learned(self, data):
        takes = data.draw(st.lists(st.integers(0, 3), min_size=3, max_size=7).filter(lambda t: len({*t}) > 1))
        clips = []
        with tempfile.TemporaryDirectory() as folder:
            for i, take in enumerate(takes):
                pad = data.draw(st.integers(0, 3_000))
                path = Path(folder) / "in" / f"{i}.wav"
                write_wav(path, data.draw(st.sampled_from([0.2, 1.0, 3.0])) * np.pad(self.take(str(take)), (pad, 100)))
                clips.append(path)
            own, _ = self.prepare(Path(folder) / "in", Path(folder))
            kept = [takes[int(row.audio.stem)] for row in own.rows]
        assert sorted(kept) == sorted({*takes})  # each take once

    def test_anything_but_the_phrase_is_no_recording_of_it(self, tmp_path):
        source = self.folder(tmp_path / "in", ["a.wav", "b.wav", "negatives/c.wav", "negatives/d.wav"])
        write_wav(source / "negatives" / "same.wav", np.pad(self.take("a.wav"), 300))
        write_wav(source / "negatives" / "again.wav", self.take("negatives/c.wav"))
        write_wav(source / "negatives" / "nothing.wav", np.zeros(16_000))
        own, said = self.prepare(source, tmp_path)
        assert {row.audio.name for row in own.negatives} <= {"again.wav", "c.wav", "d.wav"} and len(own.negatives) == 2
        assert said[-1] == "skipped 3 of 5 negatives"
        assert [line.partition(" is ")[2] for line in said if "same.wav" in line] == [f"a copy of {source / 'a.wav'}"]

    @pytest.mark.parametrize("more", [[], ["negatives/a.wav"]])
    def test_one_recording_is_refused_and_copies_of_it_do_not_count(self, more, tmp_path):
        source = self.folder(tmp_path / "in", ["a.wav", *more])
        shutil.copy(source / "a.wav", source / "b.wav")
        for _ in range(2):  # also when it was prepared before
            with pytest.raises(KwsError, match="holds one recording of 'hey you' that can be used: give 10 or more"):
                self.prepare(source, tmp_path)

    @pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
    def test_recordings_of_one_speaker_and_overdriven_ones_are_noted(self, rate, tmp_path):
        source = self.folder(tmp_path / "in", [f"anna/{i}.wav" for i in range(4)])
        write_wav(source / "anna" / "loud.wav", 30 * self.take("loud", 0.5 * rate / 16_000), rate)
        own, said = self.prepare(source, tmp_path)
        assert len(own.rows) == 5
        assert [line.partition(",")[0] for line in said] == [
            "note: 1 of 5 recordings are overdriven", "note: all recordings are of one speaker"
        ]  # fmt: skip

    def test_a_clip_without_speech_is_named(self, tmp_path):
        source = self.folder(tmp_path / "in", ["a.wav", "b.wav", "c.wav"])
        quiet = self.take("c.wav")
        own, said = self.prepare(source, tmp_path, hears=lambda samples: abs(samples[0] - quiet[0]) > 1e-4)
        assert [row.audio.name for row in own.rows] == ["a.wav", "b.wav"]
        assert any("c.wav holds no speech" in line for line in said)

    def test_none_is_an_error(self, tmp_path):
        with pytest.raises(KwsError, match="no recordings of 'hey you'"):
            self.prepare(self.folder(tmp_path / "in", ["negatives/a.wav"]), tmp_path)


def said(*sequences: str, sure: float = 8.0) -> list[np.ndarray]:
    """Log-posteriors in which phones follow each other with a blank between."""
    found = []
    for sequence in sequences:
        frames = [0, *(TOKENS.index(token) for p in parse_phones(sequence) for token in (p, TOKENS[0])), 0]
        logits = np.zeros((len(frames), len(TOKENS)))
        logits[np.arange(len(frames)), frames] = sure
        found.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    return found


class TestSpellings:
    @given(spelling=spellings)
    def test_decoding_gives_back_what_was_said(self, spelling):
        assert decode(said(" ".join(spelling))[0], TOKENS) == spelling

    def test_the_spelling_of_most_recordings_is_found(self):
        heard = said(*["G L AO R P"] * 4, "G L AO R B", "AA G L AO R P P AH S T AA")
        first, *_ = spellings_heard(heard, [], TOKENS, SCORING)
        assert first == ("G", "L", "AO", "R", "P")

    def test_an_accent_is_added_behind_the_dictionary(self):
        known = ("K", "AH", "M", "P", "Y", "UW", "T", "ER")
        accent = "K AA M P Y UW T AA"
        found = spellings_heard(said(*[" ".join(known)] * 3, *[accent] * 3), [known], TOKENS, SCORING)
        assert found == [known, parse_phones(accent)]

    def test_what_one_recording_alone_says_is_not_added(self):
        known = ("K", "AH", "M", "P", "Y", "UW", "T", "ER")
        assert spellings_heard(said(*[" ".join(known)] * 5, "K AA M P Y UW T AA"), [known], TOKENS, SCORING) == [known]

    def test_few_are_added(self):
        known = ("K", "AH", "M", "P", "Y", "UW", "T", "ER")
        others = [f"K {v} M P Y UW T {w}" for v, w in product(("AA", "EY", "OW"), ("AA", "OY"))]
        assert len(spellings_heard(said(*others * 2), [known], TOKENS, SCORING)) == 1 + MOST_ADDED

    def test_nothing_heard_is_nothing_spelled(self):
        assert spellings_heard(said("AH", "AH"), [], TOKENS, SCORING) == []

    def test_recordings_that_sound_unlike_the_phrase_are_doubted(self):
        known = [parse_phones("K AH M P Y UW T ER")]
        heard = said(*["K AH M P Y UW T ER"] * 3, "G L AO R P", "K AH M P Y UW D ER " * 4)
        files = [Path(f"{i}.wav") for i in range(5)]
        heard, files = [*heard, heard[0]], [*files, Path("5.wav")]
        longer, unlike = doubts(files, heard, known, TOKENS)
        assert "1 of 6 recordings hold far more than the phrase, for example 4.wav" in longer
        assert "1 of 6 recordings do not sound like the phrase, for example 3.wav, heard as G L AO R P" in unlike
        assert doubts(files[:3], heard[:3], known, TOKENS) == []

    def test_a_model_that_does_not_know_the_language_has_no_doubts(self):
        known = [parse_phones("K AH M P Y UW T ER")]
        assert doubts([Path("a"), Path("b")], said("G L AO R P", "D OY NG"), known, TOKENS) == []


class TestShelf:
    def test_every_recipe_is_listed_with_its_data(self, capsys):
        run("recipes", "list")
        listing = capsys.readouterr().out
        for name in shipped_recipes():
            assert f"{name}\n    " in listing
        assert listing.count("    data: ") == len(shipped_recipes()) >= 6

    @pytest.mark.parametrize("name", ["wake_words_verifier", "phones", "wake_words"])
    def test_all_folders_are_named_however_many_lines_they_take(self, name):
        recipe = pytest.importorskip(f"kws.recipes.{name}.recipe").RECIPE
        task = recipe.task
        folders = [corpus.folder for corpus in (*task.speech, task.noise, getattr(task, "rooms", None)) if corpus]
        assert all(folder in describe(name)[2] for folder in folders)

    def test_listing_needs_no_torch(self):
        script = (
            "import sys; from kws.cli.main import main; main(['recipes', 'list']); sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0

    def test_show_prints_the_file(self, capsys):
        run("recipes", "show", "phrase")
        assert capsys.readouterr().out == (shipped_recipes()["phrase"] / "recipe.py").read_text()

    def test_a_copy_can_be_trained_from_and_is_never_overwritten(self, tmp_path, capsys):
        run("recipes", "copy", "tiny", str(tmp_path / "mine"))
        assert {path.name for path in (tmp_path / "mine").iterdir()} >= {"recipe.py", "RESULTS.md"}
        assert main(["train", str(tmp_path / "mine"), "nonsense=1"]) == 1
        assert main(["recipes", "copy", "tiny", str(tmp_path / "mine")]) == 1
        assert "exists and is left alone" in capsys.readouterr().err

    def test_a_copy_is_whole_or_not_there(self, tmp_path):
        with pytest.raises(KwsError, match=r"mine cannot be written: .*File too large"), room_for(100):
            copy_recipe("tiny", tmp_path / "mine")
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_name(self, capsys):
        assert main(["recipes", "show", "fraze"]) == 1
        assert "there is no recipe 'fraze': the nearest is 'phrase'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """What `kws train tiny` leaves."""
    folder = tmp_path_factory.mktemp("tiny")
    run("train", "tiny", f"output={folder}", f"data={folder / 'data'}", "threads=1")
    return folder


@pytest.fixture(scope="module")
def corpora(made, tmp_path_factory) -> Path:
    """A folder of corpora: the made data under a name that the recipes know."""
    folder = tmp_path_factory.mktemp("corpora")
    shutil.copytree(made / "data" / "made", folder / "mini_librispeech")
    return folder


def sung(text: str, count: int, cmudict: Lexicon, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [tiny.sing(text, rng.uniform(0.9, 1.1), rng.uniform(0.8, 1.2), cmudict, rng) for _ in range(count)]


def hears(model: Path, sounds: list[np.ndarray]) -> list[set[str]]:
    detector = Detector.load(model)
    return [{event.keyword for event in detector.stream().process(x, last=True).detections} for x in sounds]


QUICK = ("steps=10", "steps_per_epoch=5", "warmup_steps=2", "scenes.rows=4", "scenes.row_seconds=5.0", "threads=1")


class TestDelivery:
    """From the command to a model file that hears its words."""

    def test_tiny_learns(self, made, cmudict):
        for word in tiny.KEYWORDS:
            heard = hears(made / "model.onnx", sung(word, 20, cmudict))
            assert sum(found == {word} for found in heard) >= 18, word
        assert sum(map(bool, hears(made / "model.onnx", sung("open goat", 20, cmudict)))) <= 2
        assert all(k.calibration and k.calibration.hours for k in Detector.load(made / "model.onnx").keywords)

    def test_fewshot_spells_a_word_that_nobody_knows(self, made, corpora, cmudict, tmp_path, capsys):
        for i, samples in enumerate(sung(NEW_WORD, 10, cmudict, seed=1)):
            write_wav(tmp_path / "said" / f"{i}.wav", samples)
        (tmp_path / "said" / "broken.flac").write_bytes(b"fLaC")
        run(
            "train", "fewshot", "--phrase", "Glorp zax", "--recordings", str(tmp_path / "said"), f"data={corpora}",
            f"start={made / 'model.ckpt'}", f"output={tmp_path / 'out'}", "learning_rate=1e-4", *QUICK,
        )  # fmt: skip
        model, out = tmp_path / "out" / "model.onnx", capsys.readouterr()
        assert "broken.flac" in out.err and "skipped 1 of 11 recordings" in out.err
        assert "recordings held out, maybe of the same speakers: 2 of 2 heard" in out.out
        (keyword,) = Detector.load(model).keywords
        assert keyword.name == "glorp zax" and edits(keyword.spellings[0], parse_phones(ITS_PHONES)) <= 1
        assert keyword.calibration and keyword.calibration.data == "mini_librispeech"
        assert sum(map(bool, hears(model, sung(NEW_WORD, 20, cmudict, seed=2)))) >= 18
        assert sum(map(bool, hears(model, sung("open goat", 20, cmudict)))) <= 2

    def test_phrase_goes_on_where_it_was_killed(self, made, corpora, cmudict, tmp_path, monkeypatch, capsys):
        singer = Singer(cmudict, stop_after=7)
        monkeypatch.setattr(generate.Synthesiser, "load", lambda root: singer)
        generate._synthesiser.cache_clear()
        command = (
            "train", "phrase", "--phrase", NEW_WORD, "--count", "40", "--models", str(tmp_path), f"data={corpora}",
            f"start={made / 'model.ckpt'}", f"output={tmp_path / 'out'}", "learning_rate=1e-4", *QUICK,
        )  # fmt: skip
        assert main(command) == INTERRUPTED
        clips = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/data/synthetic/clips").glob("*.flac")}
        assert len(clips) == 7
        singer.stop_after = 1000
        run(*command)
        assert all(path.stat().st_mtime_ns == before for path, before in clips.items())
        manifest = read_manifest(tmp_path / "out/data/synthetic")
        assert {row.split for row in manifest} == {"train", "dev"} and shared_speakers(manifest) == {}
        out = capsys.readouterr().out
        assert "synthetic voices held out" in out and "warning" not in out
        model = tmp_path / "out" / "model.onnx"
        assert sum(map(bool, hears(model, sung(NEW_WORD, 20, cmudict, seed=2)))) >= 18
        generate._synthesiser.cache_clear()

    def test_without_other_speech_only_the_spelling_is_new(self, made, cmudict, tmp_path, monkeypatch, capsys):
        for i, samples in enumerate(sung(NEW_WORD, 3, cmudict, seed=1)):
            write_wav(tmp_path / "said" / f"{i}.wav", samples)

        def killed(*_):  # what comes after it is tested above
            raise KeyboardInterrupt

        monkeypatch.setattr(deliver, "write_model", killed)
        words = ("train", "fewshot", "--phrase", f"{NEW_WORD}={ITS_PHONES}", "--recordings", str(tmp_path / "said"))
        assert main([*words, f"start={made / 'model.ckpt'}", f"output={tmp_path / 'out'}"]) == INTERRUPTED
        said = capsys.readouterr().err
        assert "warning: no speech but the phrase" in said and "warning: without real speech" in said
        before, after = (load_checkpoint(folder / "model.ckpt") for folder in (made, tmp_path / "out"))
        assert next(iter(after.spellings[NEW_WORD])) == parse_phones(ITS_PHONES)
        task = find_recipe("fewshot").task  # softens the model, and that is all
        before.model.soften(task.temperature, task.blank_discount)
        for name, weights in halved(before.model).items():
            assert torch.equal(after.model.state_dict()[name], weights.float())

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["--phrase", "glorp"], "no spelling for: glorp"),
            (["--phrase", "?!"], "has no words"),
            (["--phrase", "stop", "data=/nowhere"], "there is no folder /nowhere"),
            (["--phrase", "stop", "--recordings", "/nowhere"], "/nowhere is not a folder"),
            (["--phrase", "stop=Q"], "not ARPAbet phones: Q"),
            (["--phrase", "stop"], "add --download"),
            (["--phrase", "stop", "steps=0"], "add --download"),
            (["--phrase", "stop", "temperature=0"], "temperature=0.0 divides the logits"),
            (["--phrase", "stop", "temperature=0", "steps=0"], "temperature=0.0 divides the logits"),
        ],
    )
    def test_mistakes_are_one_sentence(self, words, sentence, made, tmp_path, capsys):
        more = [f"start={made / 'model.ckpt'}", f"output={tmp_path}", "--models", str(tmp_path)]
        assert main(["train", "phrase", *words, *more]) == 1
        said = capsys.readouterr().err.splitlines()
        assert sentence in said[-1] and said[-1].startswith("kws: ")

    @pytest.mark.parametrize("rate", ["-1", "nan", "inf", "often"])
    def test_a_rate_that_is_none_is_a_usage_error(self, rate, capsys):
        assert main(["train", "phrase", "--phrase", "stop", "--fa-per-hour", rate]) == 2
        assert "argument --fa-per-hour: " in capsys.readouterr().err

    def test_a_missing_option_is_a_usage_error(self, capsys):
        assert main(["train", "fewshot"]) == 2
        assert "usage: kws train fewshot" in capsys.readouterr().err


class Singer:
    """A synthesiser that sings words; what is no word is a hum. It is killed at one clip more than `stop_after`."""

    def __init__(self, lexicon: Lexicon, stop_after: int) -> None:
        self.lexicon, self.stop_after, self.clips = lexicon, stop_after, 0
        self.styles = {f"a{sex}_{n}": np.zeros((2, 2), np.float32) for sex in "fm" for n in "abcd"}

    def add_style(self, name, style):
        self.styles[name] = style

    def say(self, text, voice, speed, rng):
        self.clips += 1
        if self.clips > self.stop_after:
            raise KeyboardInterrupt
        words = [word for word in transcript(text.replace("/", " ")).split() if word in self.lexicon]
        silence = np.zeros(8_000, np.float32)
        return np.concatenate([silence, tiny.sing(" ".join(words or ["oh"]), 1.0, speed, self.lexicon, rng), silence])
