"""Google Speech Commands, 35 words: the recipe of the model that ships as `speech-commands`.

    kws train speech_commands data=FOLDER
    kws classify model.onnx TEST_FOLDER

One model serves the task of 35 classes and that of 12 (ten words, silence, unknown): the words that a folder of
recordings does not name as classes are what `_unknown_` is made of. Training starts from the phone model and
tells single words apart. FOLDER holds the corpora below.
"""

from kws.data.scenes import SceneConfig
from kws.data.sources.speech_commands import WORDS
from kws.recipes import corpora
from kws.train.recipe import Recipe

RECIPE = Recipe(
    name="speech-commands",
    data="data",
    output="runs/speech-commands",
    speech=(
        corpora.SPEECH_COMMANDS.sharing(0.55),
        corpora.CUT_WORDS.sharing(0.12),
        corpora.SYNTHETIC_SPEECH_COMMANDS.sharing(0.33),
    ),
    noise=corpora.NOISE,
    keywords=WORDS,
    start="phones",
    words=WORDS,
    word_weight=1.0,
    scenes=SceneConfig(rows=96, row_seconds=1.6, most_clips=1, empty_probability=0.08, gap_seconds=(0.0, 0.5)),
    steps=2400,
    warmup_steps=200,
    learning_rate=1e-3,
)

if __name__ == "__main__":
    from kws.train.run import main

    main(RECIPE)
