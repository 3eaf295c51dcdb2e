"""Six wake words in ordinary speech: the recipe of the model that ships as `wake-words`.

    kws train wake_words data=FOLDER

FOLDER holds the corpora below, each with a manifest.csv (audio, seconds, text, speaker, split).
"""

from kws.train.recipe import Corpus, Recipe

RECIPE = Recipe(
    name="wake-words",
    data="data",
    output="runs/wake-words",
    speech=(
        Corpus(
            "wake_words",
            0.22,
            "Picovoice wake-word-benchmark recordings",
            "Apache-2.0",
            "Picovoice Inc. and the speakers who gave their voices",
        ),
        Corpus(
            "speech_commands",
            0.11,
            "Google Speech Commands v0.01 and v0.02",
            "CC BY 4.0",
            "Pete Warden, Google: Speech Commands, a dataset for limited-vocabulary speech recognition, 2018",
        ),
        Corpus(
            "mini_librispeech",
            0.45,
            "LibriSpeech (mini LibriSpeech train-clean-5)",
            "CC BY 4.0",
            "V. Panayotov, G. Chen, D. Povey, S. Khudanpur: LibriSpeech, 2015; read by LibriVox volunteers",
        ),
        Corpus(
            "an4",
            0.10,
            "CMU AN4",
            "free for any use, notice kept",
            "Carnegie Mellon University, 1991-2005. All rights reserved.",
        ),
        Corpus(
            "synthetic_wake_words",
            0.12,
            "Synthesised wake words and near misses (kws.data.sources.synthetic)",
            "Apache-2.0",
            "voices of Kokoro-82M, hexgrad",
        ),
    ),
    noise=Corpus(
        "noise",
        0.0,
        "ESC-10 and Speech Commands background noise",
        "CC BY 3.0; CC BY 4.0",
        "K. J. Piczak: ESC, 2015, from freesound.org contributors; Google Speech Commands",
    ),
    keywords=("alexa", "computer", "jarvis", "smart mirror", "snowboy", "view glass"),
    extra_spellings=(
        ("snowboy", "S N OW B OY"),
        ("glass", "G L AA S"),  # as in Britain
        ("computer", "K AH M P Y UW T AH"),
        ("computer", "K AA M P Y UW T ER"),  # as it is written, where English is a second language
    ),
    steps=5600,
    warmup_steps=300,
)

if __name__ == "__main__":
    from kws.train.run import main

    main(RECIPE)
