"""The corpora that the shipped recipes name: folder, title, and what the licences ask
to be said.
"""

from kws.train.recipe import TrainingCorpus

WAKE_WORDS = TrainingCorpus(
    "wake_words",
    "Picovoice wake-word-benchmark recordings",
    "Apache-2.0",
    "Picovoice Inc. and the speakers who gave their voices",
)
SPEECH_COMMANDS = TrainingCorpus(
    "speech_commands",
    "Google Speech Commands v0.01 and v0.02",
    "CC BY 4.0",
    "Pete Warden, Google: Speech Commands, a dataset for limited-vocabulary speech recognition, 2018",
)
THREE_WORDS = TrainingCorpus(
    "three_words",
    "Google Speech Commands v0.01: bed, cat, happy",
    SPEECH_COMMANDS.licence,
    SPEECH_COMMANDS.attribution,
)
MINI_LIBRISPEECH = TrainingCorpus(
    "mini_librispeech",
    "LibriSpeech (mini LibriSpeech train-clean-5)",
    "CC BY 4.0",
    "V. Panayotov, G. Chen, D. Povey, S. Khudanpur: LibriSpeech, 2015; read by LibriVox volunteers",
)
AN4 = TrainingCorpus(
    "an4",
    "CMU AN4",
    "free for any use, notice kept",
    "Carnegie Mellon University, 1991-2005. All rights reserved.",
)
CUT_WORDS = TrainingCorpus(
    "cut_words",
    "Words cut out of mini LibriSpeech and CMU AN4 (kws data cut)",
    "CC BY 4.0; free for any use, notice kept",
    "as LibriSpeech and CMU AN4",
)
CUT_RUNS = TrainingCorpus(
    "cut_runs",
    "Runs of words cut out of mini LibriSpeech (kws data cut --runs)",
    MINI_LIBRISPEECH.licence,
    MINI_LIBRISPEECH.attribution,
)
SYNTHETIC_WAKE_WORDS = TrainingCorpus(
    "synthetic_wake_words",
    "Synthesised wake words and confusables (kws data synthesise)",
    "Apache-2.0",
    "voices of Kokoro-82M, hexgrad",
)
SYNTHETIC_SPEECH_COMMANDS = TrainingCorpus(
    "synthetic_speech_commands",
    "Synthesised words of Speech Commands (kws data synthesise --words)",
    "Apache-2.0",
    "voices of Kokoro-82M, hexgrad",
)
SYNTHETIC_PHRASES = TrainingCorpus(
    "synthetic_phrases",
    "Short phrases in synthesised voices (kws data synthesise --phrases)",
    "Apache-2.0; CC BY 4.0; free for any use, notice kept",
    "voices of Kokoro-82M, hexgrad; words of LibriSpeech and CMU AN4",
)
NOISE = TrainingCorpus(
    "noise",
    "ESC-10 and Speech Commands background noise",
    "CC BY 3.0; CC BY 4.0",
    "K. J. Piczak: ESC, 2015, from freesound.org contributors; Google Speech Commands",
)
MANY_SPEAKERS = TrainingCorpus(
    "librispeech_many_speakers",
    "LibriSpeech (train-clean-100, one sentence of each speaker)",
    MINI_LIBRISPEECH.licence,
    MINI_LIBRISPEECH.attribution,
)
ACCENTED_WORDS = TrainingCorpus(
    "accented_words",
    "DSPSpeech-20, English and Mandarin words of students",
    "MIT",
    "Zhongyu Chen, DSPSpeech-20",
)
COMMON_VOICE = TrainingCorpus(
    "common_voice",
    "Common Voice 6.1, a sample of 36 languages",
    "CC0",
    "Mozilla Common Voice and the speakers who gave their voices",
)
MEASURED_ROOMS = TrainingCorpus(
    "measured_rooms",
    "Impulse responses measured in houses and halls (web-audio-samples, Reverb.js)",
    "Apache-2.0; public domain, CC BY or CC BY-SA by file",
    "Google Chrome Labs; the recordists that Reverb.js names",
)


def known() -> dict[str, tuple[str, str, str]]:
    """Title, licence and attribution of every corpus above, by its folder."""
    return {
        corpus.folder: (corpus.title, corpus.licence, corpus.attribution)
        for corpus in globals().values()
        if isinstance(corpus, TrainingCorpus)
    }
