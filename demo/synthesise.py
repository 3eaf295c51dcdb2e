"""Makes the demo recording, hear.wav, and its truth, hear.json, from synthetic speech
and noise.

    python -m kws.demo.synthesise --models DIR --download

The same seed gives the same recording. The speakers are the held-out voices of
`kws.data.synthesis.generate`: no synthetic training clip has them. The times of the
wake words come from a forced alignment of each sentence, made before the noise is
added.
"""

from __future__ import annotations

import argparse
import io
import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kws.arrays import Samples
from kws.data.synthesis.scripts import WAKE_WORDS, spoken_form, transcript
from kws.data.synthesis.tts import Synthesiser, Voice, download
from kws.errors import KwsError, require
from kws.files import write_bytes, write_text
from kws.lexicon.text import contains
from kws.units import HOP_SAMPLES, SAMPLE_RATE

LICENCES = {
    "kokoro": "Kokoro-82M by hexgrad, Apache-2.0; int8 ONNX export by thewh1teagle, MIT",
    "hibari": "hibari-tts voice heart by Maureese Williams, distilled from Kokoro-82M, Apache-2.0",
    "piper": "Piper voice en_US-joe-medium, data CC0, package MIT",
}

# (voice, sentence). Wake words alone, behind hey/okay and inside sentences; confusables; plain speech.
SCRIPT = (
    ("kokoro:af_heart", "Alexa."),
    ("kokoro:am_michael", "I left my umbrella at the office again, and it is raining."),
    ("kokoro:bm_george", "Hey Jarvis, what time does the train leave?"),
    ("kokoro:af_sarah", "The snowball melted before the children came home."),
    ("kokoro:am_puck", "Computer! Turn off the light in the hall."),
    ("kokoro:bf_emma", "Every commuter on the bus complained about the service."),
    ("piper:joe", "Smart mirror, show me the weather."),
    ("hibari:heart", "A few glasses of water stood on the table."),
    ("kokoro:am_michael", "Snowboy, start the music."),
    ("kokoro:bf_emma", "View glass."),
    ("kokoro:af_heart", "My smart phone fell out of the jar."),
    ("kokoro:am_puck", "Hey Alexa, set a timer for ten minutes."),
    ("kokoro:bm_george", "The old mirror in the bedroom is broken."),
    ("kokoro:af_sarah", "Okay computer, call my sister."),
    ("piper:joe", "Jarvis."),
    ("hibari:heart", "Now tell the smart mirror to wake up."),
    ("kokoro:af_heart", "Hey snowboy!"),
    ("piper:joe", "Alexander is at a lecture until noon."),
    ("kokoro:af_sarah", "I think view glass is ready."),
)

# Other people talking in the room, in the middle third of the recording.
BABBLE = (
    ("kokoro:bm_george", "The garden behind the house has three apple trees and a small pond with frogs."),
    ("hibari:heart", "She bought two loaves of bread, some cheese and a bottle of milk on her way home."),
    ("piper:joe", "They walked along the river for an hour and talked about the holidays by the sea."),
    ("kokoro:af_sarah", "If the bridge is closed tomorrow, we have to take the longer road over the hill."),
)

SPEECH_LEVEL = 0.05  # root mean square of a sentence, full scale 1
PAUSE_S = (0.5, 0.9)
PINK_SNR_DB, BABBLE_SNR_DB, HUM_SNR_DB = 22.0, 17.0, 20.0


@dataclass(frozen=True)
class Sentence:
    """A spoken line and where the whole of it and its wake word lie, in samples of the
    recording.
    """

    voice: str
    text: str
    start: int
    end: int
    keyword: str | None
    keyword_start: int = 0
    keyword_end: int = 0


def speak(synthesiser: Synthesiser, voice: str, text: str, rng: np.random.Generator) -> Samples:
    """One line at the common level, its silent ends cut to 0.3 s (the aligner wants
    that much).
    """
    british = voice.startswith("kokoro:b")
    samples = synthesiser.say(spoken_form(text), Voice(voice, british), float(rng.uniform(0.92, 1.08)), rng)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.max(np.abs(samples)))
    speech = samples[loud[0] : loud[-1] + 1]
    silence = np.zeros(int(0.3 * SAMPLE_RATE), np.float32)
    level = SPEECH_LEVEL * 10 ** (rng.uniform(-3, 3) / 20) / np.sqrt(np.mean(speech**2))
    return np.concatenate([silence, speech * np.float32(level), silence])


