"""A report of what was counted: report.json, text, events.csv, a page and figures."""
