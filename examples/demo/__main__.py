"""`python -m examples.demo`: starts the local cluster and plays the demo in it."""

import os
import sys
from typing import Final

from examples.demo.stage import CHECKOUT

_PLAY: Final = (sys.executable, "-m", "examples.demo.main")


def main() -> None:
    """Become the cluster's runner, so that Ctrl-C reaches it and nothing is left behind."""
    keep = ("--keep",) if os.environ.get("KEEP") == "1" else ()
    os.chdir(CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "tests.cluster", "run", *keep, "--", *_PLAY])  # noqa: S606


if __name__ == "__main__":
    main()
