"""An open-vocabulary phone model: the recipe of the model that ships as `phones`.

    kws train phones data=FOLDER

It knows no keyword of its own: `kws detect --model phones --keyword "good morning"` gives it one, and the recipes
`phrase` and `fewshot` start from its weights. It never hears the recordings of `wake_words`, so that what it makes of
words that it was not trained on can be measured there. FOLDER holds the corpora below. This command brings them:

    kws data get --for phones --root FOLDER --download

Data: mini_librispeech, an4, speech_commands, synthetic_excerpts, noise.
"""

import dataclasses

from kws.model.config import AcousticConfig
from kws.recipes import training_corpora as corpora
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, default_scoring

RECIPE = Recipe(
    name="phones",
    task=TaskConfig(
        data="data",
        speech=(
            corpora.MINI_LIBRISPEECH.sharing(0.50),
            corpora.AN4.sharing(0.10),
            corpora.SPEECH_COMMANDS.sharing(0.20),
            corpora.SYNTHETIC_EXCERPTS.sharing(0.20),
        ),
        noise=corpora.NOISE,
        keywords=(),
        extra_spellings=(("off", "AA F"), ("dog", "D AA G")),
        model=AcousticConfig(follow_level=True),
        # phrases that a model was not trained on score low; see RESULTS.md
        scoring=dataclasses.replace(default_scoring(), default_threshold=0.04),
    ),
    optim=OptimConfig(
        validate_every=10,
        steps=5000,
        warmup_steps=300,
    ),
    run=RunConfig(
        output="runs/phones",
    ),
)

# Folders that training and RESULTS.md read: `kws data get --for phones` brings them.
CORPORA = (
    "mini_librispeech",
    "an4",
    "speech_commands",
    "synthetic_excerpts",
    "noise",
    "wake_words",
    "librispeech_many_speakers",
    "cut_words",
)
