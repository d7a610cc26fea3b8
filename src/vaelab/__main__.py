"""`python -m vaelab`: the command line."""

import sys

from vaelab.cli.main import process

if __name__ == "__main__":
    sys.exit(process())
