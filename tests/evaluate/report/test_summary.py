"""What `kws score` prints: raw counts, and no rate that the hours cannot support without saying so."""

from dataclasses import replace

import numpy as np
import pytest

from kws.evaluate.count.matching import Counting
from kws.evaluate.count.metrics import count
from kws.evaluate.replay.recording import Label, Replayed, TestItem
from kws.evaluate.report.model import Comparison, ComparisonRow, Interval, MissCount
from kws.evaluate.report.points import miss_count, operating_point, pooled
from kws.evaluate.report.text import as_text, comparison_text, counts_table, fa_text
from reports import make_report, typed

pytest.importorskip("scipy")


def rates(false_accepts: int, hours: float):
    scores = np.zeros((10 * false_accepts + 1, 1))
    scores[::10] = 0.9
    scores[-1] = 0.0
    samples = round(hours * 3600 * 16_000)
    none = np.ones(scores.shape, np.int64)
    negative = Replayed.of(TestItem("x", "x", "negative"), samples, scores, none)
    positive = Replayed.of(TestItem("y", "y", "positive", (Label("a"),)), 16_000, np.full((1, 1), 0.8), none[:1])
    (found,) = count([negative, positive], ["a"], 0, [0.5], Counting(5, 640))
    return found


def test_none_in_little_time_is_an_upper_bound_and_no_rate():
    nothing = operating_point(rates(0, 1.4), 0.5)
    assert fa_text(nothing) == "at most 2.1" and not nothing.supported
    (_, line) = counts_table([("a", nothing)])
    assert "0 in 1.40 h" in line and "0/1" in line and "0.00" not in line.split("at most")[1]
    assert operating_point(rates(0, 7.0), 0.5).supported


def test_little_time_is_told_in_seconds_and_cells_do_not_touch():
    short = operating_point(rates(0, 0.004), 0.5)
    assert fa_text(short) == "at most 750"
    (_, line) = counts_table([("a", replace(short, positives=0, frr=None))])
    assert " 0 in 14 s " in line and " no positives " in line


def test_the_text_says_what_is_not_known_and_where_false_accepts_are_counted():
    report = make_report(["alexa"])
    assert "false accepts are counted on the recordings as they are" in as_text(typed(report))
    report["all"]["latency_ms"] = None
    report["trials"] = [{**trial, "end_s": None} for trial in report["trials"]]
    assert "`kws data align`" in as_text(typed(report))
    plain = as_text(typed(make_report(["alexa"], conditions=["clean"])))
    assert "as they are" not in plain and "kws data align" not in plain


def test_false_accepts_at_the_begin_of_a_recording_are_told_apart():
    report = make_report(["alexa"], hours=8.0)
    report["accepts"] = [
        {**accept, "scores": [0.9, *accept["scores"][1:]], "start_s": start_s, "at_s": at_s}
        for accept, start_s, at_s in zip(
            report["accepts"], (-0.2, 0.25, 0.4, 0.0), (10.0, 20.0, 30.0, None), strict=False
        )
    ]
    assert len(report["accepts"]) == 4
    assert "2 of 3 false accepts, own thresholds, begin within 0.3 s" in as_text(typed(report))
    report["accepts"] = report["accepts"][2:]
    assert "onset" not in as_text(typed(report))


def test_a_speaker_with_many_words_does_not_hide_the_others():
    report = make_report(["alexa"], hours=8.0)

    def missed(**by_speaker: tuple[int, int]) -> str:
        counts = {name: [vars(miss_count(*found)) | {"frr": None}] * 3 for name, found in by_speaker.items()}
        report["all"]["speakers"] = counts
        return as_text(typed(report))

    told = missed(anna=(10, 100), ben=(0, 10), carla=(1, 5))
    assert "the mean of 3 speakers is 10.0%; anna has most misses, 10/100" in told
    assert "speakers is" not in missed(anna=(0, 100), ben=(0, 10), carla=(0, 5))
    assert "speakers is" not in missed(anna=(10, 100), ben=(0, 10))


def test_a_count_has_its_interval():
    two = operating_point(rates(2, 4.0), None)
    assert fa_text(two) == "0.50 (0.06 to 1.81)"


def test_keywords_together_are_sums_over_the_longest_hours():
    found = pooled([rates(2, 4.0), rates(1, 3.0)], 1.0)
    assert (found.false_accepts, found.hours, found.positives) == (3, pytest.approx(4.0), 2)
    assert found.threshold is None


def test_the_text_says_what_the_hours_cannot_show_and_names_each_rate_once():
    report = make_report(["alexa", "jarvis"], hours=1.4)
    text = as_text(typed(report))
    assert "show at most 2.1 FA/h" in text and "60 h for 0.05" in text
    for rate in ("0.05", "0.1", "0.5"):
        assert sum(f" {rate} " in line for line in text.splitlines() if line.startswith("at the lowest")) == 1


def test_a_comparison_of_several_keywords_is_told_once_for_all_and_rates_that_agree_share_a_line():
    count = MissCount(9, 2, Interval(0.2, 0.1, 0.3))
    same = (count, count, 1, 1, 1.0, Interval(0.0, -0.1, 0.1))
    rows = tuple(ComparisonRow(word, "clean", rate, *same) for word in ("a", "b", "all") for rate in (0.5, 1.0))
    text = comparison_text(Comparison("old", 0, rows, {})).splitlines()
    assert len(text) == 3 and text[2].startswith("all ") and "0.5, 1" in text[2] and "2/9" in text[2]
    assert len(comparison_text(Comparison("old", 0, rows[:2], {})).splitlines()) == 3
