"""The cluster's command line: `run`, `up` and `build`."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.cluster import doors, foreign, isolation, layout
from tests.cluster.build import binaries, environments, gobuild, progress

_DOORS = ("apiserver", "gateway", "prometheus")


def main() -> int:
    """Parse the arguments and do it; gives the exit status."""
    arguments = _parser().parse_args()
    try:
        if arguments.action == "run" and (there := foreign.named(os.environ)) is not None:
            return foreign.run(there, _stripped(arguments.command))
        layout.expect_seen()
        binaries.ensure()
        for name in arguments.image:
            environments.ensure(name)
        match arguments.action:
            case "build":
                return 0
            case "up":
                return _start([], keep=True)
            case _:
                return _start(arguments.command, keep=arguments.keep)
    except (gobuild.BuildError, layout.HiddenError, foreign.ForeignClusterError) as error:
        progress.say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    images = argparse.ArgumentParser(add_help=False)
    images.add_argument(
        "--image",
        action="append",
        default=[],
        choices=environments.KNOWN,
        help="build the environment of this third-party image, too",
    )
    actions.add_parser("build", parents=[images], help="only build what is missing in the cache")
    actions.add_parser("up", parents=[images], help="start the cluster, keep it up until Ctrl-C")
    run = actions.add_parser(
        "run", parents=[images], help="start the cluster, run a command in it, take it down"
    )
    run.add_argument(
        "--keep", action="store_true", help="keep it up after the command, until Ctrl-C"
    )
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def _start(command: list[str], *, keep: bool) -> int:
    data = layout.DataDir(Path(tempfile.mkdtemp(prefix="modelrollout-cluster-")))
    data.create()
    try:
        status = isolation.run(
            _stripped(command),
            data=data,
            keep=keep,
            doors=doors.open_outside(_DOORS) if keep else {},
        )
        if status:
            _save_logs(data)
        return status
    finally:
        shutil.rmtree(data.root, ignore_errors=True)


def _stripped(command: list[str]) -> list[str]:
    return command[command[:1] == ["--"] :]


def _save_logs(data: layout.DataDir) -> None:
    shutil.rmtree(layout.LAST_LOGS, ignore_errors=True)
    shutil.copytree(data.logs, layout.LAST_LOGS)
    progress.say(f"not successful: the logs are kept in {layout.LAST_LOGS}")


if __name__ == "__main__":
    sys.exit(main())
