"""Listening to a microphone from Python: what `kws listen` is made of.

>>> import kws
>>> from kws.demo.live import listen
>>> listen(kws.Detector.load(), lambda event: print(event.keyword, event.latency_s))

Nothing is written (but by a `Recorder`) and nothing leaves the machine.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kws import units
from kws.demo.microphone import Block, Microphone
from kws.demo.recorder import Recorder
from kws.events import Detection
from kws.runtime.detector import Detector
from kws.runtime.stream import Stream, StreamResult

_DRIFT = 1e-4  # by which a sound card's clock may differ from the machine's


@dataclass(frozen=True)
class LiveDetection(Detection):
    """A keyword heard live; its samples count the sound that was heard since listening
    began.

    time: of the day. latency_s: from the end of the word, as the detector has it
    (`end`), to the event, but for what the sound card itself holds back. recording,
    recording_end_s: the file that keeps it and where in it, as `kws detect` says it;
    None without a recorder.
    """

    time: datetime
    latency_s: float
    recording: Path | None = None
    recording_end_s: float | None = None

    def as_values(self) -> dict[str, object]:
        """The event as a line of `kws listen --json`; `recording_end_s` is what `kws
        detect` says for the recording.
        """
        values = super().as_values() | {"time": self.time.isoformat(), "latency_s": round(self.latency_s, 3)}
        if self.recording is not None and self.recording_end_s is not None:
            values |= {"recording": str(self.recording), "recording_end_s": round(self.recording_end_s, 3)}
        return values


class LiveBlock(NamedTuple):
    """A block of sound and what the stream made of it; the frames of `result` count
    from the device's last opening.
    """

    block: Block
    result: StreamResult


def listen(
    detector: Detector,
    on_event: Callable[[LiveDetection], object],
    *,
    microphone: Microphone | None = None,
    recorder: Recorder | None = None,
    on_peak: Callable[[LiveDetection], object] = lambda event: None,
    watch: Callable[[LiveBlock | None], object] = lambda heard: None,
    every_block: bool = False,
    stop: threading.Event | None = None,
) -> None:
    """Hear keywords from a microphone until `stop` is set (None: until Ctrl-C).

    on_event: called with each event, in this thread; a second or two of sound wait for
    it, so hand longer work to a thread of yours. on_peak: called with each event once
    more, 1 s later or when listening ends, as soon as its `peak` is known. microphone:
    the system's default when None. recorder: keeps the sound around each event. watch:
    called after every block, and with None while no sound comes. every_block: hear all
    that comes at once, as a meter wants it; else no sooner than an event is possible,
    which costs half. Raises KwsError when the microphone cannot be opened.
    """
    microphone = microphone or Microphone(follows_level=detector.info.follows_level)
    ears = _Ears(detector, recorder, on_event, on_peak)
    try:
        with closing(microphone.blocks((lambda: 0.0) if every_block else ears.wait_s)) as blocks:
            for block in blocks:
                heard = ears.hear(block) if block is not None else None
                watch(heard)
                if stop is not None and stop.is_set():
                    break
        ears.end()
    finally:
        if recorder is not None:
            recorder.end()


class _Ears:
    """The hearing of a device: a stream for each opening, all on one clock.

    The clock leaves out the sound that was lost between two openings, and no word
    reaches over the gap.
    """

    def __init__(
        self,
        detector: Detector,
        recorder: Recorder | None,
        on_event: Callable[[LiveDetection], object],
        on_peak: Callable[[LiveDetection], object],
    ) -> None:
        self._detector = detector
        self._recorder = recorder
        self._on_event = on_event
        self._on_peak = on_peak
        self._open: deque[LiveDetection] = deque()  # events whose peak is not known yet
        self._stream: Stream | None = None
        self._opening = -1
        self._before = 0  # samples at 16 kHz that earlier openings gave
        self._count = 0  # samples of this opening, at its rate
        self._rate = units.SAMPLE_RATE
        self._began = 0.0  # when this opening's first sample was taken

    def wait_s(self) -> float:
        """Seconds of sound that may be collected before an event is possible."""
        return self._stream.wait_s if self._stream is not None else 0.0

    def hear(self, block: Block) -> LiveBlock:
        """Push a block, and hand on its events."""
        if block.opening != self._opening:
            self.end()
            self._opening, self._rate, self._count, self._began = block.opening, block.rate, 0, np.inf
            self._stream = self._detector.stream(block.rate, gate=True)
            if self._recorder is not None:
                self._recorder.begin(block.rate, self._detector.info.chunk_samples)
        assert self._stream is not None
        self._count += block.samples.size
        # No sample comes before it was taken: the block that came earliest for its place tells when.
        began = block.arrived - units.seconds(self._count, block.rate)
        self._began = min(self._began + _DRIFT * units.seconds(block.samples.size, block.rate), began)
        if self._recorder is not None:
            self._recorder.hear(block.samples)
        result = self._stream.process(block.samples)
        self._tell(result.detections, self._stream.peaks)
        return LiveBlock(block, result)

    def end(self) -> None:
        """Closes the stream of a device; gives the events of its last sounds."""
        if self._stream is None:
            return
        self._tell(self._stream.flush(), self._stream.peaks)
        self._stream = None
        self._before += units.samples(units.seconds(self._count, self._rate))
        if self._recorder is not None:
            self._recorder.end()

    def _tell(self, fired: Sequence[Detection], peaks: Sequence[Detection]) -> None:
        for event in fired:
            self._open.append(self._live(event))
            self._on_event(self._open[-1])
        for event in peaks:  # in the order in which they fired
            self._on_peak(replace(self._open.popleft(), peak=event.peak))

    def _live(self, event: Detection) -> LiveDetection:
        latency_s = time.monotonic() - self._began - event.end_s
        kept = self._recorder.keep(event) if self._recorder is not None else None
        return LiveDetection(
            event.keyword,
            event.score,
            event.start + self._before,
            event.end + self._before,
            datetime.now().astimezone(),
            latency_s,
            *(kept or ()),
        )
