"""A small model that learns from a large one: the teacher hears the speech without its noise."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tones  # noqa: E402
from kws.data.clips import load_clips  # noqa: E402
from kws.data.manifest import read_manifest  # noqa: E402
from kws.data.scenes.config import SceneConfig  # noqa: E402
from kws.data.scenes.dataset import SceneDataset, SceneSource  # noqa: E402
from kws.data.scenes.features import FeatureDataset  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.log import silent  # noqa: E402
from kws.model.config import AcousticConfig  # noqa: E402
from kws.runtime.detector import Detector  # noqa: E402
from kws.train.losses.imitation import TaughtScenes, imitation_loss  # noqa: E402
from kws.train.recipes.file import find_recipe  # noqa: E402
from kws.train.trainer import train  # noqa: E402
from waves import write_wave  # noqa: E402

TOKENS = tones.model_info()["tokens"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("tunes")
    rows = ["audio,seconds,text,speaker,split"]
    for number, tune in enumerate(("ABC", "FED", " EEB")):
        sound = tones.speak(tune)
        write_wave(root / f"{number}.wav", sound)
        rows.append(f"{number}.wav,{len(sound) / 16_000:.3f},x,s{number},train")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    clips = load_clips(read_manifest(root), root / "cache", silent)
    source = SceneSource(clips, [np.array([1, 2], np.int64)] * 3, 1.0)
    config = SceneConfig(
        rows=2,
        row_seconds=3.0,
        snr_db=(-10.0, -10.0),
        noise_probability=1.0,
        babble_probability=0.0,
        room_probability=0.0,
        microphone_probability=0.0,
        row_gain_db=(0.0, 0.0),
    )
    return SceneDataset({"tunes": source}, None, config, seed=3)


def test_the_teacher_hears_the_speech_before_its_noise(scenes, tone_model):
    taught = TaughtScenes(scenes, str(tone_model), TOKENS)
    batch, dry = taught[4], scenes.with_dry()[4]["dry"].numpy()
    for row, heard in zip(dry, batch["taught"], strict=True):
        wanted = Detector.load(tone_model).stream().process(row).log_posteriors
        assert heard.dtype == torch.float16 and heard.shape == (75, len(TOKENS))
        np.testing.assert_allclose(heard.float().numpy()[:74], wanted[:74], atol=0.02)
    assert torch.equal(batch["pcm"], scenes[4]["pcm"]) and "dry" not in batch
    assert (batch["pcm"].numpy() - dry).std() > 2 * dry.std(), "the student hears far more noise than speech"


def test_what_is_taught_is_kept_with_the_features(scenes, tone_model, tmp_path):
    taught = TaughtScenes(scenes, str(tone_model), TOKENS)
    kept = FeatureDataset(taught, AcousticConfig(), tmp_path)
    first = kept[2]
    assert torch.equal(first["taught"], taught[2]["taught"])
    assert torch.equal(FeatureDataset(taught, AcousticConfig(), tmp_path)[2]["taught"], first["taught"])
    assert FeatureDataset(scenes, AcousticConfig(), tmp_path).folder != kept.folder


def test_a_teacher_of_other_tokens_is_refused(scenes, tone_model):
    with pytest.raises(KwsError, match="other tokens"):
        TaughtScenes(scenes, str(tone_model), AcousticConfig().tokens)
    with pytest.raises(KwsError, match="no-such-model"):
        TaughtScenes(scenes, "no-such-model", TOKENS)


def test_a_wrong_teacher_is_told_before_any_clip_is_decoded(tmp_path):
    recipe = find_recipe("tiny").changed(data=str(tmp_path), output=str(tmp_path / "run"), teacher="no-such-model")
    with pytest.raises(KwsError, match="no-such-model"):
        train(recipe)
    assert list(tmp_path.iterdir()) == []


def test_a_student_that_minds_the_loss_says_what_its_teacher_says():
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(2, 9, 5, generator=generator).log_softmax(-1)
    logits = torch.zeros(2, 9, 5, requires_grad=True)
    assert imitation_loss(teacher, teacher.half()) < 0.01
    before = imitation_loss(logits.log_softmax(-1), teacher)
    optimiser = torch.optim.SGD([logits], lr=0.5)
    for _ in range(1000):
        optimiser.zero_grad()
        imitation_loss(logits.log_softmax(-1), teacher).backward()
        optimiser.step()
    assert before > 5
    assert torch.allclose(logits.log_softmax(-1), teacher, atol=0.05)
