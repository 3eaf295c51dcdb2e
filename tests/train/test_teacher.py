"""A teacher out of Whisper's encoder: its weights, its times, and a student that it teaches."""

import struct

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")

import tones  # noqa: E402
from kws.cli.main import main  # noqa: E402
from kws.data.scenes.config import SceneConfig  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.lexicon import TOKENS  # noqa: E402
from kws.log import silent  # noqa: E402
from kws.model.checkpoint import find_checkpoint  # noqa: E402
from kws.train.datamodule import SceneModule  # noqa: E402
from kws.train.recipe import TrainingCorpus  # noqa: E402
from kws.train.recipes.file import find_recipe  # noqa: E402
from kws.train.teacher.ctranslate2 import read_arrays  # noqa: E402
from kws.train.teacher.task import TeacherTask, timing_loss  # noqa: E402
from kws.train.teacher.train import train_teacher  # noqa: E402
from kws.train.teacher.whisper import from_arrays, load_teacher  # noqa: E402
from kws.train.trainer import train  # noqa: E402
from kws.train.vocabulary import lexicon_of  # noqa: E402
from waves import write_wave  # noqa: E402

WIDTH, BLOCKS = 64, 2
"""A Whisper of one attention head."""


def shapes():
    """The encoder's arrays by the names that CTranslate2 gives them."""
    found = {
        "conv1/weight": (WIDTH, 80, 3),
        "conv1/bias": (WIDTH,),
        "conv2/weight": (WIDTH, WIDTH, 3),
        "conv2/bias": (WIDTH,),
        "position_encodings/encodings": (1500, WIDTH),
        "layer_norm/gamma": (WIDTH,),
        "layer_norm/beta": (WIDTH,),
    }
    for block in range(BLOCKS):
        for part, out, inner in (
            ("self_attention/linear_0", 3 * WIDTH, WIDTH),
            ("self_attention/linear_1", WIDTH, WIDTH),
            ("ffn/linear_0", 4 * WIDTH, WIDTH),
            ("ffn/linear_1", WIDTH, 4 * WIDTH),
        ):
            found |= {f"layer_{block}/{part}/weight": (out, inner), f"layer_{block}/{part}/bias": (out,)}
        for part in ("self_attention", "ffn"):
            found |= {f"layer_{block}/{part}/layer_norm/{name}": (WIDTH,) for name in ("gamma", "beta")}
    return {f"encoder/{name}": shape for name, shape in found.items()}


def string(text):
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def model_bin(path, arrays):
    """Writes arrays as CTranslate2's converter does: version 6, the kind of model, its revision, the arrays."""
    data = struct.pack("<I", 6) + string("WhisperSpec") + struct.pack("<II", 3, len(arrays))
    for name, values in arrays.items():
        data += string(name) + bytes([values.ndim]) + struct.pack(f"<{values.ndim}I", *values.shape)
        data += struct.pack("<BI", {"f2": 4, "i2": 2}[values.dtype.str[1:]], values.nbytes) + values.tobytes()
    path.write_bytes(data + struct.pack("<I", 0))
    return path


@pytest.fixture(scope="module")
def weights():
    draw = np.random.default_rng(0)
    return {name: draw.normal(0, 0.2, shape).astype(np.float16) for name, shape in shapes().items()}


