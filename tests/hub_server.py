"""A stand-in for the Hugging Face hub on loopback: it takes repositories and commits as the real
one does, and keeps them in memory."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """token: the one that may write. repositories: name to {"private", "files": path to
    bytes, "commits"}."""

    token: str = "hf_write"
    url: str = ""
    repositories: dict[str, dict] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    fails: str = ""  # requests whose path matches are answered with 500


@contextmanager
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, code: int, value: object) -> None:
            data = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                out = b""
                while size := int(self.rfile.readline(), 16):
                    out += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return out
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_PUT(self) -> None:
            state.blobs[self.path.rsplit("/", 1)[1]] = self.body()
            self.answer(200, {})

        def do_GET(self) -> None:
            self.answer(404, {"error": "nothing is read here"})

        def do_POST(self) -> None:
            body, path = self.body(), self.path.split("?")[0]
            if self.headers.get("Authorization") != f"Bearer {state.token}":
                return self.answer(
                    403,
                    {"error": "You don't have the rights to create a model under this namespace"},
                )
            if state.fails and re.search(state.fails, path):
                return self.answer(500, {"error": "the disk of the hub is on fire"})
            if path == "/api/validate-yaml":  # the head of a model card
                return self.answer(200, {"errors": [], "warnings": []})
            if path == "/api/repos/create":
                words = json.loads(body)
                name = (
                    f"{words['organization']}/{words['name']}"
                    if words.get("organization")
                    else words["name"]
                )
                new = {
                    "private": bool(words.get("private") or words.get("visibility") == "private"),
                    "files": {},
                    "commits": 0,
                }
                if name in state.repositories:
                    return self.answer(409, {"error": "exists", "url": f"{state.url}/{name}"})
                state.repositories[name] = new
                return self.answer(200, {"url": f"{state.url}/{name}", "name": name, "id": name})
            if path.endswith("/info/lfs/objects/batch"):
                objects = [
                    {**o, "actions": {"upload": {"href": f"{state.url}/lfs/{o['oid']}"}}}
                    for o in json.loads(body)["objects"]
                ]
                return self.answer(200, {"transfer": "basic", "objects": objects})
            name, what = re.fullmatch(r"/api/models/(.+)/(preupload|commit)/main", path).groups()
            if what == "preupload":
                files = [f["path"] for f in json.loads(body)["files"]]
                modes = {p: "lfs" if p.endswith(".safetensors") else "regular" for p in files}
                return self.answer(
                    200,
                    {
                        "files": [
                            {"path": p, "uploadMode": m, "shouldIgnore": False}
                            for p, m in modes.items()
                        ]
                    },
                )
            repository = state.repositories[name]
            for line in body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    repository["files"][value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    repository["files"][value["path"]] = state.blobs[value["oid"]]
            repository["commits"] += 1
            return self.answer(
                200,
                {"commitUrl": f"{state.url}/{name}/commit/1", "commitOid": "1", "hookOutput": ""},
            )

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
