"""The entry of the command line: arguments in, exit status out.

Status 2 means "inconclusive" here, so bad usage gives 4, as every other error does.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from modelrollout.api import scalars
from modelrollout.cli.failing import Exit, Failure

Commands = Any
"""What argparse gives for subcommands; the type has no public name."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Failure(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit status."""
    try:
        chosen = parser().parse_args(arguments)
        return int(chosen.run(chosen))
    except Failure as problem:
        print(f"modelrollout: {problem}", file=sys.stderr)
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away: nothing is left to be said to it
    except KeyboardInterrupt:
        print("modelrollout: interrupted", file=sys.stderr)
    return int(Exit.ERROR)


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands; each sets `run`."""
    root = _Parser(prog="modelrollout", description="Rollouts of models, beside kubectl.")
    commands: Commands = root.add_subparsers(metavar="COMMAND", required=True, dest="command")
    _add_wait(commands)
    return root


def _on_cluster(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="the ModelRollout")
    command.add_argument("-n", "--namespace", help="left out: that of the kubeconfig's context")
    command.add_argument("--context", help="of the kubeconfig; left out: the current one")


def _add_wait(commands: Commands) -> None:
    command = commands.add_parser(
        "wait",
        help="until the target is promoted or not",
        description="Waits for the outcome of a rollout. Exit status: 0 promoted, 1 rolled back, "
        "2 inconclusive, 3 timeout, 4 error. Progress on stderr, the result on stdout.",
    )
    _on_cluster(command)
    command.add_argument("--timeout", default="30m", help="longest time, such as 30m (default)")
    command.add_argument(
        "--for-target",
        default="",
        metavar="VERSION",
        help="the version to be promoted, also when it becomes the target only later",
    )
    command.set_defaults(run=_wait)


def _wait(chosen: argparse.Namespace) -> Exit:
    from modelrollout.cli import cluster, waiting

    timeout_s = seconds(chosen.timeout, of="--timeout")
    connected = cluster.Cluster.connect(namespace=chosen.namespace, context=chosen.context)
    return waiting.wait(connected, chosen.name, for_target=chosen.for_target, timeout_s=timeout_s)


def seconds(text: str, *, of: str) -> float:
    """The seconds of an option such as 30m.

    Raises:
        Failure: when it is not a duration.
    """
    try:
        return scalars.seconds(text)
    except ValueError as problem:
        raise Failure(f"{of}: {problem}") from None
