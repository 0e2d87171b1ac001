"""A stand-in for the Hugging Face hub on loopback: repositories, branches, commits, LFS uploads and
downloads as the library asks for them, kept in memory; and the ways in which a hub fails."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".parquet", ".gguf")  # what the hub wants by LFS
REPOSITORY = r"/api/(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+)"


@dataclass
class Repository:
    """branches: name -> commit. history: commit -> path -> bytes."""

    private: bool
    branches: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})
    history: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"0" * 40: {}})
    commits: int = 0

    def at(self, revision: str) -> str | None:
        """The commit of a branch or of a commit's name."""
        commit = self.branches.get(revision, revision)
        return commit if commit in self.history else None

    @property
    def files(self) -> dict[str, bytes]:
        return self.history[self.branches["main"]]


@dataclass
class Hub:
    """token: the one that may read and write. repositories: name -> repository; a data set's name
    begins with "datasets/". fails: requests whose path matches are answered with `status`. cuts:
    the connection of downloads that match breaks in their middle. requests: "GET /path", in order.
    gated: names that are read only with permission."""

    token: str = "hf_write"
    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    fails: str = ""
    status: int = 500
    cuts: str = ""
    gated: tuple[str, ...] = ()
    requests: list[str] = field(default_factory=list)

    def clear(self) -> None:
        self.repositories.clear()
        self.blobs.clear()
        self.requests.clear()
        self.fails, self.cuts, self.status, self.gated = "", "", 500, ()

    def repository(self, kind: str, name: str) -> Repository | None:
        return self.repositories.get(name if kind == "models" else f"datasets/{name}")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def answer(self, code: int, value: object = None, kind: str | None = None) -> None:
        data = json.dumps(value if value is not None else {}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if kind:
            self.send_header("X-Error-Code", kind)
        self.end_headers()
        if self.command != "HEAD":
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

    @property
    def knows(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def refused(self, path: str) -> bool:
        self.hub.requests.append(f"{self.command} {path}")
        if self.hub.fails and re.search(self.hub.fails, path):
            self.answer(self.hub.status, {"error": "the disk of the hub is on fire"})
            return True
        return False

    def readable(self, kind: str, name: str) -> Repository | None:
        """The repository, or None after an answer that says why not."""
        repository = self.hub.repository(kind, name)
        if name in self.hub.gated:
            self.answer(403, {"error": "Access to this model is restricted"}, "GatedRepo")
            return None
        if repository is None or (repository.private and not self.knows):
            code = 404 if self.knows else 401
            self.answer(code, {"error": "Repository not found"}, "RepoNotFound")
            return None
        return repository

    def do_PUT(self) -> None:
        path, body = self.path, self.body()
        if not self.refused(path):
            self.hub.blobs[path.rsplit("/", 1)[1]] = body
            self.answer(200)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if self.refused(path):
            return
        if match := re.fullmatch(REPOSITORY + r"(?:/revision/(?P<revision>.+))?", path):
            self.info(match["kind"], match["name"], match["revision"] or "main")
        elif match := re.fullmatch(REPOSITORY + r"/tree/(?P<rest>.+)", path):
            recursive = parse_qs(parts.query).get("recursive") in (["true"], ["True"])
            self.tree(match["kind"], match["name"], match["rest"], recursive)
        elif match := re.fullmatch(
            r"/(?P<data>datasets/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<rest>.+)", path
        ):
            self.file("datasets" if match["data"] else "models", match["name"], match["rest"])
        else:
            self.answer(404, {"error": f"nothing is at {path}"})

    def info(self, kind: str, name: str, revision: str) -> None:
        repository = self.readable(kind, name)
        if repository is None:
            return
        commit = repository.at(revision)
        if commit is None:
            return self.answer(404, {"error": "Invalid rev id"}, "RevisionNotFound")
        files = [{"rfilename": path} for path in repository.history[commit]]
        self.answer(
            200, {"id": name, "sha": commit, "private": repository.private, "siblings": files}
        )

    def split(self, repository: Repository, rest: str) -> tuple[str | None, str]:
        """The commit and the path of "REVISION/PATH"; a branch may hold a slash."""
        names = [*repository.branches, *repository.history]
        for revision in sorted(names, key=len, reverse=True):
            if rest == revision or rest.startswith(f"{revision}/"):
                return repository.at(revision), rest[len(revision) + 1 :]
        return None, ""

    def tree(self, kind: str, name: str, rest: str, recursive: bool) -> None:
        repository = self.readable(kind, name)
        if repository is None:
            return
        commit, folder = self.split(repository, rest)
        if commit is None:
            return self.answer(404, {"error": "Invalid rev id"}, "RevisionNotFound")
        at = f"{folder}/" if folder else ""
        rows = []
        for path, data in repository.history[commit].items():
            if path.startswith(at) and (recursive or "/" not in path[len(at) :]):
                rows.append(
                    {"type": "file", "path": path, "size": len(data), "oid": git_name(data)}
                    | (
                        {"lfs": {"oid": sha256(data), "size": len(data), "pointerSize": 130}}
                        if path.endswith(LARGE)
                        else {}
                    )
                )
        if folder and not rows:
            return self.answer(404, {"error": f"{folder} does not exist"}, "EntryNotFound")
        self.answer(200, rows)

    def file(self, kind: str, name: str, rest: str) -> None:
        repository = self.readable(kind, name)
        if repository is None:
            return
        commit, path = self.split(repository, rest)
        if commit is None:
            return self.answer(404, {"error": "Invalid rev id"}, "RevisionNotFound")
        data = repository.history[commit].get(path)
        if data is None:
            return self.answer(404, {"error": "Entry not found"}, "EntryNotFound")
        begin = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        part = data[int(begin[1]) :] if begin else data
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin[1]}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{sha256(data) if path.endswith(LARGE) else git_name(data)}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "GET":
            cut = self.hub.cuts and re.search(self.hub.cuts, path)
            self.wfile.write(part[: len(part) // 2] if cut else part)
            if cut:
                self.close_connection = True
                self.connection.close()

    def do_POST(self) -> None:
        body, path = self.body(), unquote(urlsplit(self.path).path)
        if self.refused(path):
            return None
        if not self.knows:
            return self.answer(
                403,
                {"error": "You don't have the rights to create a model under this namespace"},
            )
        if path == "/api/validate-yaml":  # the head of a model card
            return self.answer(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                o
                if o["oid"] in self.hub.blobs  # there already: nothing to send
                else {**o, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{o['oid']}"}}}
                for o in json.loads(body)["objects"]
            ]
            return self.answer(200, {"transfer": "basic", "objects": objects})
        matches = re.fullmatch(REPOSITORY + r"/(?P<what>preupload|commit|branch)/(?P<at>.+)", path)
        assert matches, path
        repository = self.hub.repository(matches["kind"], matches["name"])
        if repository is None:
            return self.answer(404, {"error": "Repository not found"}, "RepoNotFound")
        if matches["what"] == "branch":
            if matches["at"] in repository.branches:
                return self.answer(409, {"error": "Reference already exists"})
            repository.branches[matches["at"]] = repository.branches["main"]
            return self.answer(200)
        if matches["what"] == "preupload":
            files = [f["path"] for f in json.loads(body)["files"]]
            modes = {p: "lfs" if p.endswith(LARGE) else "regular" for p in files}
            return self.answer(
                200,
                {
                    "files": [
                        {"path": p, "uploadMode": m, "shouldIgnore": False}
                        for p, m in modes.items()
                    ]
                },
            )
        return self.commit(repository, matches["at"], matches["name"], body)

    def create(self, words: dict) -> None:
        organisation = words.get("organization")
        name = f"{organisation}/{words['name']}" if organisation else words["name"]
        key = f"datasets/{name}" if words.get("type") == "dataset" else name
        facts = {"url": f"{self.hub.url}/{key}", "name": name, "id": name}
        if key in self.hub.repositories:
            return self.answer(409, {"error": "exists", **facts})
        private = bool(words.get("private") or words.get("visibility") == "private")
        self.hub.repositories[key] = Repository(private)
        return self.answer(200, facts)

    def commit(self, repository: Repository, branch: str, name: str, body: bytes) -> None:
        files = dict(repository.history[repository.branches[branch]])
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        repository.commits += 1
        oid = hashlib.sha1(body + str(repository.commits).encode()).hexdigest()
        repository.history[oid], repository.branches[branch] = files, oid
        self.answer(
            200,
            {
                "commitUrl": f"{self.hub.url}/{name}/commit/{oid}",
                "commitOid": oid,
                "hookOutput": "",
            },
        )

    def log_message(self, *words: object) -> None:
        pass


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_name(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def hub() -> Iterator[Hub]:
    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Handler,), {"hub": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
