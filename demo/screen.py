"""The terminal screen of `kws listen`."""

import time
from collections.abc import Callable, Iterator
from itertools import groupby

from rich.cells import set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from kws.controls import escaped
from kws.demo.gauges import NEAR, SILENT_DBFS, Gauges, NearMiss
from kws.demo.live import LiveBlock, LiveDetection
from kws.runtime.detector import Detector

_REDRAW_S = 0.2
_QUIETEST_DBFS = -60.0  # the left end of the level meter
_LOUD_DBFS = -3.0
_FIRES_AT = 2 / 3  # where in its bar a keyword's threshold stands
_OUTCOMES = 8
_WIDEST = 100
_LABEL = 16  # columns of the names at the left
_BESIDE_BARS = 40  # columns that are no bar
_FIXED_LINES = 12  # all but keywords and outcomes


class Screen:
    """A panel that redraws itself: level, scores against thresholds, events and near
    misses, processor, losses.

    It is drawn on the terminal's alternate screen, so that a resize leaves nothing of
    it behind.

    microphone: says what is heard. overflows: says how often sound was lost.
    """

    def __init__(
        self,
        detector: Detector,
        microphone: Callable[[], str],
        overflows: Callable[[], int],
        recording: str = "",
        console: Console | None = None,
    ) -> None:
        self._detector = detector
        self._microphone = microphone
        self._overflows = overflows
        self._recording = recording
        self._console = console or Console(highlight=False)
        self.gauges = Gauges(detector)
        self._note = ""
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop", screen=True)
        self._drawn = 0.0
        self._cpu = 0.0

    def __enter__(self) -> "Screen":
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back as it was, with the last picture below what stood
        there.
        """
        self._live.stop()
        self._console.print(self.draw())

    def tell(self, note: str) -> None:
        """Show a line until the next one."""
        self._note = f"{time.strftime('%H:%M:%S')}  {escaped(note)}"
        self._drawn = 0.0

    def fire(self, event: LiveDetection) -> None:
        """Show an event, at once."""
        self.gauges.fire(event)
        self._drawn = 0.0

    def settle(self, event: LiveDetection) -> None:
        """Show the peak of an event."""
        self.gauges.settle(event)

    def watch(self, heard: LiveBlock | None) -> None:
        """Follow the sound, and draw when it is time to."""
        self.gauges.hear(heard)
        if time.monotonic() > self._drawn + _REDRAW_S:
            self._cpu = self.gauges.cpu_share()
            self._live.update(self.draw(), refresh=True)
            self._drawn = time.monotonic()

    def draw(self) -> Panel:
        """The whole panel as it is now."""
        width = min(self._console.width, _WIDEST)
        bars = max(10, width - _BESIDE_BARS)
        microphone = Text(f"{'microphone':<{_LABEL}}", style="dim", no_wrap=True, overflow="ellipsis")
        body = [
            microphone.append(escaped(self._microphone()), style="not dim"),
            self._level(bars),
            Text(),
            *self._keywords(bars),
            Text(),
            *self._outcomes(),
            Text(self._note, style="yellow"),
        ]
        return Panel(
            Group(*body, fit=False),
            title=Text.assemble(("kws listen", "bold"), f" · {self._detector.info.name}"),
            subtitle=self._foot(),
            border_style="green" if self.gauges.hears else "red",
            width=width,
            padding=(0, 2),
        )

    def _level(self, width: int) -> Text:
        """The meter: root mean square as a bar, the peak as a mark."""
        gauges = self.gauges
        text = Text(f"{'level':<{_LABEL}}", style="dim", no_wrap=True)
        if not gauges.hears:
            return text.append("no sound comes", style="not dim bold red")
        level, peak = (place(dbfs, width) for dbfs in (gauges.level_dbfs, gauges.peak_dbfs))
        loud = place(_LOUD_DBFS, width)
        cells = []
        for cell in range(width):
            style = "red" if cell >= loud else "green"
            is_peak = cell == peak and gauges.peak_dbfs > _QUIETEST_DBFS
            lit = "not dim " + style if is_peak or cell < level else "bright_black"
            cells.append(("┃" if is_peak else "━" if cell < level else "─", lit))
        text.append_text(paint(cells))
        text.append(f" {gauges.level_dbfs:6.1f} dBFS" if gauges.level_dbfs > SILENT_DBFS else "  silence", "not dim")
        return text.append("  clips" if gauges.peak_dbfs > -0.1 else "", "not dim bold red")

    def _keywords(self, width: int) -> Iterator[Text]:
        """A line for each keyword that there is room for: those that came closest to
        firing.
        """
        fires = round(width * _FIRES_AT)
        yield Text(f"{'keyword':<{_LABEL}}{'score':<{fires}}{'fires':<{width - fires}}   best    needed", "dim")
        keywords, gauges = self._detector.keywords, self.gauges
        sharp = self._detector.info.temperature  # scores of a softened model lie close together
        closeness = [(held / keyword.threshold) ** sharp for held, keyword in zip(gauges.held, keywords, strict=True)]
        room = max(3, self._console.height - _FIXED_LINES - _OUTCOMES)
        shown = sorted(range(len(keywords)), key=lambda k: -closeness[k])[:room]
        for k in sorted(shown):
            threshold = keywords[k].threshold
            style = colour(closeness[k]) if closeness[k] > NEAR else ""
            line = Text(set_cell_size(keywords[k].name, _LABEL - 1) + " ", style)
            line.append_text(bar((gauges.scores[k] / threshold) ** sharp, closeness[k], width))
            line.append(f"   {gauges.held[k]:.2f}").append(f" of {threshold:.2f}", "not bold dim default")
            yield line
        if len(shown) < len(keywords):
            yield Text(f"and {len(keywords) - len(shown)} more", "dim")

    def _outcomes(self) -> Iterator[Text]:
        """The last events and near misses, as many lines as there is room for."""
        thresholds = {keyword.name: keyword.threshold for keyword in self._detector.keywords}
        outcomes = list(self.gauges.outcomes)[:_OUTCOMES]
        for outcome in outcomes:
            if isinstance(outcome, NearMiss):
                mark, style, what = "○", "yellow", f"near miss: fires at {thresholds[outcome.keyword]:.2f}"
            else:
                peak = "" if outcome.peak is None else f"peak {outcome.peak:.2f} · "
                mark, style, what = "●", "bold green", f"{peak}latency {1000 * outcome.latency_s:.0f} ms"
            line = Text(f"{outcome.time:%H:%M:%S}  ", no_wrap=True, overflow="ellipsis")
            line.append(f"{mark}  {set_cell_size(outcome.keyword, _LABEL)}", style)
            yield line.append(f"{outcome.score:.2f}  ").append(what, "dim")
        if not outcomes:
            names = " or ".join(f"“{keyword.name}”" for keyword in self._detector.keywords[:3])
            yield Text(f"say {names}", "dim")
        for _ in range(_OUTCOMES - max(1, len(outcomes))):
            yield Text()

    def _foot(self) -> Text:
        gauges, overflows = self.gauges, self._overflows()
        minutes, seconds = divmod(int(gauges.heard_s), 60)
        text = Text(f"{minutes}:{seconds:02d} heard · {gauges.events} events · CPU {self._cpu:.1%} · ", "default")
        text.append(f"{overflows} overflows", style="bold red" if overflows else "")
        text.append(f" · {self._recording or 'nothing is kept'} · Ctrl-C stops")
        return text


def bar(share: float, held: float, width: int) -> Text:
    """A score as a share of its threshold, which stands at the same place in all bars,
    and a mark at the held score.
    """
    fires = round(width * _FIRES_AT)
    filled, mark = (min(width, round(fires * value)) for value in (share, held))
    cells = [("█", colour(share))] * filled + [("·", "bright_black")] * (width - filled)
    if mark > filled:
        cells[mark - 1] = ("│", colour(held))
    if filled <= fires:
        cells[fires] = ("│", "white")
    return paint(cells)


def paint(cells: list[tuple[str, str]]) -> Text:
    """Characters with their styles, in as few pieces as there are changes of style."""
    text = Text()
    for style, piece in groupby(cells, key=lambda cell: cell[1]):
        text.append("".join(character for character, _ in piece), style)
    return text


def place(dbfs: float, width: int) -> int:
    """The cell of a level in a meter of `width` cells."""
    return max(0, min(width - 1, round((1 - dbfs / _QUIETEST_DBFS) * width)))


def colour(share: float) -> str:
    """The colour of a score that is this share of its threshold."""
    if share >= 1:
        return "bold green"
    return "yellow" if share > NEAR else "cyan"
