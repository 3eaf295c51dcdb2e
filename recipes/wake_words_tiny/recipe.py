"""A first pass for the six wake words that costs next to nothing: 57,000 parameters.

    kws train wake_words_tiny data=FOLDER

It only has to propose: a verifier decides (recipe wake_words_verifier), so it is trained
to hear words that are far away, quiet, in noise and over the telephone. Its energies are
relative to the level of late.

FOLDER holds the corpora below, each with a manifest.csv (audio, seconds, text, speaker,
split). This command brings most of them:

    kws data get --for wake_words_tiny --root FOLDER --download

accented_words is in the public repository zhongyuchen/DSPSpeech-20, rooms in
GoogleChromeLabs/web-audio-samples and burnson/Reverb.js.

Data: wake_words, speech_commands, mini_librispeech, an4, accented_words, noise, rooms.
"""

from kws.data.scene_config import SceneConfig
from kws.model.config import AcousticConfig
from kws.recipes import training_corpora as corpora
from kws.recipes.wake_words.recipe import RECIPE as LARGE
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig

RECIPE = Recipe(
    name="wake-words-tiny",
    task=TaskConfig(
        data="data",
        speech=(
            corpora.WAKE_WORDS.sharing(0.34),
            corpora.MINI_LIBRISPEECH.sharing(0.40),
            corpora.SPEECH_COMMANDS.sharing(0.10),
            corpora.AN4.sharing(0.08),
            corpora.ACCENTED_WORDS.sharing(0.08),
        ),
        noise=corpora.NOISE,
        rooms=corpora.MEASURED_ROOMS,
        keywords=LARGE.task.keywords,
        extra_spellings=LARGE.task.extra_spellings,
        model=AcousticConfig(
            mixer="sa", width=48, blocks=2, heads=3, kernel=1, channels=40, dropout=0.0, follow_level=True
        ),
        scenes=SceneConfig(
            gap_seconds=(0.0, 1.2),
            row_gain_db=(-50.0, 8.0),
            noise_probability=0.6,
            babble_probability=0.2,
            snr_db=(0.0, 28.0),
            room_probability=0.35,
            microphone_probability=0.35,
            telephone_probability=0.15,
            overdrive_probability=0.05,
        ),
    ),
    optim=OptimConfig(
        steps=12_000,
        warmup_steps=400,
        learning_rate=4e-3,
        weight_decay=1e-3,
        ema_decay=0.999,
        precision="32-true",
    ),
    run=RunConfig(
        output="runs/wake-words-tiny",
        threads=1,
    ),
)

CORPORA = ("wake_words", "speech_commands", "mini_librispeech", "an4", "noise")
