"""The observer's entry: `python -m modelrollout.shadow.serving --config FILE`."""

import argparse
import asyncio
import gc
import sys
from pathlib import Path

import uvloop

from modelrollout.shadow.serving import config, service


def main() -> int:
    """Runs the observer; gives its exit status."""
    parser = argparse.ArgumentParser(prog="modelrollout.shadow.serving", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the configuration, as YAML")
    try:
        # What was imported stays: nothing is gained by looking for garbage in it at every hundredth
        # request, and what requests leave behind is mostly freed by counting references.
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        chosen = config.Config.read(parser.parse_args().config)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(service.run(chosen))
    except (config.ConfigError, ValueError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - a sentence for whoever started it
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
