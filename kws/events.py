"""The event: a keyword was heard."""

from __future__ import annotations

from dataclasses import dataclass

from kws import units


@dataclass(frozen=True)
class Detection:
    """A keyword heard in a stream.

    keyword: its name in the manifest. score: in [0, 1]. start, end: samples at 16 kHz
    since the stream began; `start` is where the keyword's path begins, `end` the end of
    the frame at which it fired.
    """

    keyword: str
    score: float
    start: int
    end: int

    @property
    def start_s(self) -> float:
        """Where the keyword begins, in seconds since the stream began."""
        return units.seconds(self.start)

    @property
    def end_s(self) -> float:
        """When the event fired, in seconds since the stream began."""
        return units.seconds(self.end)

    def as_values(self) -> dict[str, object]:
        """The event as the command line's JSON has it: keyword, score, start_s and
        end_s, rounded.
        """
        return {
            "keyword": self.keyword,
            "score": round(self.score, 4),
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
        }
