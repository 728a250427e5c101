"""Both ends of gRPC, run by the interpreter of an environment that has it: a server, or its users.

`serve PORT NAME` answers with its name: once, in a stream of three, or with a failure of its own.
`ask ADDRESS CALLS` asks all three, and prints what came, as JSON.
"""

import collections
import json
import sys
from concurrent import futures

import grpc

SERVICE = "fraud.Scores"


def serve(port: str, name: str) -> None:
    """Serves until it is killed."""

    def once(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("version", name),))
        return name.encode()

    def stream(request: bytes, _: grpc.ServicerContext) -> object:
        return (f"{name} {number} {len(request)}".encode() for number in range(3))

    def fail(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{name} will not")
        return b""

    handlers = {
        "Once": grpc.unary_unary_rpc_method_handler(once),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


def ask(address: str, calls: str) -> None:
    """Asks, and prints answers, streams and failures."""
    told: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        for _ in range(int(calls)):
            answer, call = channel.unary_unary(f"/{SERVICE}/Once").with_call(b"", timeout=5)
            trailer = dict(call.trailing_metadata())["version"]
            told["once"][f"{answer.decode()} {trailer}"] += 1
            parts = channel.unary_stream(f"/{SERVICE}/Stream")(b"x" * 100_000, timeout=5)
            told["stream"][" ".join(part.decode() for part in parts)] += 1
            try:
                channel.unary_unary(f"/{SERVICE}/Fail")(b"", timeout=5)
            except grpc.RpcError as problem:
                told["fail"][f"{problem.code().name}: {problem.details()}"] += 1
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
