"""Writes a report into a folder: JSON, a table of its events, a page that plays each
mistake, and figures.
"""

from pathlib import Path

from kws.arrays import Samples
from kws.evaluate.replay.conditions import excerpt
from kws.evaluate.report.build import Evaluation
from kws.evaluate.report.events_csv import write_events
from kws.evaluate.report.model import Report
from kws.evaluate.report.page.document import write_page
from kws.evaluate.report.page.figures import write_figures
from kws.files import together


def write_report(report: Report, evaluation: Evaluation, folder: Path) -> list[Path]:
    """Writes report.json, events.csv, report.html and the figures for which there is
    data, all of them or none; returns their paths.

    evaluation: the run that the report was made of; the page's clips are cut from its
    recordings.
    """
    sources = {(str(r.item.audio), r.item.condition): r.item for r in evaluation.recordings}

    def sound(audio: str, condition: str, start_s: float, end_s: float) -> Samples:
        return excerpt(sources[audio, condition], evaluation.rules, start_s, end_s)

    with together(folder) as partial:
        json_path, table, page = partial / "report.json", partial / "events.csv", partial / "report.html"
        json_path.write_text(report.to_json(), encoding="utf-8", errors="backslashreplace")
        write_events(evaluation, table)
        write_page(report, sound, page)
        written = [json_path, table, page, *write_figures(report, partial)]
    return [folder / path.name for path in written]
