"""The peaks of events: the highest score that a keyword reaches from an event on until
it may fire again.

An event fires in the first frame whose score reaches the threshold, often while the
last phone of the word is only beginning. So its score says little of how well the word
was heard; its peak does. In the time that the peak is taken over, the trigger keeps
silent about the keyword. So every threshold up to the peak lets the utterance fire, and
a higher one does not: a peak is to be compared with thresholds.

T frames, K keywords.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from kws.arrays import Float64Array
from kws.events import Detection


class _OpenEvent(NamedTuple):
    """An event whose peak is not known yet. The peak lies in the frames from `begin` up
    to, not including, `end`.
    """

    event: Detection
    keyword: int
    begin: int
    end: int
    peak: float


class EventPeaks:
    """The events of one stream whose peak is not known yet: one of each keyword at
    most.

    refractory_frames: as of the stream's `Trigger`.
    """

    def __init__(self, refractory_frames: int) -> None:
        self._frames = max(1, refractory_frames)
        self._open: list[_OpenEvent] = []

    @property
    def is_open(self) -> bool:
        """Whether an event's peak is still open."""
        return bool(self._open)

    def hear(
        self, events: Sequence[Detection], fired: Sequence[tuple[int, int]], scores: Float64Array, first_frame: int
    ) -> list[Detection]:
        """Hears T further frames; returns the events whose peak they make known, in
        order of time.

        scores: (T, K), of the frames from number `first_frame` on. fired: the pairs
        (row, keyword) that `Trigger.run` found in them. events: the detections made of
        those pairs.
        """
        for event, (row, keyword) in zip(events, fired, strict=True):
            begin = first_frame + row
            self._open.append(_OpenEvent(event, keyword, begin, begin + self._frames, event.score))
        heard = first_frame + len(scores)
        after = []
        for one in self._open:
            own = scores[max(0, one.begin - first_frame) : one.end - first_frame, one.keyword]
            after.append(one._replace(peak=max(one.peak, float(own.max(initial=0.0)))))
        self._open = [one for one in after if one.end > heard]
        return [_with_peak(one) for one in after if one.end <= heard]

    def end(self) -> list[Detection]:
        """Ends the stream; returns the open events with the highest score so far as
        their peak.
        """
        rest, self._open = self._open, []
        return [_with_peak(one) for one in rest]


def _with_peak(one: _OpenEvent) -> Detection:
    return replace(one.event, peak=one.peak)
