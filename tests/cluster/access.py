"""Who may speak to the apiserver, and how: users with their tokens, and kubeconfig files."""

import base64
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class User:
    """A user known to the apiserver by a token; the audit log shows the name."""

    name: str
    token: str
    groups: tuple[str, ...] = ()


def make_users() -> dict[str, User]:
    """The cluster's own users, with fresh tokens: `admin`, `agent` and `controllers`.

    The controllers have only what the apiserver's own roles give to their well-known name.
    """
    masters = ("system:masters",)
    return {
        "admin": User("admin", secrets.token_urlsafe(24), masters),
        "agent": User("node-agent", secrets.token_urlsafe(24), masters),
        "controllers": User("system:kube-controller-manager", secrets.token_urlsafe(24)),
    }


def token_file(users: dict[str, User]) -> str:
    """The text of the apiserver's `--token-auth-file`."""
    return "".join(f'{u.token},{u.name},{u.name},"{",".join(u.groups)}"\n' for u in users.values())


def kubeconfig(user: User, *, server: str, authority: Path) -> str:
    """A self-contained kubeconfig that verifies the apiserver by `authority`. JSON is YAML."""
    cluster = {
        "server": server,
        "certificate-authority-data": base64.b64encode(authority.read_bytes()).decode(),
    }
    context = {"cluster": "local", "user": user.name, "namespace": "default"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": user.name, "user": {"token": user.token}}],
            "contexts": [{"name": "local", "context": context}],
            "current-context": "local",
        },
        indent=1,
    )


def issuer_of(chain: Path) -> str:
    """The last certificate of a PEM chain: of the apiserver's own, its authority."""
    found = re.findall(
        r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", chain.read_text(), re.DOTALL
    )
    return str(found[-1])


def redirected(text: str, *, server: str, tls_server_name: str) -> str:
    """The same kubeconfig for another address of the same apiserver, which is verified by name."""
    config = json.loads(text)
    config["clusters"][0]["cluster"] |= {"server": server, "tls-server-name": tls_server_name}
    return json.dumps(config, indent=1)


@dataclass(frozen=True, slots=True)
class Login:
    """What a client needs of a kubeconfig."""

    server: str
    token: str
    authority: str  # PEM

    @classmethod
    def from_kubeconfig(cls, text: str) -> "Login":
        """Of a kubeconfig that `kubeconfig` wrote."""
        config = json.loads(text)
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return cls(cluster["server"], config["users"][0]["user"]["token"], authority)
