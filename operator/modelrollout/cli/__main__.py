"""`python -m modelrollout.cli`, the same as the command `modelrollout`."""

import sys

from modelrollout.cli import main

if __name__ == "__main__":
    sys.exit(main.main())
