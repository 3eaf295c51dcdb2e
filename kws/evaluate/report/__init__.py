"""The report of a scoring: report.json, text, events.csv, a page and figures."""
