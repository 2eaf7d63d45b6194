"""`--cluster` on the command line: what is refused, and a cluster that isn't there."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", 2), "--workers"),
        (("--cluster", "head"), "no address"),
        (("--cluster", "local", "--fail-fast"), "--fail-fast"),
        (("--cluster", "local", "--sheet", "sheet.png"), "--sheet"),
    ],
)
def test_usage(run, tmp_path, options, message):
    result = run("stylize", ASTRONAUT, "-o", tmp_path / "out", *options)
    assert result.status == 2 and message in result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", 2), "--workers"),
        (("--cluster", "head"), "no address"),
        (("--cluster", "local", "--preview"), "--preview"),
        (("--cluster", "local", "--no-resume"), "--resume"),
        (("--cluster", "local", "--keep-partial"), "--keep-partial"),
        (("--cluster", "local", "--style-image", ASTRONAUT), "--style-image"),
    ],
)
def test_usage_of_video(run, tmp_path, options, message):
    (tmp_path / "in.mp4").touch()
    result = run("video", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", *options)
    assert result.status == 2 and message in result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "out.mp4").exists()


def test_a_cluster_that_is_not_there(run, tmp_path):
    pytest.importorskip("ray")
    result = run("stylize", ASTRONAUT, "-o", tmp_path / "out", "--cluster", "127.0.0.1:1")
    assert result.status == 1 and "can't reach the cluster" in result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["silent", "http"])
def test_something_else_that_listens_there(run, tmp_path, monkeypatch, kind):
    pytest.importorskip("ray")
    monkeypatch.setattr("toonify.cluster.ray_pool.JOIN_SECONDS", 3.0)
    if kind == "silent":
        listening = socket.create_server(("127.0.0.1", 0))
        port, close = listening.getsockname()[1], listening.close
    else:
        server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port, close = server.server_address[1], server.shutdown
    try:
        address = f"127.0.0.1:{port}"
        result = run("stylize", ASTRONAUT, "-o", tmp_path / "out", "--cluster", address)
    finally:
        close()
    assert result.status == 1 and address in result.err and "head" in result.err, result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "out").exists()
