"""The cluster's network: a bridge in the machine's namespace, and a namespace for each pod.

EndpointSlices refuse loopback addresses, and two model servers both want port 8080: so each pod has
an address and ports of its own, as in a cluster. All of it is inside a private network namespace.
"""

import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import IPRoute, netns

NODE = ipaddress.IPv4Address("10.244.0.1")
PODS = ipaddress.IPv4Network("10.244.0.0/16")
# The first address of the Service range is the apiserver's; it lies on the bridge, so that
# `kubernetes.default` works as usual though there is no kube-proxy.
APISERVER = ipaddress.IPv4Address("10.96.0.1")
SERVICES = ipaddress.IPv4Network("10.96.0.0/16")
_BRIDGE = "pods"


def set_up_machine() -> None:
    """Make loopback and the bridge of the present (private, empty) network namespace.

    Not from a coroutine (nor `PodNetwork`'s methods): pyroute2 runs an event loop of its own.
    """
    with IPRoute() as links:
        links.link("set", index=links.link_lookup(ifname="lo")[0], state="up")
        links.link("add", ifname=_BRIDGE, kind="bridge")
        bridge = links.link_lookup(ifname=_BRIDGE)[0]
        links.addr("add", index=bridge, address=str(NODE), prefixlen=PODS.prefixlen)
        links.addr("add", index=bridge, address=str(APISERVER), prefixlen=32)
        links.link("set", index=bridge, state="up")


def pod_addresses() -> Iterator[ipaddress.IPv4Address]:
    """Addresses for pods, in turn, without end: one is given again only after 65,000 others."""
    while True:
        for address in PODS.hosts():
            if address > NODE:
                yield address


@contextmanager
def _entered(file: Path) -> Iterator[None]:
    """Put the calling thread, and no other, into a network namespace."""
    with open("/proc/thread-self/ns/net") as home:  # noqa: PTH123 - opened by the kernel's name
        netns.setns(str(file), flags=0, fork=False)
        try:
            yield
        finally:
            netns.setns(home.fileno())


class PodNetwork:
    """A network namespace kept alive by a file, joined to the bridge by a veth pair."""

    def __init__(self, file: Path, *, address: ipaddress.IPv4Address) -> None:
        self.file = file
        self.address = address
        self._link = f"veth{int(address) & 0xFFFF}"

    def create(self) -> None:
        """Make it. Takes some 20 ms."""
        self.file.touch()
        subprocess.run(["unshare", f"--net={self.file}", "true"], check=True)
        with IPRoute() as links, self.file.open() as namespace:
            peer = {"ifname": "eth0", "net_ns_fd": namespace.fileno()}
            links.link("add", ifname=self._link, kind="veth", peer=peer)
            master = links.link_lookup(ifname=_BRIDGE)[0]
            index = links.link_lookup(ifname=self._link)[0]
            links.link("set", index=index, master=master, state="up")
        with _entered(self.file), IPRoute() as inside:
            inside.link("set", index=inside.link_lookup(ifname="lo")[0], state="up")
            index = inside.link_lookup(ifname="eth0")[0]
            inside.addr("add", index=index, address=str(self.address), prefixlen=PODS.prefixlen)
            inside.link("set", index=index, state="up")
            inside.route("add", dst="default", gateway=str(NODE))

    def destroy(self) -> None:
        """Let go of it; it disappears with its last process."""
        netns.remove(str(self.file))
