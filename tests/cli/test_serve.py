import socket
from importlib.util import find_spec

import pytest

import toonify.cli.serve as serve

if find_spec("gradio") is None:
    pytest.skip("gradio is not installed", allow_module_level=True)


def test_a_missing_package_is_named(run, monkeypatch):
    monkeypatch.setattr(serve, "find_spec", lambda name: name != "uvicorn" or None)
    result = run("serve")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "serve needs the package uvicorn" in result.err


def test_a_port_that_is_taken(run, bundle):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--port", port, "--bundle", bundle)
    assert result.status == 1 and f"port {port} of 127.0.0.1 is taken" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--bundle", "gone"], 3, "no bundle 'gone'"),
        (["--host", "no.such.host.invalid"], 1, "can't listen"),
        (["--port", "70000"], 2, "65535"),
        (["--share", "0"], 2, "--share"),
    ],
)
def test_what_is_not_served(run, options, status, message):
    result = run("serve", "--port", 0, *options)
    assert result.status == status and message in result.err, result.err


@pytest.mark.parametrize(("host", "requested"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_token_is_made_where_others_reach_it(run, bundle, monkeypatch, host, requested):
    monkeypatch.delenv("TOONIFY_TOKEN", raising=False)
    monkeypatch.setattr("toonify.web.server.Server.run", lambda self, listening: self.close())
    options = ["--host", host, "--port", 0, "--no-page", "--bundle", bundle, "--json"]
    result = run("serve", *options)
    assert result.status == 0, result.err
    (record,) = result.records
    assert bool(record["token"]) == requested and record["looks"] == ["mina", "otto"]
    assert record["address"].startswith("http://127.0.0.1:")
    monkeypatch.setenv("TOONIFY_TOKEN", "s3cret")
    assert run("serve", *options).records[0]["token"] == "s3cret"
