"""`python -m kws`: the same as the `kws` command."""

import sys

from kws.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
