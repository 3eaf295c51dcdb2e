"""Six wake words in ordinary speech: the recipe of the first pass of the model that
ships as `wake-words`.

    kws train wake_words data=FOLDER

It learns the phones by CTC, in noise, rooms and telephones, and beside it what its
predecessor, the teacher, hears in the same speech without them
(kws.train.losses.imitation). `teacher=` leaves the teacher out.

FOLDER holds the corpora below, each with a manifest.csv (audio, seconds, text, speaker,
split). This command brings them, and those of RESULTS.md:

    kws data get --for wake_words --root FOLDER --download

Data: wake_words, speech_commands, mini_librispeech, an4, synthetic_wake_words, noise.
"""

from kws.data.scenes.config import SceneConfig
from kws.model.config import AcousticConfig
from kws.recipes import training_corpora as corpora
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig

RECIPE = Recipe(
    name="wake-words",
    task=TaskConfig(
        data="data",
        speech=(
            corpora.WAKE_WORDS.sharing(0.22),
            corpora.SPEECH_COMMANDS.sharing(0.11),
            corpora.MINI_LIBRISPEECH.sharing(0.45),
            corpora.AN4.sharing(0.10),
            corpora.SYNTHETIC_WAKE_WORDS.sharing(0.12),
        ),
        noise=corpora.NOISE,
        keywords=("alexa", "computer", "jarvis", "smart mirror", "snowboy", "view glass"),
        extra_spellings=(
            ("snowboy", "S N OW B OY"),
            ("glass", "G L AA S"),  # as in Britain
            ("computer", "K AH M P Y UW T AH"),
            ("computer", "K AA M P Y UW T ER"),  # as it is written, where English is a second language
        ),
        model=AcousticConfig(follow_level=True, extend_band=True),
        scenes=SceneConfig(
            noise_probability=0.6,
            babble_probability=0.2,
            snr_db=(-2.0, 28.0),
            row_gain_db=(-34.0, 10.0),
            room_probability=0.3,
            microphone_probability=0.35,
            telephone_probability=0.08,
            overdrive_probability=0.03,
        ),
        vocal_tract=0.1,
        teacher="wake-words",
        teacher_weight=0.5,
    ),
    optim=OptimConfig(
        steps=4400,
        validate_every=11,
        warmup_steps=300,
    ),
    run=RunConfig(
        output="runs/wake-words",
    ),
)

# Folders that training and RESULTS.md read: `kws data get --for wake_words` brings them.
CORPORA = (
    "wake_words",
    "speech_commands",
    "mini_librispeech",
    "an4",
    "synthetic_wake_words",
    "noise",
    "librispeech_many_speakers",
    "rooms",
)
