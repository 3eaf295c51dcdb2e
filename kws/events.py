"""The event: a keyword that was heard."""

from __future__ import annotations

from dataclasses import dataclass, field

from kws import units


@dataclass(frozen=True)
class Detection:
    """A keyword heard in a stream.

    keyword: its name in the model info. score: in [0, 1], of the frame at which it
    fired. start, end: samples at 16 kHz since the stream began; `start` is where the
    keyword's path begins, `end` the end of the frame at which it fired. peak: the
    highest score from that frame on until the keyword may fire again, 1 s later, or
    until the stream ended: the highest threshold that the event would have reached.
    None as long as it is not known, so in every event at the moment in which it fires.
    """

    keyword: str
    score: float
    start: int
    end: int
    peak: float | None = field(default=None, kw_only=True)

    @property
    def start_s(self) -> float:
        """The begin of the keyword, in seconds since the stream began."""
        return units.seconds(self.start)

    @property
    def end_s(self) -> float:
        """The second of the stream in which the event fired."""
        return units.seconds(self.end)

    def as_values(self) -> dict[str, object]:
        """The event as the command line's JSON has it: keyword, score, peak where it is
        known, start_s and end_s, rounded.
        """
        return {
            "keyword": self.keyword,
            "score": round(self.score, 4),
            **({} if self.peak is None else {"peak": round(self.peak, 4)}),
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
        }

    def peak_values(self) -> dict[str, object]:
        """The peak, once it is known, of an event whose line of JSON was printed when
        it fired: peak, peak_of (the keyword) and end_s.

        It has no field `keyword`, so that nobody takes it for a second event.
        """
        assert self.peak is not None
        return {"peak": round(self.peak, 4), "peak_of": self.keyword, "end_s": round(self.end_s, 3)}
