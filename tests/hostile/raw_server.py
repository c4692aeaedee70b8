"""A server that reads a request and answers with whatever bytes it is given, and nothing else."""

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class RawServer:
    """Answers each connection with ``says`` and hangs up; change it between requests."""

    def __init__(self) -> None:
        self.says: Iterable[bytes] = ()
        self.asked: list[bytes] = []
        """Heads of what came."""
        self.sent = 0
        """Bytes that the client took, or the kernel for it."""
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        # The client hangs up when it has had enough.
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            heard = b""
            while b"\r\n\r\n" not in heard:
                piece = connection.recv(65536)
                if not piece:
                    return
                heard += piece
            head, _, body = heard.partition(b"\r\n\r\n")
            self.asked.append(head)
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == _LENGTH), 0
            )
            while len(body) < length:
                body += connection.recv(65536)
            for piece in self.says:
                connection.sendall(piece)
                self.sent += len(piece)


_LENGTH = b"content-length:"


@contextmanager
def raw_server() -> Iterator[RawServer]:
    server = RawServer()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        # A thread in accept does not hear that its socket is closed.
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(10)


def answer(
    body: bytes = b"", *, status: bytes = b"200 OK", headers: Iterable[tuple[bytes, bytes]] = ()
) -> list[bytes]:
    """One answer, whose headers may be any bytes."""
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), lines)
    return [head, body]
