"""An open-vocabulary phone model: the recipe of the model that ships as `phones`.

    kws train phones data=FOLDER

It knows no keyword of its own: `kws detect --model phones --keyword "good morning"`
gives it one, and the recipes `phrase` and `fewshot` start from its weights. It never
hears the recordings of `wake_words`, so that what it makes of words that it was not
trained on can be measured there. FOLDER holds the corpora below. This command brings
them, and those of RESULTS.md:

    kws data get --for phones --root FOLDER --download

Data: mini_librispeech, cut_runs, an4, speech_commands, three_words, synthetic_phrases,
noise. The phrases take about 5 hours of one core to synthesise (`--workers`): most of
what the model knows of words that somebody calls to a device comes from them.
"""

import dataclasses

from kws.data.scenes.config import SceneConfig
from kws.model.config import AcousticConfig
from kws.recipes import training_corpora as corpora
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, default_scoring

RECIPE = Recipe(
    name="phones",
    task=TaskConfig(
        data="data",
        speech=(
            corpora.MINI_LIBRISPEECH.sharing(0.14),
            corpora.CUT_RUNS.sharing(0.22),
            corpora.AN4.sharing(0.05),
            corpora.SPEECH_COMMANDS.sharing(0.10),
            corpora.THREE_WORDS.sharing(0.03),
            corpora.SYNTHETIC_PHRASES.sharing(0.46),
        ),
        noise=corpora.NOISE,
        keywords=(),
        extra_spellings=(("off", "AA F"), ("dog", "D AA G")),
        model=AcousticConfig(follow_level=True),
        scenes=SceneConfig(telephone_probability=0.15),
        # for phrases that the model was not trained on; see RESULTS.md
        scoring=dataclasses.replace(default_scoring(), peak_weight=0.5, default_threshold=0.25),
        vocal_tract=0.1,
        temperature=3.0,
        blank_discount=0.5,
    ),
    optim=OptimConfig(
        validate_every=10,
        steps=12_400,
        warmup_steps=300,
    ),
    run=RunConfig(
        output="runs/phones",
    ),
)

# Folders that training and RESULTS.md read: `kws data get --for phones` brings them.
CORPORA = (
    "mini_librispeech",
    "cut_runs",
    "an4",
    "speech_commands",
    "three_words",
    "synthetic_phrases",
    "noise",
    "wake_words",
    "librispeech_many_speakers",
    "cut_words",
    "common_voice",
    "telephone",
)