def align(samples: Samples, text: str, keyword: str) -> tuple[int, int]:
    """First and last sample of `keyword` in the sentence, by pocketsphinx's forced
    alignment (10 ms).
    """
    decoder = require("pocketsphinx", extra="synthesis").Decoder(lm=None, samprate=SAMPLE_RATE, loglevel="FATAL")
    decoder.add_word("snowboy", "S N OW B OY", True)
    decoder.set_align_text(text)
    decoder.start_utt()
    decoder.process_raw((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    spoken = [segment for segment in decoder.seg() or () if not segment.word.startswith(("<", "["))]
    words, wanted = [segment.word.partition("(")[0] for segment in spoken], keyword.split()
    for first in range(len(words)):
        if words[first : first + len(wanted)] == wanted:
            last = spoken[first + len(wanted) - 1]
            return spoken[first].start_frame * HOP_SAMPLES, (last.end_frame + 1) * HOP_SAMPLES
    raise KwsError(f"the aligner did not find {keyword!r} in {text!r}")


def assemble(synthesiser: Synthesiser, rng: np.random.Generator) -> tuple[Samples, list[Sentence]]:
    """The script spoken line after line with pauses, without noise."""
    pieces: list[Samples] = []
    sentences: list[Sentence] = []
    position = 0
    for voice, text in SCRIPT:
        samples = speak(synthesiser, voice, text, rng)
        words = transcript(text)
        keyword = next((word for word in WAKE_WORDS if contains(words, word)), None)
        first, last = align(samples, words, keyword) if keyword else (0, 0)
        end = position + len(samples)
        sentences.append(Sentence(voice, text, position, end, keyword, position + first, position + last))
        pause = np.zeros(int(rng.uniform(*PAUSE_S) * SAMPLE_RATE), np.float32)
        pieces += [samples, pause]
        position += len(samples) + len(pause)
    return np.concatenate(pieces), sentences


def pink_noise(samples: int, rng: np.random.Generator) -> Samples:
    """Noise of unit power with a power spectrum of 1/f above 20 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20.0))
    return unit_power(np.fft.irfft(spectrum, samples))


def hum(samples: int, rng: np.random.Generator) -> Samples:
    """Mains hum of unit power: 50 Hz and its first nine harmonics with random
    phases.
    """
    seconds = np.arange(samples) / SAMPLE_RATE
    return unit_power(sum(np.sin(2 * np.pi * (50 * n * seconds + rng.random())) / n for n in range(1, 11)))


def babble(synthesiser: Synthesiser, samples: int, rng: np.random.Generator) -> Samples:
    """All `BABBLE` sentences at once, each repeated from a random point; unit power."""
    total = np.zeros(samples, np.float32)
    for voice, text in BABBLE:
        speech = speak(synthesiser, voice, text, rng)
        total += np.roll(np.resize(speech, samples), int(rng.integers(samples)))
    return unit_power(total)


def unit_power(samples: Any) -> Samples:
    """`x` scaled to a mean square of one."""
    return np.asarray(samples / np.sqrt(np.mean(np.square(samples))), np.float32)


def add_noise(
    speech: Samples, synthesiser: Synthesiser, rng: np.random.Generator
) -> tuple[Samples, list[dict[str, Any]]]:
    """Pink noise throughout, babble in the middle third, hum in the last; levels
    against `SPEECH_LEVEL`.
    """
    total, third = len(speech), len(speech) // 3
    makers = (
        ("pink noise", PINK_SNR_DB, 0, total, pink_noise(total, rng)),
        ("babble", BABBLE_SNR_DB, third, 2 * third, babble(synthesiser, third, rng)),
        ("mains hum", HUM_SNR_DB, 2 * third, total, hum(total - 2 * third, rng)),
    )
    noisy = speech.copy()
    fade = int(0.5 * SAMPLE_RATE)
    for _, snr_db, start, end, noise in makers:
        ramp = np.minimum(1.0, np.minimum(np.arange(end - start), np.arange(end - start)[::-1]) / fade)
        noisy[start:end] += np.float32(SPEECH_LEVEL * 10 ** (-snr_db / 20)) * noise * ramp.astype(np.float32)
    return noisy, [{"noise": name, "snr_db": snr_db, **_span(start, end)} for name, snr_db, start, end, _ in makers]


def truth(sentences: Sequence[Sentence], noises: list[dict[str, Any]], samples: int, seed: int) -> dict[str, Any]:
    """The content of hear.json."""
    engines = {sentence.voice: LICENCES[sentence.voice.partition(":")[0]] for sentence in sentences}
    return {
        "audio": "hear.wav",
        "seconds": _seconds(samples),
        "sample_rate": SAMPLE_RATE,
        "seed": seed,
        "wake_words": [{"keyword": s.keyword, **_span(s.keyword_start, s.keyword_end)} for s in sentences if s.keyword],
        "sentences": [{"text": s.text, "voice": s.voice, **_span(s.start, s.end)} for s in sentences],
        "noise": noises,
        "voices": engines,
        "note": "Synthetic speech made by demo/synthesise.py; no synthetic training clip has these voices.",
    }


def _span(start: int, end: int) -> dict[str, float]:
    return {"start_s": _seconds(start), "end_s": _seconds(end)}


def _seconds(samples: int) -> float:
    return round(samples / SAMPLE_RATE, 2)


def write_wav(path: Path, samples: Samples) -> None:
    """16 kHz mono 16-bit PCM."""
    coded = io.BytesIO()
    with wave.open(coded, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    write_bytes(path, coded.getvalue())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="folder of the speech models")
    parser.add_argument("--download", action="store_true", help="first fetch speech models that are missing")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder for hear.wav, hear.json")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        if options.download:
            download(options.models)
        synthesiser, rng = Synthesiser.load(options.models), np.random.default_rng(options.seed)
        speech, sentences = assemble(synthesiser, rng)
        noisy, noises = add_noise(speech, synthesiser, rng)
    except KwsError as error:
        parser.exit(1, f"kws: {error}\n")
    write_wav(options.output / "hear.wav", noisy)
    document = truth(sentences, noises, len(noisy), options.seed)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_text(options.output / "hear.json", text)
    counts = f"{len(document['wake_words'])} wake words, {len(document['voices'])} voices"
    print(f"{options.output / 'hear.wav'}: {len(noisy) / SAMPLE_RATE:.1f} s, {counts}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
