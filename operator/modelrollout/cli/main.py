"""The entry of the command line: arguments in, exit status out.

Status 2 means "inconclusive" here, so bad usage gives 4, as every other error does.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from modelrollout.api import scalars
from modelrollout.api.intents import Kind
from modelrollout.cli.failing import DONE, Exit, Failure

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
    _add_status(commands)
    for kind, words in _INTENTS.items():
        _add_intent(commands, kind, words)
    _add_plan(commands)
    _add_release(commands)
    _add_assign(commands)
    return root


_INTENTS: Final = {
    Kind.APPROVE: "let the step that waits go on",
    Kind.PAUSE: "hold the weight; harm still rolls back",
    Kind.RESUME: "go on after a pause",
    Kind.ABORT: "give all traffic back to stable and reject the target",
    Kind.PROMOTE: "skip the steps that are left",
    Kind.RETRY: "try a rejected target again",
}


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


def _add_status(commands: Commands) -> None:
    command = commands.add_parser("status", help="where a rollout stands, and why")
    _on_cluster(command)
    command.add_argument(
        "--classical", action="store_true", help="textbook tests too: shown, never decided by"
    )
    command.set_defaults(run=_status)


def _status(chosen: argparse.Namespace) -> Exit:
    from modelrollout.cli import cluster, outcome, showing

    connected = cluster.Cluster.connect(namespace=chosen.namespace, context=chosen.context)
    live = connected.read(chosen.name)
    found = outcome.seen(live)
    print(showing.text(found), end="")
    if chosen.classical:
        from modelrollout.cli import classical, reading
        from modelrollout.metrics import presets

        spec = presets.resolve(reading.spec(live, of=chosen.name))
        print(f"\n{classical.text(spec, found.status.evidence)}", end="")
    return DONE


def _add_intent(commands: Commands, kind: Kind, words: str) -> None:
    command = commands.add_parser(str(kind), help=words, description=f"An intent: {words}.")
    _on_cluster(command)
    command.add_argument("--reason", default="", help="why, in a few words")
    if kind is Kind.APPROVE:
        command.add_argument("--step", type=int, help="the step that is meant, as status shows it")
    command.set_defaults(run=_give, kind=kind, step=None)


def _give(chosen: argparse.Namespace) -> Exit:
    from modelrollout.cli import cluster, intending

    connected = cluster.Cluster.connect(namespace=chosen.namespace, context=chosen.context)
    print(
        intending.give(connected, chosen.name, chosen.kind, reason=chosen.reason, step=chosen.step)
    )
    return DONE


def _add_plan(commands: Commands) -> None:
    command = commands.add_parser(
        "plan",
        help="the steps of a file, and how long they take; no cluster",
        description="Values of the stable version are given per metric, as NAME=VALUE, or once "
        "for all metrics of the kind, as VALUE. Shares are between 0 and 1.",
    )
    command.add_argument("-f", "--file", type=Path, required=True, help="with one ModelRollout")
    command.add_argument("--rps", type=float, default=0.0, help="requests/s of the whole service")
    for option, words in (
        ("--stable-rate", "share of errors, or of slow requests"),
        ("--stable-mean", "mean of the values"),
        ("--stable-sd", "standard deviation of one value"),
    ):
        command.add_argument(option, action="append", default=[], metavar="[NAME=]X", help=words)
    command.add_argument(
        "--simulate", action="store_true", help="simulated rollouts beside the formulas; seconds"
    )
    command.add_argument("-o", "--output", choices=["text", "json"], default="text")
    command.set_defaults(run=_plan)


def _plan(chosen: argparse.Namespace) -> Exit:
    from modelrollout.cli import comparing, forecasting, foretelling, reading

    spec = reading.spec(reading.rollout(chosen.file), of=str(chosen.file))
    if spec.strategy.ab_test is not None:
        print(comparing.text(spec, spec.strategy.ab_test), end="")
        return DONE
    traffic = forecasting.Traffic(
        requests_per_s=chosen.rps,
        rates=_values(chosen.stable_rate, of="--stable-rate"),
        means=_values(chosen.stable_mean, of="--stable-mean"),
        deviations=_values(chosen.stable_sd, of="--stable-sd"),
    )
    plan = forecasting.foreseen(spec, traffic, simulate=chosen.simulate)
    print(foretelling.as_json(plan) if chosen.output == "json" else foretelling.text(plan), end="")
    return DONE


def _values(given: Sequence[str], *, of: str) -> dict[str, float]:
    values = {}
    for text in given:
        name, _, number = text.rpartition("=")
        try:
            values[name] = float(number)
        except ValueError:
            raise Failure(f"{of}: expected NAME=NUMBER or NUMBER, saw {text}") from None
    return values


def seconds(text: str, *, of: str) -> float:
    """The seconds of an option such as 30m.

    Raises:
        Failure: when it is not a duration.
    """
    try:
        return scalars.seconds(text)
    except ValueError as problem:
        raise Failure(f"{of}: {problem}") from None


def _add_release(commands: Commands) -> None:
    command = commands.add_parser(
        "release",
        help="the next version as files, made from the present one; no cluster",
        description="Copies the Deployment and Service of the present target with a new image, "
        "lists the new version, makes it the target, drops the oldest that neither serves nor is "
        "the present target, and prints the diff.",
    )
    command.add_argument("-f", "--folder", type=Path, required=True, help="with the manifests")
    command.add_argument("--image", required=True, help="of the new version")
    command.add_argument("--name", default="", help="of the new version; left out: v3 after v2")
    command.add_argument("--container", default="", help="whose image changes, if there are more")
    command.add_argument("--rollout", default="", help="which ModelRollout, if there are more")
    command.add_argument("--stable", default="", help="who serves; left out: the present target")
    command.add_argument("--keep", action="store_true", help="drop no version")
    command.add_argument("--write", action="store_true", help="change the files, too")
    command.set_defaults(run=_release)


def _release(chosen: argparse.Namespace) -> Exit:
    from modelrollout.cli import manifests, releasing

    asked = releasing.Asked(
        image=chosen.image,
        name=chosen.name,
        container=chosen.container,
        rollout=chosen.rollout,
        stable=chosen.stable,
        keep=chosen.keep,
    )
    made = releasing.release(chosen.folder, asked)
    print(manifests.diff(made.files, below=chosen.folder), end="")
    for note in made.notes:
        print(f"note: {note}", file=sys.stderr)
    if chosen.write:
        manifests.write(made.files)
    return DONE


def _add_assign(commands: Commands) -> None:
    command = commands.add_parser(
        "assign",
        help="which version a user gets; no cluster",
        description="Repeats the published assignment of users to versions. A file from the "
        "cluster (kubectl get mr NAME -o yaml) carries what was decided.",
    )
    command.add_argument("users", metavar="USER", nargs="+", help="ids, as in header or cookie")
    command.add_argument("-f", "--file", type=Path, required=True, help="with one ModelRollout")
    command.add_argument("-n", "--namespace", help="of the rollout, where the file names none")
    command.set_defaults(run=_assign)


def _assign(chosen: argparse.Namespace) -> Exit:
    from modelrollout.cli import assigning

    print(assigning.text(chosen.users, chosen.file, namespace=chosen.namespace), end="")
    return DONE
