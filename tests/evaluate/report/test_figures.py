"""The numbers behind a report's charts, and the pictures for papers."""

import struct
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reports
from kws import digits
from kws.evaluate.report.model import DetPoint, OperatingPoint
from kws.evaluate.report.page import charts, figures
from kws.jsonable import decode


@st.composite
def curves(draw) -> list[DetPoint]:
    """A det: ascending thresholds, misses that grow, false accepts that fall but for a merged event or two."""
    n = draw(st.integers(1, 900))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    misses = np.cumsum(rng.random(n) < draw(st.floats(0, 1)))
    accepts = np.maximum(0, np.cumsum(rng.integers(-1, 4, n))[::-1])
    return [
        DetPoint(float(t), int(m), int(f)) for t, m, f in zip(np.linspace(0.01, 1, n), misses, accepts, strict=True)
    ]


@settings(deadline=None, max_examples=50)
@given(curves())
def test_a_thinned_curve_is_a_part_of_it_with_both_ends(det):
    kept = charts.thin(det, 60)
    places = [det.index(point) for point in kept]
    assert places == sorted(places) and {0, len(det) - 1} <= set(places)
    assert len(kept) <= 2 * 61


@settings(deadline=None, max_examples=50)
@given(curves())
def test_a_thinned_curve_stays_close(det):
    """Between two points that are kept next to each other lies either nothing, or no more than one part of the way."""
    kept = [det.index(point) for point in charts.thin(det, 60)]
    logs = np.log10(np.maximum([[p.misses, p.false_accepts] for p in det], 0.5))
    steps = np.abs(np.diff(logs, axis=0)).sum(axis=1)
    for here, there in pairwise(kept):
        assert there == here + 1 or steps[here:there].sum() <= steps.sum() / 60 * 1.001


def test_a_curve_has_every_operating_point_and_its_intervals():
    report = reports.make_report(["alexa", "computer"], 300, 20.0, ["clean"])
    for keyword in reports.typed(report).keywords.values():
        found = charts.curve(keyword)
        assert found.thresholds == sorted(found.thresholds)
        for point in keyword.points:
            at = found.thresholds.index(point.threshold)
            assert (found.misses[at], found.false_accepts[at]) == (point.misses, point.false_accepts)
            assert found.frr[at] == point.frr and found.fa_per_hour[at] == point.fa_per_hour


def test_a_histogram_counts_every_word_and_every_false_accept():
    report = reports.make_report(positives=90)
    for name, keyword in report["keywords"].items():
        found = charts.histogram(reports.typed(report), name)
        assert sum(found.positives) == 90
        assert sum(found.false_accepts) == keyword["det"][0]["false_accepts"]
        above = sum(n for edge, n in zip(found.edges, found.false_accepts, strict=False) if edge >= 0.5 - 1e-9)
        loud = [point for point in keyword["det"] if point["threshold"] >= 0.5]
        assert above == (loud[0]["false_accepts"] if loud else 0)


def test_other_conditions_are_not_in_the_histogram():
    report = reports.make_report(["computer"], 10)
    assert len(report["trials"]) == 60 and sum(charts.histogram(reports.typed(report), "computer").positives) == 10


@pytest.mark.parametrize(
    ("hours", "accepts", "words"),
    [
        (1.4, 0, "0 in 1.4 h: at most 2.14/h at 95 %"),
        (2.45, 6, "6 in 2.45 h: 2.45/h (0.9 to 5.33)"),
        (0.0, 0, "no other audio"),
    ],
)
def test_the_sentence_about_false_accepts(hours, accepts, words):
    assert charts.accepts_in_words(decode(OperatingPoint, reports.point(0.5, 0.4, 1, 10, accepts, hours))) == words


@given(st.floats(1e-5, 1e7))
def test_a_figure_has_the_digits_that_count(value):
    assert float(digits.figure(value).replace(",", "")) == pytest.approx(
        value, rel=0.5 if value < 0.01 else 0.005, abs=0.00501 * (value > 0.01)
    )


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (reports.make_report(list("abcd"), 20, conditions=["clean", "5 dB"]), {"det", "scores", "conditions"}),
        (reports.make_report(["$", r"<b> $\x_$"], 30, conditions=["clean"]), {"det", "scores"}),
        (reports.silent_report(), {"scores"}),
        (reports.make_report(["computer"], 0, 5.0), {"scores"}),
    ],
    ids=["four", "odd names", "no other audio", "nobody spoke"],
)
def test_the_pictures_are_there_and_whole(report, expected, tmp_path):
    written = figures.write_figures(reports.typed(report), tmp_path)
    assert {path.stem for path in written} == expected and sorted(written) == sorted(tmp_path.iterdir())
    for path in written:
        assert size_of(path) > (250, 150)


