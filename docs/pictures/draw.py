"""Draws the pictures of architecture.md: `python docs/pictures/draw.py` writes the .svg
files beside this one.

A walk is a column of steps. Between two steps stands the value that passes, with its
shape; on the right stands what a step remembers.
"""

from html import escape
from pathlib import Path

from walks import FLOORS, WALKS, Walk

FOLDER = Path(__file__).parent

WIDTH, MARGIN = 760, 16
BOX, REMEMBERED = 466, 226  # widths
LINE, STEP, GAP = 17, 62, 30  # heights of a line, a box and what lies between two boxes
INK, SOFT, FILL, EDGE, LOOP = "#1c2733", "#5b6b7b", "#eef4fb", "#7aa2cf", "#fff4dc"
STYLE = "".join(
    (
        f"text{{font-family:system-ui,Segoe UI,Helvetica,Arial,sans-serif;font-size:13px;fill:{INK}}}",
        ".name{font-weight:600}",
        ".where,.value,.room{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:11.5px}",
        f".where,.note{{fill:{SOFT}}}",
        ".note{font-size:12px}",
    )
)


class Drawing:
    """An SVG that grows downwards."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = float(MARGIN)

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>')

    def box(self, x: float, y: float, width: float, height: float, fill: str = FILL, edge: str = EDGE) -> None:
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" fill="{fill}" stroke="{edge}"/>'
        )

    def arrow(self, x1: float, y1: float, x2: float, y2: float, both: bool = False) -> None:
        start = ' marker-start="url(#tip)"' if both else ""
        self.parts.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{SOFT}" stroke-width="1.4"'
            f' marker-end="url(#tip)"{start}/>'
        )

    def svg(self, title: str) -> str:
        height = self.y + MARGIN
        tip = (
            '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            f' orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="{SOFT}"/></marker>'
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}"'
            f' height="{height:g}" role="img"><title>{escape(title)}</title>'
            f'<style>{STYLE}</style><defs>{tip}</defs><rect width="100%" height="100%" rx="8" fill="#fff"/>'
        )
        return "\n".join([head, *self.parts, "</svg>", ""])


def walk_picture(name: str, walk: Walk) -> str:
    """A column of steps, the values between them, and on the right what each
    remembers.
    """
    drawing, middle = Drawing(), MARGIN + 26
    drawing.text(middle + 12, drawing.y + 12, walk.begins, "value")
    drawing.arrow(middle, drawing.y, middle, drawing.y + LINE + 3)
    drawing.y += LINE + 4
    for step in walk.steps:
        top = drawing.y
        drawing.box(MARGIN, top, BOX, STEP)
        drawing.text(MARGIN + 12, top + 20, step.what, "name")
        drawing.text(MARGIN + 12, top + 37, step.where, "where")
        drawing.text(MARGIN + 12, top + 54, step.how, "note")
        if step.remembers:
            remembered(drawing, top + STEP / 2, step.remembers)
        drawing.y = top + STEP + GAP
        drawing.arrow(middle, top + STEP, middle, drawing.y - 1)
        drawing.text(middle + 12, top + STEP + GAP / 2 + 4, step.gives, "value")
    return drawing.svg(name.replace("-", " "))


def remembered(drawing: Drawing, middle: float, lines: tuple[str, ...]) -> None:
    """A state beside a step, and an arrow both ways."""
    height, left = 12 + LINE * len(lines), WIDTH - MARGIN - REMEMBERED
    drawing.box(left, middle - height / 2, REMEMBERED, height, LOOP, "#d8a63c")
    drawing.arrow(MARGIN + BOX + 4, middle, left - 4, middle, both=True)
    for number, line in enumerate(lines):
        drawing.text(left + 10, middle - height / 2 + 18 + LINE * number, line, "note")


def floors_picture() -> str:
    """The floors, the highest on top: each imports from those below."""
    drawing, inside = Drawing(), WIDTH - 2 * MARGIN
    for number, (title, rooms, note) in enumerate(FLOORS):
        top = drawing.y
        drawing.box(MARGIN, top, inside, 66, FILL if number % 2 else "#f7f9fc", EDGE)
        drawing.text(MARGIN + 12, top + 20, title, "name")
        drawing.text(WIDTH - MARGIN - 12, top + 20, note, "note", "end")
        width = (inside - 24 - 8 * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            left = MARGIN + 12 + place * (width + 8)
            drawing.box(left, top + 30, width, 26, "#fff", EDGE)
            drawing.text(left + width / 2, top + 47, room, "room", "middle")
        drawing.y = top + 66
        if number + 1 < len(FLOORS):
            drawing.arrow(WIDTH / 2, drawing.y + 1, WIDTH / 2, drawing.y + 17)
            drawing.y += 18
    return drawing.svg("imports go down only")


def pictures() -> dict[str, str]:
    """The text of each picture, by the name of its file."""
    drawn = {f"{name}.svg": walk_picture(name, walk) for name, walk in WALKS.items()}
    return {**drawn, "floors.svg": floors_picture()}


if __name__ == "__main__":
    for name, text in pictures().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
