"""A TCP proxy in front of a server that cuts every connection after so many bytes have
gone to the server."""

from __future__ import annotations

import contextlib
import socket
import threading


class CuttingProxy:
    """allow: bytes that may still pass to the server, None for all. At zero, connections are reset
    and new ones are refused."""

    def __init__(self, port: int):
        self.target, self.allow, self.passed = port, None, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.allow is not None and self.allow <= 0:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            for a, b, counts in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(a, b, counts), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if counts:
                    if self.allow is not None:
                        data = data[: max(0, self.allow)]
                        self.allow -= len(data)
                    self.passed += len(data)
                sink.sendall(data)
                if self.allow is not None and self.allow <= 0:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self.listener.close()