@pytest.mark.parametrize("words", [1, 3, 6, 13])
def test_a_det_fits_a_papers_column_and_says_what_it_draws(words):
    """In inches: a column, or a page for many keywords. With numbers on the axis and a legend for every mark."""
    report = reports.make_report([f"word {i}" for i in range(words)], 60, conditions=["clean"])
    drawn = figures.draw_det(reports.typed(report))
    assert drawn.get_figwidth() <= (3.5 if words <= 8 else 7.1)
    (legend,) = drawn.legends
    told = " ".join(text.get_text() for text in legend.get_texts())
    for part in (
        "own threshold",
        "rates asked for",
        "interval, false accepts",
        "interval, share missed",
        "too few hours",
    ):
        assert part in told
    assert ("other keywords" in told) == (words > 3) and ("word 0, 60 said" in told) == (words <= 3)
    drawn.draw_without_rendering()
    numbers = {label.get_text() for label in drawn.axes[0].get_yticklabels()}
    assert {"100 %", "50 %", "20 %", "10 %", "5 %", "2 %", "none"} <= numbers
    (left, bottom), (right, top) = legend.get_window_extent().get_points()
    assert left >= 0 and right <= drawn.bbox.width and top <= drawn.bbox.height
    assert bottom >= max(ax.bbox.y1 for ax in drawn.axes if ax.get_visible()), "it covers no panel"


def test_the_other_reports_curve_is_in_the_same_plot():
    report = reports.make_report(["alexa", "computer"], 30, conditions=["clean"])
    alone = [len(ax.lines) for ax in figures.draw_det(reports.typed(report)).axes]
    drawn = figures.draw_det(reports.typed(reports.with_more(report)))
    assert [len(ax.lines) for ax in drawn.axes] == [alone[0] + 2]
    dashed = [line for line in drawn.axes[0].lines if line.is_dashed() and len(line.get_xdata()) > 2]
    assert len(dashed) == 2
    assert any("wake-words 0.0.9" in text.get_text() for text in drawn.legends[0].get_texts())


def size_of(path: Path) -> tuple[float, float]:
    """Width and height of a picture."""
    if path.suffix == ".png":
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG") and data.endswith(b"IEND\xaeB`\x82")
        return struct.unpack(">II", data[16:24])
    root = ET.parse(path).getroot()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    return width, height


def test_the_same_report_gives_the_same_svg(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        figures.write_figures(reports.typed(reports.silent_report()), tmp_path / name)
    assert (tmp_path / "a/scores.svg").read_bytes() == (tmp_path / "b/scores.svg").read_bytes()


def test_zeros_stand_in_their_strips():
    """Log axes have no zero: nothing missed, and no false accept, are drawn outside of the axes' numbers."""
    report = reports.make_report(["computer"], 30, noise=5.0, hopeless=0.0)
    (ax,) = figures.draw_det(reports.typed(report)).axes
    limits = charts.axes(reports.typed(report))
    x, y = ax.lines[0].get_data()
    assert min(y) < limits.frr[0] and min(x) < limits.fa_per_hour[0]
    assert ax.get_ylim()[0] < min(y) and ax.get_xlim()[0] < min(x)
    assert {"0", "none"} <= {label.get_text() for label in [*ax.get_xticklabels(), *ax.get_yticklabels()]}


def test_grey_curves_are_drawn_in_the_keywords_order():
    """A set would draw them in another order in each process, and the SVG would have other bytes."""
    report = reports.typed(reports.make_report([f"word {i}" for i in range(8)], 60, conditions=["clean"]))
    first, *_ = figures.draw_det(report).axes
    grey = [line.get_ydata()[0] for line in first.lines if line.get_color() == figures._OTHER]
    ends = {name: charts.curve(keyword).frr[0].value for name, keyword in report.keywords.items()}
    limit = charts.axes(report).frr[0] / 1.5
    assert grey == [ends[name] or limit for name in list(report.keywords)[1:]] and len(set(grey)) > 1
