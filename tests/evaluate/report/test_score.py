"""`kws score` from outside: its report against what `kws detect` hears, counted by other means."""

import csv
import json
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import tones
from command import kws
from corpora import write_wav
from kws.cli.main import main
from kws.evaluate.report.page.figures import write_figures

pytestmark = pytest.mark.usefixtures("without_figures")  # but for one test
RATE = 16_000
COLUMNS = ("audio", "seconds", "text", "speaker", "split", "start", "end")


def score(*words: object) -> dict:
    """The report of a scoring that must succeed, in this process, which has loaded its libraries already."""
    assert main(["score", *map(str, words), "--jobs", "1"]) == 0
    report = json.loads((Path(words[words.index("-o") + 1]) / "report.json").read_text())
    schema = json.loads((resources.files("kws.evaluate.report") / "report.schema.json").read_text())
    jsonschema.validate(report, schema, jsonschema.Draft202012Validator)
    return report


def tune(letters: str, loudness: float = 1.0, seed: int = 0) -> np.ndarray:
    """A tune in faint noise: quieter ones score lower."""
    clean = loudness * tones.speak(letters)
    return (clean + np.random.default_rng(seed).normal(0, 0.003, len(clean))).astype(np.float32)


def write(folder: Path, clips: list[tuple]) -> Path:
    """A corpus of (samples, rows of text, speaker, start, end)."""
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for i, (samples, rows) in enumerate(clips):
            write_wav(folder / f"{i}.wav", samples)
            writer.writerows((f"{i}.wav", len(samples) / RATE, text, who, "dev", a, b) for text, who, a, b in rows)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """said: clips of three tunes at many levels; stream: tunes at known places; other: what resembles them; noise."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(3)
    said = [
        (tune(word, 10 ** rng.uniform(-1.2, 0), i), [(name, f"s{i % 3}", "", "")])
        for i in range(24)
        for name, word in [("abc", "ABC"), ("fed", "FED")]
    ]
    write(root / "said", said)
    parts, rows, at = [], [], 0
    for i in range(12):
        word = tune("ABC" if i % 2 else "DFA", 10 ** rng.uniform(-0.6, 0), i)
        gap = rng.normal(0, 0.003, RATE + 500 * i).astype(np.float32)
        if i % 2:
            rows.append(("abc", "t", round((at + len(gap)) / RATE, 4), round((at + len(gap) + len(word)) / RATE, 4)))
        parts += [gap, word]
        at += len(gap) + len(word)
    write(root / "stream", [(np.concatenate([*parts, np.zeros(RATE, np.float32)]), rows)])
    other = [(tune("AB FE CB", 10 ** rng.uniform(-1, 0), i), [("ab fe", "", "", "")]) for i in range(6)]
    other += [(tune("ABC FED", 0.5, 9), [("xyz", "", "", "")]), (tune("ABC", 0.5, 8), [("oh abc oh", "", "", "")])]
    write(root / "other", other)
    write(root / "noise", [(rng.normal(0, 0.1, 3 * RATE).astype(np.float32), [("", "", "", "")])])
    return root


@pytest.fixture(scope="module")
def report(tone_model, corpus, tmp_path_factory) -> dict:
    named = (
        "--positives",
        corpus / "said",
        "--negatives",
        corpus / "other",
        "--silence",
        0,
        "--noise",
        corpus / "noise",
    )
    return score(tone_model, *named, "--conditions", "10", "-o", tmp_path_factory.mktemp("scored"))


def heard(model: Path, files: list[Path], threshold: float) -> list[tuple[str, str]]:
    """(file, keyword) of each event of `kws detect`."""
    done = kws("detect", model, *files, "--json", "--threshold", threshold)
    assert done.returncode == 0, done.stderr
    return [(event["file"], event["keyword"]) for event in map(json.loads, done.stdout.splitlines())]


def test_every_count_agrees_with_the_events_of_detect(report, tone_model, corpus):
    texts = {}
    for folder in ("said", "other"):
        with (corpus / folder / "manifest.csv").open() as file:
            texts |= {str(corpus / folder / row["audio"]): row["text"] for row in csv.DictReader(file)}
    curve = report["keywords"]["abc"]["det"]
    assert len({(p["misses"], p["false_accepts"]) for p in curve}) > 4
    for point in curve[:: max(1, len(curve) // 5)]:
        events = [file for file, keyword in heard(tone_model, list(texts), point["threshold"]) if keyword == "abc"]
        misses = sum(text == "abc" and file not in events for file, text in texts.items())
        accepts = sum("abc" not in texts[file].split() for file in events)
        assert (point["misses"], point["false_accepts"]) == (misses, accepts)
    seconds = sum(tones_length(Path(file)) for file, text in texts.items() if "abc" not in text.split())
    assert report["keywords"]["abc"]["hours"] == pytest.approx(seconds / 3600)
    assert report["keywords"]["abc"]["positives"] == 24


def test_one_word_alone_at_a_threshold_of_ones_own(report, tone_model, corpus, tmp_path):
    """What it counts of that word is what it counted among the others, at that threshold."""
    named = ("--positives", corpus / "said", "--negatives", corpus / "other", "--silence", 0, "--jobs", 1)
    asked = ("--only", "ABC", "--threshold", "0.9", "--threshold", "abc=0.6")
    done = kws("score", tone_model, *named, *asked, "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    one = json.loads((tmp_path / "report.json").read_text())
    assert " ".join(asked) in one["command"]
    assert list(one["keywords"]) == ["abc"] and {"abc", "fed"} <= {*report["keywords"]}
    found, among = one["keywords"]["abc"], report["keywords"]["abc"]
    assert found["det"] == among["det"]
    own = found["points"][0]
    assert own["threshold"] == 0.6 != among["points"][0]["threshold"]
    said = [corpus / "said" / f"{number}.wav" for number in range(0, 48, 2)]
    assert own["misses"] == 24 - len({file for file, keyword in heard(tone_model, said, 0.6) if keyword == "abc"})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--only", "abd"], "--only abd: the model has no such keyword, the nearest is 'abc'"),
        (["--threshold", "abd=0.5"], "--threshold is for 'abd', and the keywords are"),
        (["--only", "abc", "--threshold", "fed=0.5"], "--threshold is for 'fed', and the keywords are abc"),
        (["--threshold", "abc=1e-9"], "--threshold 1e-09: thresholds below 0.01 cannot be counted"),
    ],
)
def test_words_and_thresholds_that_cannot_be_are_told_at_once(words, sentence, tone_model, corpus):
    done = kws("score", tone_model, "--positives", corpus / "said", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr and "recordings" not in done.stderr


@pytest.mark.parametrize("words", [["--only", "alexa"], ["--threshold", "0.5"]])
def test_an_engine_has_its_own_words_and_thresholds(words, corpus):
    done = kws("score", "openwakeword", "--positives", corpus / "said", *words)
    assert done.returncode == 1
    assert done.stderr == f"kws: {words[0]} is of models of kws, and openwakeword is an engine of others\n"


def tones_length(path: Path) -> float:
    from kws.audio import read

    return len(read(path)) / RATE


def test_parts_add_up(report):
    for name, keyword in report["keywords"].items():
        for i, point in enumerate(keyword["points"]):
            assert sum(counts[i]["misses"] for counts in keyword["speakers"].values()) == point["misses"]
            assert keyword["conditions"]["clean"][i]["misses"] == point["misses"]
            woke = [a for a in report["accepts"] if a["keyword"] == name and a["scores"][i] is not None]
            assert len(woke) == point["false_accepts"]
    for i, point in enumerate(report["all"]["points"]):
        assert point["misses"] == sum(k["points"][i]["misses"] for k in report["keywords"].values())
        missed = [t for t in report["trials"] if t["condition"] == "clean" and t["missed"][i]]
        assert len(missed) == point["misses"]
    assert report["conditions"] == ["clean", "10 dB"]
    noisy = report["all"]["conditions"]["10 dB"][0]
    assert noisy["positives"] == 48 and noisy["misses"] >= report["all"]["points"][0]["misses"]


def test_a_rate_that_the_hours_cannot_show_is_not_called_shown(report):
    assert not any(point["supported"] for k in report["keywords"].values() for point in k["points"])


def test_known_events_of_a_stream_and_their_latency(tone_model, corpus, tmp_path):
    report = score(tone_model, "--positives", corpus / "stream", "-o", tmp_path)
    abc = report["keywords"]["abc"]
    assert abc["positives"] == 6 and abc["points"][0]["misses"] == 0 and abc["points"][0]["false_accepts"] == 0
    assert abc["latency_ms"]["n"] == 6 and -100 < abc["latency_ms"]["median"] <= abc["latency_ms"]["p95"] < 300
    assert 0 < abc["hours"] < report["data"]["hours"]
    spans = [(t["start_s"], t["end_s"]) for t in report["trials"] if t["keyword"] == "abc"]
    fired = [t["fired_s"] for t in report["trials"] if t["keyword"] == "abc"]
    assert all(start < when < end + 0.75 for (start, end), when in zip(spans, fired, strict=True))


def test_two_models_on_the_same_clips_are_compared_in_pairs(tone_model, corpus, report, tmp_path):
    (tmp_path / "before").mkdir()
    (tmp_path / "before/report.json").write_text(json.dumps(report))
    words = (tone_model, "--positives", corpus / "said", "--negatives", corpus / "other", "--silence", 0)
    same = score(*words, "--against", tmp_path / "before", "-o", tmp_path / "same")["comparison"]
    for name, theirs in same["keywords"].items():
        assert theirs == {part: report["keywords"][name][part] for part in ("positives", "hours", "det", "points")}
    assert set(same["keywords"]) == set(report["keywords"])
    assert {row["keyword"] for row in same["rows"]} == {"abc", "fed", "all"}
    assert all(row["mcnemar_p"] == 1 and row["difference"] == [0, 0, 0] for row in same["rows"])
    worse = json.loads(json.dumps(report))
    for trial in worse["trials"]:
        trial["missed"] = [True] * len(trial["missed"])
    (tmp_path / "before/report.json").write_text(json.dumps(worse))
    rows = score(*words, "--against", tmp_path / "before", "-o", tmp_path / "better")["comparison"]["rows"]
    for row in rows:
        assert (
            row["only_ours_missed"] == 0
            and row["only_theirs_missed"] == row["theirs"]["misses"] - row["ours"]["misses"]
        )
        assert row["difference"][0] == pytest.approx(-row["only_theirs_missed"] / row["ours"]["positives"])
    assert min(row["mcnemar_p"] for row in rows) < 0.01


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--negatives", "{stream}"], "rest on other recordings"),
        (["--negatives", "{other}", "--silence", "0.5"], "silence_s 0 there and 0.5 here"),
        (["--negatives", "{other}", "--noise", "{stream}", "--conditions", "10"], "mix other noise"),
        (["--negatives", "{other}", "--noise", "{noise}", "--conditions", "10", "--seed", "1"], "mix other noise"),
    ],
)
def test_what_heard_other_things_is_not_compared(change, sentence, tone_model, corpus, report, tmp_path, capsys):
    (tmp_path / "report.json").write_text(json.dumps(report))
    places = {name: corpus / name for name in ("stream", "other", "noise")}
    words = ["score", tone_model, "--positives", corpus / "said", "--silence", "0", "--jobs", "1"]
    words += ["--against", tmp_path, "-o", tmp_path / "new", *(word.format(**places) for word in change)]
    assert main([str(word) for word in words]) == 1
    assert sentence in capsys.readouterr().err
    assert json.loads((tmp_path / "new" / "report.json").read_text())["comparison"] is None


def test_reports_that_cannot_be_compared_are_one_sentence(tone_model, corpus, report, tmp_path, capsys):
    short, old = json.loads(json.dumps(report)), json.loads(json.dumps(report))
    short["trials"][3]["missed"].pop()
    del old["data"]["digests"]
    for wrong, sentence in ((short, "not a report of kws score"), (old, "score that model again")):
        (tmp_path / "report.json").write_text(json.dumps(wrong))
        words = [
            "score",
            tone_model,
            "--positives",
            corpus / "said",
            "--silence",
            0,
            "--jobs",
            1,
            "--against",
            tmp_path,
        ]
        assert main([*map(str, words), "--negatives", str(corpus / "other")]) == 1
        assert sentence in capsys.readouterr().err


def test_negatives_alone_are_counted(tone_model, corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("kws.evaluate.report.write.write_figures", write_figures)
    report = score(tone_model, "--negatives", corpus / "other", "-o", tmp_path)
    assert "nothing is known of misses" in capsys.readouterr().out
    point = report["all"]["points"][0]
    assert point["positives"] == 0 and point["frr"] is None and point["false_accepts"] > 0 and report["trials"] == []
    assert (tmp_path / "report.html").exists() and (tmp_path / "scores.png").exists()


def test_a_label_outside_of_its_recording_is_named_and_left_out(tone_model, corpus, tmp_path, capsys):
    shutil.copytree(corpus / "said", tmp_path / "said")
    manifest = tmp_path / "said" / "manifest.csv"
    head, first, *rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join([head, first.rstrip(",") + ",100,101", *rows]))
    report = score(tone_model, "--positives", tmp_path / "said", "-o", tmp_path / "out")
    assert report["keywords"]["abc"]["positives"] == 23
    (line,) = report["data"]["skipped"]
    assert "0.wav has" in line and "'abc' ends at 101.00 s" in line
    assert f"skipped: {line}" in capsys.readouterr().err


def test_noise_that_cannot_be_mixed_with_is_named_once_and_another_is_taken(tone_model, corpus, tmp_path, capsys):
    shutil.copy(corpus / "noise" / "0.wav", tmp_path / "noise.wav")
    write_wav(tmp_path / "silent.wav", np.zeros(RATE))
    (tmp_path / "text.wav").write_text("no sound")
    words = ["--positives", corpus / "said", "--noise", tmp_path, "--conditions", "10", "-o", tmp_path / "out"]
    report = score(tone_model, *words)
    assert report["keywords"]["abc"]["conditions"]["10 dB"][0]["positives"] == 24
    assert len(report["data"]["skipped"]) == 2 and capsys.readouterr().err.count("silent.wav is silent") == 1


def test_events_and_manifests_are_enough_to_count_again(tone_model, corpus, tmp_path):
    words = ["--positives", corpus / "said", corpus / "stream", "--negatives", corpus / "other"]
    report = score(tone_model, *words, "--silence", 0, "--fa-per-hour", 1, 100, "-o", tmp_path)
    rows = [r for folder in ("said", "stream", "other") for r in read(corpus / folder / "manifest.csv", folder)]
    events = read(tmp_path / "events.csv", "")
    for keyword, found in report["keywords"].items():
        for point in found["points"]:
            target = "" if point["target"] is None else str(point["target"])
            fired = [e for e in events if (e["keyword"], e["target"], e["condition"]) == (keyword, target, "clean")]
            assert {float(e["threshold"]) for e in fired} <= {point["threshold"]}
            assert all(float(e["peak"]) >= float(e["score"]) >= point["threshold"] for e in fired)
            assert recount(fired, rows, keyword) == (point["misses"], point["false_accepts"])
            verdicts = [e["verdict"] for e in fired]
            assert verdicts.count("hit") == point["positives"] - point["misses"]
            assert verdicts.count("false accept") == point["false_accepts"]
            assert verdicts.count("repeat") == point["repeats"]
    assert {"hit", "false accept"} <= {e["verdict"] for e in events}


def read(table: Path, folder: str) -> list[dict[str, str]]:
    with table.open() as file:
        rows = list(csv.DictReader(file))
    return [{**row, "recording": row.get("recording") or f"{folder}/{row['audio']}"} for row in rows]


def recount(events: list[dict[str, str]], rows: list[dict[str, str]], keyword: str) -> tuple[int, int]:
    """Misses and false accepts, from the two tables alone, where words of a recording do not overlap."""
    misses, inside = 0, set()
    for row in rows:
        if keyword in row["text"].split():
            begin, end = float(row["start"] or "-inf"), float(row["end"] or "inf") + 0.75
            here = {i: float(e["time_s"]) for i, e in enumerate(events) if e["recording"] == row["recording"]}
            own = [i for i, time in here.items() if begin <= time <= end]
            inside.update(own)
            misses += row["text"] == keyword and not own
    return misses, len(events) - len(inside)


def test_confusable_phrases_are_counted_apart(tone_model, corpus, tmp_path):
    apart = score(tone_model, "--positives", corpus / "said", "--confusables", corpus / "other", "-o", tmp_path)
    abc = apart["keywords"]["abc"]
    assert abc["confusables"]["xyz"][0] == {"fires": 1, "clips": 1} and "oh abc oh" not in abc["confusables"]
    assert abc["confusables"]["ab fe"][0]["clips"] == 6
    others = [row for row in apart["trials"] if row["keyword"] == "fed" and row["condition"] == "clean"]
    assert abc["hours"] == pytest.approx(sum(tones_length(Path(row["audio"])) for row in others) / 3600)
    assert {accept["kind"] for accept in apart["accepts"]} <= {"positive", "confusable"}


def test_hearing_a_recording_twice_adds_no_hours(tone_model, corpus, tmp_path):
    once = score(tone_model, "--positives", corpus / "said", "--negatives", corpus / "other", "-o", tmp_path / "once")
    named = [corpus / "other", corpus / "other", corpus / "said"]
    twice = score(tone_model, "--positives", corpus / "said", "--negatives", *named, "-o", tmp_path / "twice")
    assert once["keywords"] == twice["keywords"]


def test_a_second_run_with_the_same_folder_gives_the_same(tone_model, corpus, tmp_path):
    words = (tone_model, "--positives", corpus / "said", "--negatives", corpus / "other", "-o", tmp_path)
    assert score(*words) == score(*words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--positives", "{said}", "--conditions", "10"], "needs --noise"),
        (["--positives", "{said}", "--noise", "{said}", "--conditions", "loud"], "no condition 'loud'"),
        (["--positives", "{said}", "--against", "{said}"], "no report"),
        (["--positives", "{other}"], "says a keyword of the model"),
        (["--positives", "{said}", "--against", "{not_a_report}"], "not a report of kws score"),
        (["--positives", "{said}", "--fa-per-hour", "0"], "no rate"),
        (["--positives", "{said}", "--fa-per-hour", "inf"], "no rate"),
        (["--positives", "{said}", "--fa-per-hour", "1e-320"], "no rate"),
        (["--positives", "{said}", "--silence", "-1"], "not a number of seconds from 0"),
        (["--positives", "{said}", "--silence", "1e12"], "not a number of seconds from 0"),
        (["--positives", "{said}", "--jobs", "0"], "less than 1"),
        (["--positives", "{said}", "--noise", "{said}", "--seed", "-1"], "less than 0"),
        (["--positives", "{said}@tset"], "said@tset: no rows are of that split; there are dev"),
        (["--positives", "{twice}"], "each needs start and end"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, tone_model, corpus, tmp_path):
    twice = tmp_path / "twice"
    shutil.copytree(corpus / "said", twice)
    with (twice / "manifest.csv").open("a") as file:
        file.write("0.wav,1,abc,,dev,,\n")
    not_a_report = tmp_path / "report.json"
    not_a_report.write_text('{"schema": 1}')
    places = {"said": corpus / "said", "other": corpus / "other", "twice": twice, "not_a_report": not_a_report}
    done = kws("score", tone_model, *(word.format(**places) for word in words))
    assert done.returncode in (1, 2) and sentence in done.stderr and "Traceback" not in done.stderr


def test_scoring_and_calibrating_need_no_torch(tone_model, corpus, tmp_path):
    script = "import sys; from kws.cli.main import main; sys.exit(main(sys.argv[1:]) or 'torch' in sys.modules)"
    model = shutil.copy(tone_model, tmp_path / "model.onnx")
    said = ("--positives", corpus / "said", "--negatives", corpus / "other", "--jobs", "1")
    for words in (("score", model, *said, "-o", tmp_path), ("calibrate", model, *said, "--fa-per-hour", "100")):
        command = [sys.executable, "-c", script, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
