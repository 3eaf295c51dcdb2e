"""Small made corpora, each in its real corpus's true layout (tests/data/test_corpora.py)."""

import csv
import json
from pathlib import Path

import numpy as np

RATE = 16_000
SPEAKERS = [f"{number:08x}" for number in range(0xA1B2C3, 0xA1B2C3 + 40 * 7919, 7919)]  # 40, spread over the splits


def sound(path: Path, seconds: float = 0.2, rate: int = RATE) -> Path:
    """A short noise in the format of the file's ending; its samples follow from its name."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(list(str(path).encode())).standard_normal(int(seconds * rate))
    forms = {".opus": {"format": "OGG", "subtype": "OPUS"}, ".sph": {"format": "NIST", "subtype": "PCM_16"}}
    form = forms.get(path.suffix, {})
    soundfile.write(str(path), samples, rate, **form)
    return path


def table(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def speech_commands(root: Path, which: str = "speech_commands_v0.02") -> Path:
    from kws.data.prepare.splits import hash_split  # the published lists are made by this hash

    folder, lists = root / which, {"dev": [], "test": [], "train": []}
    for word in ("yes", "marvin"):
        for speaker in SPEAKERS:
            sound(folder / word / f"{speaker}_nohash_0.wav")
            lists[hash_split(speaker)].append(f"{word}/{speaker}_nohash_0.wav")
    (folder / "validation_list.txt").write_text("\n".join(lists["dev"]) + "\n")
    (folder / "testing_list.txt").write_text("\n".join(lists["test"]) + "\n")
    (folder / "README.md").write_text("read me")
    sound(folder / "_background_noise_" / "pink_noise.wav", seconds=10.5)
    return root


def speech_commands_test(root: Path) -> Path:
    folder = root / "speech_commands_test_set_v0.02"
    for word in ("yes", "stop", "_unknown_"):
        sound(folder / word / f"{SPEAKERS[0]}_nohash_0.wav")
    sound(folder / "_silence_" / "0.wav")
    return root


def librispeech(root: Path) -> Path:
    for part, speaker in (("train-clean-5", 19), ("train-clean-5", 32), ("dev-clean-2", 84)):
        chapter = root / "LibriSpeech" / part / str(speaker) / "198"
        lines = []
        for number in range(2):
            name = f"{speaker}-198-{number:04d}"
            sound(chapter / f"{name}.flac")
            lines.append(f"{name} IT'S A WORD NUMBER {number}\n")
        (chapter / f"{speaker}-198.trans.txt").write_text("".join(lines))
    (root / "LibriSpeech" / "README.TXT").write_text("read me")
    return root


def hey_snips(root: Path, shared: bool = False) -> Path:
    folder = root / "hey_snips_research_6k_en_train_eval_clean_ter"
    for number, split in enumerate(("train", "dev", "test")):
        entries = []
        for worker in range(3):
            name = f"{split}-{worker}"
            sound(folder / "audio_files" / f"{name}.wav")
            entries.append(
                {
                    "id": name,
                    "is_hotword": worker % 2,
                    "worker_id": worker if shared else 100 * number + worker,
                    "duration": 0.2,
                    "audio_file_path": f"audio_files/{name}.wav",
                }
            )
        (folder / f"{split}.json").write_text(json.dumps(entries))
    return root


def mobvoi_hotwords(root: Path) -> Path:
    for number, split in enumerate(("train", "dev", "test")):
        for kind, keywords in (("p", (0, 1)), ("n", (-1,))):
            entries = []
            for keyword in keywords:
                name = f"{kind}{split}{keyword}"
                sound(root / "mobvoi_hotword_dataset" / f"{name}.wav")
                speaker = f"speaker{number}" if kind == "p" else None
                entries.append({"utt_id": name, "speaker_id": speaker, "keyword_id": keyword})
            path = root / "mobvoi_hotword_dataset_resources" / f"{kind}_{split}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(entries))
    return root


def mswc(root: Path) -> Path:
    rows = []
    for word in ("bai", "ez"):
        for number, split in enumerate(("TRAIN", "DEV", "TEST")):
            link = f"{word}/common_voice_eu_{number}.opus"
            sound(root / "eu" / "clips" / link, rate=48_000)
            rows.append([split, link, word, True, "NA" if word == "ez" else f"voice{number}", "FEMALE"])
    rows.append(["TRAIN", "kaixo/common_voice_eu_9.opus", "kaixo", True, "voice9", "MALE"])  # a word not unpacked
    table(root / "eu" / "eu_splits.csv", ["SET", "LINK", "WORD", "VALID", "SPEAKER", "GENDER"], rows)
    return root


def picovoice(root: Path) -> Path:
    for number in range(30):
        sound(root / "wake-word-benchmark-master" / "audio" / "alexa" / f"{number}.flac")
        sound(root / "wake-word-benchmark-master" / "audio" / "smart mirror" / f"0386da81-{number}.wav")
    return root


def folder(root: Path) -> Path:
    for speaker in SPEAKERS:
        for word in ("hey_computer", "_other_"):
            sound(root / word / speaker / "1.wav")
    return root


def musan(root: Path) -> Path:
    for part, source in (("noise", "free-sound"), ("music", "fma"), ("speech", "librivox")):
        for number in range(20):
            sound(root / "musan" / part / source / f"{part}-{source}-{number:04d}.wav")
        (root / "musan" / part / source / "LICENSE").write_text("licence")
    return root


def esc50(root: Path) -> Path:
    rows = []
    for fold in range(1, 6):
        for take, small in (("A", True), ("B", False)):
            name = f"{fold}-{1000 + fold}-{take}-0.wav"
            sound(root / "ESC-50-master" / "audio" / name)
            rows.append([name, fold, 0, "dog", small, 1000 + fold, take])
    header = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    table(root / "ESC-50-master" / "meta" / "esc50.csv", header, rows)
    return root


def demand(root: Path) -> Path:
    for name in ("DKITCHEN", "TCAR"):
        for channel in (1, 2):
            sound(root / name / f"ch{channel:02d}.wav")
    return root


def noise(root: Path) -> Path:
    for number in range(30):
        sound(root / ("rain" if number % 2 else "deep/er") / f"{number}.ogg")
    return root


def responses(root: Path) -> Path:
    for number in range(30):
        for place in range(2):
            sound(root / f"room{number}" / f"{place}.wav")
    return root


AN4 = {"train": {"fash": ("YES", "H I N I C H"), "mewl": ("<s> ENTER SIX TWO FOUR </s>",)}}
AN4["test"] = {"fcaw": ("GO",), "fjlp": ("NO", "ONE FIFTY")}


def an4(root: Path) -> Path:
    for split, place in (("train", "an4_clstk"), ("test", "an4test_clstk")):
        lines, ids = [], []
        for speaker, texts in AN4[split].items():
            for number, text in enumerate(texts):
                name = f"an{number}-{speaker}-b"
                sound(root / "an4" / "wav" / place / speaker / f"{name}.sph")
                lines.append(f"{text} ({name})\n")
                ids.append(f"{place}/{speaker}/{name}\n")
        path = root / "an4" / "etc" / f"an4_{split}.transcription"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))
        path.with_suffix(".fileids").write_text("".join(ids))
    return root


def every_recording_of_recipes(root: Path) -> dict[str, Path]:
    """The archives of all public sets as folders, with every recording that the shipped lists name, and some more."""
    from kws.data.recipe_sets.public_set import read_list

    short = sound(root / "short.wav")
    flac = sound(root / "short.flac")

    def put(path: Path, source: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(source)

    folders = {name: root / name for name in ("picovoice", "v1", "v2", "train-clean-5", "train-clean-100", "an4")}
    for row in read_list("wake_words"):
        path = folders["picovoice"] / "wake-word-benchmark-master" / "audio" / row["file"]
        put(path, flac if path.suffix == ".flac" else short)
    put(folders["picovoice"] / "wake-word-benchmark-master" / "audio" / "alexa" / "other.flac", flac)
    for row in read_list("speech_commands_v1"):
        put(folders["v1"] / f"{row['file']}.wav", short)
    for speaker in SPEAKERS:
        sound(folders["v1"] / "cat" / f"{speaker}_nohash_0.wav")
    put(folders["v1"] / "left" / "ffffffff_nohash_0.wav", short)
    speech_commands(root / "made")
    (root / "made" / "speech_commands_v0.02").rename(folders["v2"])
    for row in read_list("librispeech_many_speakers"):
        speaker, chapter, _ = row["utterance"].split("-")
        folder = folders["train-clean-100"] / "LibriSpeech" / "train-clean-100" / speaker / chapter
        put(folder / f"{row['utterance']}.flac", flac)
        (folder / f"{speaker}-{chapter}.trans.txt").write_text(f"{row['utterance']} SOME WORDS\n")
    for speaker in (1088, 118):
        chapter = folders["train-clean-5"] / "LibriSpeech" / "train-clean-5" / str(speaker) / "1"
        put(chapter / f"{speaker}-1-0000.flac", flac)
        (chapter / f"{speaker}-1.trans.txt").write_text(f"{speaker}-1-0000 AS YOU KNOW\n")
    an4(folders["an4"])
    esc50(root / "esc50")
    return {**folders, "esc50": root / "esc50", **_repositories(root)}


def _repositories(root: Path) -> dict[str, Path]:
    """What GitHub packs of the repositories of public sets, each below NAME-COMMIT."""
    from kws.data.recipe_sets import repositories as known
    from kws.data.recipe_sets.public_set import read_list

    def tree(repository: known.Repository) -> Path:
        return root / repository.name / f"{repository.name}-{repository.commit}"

    voices = tree(known._COMMON_VOICE)
    for language in ("ab", "ar", "de", "en", "zh-CN", "ja"):
        rows = [[f"{number:020x}", f"common_voice_{language}_{number}.mp3", '"A sentence'] for number in range(2)]
        rows[0][0] = "of two languages"
        sounds = [sound(voices / language / "clips" / row[1]) for row in rows]
        lines = ["\t".join(row) for row in [["client_id", "path", "sentence"], *rows]]
        (sounds[0].parent.parent / "validated.tsv").write_text("\n".join(lines) + "\n")
    for speaker in range(15307110180, 15307110200):
        for label in ("00", "12", "19"):
            sound(tree(known._DSP_SPEECH) / "speech_data" / str(speaker) / f"{speaker}-{label}-01.wav")
    sound(tree(known._DSP_SPEECH) / "speech_data" / "15307130191" / "15307130191-12-01.wav")
    for row in read_list("measured_rooms"):
        of = known._REVERB_JS if row["file"].startswith("Library/") else known._WEB_AUDIO
        stereo(tree(of) / row["file"])
    sound(tree(known._REVERB_JS) / "Library" / "InsidePiano.wav")
    for machine in ("aircon_1", "dishwasher_0", "street_0", "vacuuming_2"):
        sound(tree(known._HOUSEHOLD) / "noise_data" / "processed" / f"{machine}_0.wav")
        sound(tree(known._HOUSEHOLD) / "noise_data" / "raw" / f"{machine}.wav")
    wuw_corpus(tree(known._WUW_CORPUS))
    found = (known._COMMON_VOICE, known._DSP_SPEECH, known._WEB_AUDIO, known._REVERB_JS, known._HOUSEHOLD)
    return {of.name: root / of.name for of in (*found, known._WUW_CORPUS)}


def stereo(path: Path) -> Path:
    """Noise in the left channel, silence in the right one, 44.1 kHz."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    left = 0.1 * np.random.default_rng(1).standard_normal(4410)
    soundfile.write(str(path), np.stack([left, 0 * left], axis=1), 44_100)
    return path


CALLERS = {"00000": "{smack} Ann Example", "00001": "Ben Example", "00002": "Cas Example", "00003": "ann example"}


def wuw_corpus(root: Path) -> Path:
    """Calls as mu-law without a header, and what is said in them."""
    entries = []
    for session, caller in CALLERS.items():
        said = (caller, "Operator", "[beep] hey _Think Engine_, 2", "")
        for number, (text, size) in enumerate(zip(said, (1600, 1600, 3200, 14), strict=True)):
            file = f"calls/{session}/WUWII{session}_{number:03d}.ulaw"
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(np.random.default_rng(number).bytes(size))
            span = {"startTime": 0.05, "endTime": 0.15} if number == 1 else {"startTime": 0, "endTime": 0}
            entries.append(
                {"sessionNumber": session, "utteranceNumber": f"{number:03d}", "filePath": file, "transcription": text}
                | span
            )
    entries.append({**entries[-1], "filePath": "calls/lost.ulaw"})
    (root / "data.json").write_text(json.dumps({"entries": entries}))
    return root
