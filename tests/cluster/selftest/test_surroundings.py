"""What a container finds: variables, volumes, names, its token, and files it cannot change."""

import json
from pathlib import Path

from tests.cluster.selftest import conftest

_SUCCEEDED = "jsonpath={.status.phase}=Succeeded"

_ASK_APISERVER = """
import os, ssl, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
space = open(f"{folder}/namespace").read()
trust = ssl.create_default_context(cafile=f"{folder}/ca.crt")
where = f"{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
def ask(host, plural):
    url = f"https://{host}/api/v1/namespaces/{space}/{plural}"
    login = {"Authorization": "Bearer " + open(f"{folder}/token").read()}
    try:
        question = urllib.request.Request(url, headers=login)
        return urllib.request.urlopen(question, context=trust).status
    except urllib.error.HTTPError as error:
        return error.code
print(ask(where, "configmaps"), ask("kubernetes.default.svc", "configmaps"), ask(where, "secrets"))
"""


def test_service_account_token_opens_what_rbac_grants_and_no_more(
    namespace: conftest.Namespace,
) -> None:
    namespace.kubectl("create", "role", "r", "--verb=list", "--resource=configmaps")
    account = f"--serviceaccount={namespace.name}:default"
    namespace.kubectl("create", "rolebinding", "r", "--role=r", account)
    namespace.apply(conftest.script("client", _ASK_APISERVER))

    namespace.wait_for(_SUCCEEDED, "pod/client")

    assert namespace.logs("client") == "200 200 403\n"


def test_audit_log_knows_the_service_account(namespace: conftest.Namespace) -> None:
    namespace.apply(conftest.script("client", _ASK_APISERVER))
    namespace.wait_for(_SUCCEEDED, "pod/client")

    log = namespace.cluster.audit_log
    assert log, "only the local cluster has an audit log that can be read"
    user = f"system:serviceaccount:{namespace.name}:default"
    seen = [json.loads(line) for line in log.read_text().splitlines() if user in line]
    assert {
        (e["verb"], e["responseStatus"]["code"]) for e in seen if e["user"]["username"] == user
    } == {("list", 403)}


def test_variables_come_from_everywhere_and_are_expanded(namespace: conftest.Namespace) -> None:
    namespace.kubectl("create", "configmap", "c", "--from-literal=colour=blue")
    namespace.kubectl("create", "secret", "generic", "s", "--from-literal=word=xyzzy")
    env = [
        {"name": "PLAIN", "value": "a"},
        {"name": "NESTED", "value": "$(PLAIN)b$$(PLAIN)$(UNKNOWN)"},
        {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "colour"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "word"}}},
        {
            "name": "NONE",
            "valueFrom": {"secretKeyRef": {"name": "s", "key": "x", "optional": True}},
        },
    ]
    names = ["PLAIN", "NESTED", "ME", "LABEL", "COLOUR", "WORD", "PRE_colour", "HOSTNAME"]
    text = "import os, sys; print(sys.argv[1], *(os.environ.get(n) for n in sys.argv[2:]))"
    namespace.apply(
        conftest.script(
            "reader",
            text,
            args=["$(COLOUR)", *names, "NONE"],
            env=env,
            envFrom=[{"prefix": "PRE_", "configMapRef": {"name": "c"}}],
        )
    )

    namespace.wait_for(_SUCCEEDED, "pod/reader")

    assert namespace.logs("reader").split() == [
        *("blue", "a", "ab$(PLAIN)$(UNKNOWN)", "reader", "reader", "blue", "xyzzy", "blue"),
        *("reader", "None"),
    ]


def test_missing_configmap_is_waited_for_and_named(namespace: conftest.Namespace) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "a"}}}]
    namespace.apply(conftest.script("waiting", "import os; print(os.environ['A'])", env=env))
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    namespace.wait_for(f"{reason}=CreateContainerConfigError", "pod/waiting")
    assert "later" in namespace.container("waiting")["state"]["waiting"]["message"]

    namespace.kubectl("create", "configmap", "later", "--from-literal=a=here")

    namespace.wait_for(_SUCCEEDED, "pod/waiting")
    assert namespace.logs("waiting") == "here\n"


def test_volumes_are_mounted_where_the_manifest_says(
    namespace: conftest.Namespace, tmp_path: Path
) -> None:
    namespace.kubectl(
        "create", "configmap", "c", "--from-literal=a.txt=one", "--from-literal=b.txt=two"
    )
    namespace.kubectl("create", "secret", "generic", "s", "--from-literal=key=three")
    volumes = [
        {"name": "config", "configMap": {"name": "c"}},
        {
            "name": "secret",
            "secret": {"secretName": "s", "items": [{"key": "key", "path": "deep/k"}]},
        },
        {"name": "scratch", "emptyDir": {}},
    ]
    mounts = [
        {"name": "config", "mountPath": "/etc/app"},
        {"name": "config", "mountPath": "/opt/new/place/only.txt", "subPath": "b.txt"},
        {"name": "secret", "mountPath": "/var/run/secrets/mine"},
        {"name": "scratch", "mountPath": "/models"},
    ]
    text = """
import errno, os
for path in ("/etc/app/a.txt", "/opt/new/place/only.txt", "/var/run/secrets/mine/deep/k"):
    print(open(path).read())
print(os.listdir("/models"), os.path.exists("/tmp/outside"))
open("/models/out", "w").write("x")
open("/tmp/out", "w").write("x")
for path in ("/etc/app/a.txt", "/etc/passwd", "/usr/x"):
    try:
        open(path, "a")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    (tmp_path / "outside").touch()
    text = text.replace("/tmp/outside", str(tmp_path / "outside"))
    first = conftest.script("first", "open('/models/first', 'w')", volumeMounts=mounts[-1:])
    spec = {
        "volumes": volumes,
        "initContainers": [{**first["spec"]["containers"][0], "name": "first"}],
    }
    namespace.apply(conftest.script("mounted", text, spec=spec, volumeMounts=mounts))

    namespace.wait_for(_SUCCEEDED, "pod/mounted")

    *found, config, passwd, usr, end = namespace.logs("mounted").split("\n")
    assert [*found, config, usr, end] == [
        *("one", "two", "three", "['first'] False", "EROFS", "EROFS", "")
    ]
    # The host's own file is closed to an ordinary user before anybody asks whether it is writable.
    assert passwd in {"EROFS", "EACCES"}
