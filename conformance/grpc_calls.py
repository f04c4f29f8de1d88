"""A real gRPC client and server: `grpc_calls.py serve HOST` prints the port it has, `grpc_calls.py call HOST:PORT` makes
one call of each kind and prints a line for each, which says how it ended. Messages are bytes as they are, so nothing is
generated. Needs grpcio."""

import sys
import threading
from concurrent import futures

import grpc

SERVICE = "wavetank.Calls"
# Bound on a call that is to end by itself.
PATIENCE = 30
LARGE = 3 * 1024 * 1024


class Calls:
    """The methods. Those that hang count how many of them were ended from outside."""

    def __init__(self):
        self.ended = threading.Semaphore(0)

    def unary(self, request, context):
        context.set_trailing_metadata((("x-trailing", "yes"),))
        return request[::-1]

    def server_stream(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def client_stream(self, requests, context):
        return b"%d" % sum(len(request) for request in requests)

    def both(self, requests, context):
        for request in requests:
            yield request.upper()

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 100%, ü")

    def fail_late(self, request, context):
        yield b"first"
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more")

    def hang(self, request, context):
        over = threading.Event()

        # A call that ends while its reply is on its way does not come back from the yield.
        def end():
            over.set()
            self.ended.release()

        context.add_callback(end)
        yield b"begun"
        over.wait(PATIENCE)

    def wait_for_end(self, request, context):
        return b"ended" if self.ended.acquire(timeout=PATIENCE) else b"still there"


def serve(host):
    calls = Calls()
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(calls.unary),
        "ServerStream": grpc.unary_stream_rpc_method_handler(calls.server_stream),
        "ClientStream": grpc.stream_unary_rpc_method_handler(calls.client_stream),
        "Both": grpc.stream_stream_rpc_method_handler(calls.both),
        "Fail": grpc.unary_unary_rpc_method_handler(calls.fail),
        "FailLate": grpc.unary_stream_rpc_method_handler(calls.fail_late),
        "Hang": grpc.unary_stream_rpc_method_handler(calls.hang),
        "WaitForEnd": grpc.unary_unary_rpc_method_handler(calls.wait_for_end),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    print(server.add_insecure_port(f"{host}:0"), flush=True)
    server.start()
    # Until whoever started it is gone.
    sys.stdin.read()


def told(error):
    return f"{error.code().name} {error.details()!r}"


def call(target):
    # Nothing of this machine's may stand between.
    channel = grpc.insecure_channel(target, options=(("grpc.enable_http_proxy", 0),))

    def method(kind, name):
        return getattr(channel, kind)(f"/{SERVICE}/{name}")

    reply, state = method("unary_unary", "Unary").with_call(b"abc", timeout=PATIENCE)
    print("unary:", reply, state.code().name, dict(state.trailing_metadata()).get("x-trailing"))
    reply = method("unary_unary", "Unary")(b"x" * LARGE, timeout=PATIENCE)
    print("large:", len(reply))
    replies = method("unary_stream", "ServerStream")(b"4", timeout=PATIENCE)
    print("server stream:", list(replies), replies.code().name)
    print("client stream:", method("stream_unary", "ClientStream")(iter([b"ab", b"cde", b""]), timeout=PATIENCE))
    # Each message is answered before the next is sent.
    turn = threading.Semaphore(1)

    def talk():
        for word in (b"one", b"two", b"three"):
            turn.acquire()
            yield word

    heard = []
    for reply in method("stream_stream", "Both")(talk(), timeout=PATIENCE):
        heard.append(reply)
        turn.release()
    print("both:", heard)
    many = [method("unary_unary", "Unary").future(b"%d" % number, timeout=PATIENCE) for number in range(200)]
    print("many at once:", sum(future.result() == (b"%d" % number)[::-1] for number, future in enumerate(many)))
    for name in ("Fail", "Nowhere"):
        try:
            print(name, method("unary_unary", name)(b"", timeout=PATIENCE))
        except grpc.RpcError as error:
            print(f"{name}:", told(error))
    replies, heard = method("unary_stream", "FailLate")(b"", timeout=PATIENCE), []
    try:
        for reply in replies:
            heard.append(reply)
    except grpc.RpcError as error:
        print("FailLate:", heard, told(error))
    replies = method("unary_stream", "Hang")(b"", timeout=1)
    try:
        print("deadline:", next(replies), next(replies))
    except grpc.RpcError as error:
        print("deadline:", error.code().name)
    print("deadline, at the server:", method("unary_unary", "WaitForEnd")(b"", timeout=PATIENCE))
    replies = method("unary_stream", "Hang")(b"", timeout=PATIENCE)
    print("cancelled:", next(replies), replies.cancel(), replies.code().name)
    print("cancelled, at the server:", method("unary_unary", "WaitForEnd")(b"", timeout=PATIENCE))


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](sys.argv[2])
