"""The synthetic phrase set, spoken by a fake synthesiser."""

import csv
import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.cli.main import main
from kws.data.synthesis import generate as generate_module
from kws.data.synthesis.generate import HELD_OUT, NEW_STYLES, UNCLEAR, Item, generate, make_clip, plan, voices
from kws.data.synthesis.phrases import PhraseScript, readable_words
from kws.data.synthesis.scripts import (
    CARRIERS,
    CONFUSABLES,
    WAKE_WORDS,
    KeywordScript,
    WordScript,
    confusable_script,
    script_line,
    spoken_form,
    transcript,
)  # fmt: skip
from kws.data.synthesis.tts import Voice
from kws.errors import KwsError
from kws.lexicon import load_cmudict
from kws.lexicon.text import contains

pytest.importorskip("soundfile", reason="the phrase set is written by soundfile, of the extras `audio` and `tts`")

PACKS = ("af_bella", "af_heart", "am_adam", "bf_lily", "bm_george", "em_alex", "ff_siwis", "jf_alpha")

SCRIPT = KeywordScript(CONFUSABLES)
SHAPE = (3, 4)  # of a style, small


def rng(seed=0):
    return np.random.default_rng(seed)


def tone(seconds, rate=16_000):
    return np.sin(np.arange(int(seconds * rate)) * 0.3).astype(np.float32)


class FakeSynthesiser:
    """Half a second of silence on each side of a tone as long as the text."""

    def __init__(self):
        self.styles = {name: np.full(SHAPE, number, np.float32) for number, name in enumerate(PACKS)}
        self.said = []

    def add_style(self, name, style):
        self.styles[name] = style

    def say(self, text, voice, speed, rng):
        self.said.append((text, voice.id, speed))
        silence = np.zeros(8_000, np.float32)
        return np.concatenate([silence, tone(0.2 + 0.05 * len(text) / speed), silence])


