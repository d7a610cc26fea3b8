"""`python -m vaelab`: the command line."""

import sys

from vaelab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
