"""Google Speech Commands, 35 words: the recipe of the model that ships as
`speech-commands`.

    kws train speech_commands data=FOLDER
    kws classify model.onnx TEST_FOLDER

One model serves the task of 35 classes and that of 12 (ten words, silence, unknown):
the words that a folder of recordings does not name as classes are what `_unknown_` is
made of. Training starts from the phone model and tells single words apart. FOLDER holds
the corpora below; `kws data get --for speech_commands --root FOLDER --download` brings
them. Where speech_commands lacks words (only eleven of the 35 were at hand for the
model that ships), two others have them, from sentences and from synthesised voices:

    kws data cut FOLDER/mini_librispeech FOLDER/an4 --root FOLDER/cut_words --words WORD ...
    kws data synthesise --root FOLDER/synthetic_speech_commands --download --count 2400 --words \\
        on off stop on off stop on off stop on off stop two three four six seven nine bed bird cat dog happy house \\
        marvin sheila tree wow backward forward follow learn visual on off stop

Data: speech_commands, cut_words, synthetic_speech_commands, noise.
"""

from kws.data.corpora.speech_commands import WORDS
from kws.data.scenes.config import SceneConfig
from kws.recipes import training_corpora as corpora
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig

RECIPE = Recipe(
    name="speech-commands",
    task=TaskConfig(
        data="data",
        speech=(
            corpora.SPEECH_COMMANDS.sharing(0.60),
            corpora.CUT_WORDS.sharing(0.10),
            corpora.SYNTHETIC_SPEECH_COMMANDS.sharing(0.30),
        ),
        noise=corpora.NOISE,
        keywords=WORDS,
        extra_spellings=(("off", "AA F"), ("dog", "D AA G")),
        start="phones",
        words=WORDS,
        word_weight=1.0,
        scenes=SceneConfig(
            rows=96,
            row_seconds=1.6,
            most_clips=1,
            gap_seconds=(0.0, 0.5),
            empty_probability=0.12,
            microphone_probability=0.5,
            stretch_probability=0.1,
            overdrive_probability=0.05,
            telephone_probability=0.05,
            codec_probability=0.05,
            shift_seconds=0.1,
        ),
        time_mask_frames=6,
    ),
    optim=OptimConfig(
        steps=1400,
        warmup_steps=200,
        learning_rate=1e-3,
    ),
    run=RunConfig(
        output="runs/speech-commands",
    ),
)

# Folders that training and RESULTS.md read: `kws data get --for speech_commands` brings them.
CORPORA = (
    "speech_commands",
    "cut_words",
    "synthetic_speech_commands",
    "noise",
)
