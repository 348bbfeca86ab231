"""`python -m jaxecon` is the command line."""

import sys

from jaxecon.cli import main

if __name__ == "__main__":
    sys.exit(main())
