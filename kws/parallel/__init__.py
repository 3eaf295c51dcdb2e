"""Independent tasks, done by processes on this machine or by the workers of a Dask
cluster.

A task is any value that can be pickled and says in `str(task)` what it is, for
messages. Work is a function at the top of a module, called as `work(task, report)` in
another process: it does one task, returns a result that can be pickled, and may call
`report` with whatever tells how it gets on. Tasks must not depend on each other, and
doing one twice must do no harm: a task whose process or worker is lost is given to
another one.

    for result in on_cores(work, tasks, processes=2, report=print):
        ...
    for result in on_dask(work, tasks, "tcp://HOST:8786"):
        ...

Both yield results as they are ready, in any order; and both raise what `work` raises,
and KwsError where processes or the cluster fail. What was yielded before is the
caller's to keep.
"""

from kws.parallel.cores import Cores as Cores
from kws.parallel.cores import on_cores as on_cores
from kws.parallel.dask import on_dask as on_dask
