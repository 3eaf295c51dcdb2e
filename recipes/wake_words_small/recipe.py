"""Six wake words in 57,000 parameters: a model that learns the frames of a large one.

    kws train wake_words_small data=FOLDER

Two blocks of attention of width 56 learn the phones by CTC, as `wake_words` does, and
beside it the posteriors that the first pass of the model `wake-words` gives for the
same speech without its noise (`teacher=`, kws.train.losses.imitation). The teacher
ships with kws. FOLDER holds the corpora of `wake_words`; this command brings them:

    kws data get --for wake_words_small --root FOLDER --download

Data: wake_words, speech_commands, mini_librispeech, an4, synthetic_wake_words, noise.
"""

from kws.model.config import AcousticConfig
from kws.recipes import training_corpora as corpora
from kws.recipes.wake_words.recipe import RECIPE as LARGE
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig

RECIPE = Recipe(
    name="wake-words-small",
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
        keywords=LARGE.task.keywords,
        extra_spellings=LARGE.task.extra_spellings,
        model=AcousticConfig(
            mixer="sa", width=56, blocks=2, expansion=1, channels=32, follow_level=True, extend_band=True
        ),
        scenes=LARGE.task.scenes,
        vocal_tract=LARGE.task.vocal_tract,
        teacher="wake-words",
    ),
    optim=OptimConfig(
        steps=4400,
        validate_every=11,
        warmup_steps=300,
        learning_rate=4e-3,
    ),
    run=RunConfig(
        output="runs/wake-words-small",
    ),
)

# Folders that training and RESULTS.md read: `kws data get --for wake_words_small` brings them.
CORPORA = (
    "wake_words",
    "speech_commands",
    "mini_librispeech",
    "an4",
    "synthetic_wake_words",
    "noise",
)
