"""kubectl as the tests use it: the real one, on the cluster that KUBECONFIG names."""

import contextlib
import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What kubectl answered."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return self.code == 0


def run(*args: str, stdin: str | Json | None = None, user: str = "") -> Answer:
    """Run kubectl; `stdin` may be an object, `user` is impersonated. Never raises for a refusal.

    Raises:
        RuntimeError: without KUBECONFIG.
    """
    if not os.environ.get("KUBECONFIG"):
        raise RuntimeError(
            "expected KUBECONFIG to name a cluster; run `python -m tests.cluster run -- pytest ...`"
        )
    given = json.dumps(stdin) if isinstance(stdin, dict) else stdin
    command = ["kubectl", *([f"--as={user}"] if user else []), *args]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=60, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def must(*args: str, stdin: str | Json | None = None, user: str = "") -> str:
    """As `run`, for what has to succeed; its output."""
    answer = run(*args, stdin=stdin, user=user)
    assert answer.ok, f"kubectl {' '.join(args)}: {answer.err}"
    return answer.out


def get(kind: str, name: str, *, namespace: str) -> Json:
    """An object as it is now."""
    found: Json = json.loads(must("get", kind, name, "-n", namespace, "-o", "json"))
    return found


@contextlib.contextmanager
def new_namespace(prefix: str, *, labels: Mapping[str, str] | None = None) -> Iterator[str]:
    """A namespace of a new name, deleted (without waiting) at the end."""
    name = f"{prefix}-{secrets.token_hex(4)}"
    metadata = {"name": name, "labels": dict(labels or {})}
    must("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        yield name
    finally:
        run("delete", "namespace", name, "--wait=false")
