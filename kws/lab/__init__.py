"""The lab: models compared on the same data, what their attention does, and how smooth
they are.

`comparison.compare` runs a `study.Study`. It deals the corpora (`splits`), does the
`tasks` (each run: `run_one`, tested on `sounds`, judged at `operating_points`), and
writes the `table`, with costs, and the reports of `attention` and `smoothness`.
"""
