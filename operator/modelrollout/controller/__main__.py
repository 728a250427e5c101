"""The operator's entry: `python -m modelrollout.controller --config FILE`."""

import argparse
import asyncio
import os
import socket
import sys
from pathlib import Path

from modelrollout.adapters.apiserver import Apiserver
from modelrollout.adapters.gate import Gate
from modelrollout.controller import logs
from modelrollout.controller.config import Config, ConfigError
from modelrollout.controller.service import Service


def main() -> int:
    """Runs the operator; gives its exit status."""
    parser = argparse.ArgumentParser(prog="modelrollout.controller", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the configuration, as YAML")
    chosen = parser.parse_args()
    logs.set_up()
    try:
        config = Config.read(chosen.config)
    except ConfigError as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - a sentence for whoever started it
        return 2
    return asyncio.run(_run(config))


async def _run(config: Config) -> int:
    gate = Gate()
    apiserver = await Apiserver.connect(gate=gate)
    identity = os.environ.get("POD_NAME") or socket.gethostname()
    return await Service(config, apiserver, gate=gate, identity=identity).run()


if __name__ == "__main__":
    sys.exit(main())
