"""Users of a model server who speak gRPC, run by the interpreter of the server's own environment.

Asks one question after the other until its input ends, then prints what was counted: answers by
version, and failures by status.
"""

import collections
import json
import sys
import threading
import time

import grpc
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc import dataplane_pb2_grpc as services

PAUSE_S = 0.02
ROW = [0.0] * 30


def main() -> None:
    """Arguments: address of the gateway, host name, name of the model."""
    address, host, model = sys.argv[1:]
    ended = threading.Event()
    threading.Thread(target=_end_with_input, args=(ended,), daemon=True).start()
    tensor = messages.ModelInferRequest.InferInputTensor(
        name="predict",
        datatype="FP64",
        shape=[1, len(ROW)],
        contents=messages.InferTensorContents(fp64_contents=ROW),
    )
    question = messages.ModelInferRequest(model_name=model, inputs=[tensor])
    answered: collections.Counter[str] = collections.Counter()
    failed: collections.Counter[str] = collections.Counter()
    options = (("grpc.default_authority", host), ("grpc.enable_http_proxy", 0))
    with grpc.insecure_channel(address, options=options) as channel:
        stub = services.GRPCInferenceServiceStub(channel)
        # A new route is in the gateway a moment after its status says so; users come then.
        while not answered and not ended.is_set():
            try:
                answered[stub.ModelInfer(question, timeout=5).model_version] += 1
            except grpc.RpcError:
                time.sleep(PAUSE_S)
        _say("begun")
        while not ended.wait(PAUSE_S):
            try:
                answered[stub.ModelInfer(question, timeout=5).model_version] += 1
            except grpc.RpcError as problem:
                failed[f"{problem.code()}: {problem.details()}"] += 1
    _say(json.dumps({"answered": answered, "failed": failed}))


def _end_with_input(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
