"""Builds what these tests need and the cluster does not: `python -m tests.istio`."""

import sys

from tests.cluster.build import gobuild, progress, recipes


def main() -> int:
    """Fill the cache; gives the exit status."""
    try:
        gobuild.extract(recipes.ISTIO)
        gobuild.build(recipes.PILOT)
    except gobuild.BuildError as error:
        progress.say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