@pytest.fixture
def fake(monkeypatch):
    """What every synthesiser that is loaded says through."""
    synthesiser = FakeSynthesiser()

    def say(*arguments):
        return synthesiser.say(*arguments)  # looked up late: tests replace it

    def load(root):
        loaded = FakeSynthesiser()
        loaded.say = say
        return loaded

    monkeypatch.setattr(generate_module.Synthesiser, "load", load)
    monkeypatch.setattr(generate_module, "MISHEARD", ())
    generate_module._synthesiser.cache_clear()
    yield synthesiser
    generate_module._synthesiser.cache_clear()


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestPhrases:
    def test_no_confusable_holds_a_wake_word(self):
        for word in WAKE_WORDS:
            for near in CONFUSABLES[word]:
                assert not any(contains(near, other) for other in WAKE_WORDS), near
                assert near == transcript(near)

    def test_every_wake_word_has_many_confusables_and_no_twice(self):
        assert set(CONFUSABLES) == set(WAKE_WORDS)
        for near in CONFUSABLES.values():
            assert len(near) == len(set(near)) >= 20

    def test_confusables_alone_are_those_chosen_by_hand_and_others_two_phones_away(self):
        lexicon = load_cmudict()
        readable = ("commuter", "compute", "cowboy", "glass", "mirror", "prosecutor", "service", "smart", "snowman")
        times = Counter(confusable_script(readable, lexicon).words)
        chosen = {text for texts in CONFUSABLES.values() for text in texts}
        assert {text for text, count in times.items() if count == 3} == chosen
        assert set(times) - chosen == {"prosecutor"}, "others are one phone away, chosen, or not among the readable"

    def test_carriers_hold_their_word_once(self):
        for carrier in CARRIERS:
            text = transcript(carrier.format(word="view glass"))
            assert f" {text} ".count(" view glass ") == 1

    def test_whole_words_count(self):
        assert contains("hey view glass now", "view glass")
        assert not contains("review glass", "view glass")
        assert not contains("computers", "computer")

    def test_transcript_has_no_punctuation(self):
        assert transcript("Hey, I'll ask  the snow-boy!") == "hey i'll ask the snow boy"

    def test_snowboy_is_read_as_one_word_with_two_parts(self):
        assert spoken_form("hey Snowboy, wait") == "Hey snow-boy, wait"
        assert spoken_form("snowboys") == "Snowboys"
        assert script_line("bare", "snowboy", "snowboy!").text == "snowboy"

    @pytest.mark.parametrize("kind", ["bare", "carrier", "confusable"])
    @pytest.mark.parametrize("word", WAKE_WORDS)
    def test_drawn_phrases_are_what_they_say(self, kind, word):
        for seed in range(30):
            drawn = SCRIPT.draw((kind, word), rng(seed))
            assert contains(drawn.text, word) == (kind != "confusable")
            assert (drawn.text == word) == (kind == "bare")
            assert drawn == SCRIPT.draw((kind, word), rng(seed))

    def test_a_deck_is_balanced(self):
        deck = SCRIPT.deal(rng())
        assert Counter(kind for kind, _ in deck) == {"bare": 30, "carrier": 12, "confusable": 18}
        assert set(Counter(word for _, word in deck).values()) == {10}

    def test_a_keyword_that_cannot_be_read_is_said_by_its_phones(self):
        script = KeywordScript({"glorbex": ("<G L AO R>",)}, (("glorbex", "<G L AO R B EH K S>"),))
        assert script.draw(("bare", "glorbex"), rng()).spoken.startswith("/ɡlˈɔɹbɛks/")
        carried = [script.draw(("carrier", "glorbex"), rng(seed)) for seed in range(20)]
        assert all(contains(p.text, "glorbex") and "/ɡlˈɔɹbɛks/" in p.spoken for p in carried)
        near = script.draw(("confusable", "glorbex"), rng())
        assert near.text == "g'l'ao'r" and near.spoken.startswith("/ɡlˈɔɹ/")

    def test_words_come_as_often_as_they_are_named(self):
        script = WordScript(("on", "off", "off"))
        assert Counter(word for _, word in script.deal(rng())) == {"on": 1, "off": 2}
        assert script.draw(("bare", "off"), rng()).text == "off"

    @given(seed=st.integers(0, 10_000))
    def test_phrases_are_excerpts_or_few_words_and_never_what_is_kept_for_measuring(self, seed):
        texts = ("the smart mirror shows a view", "one two three four five six seven eight nine ten")
        script = PhraseScript(texts, ("alexa", "glass", "kettle", "mirror", "view"), WAKE_WORDS)
        text = dict(script.deal(rng(seed)))["carrier"]
        said = script.draw(("carrier", text), rng(seed)).text
        assert not any(contains(said, word) for word in WAKE_WORDS)
        assert f" {said} " in f" {text} " or len(said.split()) <= 3
        assert 1 <= len(said.split()) <= 8

    def test_words_that_dictionaries_read_alike(self):
        pytest.importorskip("hibari", reason="Kokoro's dictionary is in hibari, of the extra `synthesis`")
        words = readable_words(load_cmudict())
        assert len(words) > 20_000 and len(set(words)) == len(words)
        assert {"kettle", "computer", "water"} <= set(words)
        assert "live" not in words  # as in "alive" or as in "liver": one dictionary has two readings