@pytest.fixture(scope="module")
def whisper(weights, tmp_path_factory):
    heads = {"encoder/num_heads": np.array(1, np.int16), "decoder/alignment_layer": np.array(-1, np.int16)}
    return model_bin(tmp_path_factory.mktemp("whisper") / "model.bin", weights | heads)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    rows = ["audio,seconds,text,speaker,split"]
    (root / "tunes").mkdir()
    for number, (tune, split) in enumerate((("ABC", "train"), ("FED", "train"), ("EEB", "dev"))):
        sound = tones.speak(tune)
        write_wave(root / "tunes" / f"{number}.wav", sound)
        rows.append(f"{number}.wav,{len(sound) / 16_000:.3f},see you,s{number},{split}")
    (root / "tunes" / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def small(name, root, **changes):
    """A recipe of two steps on four seconds of tunes."""
    recipe = find_recipe(name).changed(
        data=str(root),
        speech=(TrainingCorpus("tunes", "Tunes", "CC0", "", 1.0),),
        noise=None,
        steps=2,
        steps_per_epoch=1,
        validate_every=2,
        warmup_steps=1,
        workers=1,
        threads=1,
        scenes=SceneConfig(rows=2, row_seconds=4.0),
    )
    return recipe.changed(**changes)


@pytest.fixture(scope="module")
def taught(corpus, whisper, tmp_path_factory):
    """A teacher after two steps."""
    output = tmp_path_factory.mktemp("teacher")
    return train_teacher(small("phone_teacher", corpus, start=str(whisper), output=str(output)))


def test_the_encoder_is_the_one_of_the_formulas(weights, whisper):
    """Against the same sums in numpy, for one second: convolutions, attention of all frames, feed-forward."""
    from math import erf

    def gelu(x):
        return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))

    def norm(x, place):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * own[f"encoder/{place}/layer_norm/gamma"] + own[f"encoder/{place}/layer_norm/beta"]

    def linear(x, place):
        return x @ own[f"encoder/{place}/weight"].T + own[f"encoder/{place}/bias"]

    def convolution(x, place, stride):
        padded = np.pad(x, ((1, 1), (0, 0)))
        seen = np.stack([padded[i : i + 3] for i in range(0, len(x), stride)])  # (T, 3, inputs)
        return np.einsum("tki,oik->to", seen, own[f"encoder/{place}/weight"]) + own[f"encoder/{place}/bias"]

    own = {name: values.astype(np.float64) for name, values in weights.items()}
    model = from_arrays(read_arrays(whisper), TOKENS).eval()
    mel = torch.randn(1, 100, 80, generator=torch.Generator().manual_seed(0))
    x = gelu(convolution(gelu(convolution(mel[0].double().numpy(), "conv1", 1)), "conv2", 2))
    x = x + own["encoder/position_encodings/encodings"][: len(x)]
    for block in range(BLOCKS):
        queries, keys, values = np.split(
            linear(norm(x, f"layer_{block}/self_attention"), f"layer_{block}/self_attention/linear_0"), 3, -1
        )
        looks = np.exp(queries @ keys.T / np.sqrt(WIDTH))
        mixed = looks / looks.sum(-1, keepdims=True) @ values
        x = x + linear(mixed, f"layer_{block}/self_attention/linear_1")
        hidden = gelu(linear(norm(x, f"layer_{block}/ffn"), f"layer_{block}/ffn/linear_0"))
        x = x + linear(hidden, f"layer_{block}/ffn/linear_1")
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    x = x * own["encoder/layer_norm/gamma"] + own["encoder/layer_norm/beta"]
    with torch.no_grad():
        wanted = torch.log_softmax(model.head(torch.from_numpy(x.reshape(1, 25, -1)).float()), -1)
        torch.testing.assert_close(model.from_features(mel), wanted, atol=2e-3, rtol=0)


def test_teacher_and_student_have_the_same_frames(taught):
    model = load_teacher(taught)
    with torch.no_grad():
        heard = model(torch.zeros(2, 640 * 7))
    assert heard.shape == (2, 7, len(TOKENS)) and torch.allclose(heard.exp().sum(-1), torch.ones(2, 7), atol=1e-4)


def test_a_student_learns_what_its_teacher_made_of_each_clip_once(taught, corpus, tmp_path):
    recipe = small("phones", corpus, teacher=str(taught), output=str(tmp_path / "run"))
    train(recipe)
    assert "teacher_loss" in next((tmp_path / "run" / "logs").rglob("metrics.csv")).read_text()
    (kept,) = (corpus / ".decoded").glob("*.taught.npy")
    before = kept.stat().st_mtime_ns
    train(recipe.changed(output=str(tmp_path / "again"), seed=1))
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(kept.read_bytes()[:-1000])
    train(recipe.changed(output=str(tmp_path / "damaged"), features=str(tmp_path / "features")))
    assert kept.stat().st_mtime_ns != before, "a damaged file is made again"


def test_a_row_is_taught_what_the_teacher_hears_in_it(taught, corpus, tmp_path):
    """Played as it was recorded, a row of clips is taught what the teacher makes of the row itself, later."""
    scenes = SceneConfig(rows=2, row_seconds=4.0, speed=(1.0, 1.0), clip_gain_db=(0.0, 0.0))
    recipe = small("phones", corpus, teacher=str(taught), scenes=scenes, output=str(tmp_path))
    data = SceneModule(recipe, lexicon_of(recipe), silent).prepare()
    batch = data.with_dry()[3]
    model = load_teacher(taught)
    with torch.no_grad():
        heard = model(batch["dry"])
    delay = model.config.delay_frames
    shifted = {by: (batch["taught"].float().exp() - heard.roll(by, 1).exp()).abs().mean() for by in range(8)}
    assert batch["taught"].shape == heard.shape and batch["taught"].dtype == torch.float16
    assert min(shifted, key=shifted.get) in (delay, delay - 1, delay + 1) and 1 <= delay <= 7


