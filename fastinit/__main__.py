"""python -m fastinit: the same as the command `fastinit`; see cli/program.py."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
