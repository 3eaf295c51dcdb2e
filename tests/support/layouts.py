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
    from kws.data.recipe_sets.public import read_list

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
    return {**folders, "esc50": root / "esc50"}
