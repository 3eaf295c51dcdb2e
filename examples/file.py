"""Hear keywords in a sound file, as a program would:
`python examples/file.py FILE.wav`.
"""

import sys
from pathlib import Path

import kws
from kws import audio

BLOCK_SAMPLES = 16_000  # a second at a time: how a file is cut changes nothing


def hear(file: Path, detector: kws.Detector) -> list[kws.Detection]:
    """The events in a sound file, in order of time. Raises KwsError where it cannot be
    read.
    """
    stream, events = detector.stream(), []
    for block in audio.blocks(file, BLOCK_SAMPLES):
        stream.push(block)  # gives events as they fire; a second later they come in `peaks`, with the peak
        events += stream.peaks
    stream.flush()
    return [*events, *stream.peaks]


def main(words: list[str]) -> int:
    """Prints the events of each file; 1 where one cannot be read."""
    detector = kws.Detector.load("wake-words")
    try:
        for word in words:
            for event in hear(Path(word), detector):
                print(f"{word}: {event.keyword} at {event.end_s:.2f} s, score {event.score:.2f}, peak {event.peak:.2f}")
    except kws.KwsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["demo/hear.wav"]))