class TestPlan:
    def test_held_out_and_unclear_voices_never_speak(self):
        cast = {voice.name for voice in voices(PACKS, 0)}
        assert not cast & {*HELD_OUT, *UNCLEAR}
        assert len(cast) == 5 + NEW_STYLES

    def test_more_new_voices_begin_with_the_same(self):
        few, many = voices(PACKS, 0, 10), voices(PACKS, 0, 30)
        assert few == many[: len(few)] and len(many) == len(few) + 20

    def test_british_packs_speak_british(self):
        british = {voice.name for voice in voices(PACKS, 0) if voice.british}
        assert "bf_lily" in british
        assert not british & {"af_bella", "am_adam", "em_alex", "jf_alpha"}

    def test_same_seed_same_plan_whatever_the_length(self):
        cast = voices(PACKS, 3)
        long = list(islice(plan(SCRIPT, cast, 3), 300))
        assert list(islice(plan(SCRIPT, cast, 3), 100)) == long[:100]
        assert list(islice(plan(SCRIPT, cast, 4), 100)) != long[:100]
        assert len({item.file for item in long}) == 300

    @pytest.mark.parametrize("length", [120, 300, 600])
    def test_any_prefix_is_balanced(self, length):
        items = list(islice(plan(SCRIPT, voices(PACKS, 0), 0), length))
        words = Counter(item.line.keyword for item in items)
        assert max(words.values()) - min(words.values()) <= 10
        bare = sum(item.line.kind == "bare" for item in items)
        assert bare == pytest.approx(length / 2, abs=15)
        speakers = Counter(item.voice.id for item in items)
        assert max(speakers.values()) <= 2 * (length // len(voices(PACKS, 0)) + 1)

    def test_speeds_lie_in_range(self):
        speeds = [item.speed for item in islice(plan(SCRIPT, voices(PACKS, 0), 0), 500)]
        assert 0.8 <= min(speeds) < 0.85
        assert 1.2 < max(speeds) <= 1.25


class TestNewStyles:
    def test_they_do_not_know_the_held_out_packs(self):
        first, second = FakeSynthesiser(), FakeSynthesiser()
        for name in {*HELD_OUT, *UNCLEAR} & set(PACKS):
            second.styles[name] = np.full(SHAPE, 1e6, np.float32)
        for synthesiser in (first, second):
            generate_module.add_new_styles(synthesiser, 0)
        np.testing.assert_array_equal(first.styles["style007"], second.styles["style007"])
        assert np.abs(first.styles["style007"] - first.styles["style008"]).max() > 0


class TestClips:
    def item(self, text="Alexa."):
        return Item(0, script_line("bare", "alexa", text), Voice("kokoro:af_bella"), 1.0, (0, 0))

    @pytest.mark.parametrize(
        ("samples", "fault"),
        [
            (np.zeros(16_000, np.float32), "silent"),
            (np.full(16_000, 0.001, np.float32), "silent"),
            (np.zeros(0, np.float32), "silent"),
            (np.full(16_000, np.nan, np.float32), "not finite"),
            (tone(9.0), "9.00 s of speech"),
            (tone(1.0), "cut off"),
            (tone(0.1), "0.10 s of speech"),
        ],
    )
    def test_broken_clips_are_dropped(self, samples, fault, tmp_path):
        class Broken:
            def say(self, *_):
                return samples

        (tmp_path / "clips").mkdir()
        _, seconds, found = make_clip(Broken(), tmp_path, self.item())
        assert (seconds, found) == (0.0, fault)
        assert not list(tmp_path.rglob("*.flac"))

    def test_loud_speech_is_scaled_not_clipped(self, tmp_path):
        import soundfile

        class Loud(FakeSynthesiser):
            def say(self, *arguments):
                return 3 * super().say(*arguments)

        (tmp_path / "clips").mkdir()
        make_clip(Loud(), tmp_path, self.item())
        samples, _ = soundfile.read(str(next(tmp_path.rglob("*.flac"))))
        assert np.mean(np.abs(samples) > 0.999) < 0.05 < np.abs(samples).max()

    def test_silence_is_trimmed_to_a_margin(self, tmp_path):
        (tmp_path / "clips").mkdir()
        _, seconds, fault = make_clip(FakeSynthesiser(), tmp_path, self.item())
        assert fault is None
        assert seconds == pytest.approx(0.2 + 0.05 * len("Alexa.") + 0.5, abs=0.01)


class TestGenerate:
    def test_manifest(self, fake, tmp_path):
        import soundfile

        found = rows(generate(tmp_path, tmp_path, SCRIPT, count=70))
        assert len(found) == 70
        assert list(found[0]) == ["audio", "seconds", "text", "speaker", "split"]
        assert {row["split"] for row in found} == {"train"}
        for row in found[:5]:
            info = soundfile.info(str(tmp_path / row["audio"]))
            assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
            assert info.frames / 16_000 == pytest.approx(float(row["seconds"]), abs=1e-3)
            assert row["text"] == transcript(row["text"])

    def test_again_makes_nothing_and_longer_keeps_what_is_there(self, fake, tmp_path):
        first = rows(generate(tmp_path, tmp_path, SCRIPT, count=30))
        assert len(fake.said) == 30
        generate(tmp_path, tmp_path, SCRIPT, count=30)
        assert len(fake.said) == 30
        longer = rows(generate(tmp_path, tmp_path, SCRIPT, count=40))
        assert len(fake.said) == 40
        assert longer[:30] == first

    def test_a_killed_run_goes_on(self, fake, tmp_path, monkeypatch):
        whole = rows(generate(tmp_path / "whole", tmp_path, SCRIPT, count=20))
        speak = fake.say

        def until_killed(*arguments):
            if len(fake.said) == 25:
                raise KeyboardInterrupt
            return speak(*arguments)

        monkeypatch.setattr(fake, "say", until_killed)
        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path / "cut", tmp_path, SCRIPT, count=20)
        assert not (tmp_path / "cut" / "complete.json").exists()
        monkeypatch.setattr(fake, "say", speak)
        assert rows(generate(tmp_path / "cut", tmp_path, SCRIPT, count=20)) == whole
        assert len(fake.said) == 40
        assert json.loads((tmp_path / "cut" / "complete.json").read_text()) == {"count": 20, "seed": 0}

    def test_what_a_full_disk_has_emptied_is_made_again(self, fake, tmp_path):
        first = rows(generate(tmp_path, tmp_path, SCRIPT, count=5))
        for path in (tmp_path / "script.json", tmp_path / "complete.json", tmp_path / first[2]["audio"]):
            path.write_bytes(b"")
        assert rows(generate(tmp_path, tmp_path, SCRIPT, count=5)) == first
        assert len(fake.said) == 6 and (tmp_path / first[2]["audio"]).stat().st_size
        with pytest.raises(KwsError, match="another script or seed"):
            generate(tmp_path, tmp_path, SCRIPT, count=5, seed=1)

    def test_another_seed_is_refused(self, fake, tmp_path):
        generate(tmp_path, tmp_path, SCRIPT, count=3)
        with pytest.raises(KwsError, match="another script or seed"):
            generate(tmp_path, tmp_path, SCRIPT, count=3, seed=1)

    def test_some_voices_speak_for_dev_alone_and_no_carriers(self, fake, tmp_path):
        found = rows(generate(tmp_path, tmp_path, SCRIPT, count=150, dev_every=4))
        speakers = {split: {row["speaker"] for row in found if row["split"] == split} for split in ("train", "dev")}
        assert 10 < len(speakers["dev"]) <= (NEW_STYLES + 5) // 4 and not speakers["train"] & speakers["dev"]
        texts = [row["text"] for row in found if row["split"] == "dev"]
        assert all(text in WAKE_WORDS or not any(contains(text, word) for word in WAKE_WORDS) for text in texts)

    def test_dropped_clips_are_listed(self, fake, tmp_path, monkeypatch):
        monkeypatch.setattr(fake, "say", lambda *_: np.zeros(100, np.float32))
        assert rows(generate(tmp_path, tmp_path, SCRIPT, count=4)) == []
        assert [row["fault"] for row in rows(tmp_path / "dropped.csv")] == ["silent"] * 4

    def test_misheard_voices_are_left_out_of_the_same_plan(self, fake, tmp_path, monkeypatch):
        whole = rows(generate(tmp_path / "whole", tmp_path, SCRIPT, count=80))
        name = whole[0]["speaker"].removeprefix("kokoro:")
        monkeypatch.setattr(generate_module, "MISHEARD", (name,))
        less = rows(generate(tmp_path / "less", tmp_path, SCRIPT, count=80))
        assert less == [row for row in whole if row["speaker"] != whole[0]["speaker"]]

    def test_command_line_says_what_is_missing(self, tmp_path, capsys):
        assert main(["data", "synthesise", "--root", str(tmp_path)]) == 1
        assert capsys.readouterr().err.startswith("kws: ")

    def test_processes_that_finish_in_any_order_write_the_same_manifest(self, fake, tmp_path, monkeypatch):
        def on_cores(work, tasks, processes, report):
            yield from reversed([work(task, report) for task in tasks])

        monkeypatch.setattr(generate_module, "on_cores", on_cores)
        alone = rows(generate(tmp_path / "alone", tmp_path, SCRIPT, count=20))
        assert rows(generate(tmp_path / "several", tmp_path, SCRIPT, count=20, workers=3)) == alone