def test_clips_that_are_moved_are_not_taught(taught, corpus, tmp_path):
    scenes = SceneConfig(rows=2, row_seconds=4.0, shift_seconds=0.1)
    with pytest.raises(KwsError, match="moves clips away"):
        train(small("phones", corpus, teacher=str(taught), scenes=scenes, output=str(tmp_path / "run")))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_training_of_a_teacher_goes_on_to_the_same_weights(taught, corpus, whisper, tmp_path, monkeypatch):
    recipe = small("phone_teacher", corpus, start=str(whisper), output=str(tmp_path / "run"))
    step = TeacherTask.training_step

    def killed(task, batch, batch_index):
        if task.global_step == 1:
            raise RuntimeError("killed")
        return step(task, batch, batch_index)

    monkeypatch.setattr(TeacherTask, "training_step", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train_teacher(recipe)
    monkeypatch.setattr(TeacherTask, "training_step", step)
    lines = []
    again = torch.load(train_teacher(recipe, lines.append), weights_only=True)
    whole = torch.load(taught, weights_only=True)
    assert any("going on from" in line for line in lines) and again["config"] == whole["config"]
    for name, weight in whole["weights"].items():
        assert torch.equal(again["weights"][name], weight), name


def test_a_finished_teacher_is_left_as_it_is(taught, corpus, whisper):
    recipe, before = small("phone_teacher", corpus, start=str(whisper), output=str(taught.parent)), taught.read_bytes()
    assert train_teacher(recipe) == taught and taught.read_bytes() == before
    with pytest.raises(KwsError, match="another recipe"):
        train_teacher(recipe.changed(seed=9))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": "kept"}, "takes no features="),
        ({"teacher": "phones"}, "takes no teacher="),
        ({"devices": 2}, "one process"),
        ({"scenes": SceneConfig(row_seconds=40.0)}, "at most 30 s"),
    ],
)
def test_what_a_teacher_is_not_trained_with_is_told(changes, said, corpus, whisper, tmp_path):
    with pytest.raises(KwsError, match=said):
        train_teacher(small("phone_teacher", corpus, start=str(whisper), output=str(tmp_path / "run"), **changes))
    assert list(tmp_path.iterdir()) == []


def test_rows_of_any_length_are_heard(taught):
    with torch.no_grad():
        assert load_teacher(taught)(torch.zeros(1, 405 * 160)).shape == (1, 101, len(TOKENS))


def test_a_wrong_teacher_is_told_in_a_sentence(taught, corpus, tmp_path):
    (tmp_path / "cut.ckpt").write_bytes(taught.read_bytes()[:3000])
    for path in (find_checkpoint("phones"), tmp_path / "none.ckpt", tmp_path / "cut.ckpt"):
        with pytest.raises(KwsError, match=path.name):
            train(small("phones", corpus, teacher=str(path), output=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_a_clip_that_whisper_cannot_hear_is_named(taught, tmp_path):
    (tmp_path / "tunes").mkdir()
    write_wave(tmp_path / "tunes" / "long.wav", np.zeros(31 * 16_000, np.float32))
    row = "long.wav,31.0,see you,s0,train"
    (tmp_path / "tunes" / "manifest.csv").write_text(f"audio,seconds,text,speaker,split\n{row}\n")
    scenes = SceneConfig(rows=2, row_seconds=60.0)
    with pytest.raises(KwsError, match=r"long.wav is too long for a teacher"):
        train(small("phones", tmp_path, teacher=str(taught), scenes=scenes, output=str(tmp_path / "run")))


def test_wrong_weights_are_told_in_a_sentence(weights, whisper, corpus, tmp_path, capsys):
    words = ["train", "phone_teacher", f"data={corpus}", f"output={tmp_path / 'run'}"]
    cases = {
        "there is no file": tmp_path / "none.bin",
        "no model.bin of CTranslate2": tmp_path / "noise.bin",
        "or damaged": tmp_path / "cut.bin",
        "not those of Whisper": tmp_path / "other.bin",
        "rounded to integers": tmp_path / "rounded.bin",
    }
    model_bin(tmp_path / "rounded.bin", weights | {"encoder/conv1/weight": np.zeros((WIDTH, 80, 3), np.int16)})
    (tmp_path / "noise.bin").write_bytes(b"RIFFxxxxWAVE" * 9)
    (tmp_path / "cut.bin").write_bytes(whisper.read_bytes()[:9000])
    model_bin(tmp_path / "other.bin", {"decoder/embeddings/weight": weights["encoder/conv1/weight"]})
    for said, path in cases.items():
        assert main([*words, f"start={path}"]) == 1
        assert said in (err := capsys.readouterr().err) and "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_only_the_times_of_the_streaming_model_are_learned():
    """The loss is none where the same frames are blank, whichever phones the others say."""
    times = torch.tensor([[[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]]).clamp(min=1e-6).log()
    other = torch.tensor([[[0.9, 0.0, 0.1], [0.2, 0.4, 0.4]]]).clamp(min=1e-6).log()
    late = torch.tensor([[[0.2, 0.8, 0.0], [0.9, 0.1, 0.0]]]).clamp(min=1e-6).log()
    assert timing_loss(other, times) == pytest.approx(0.0, abs=1e-4)
    assert timing_loss(late, times) > 1.0
