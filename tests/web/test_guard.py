"""Tokens, foreign pages and headers."""

import pytest

from tests.web.test_api import draw, refused


def test_a_token_is_asked_of_everybody(serve):
    _, client = serve(token="s3cret", host="toons.example")
    assert client.get("/api/health").status_code == 200
    assert "a token is needed" in refused(client.get("/api/looks"), 401)
    assert refused(draw(client), 401)
    wrong = client.get("/api/looks", headers={"authorization": "Bearer s3cre"})
    assert refused(wrong, 401) and wrong.headers["www-authenticate"] == "Bearer"
    right = client.get("/api/looks", headers={"authorization": "Bearer s3cret"})
    assert right.status_code == 200
    assert refused(client.get("/?token=wrong"), 401)


def test_the_pages_address_lets_in_by_a_cookie(serve):
    _, client = serve(token="s3cret", host="toons.example")
    entered = client.get("/api/looks?token=s3cret&x=1", follow_redirects=False)
    assert entered.status_code == 303 and entered.headers["location"] == "/api/looks?x=1"
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert client.get("/api/looks").status_code == 200, "by the cookie"
    away = client.get("//evil.example/?token=s3cret", follow_redirects=False)
    assert not away.headers.get("location", "/").startswith("//")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", ""])
def test_a_local_server_answers_to_its_own_name_alone(client, host):
    assert refused(client.get("/api/looks", headers={"host": host}), 421)


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "[::1]:7860"])
def test_its_own_names(client, host):
    assert client.get("/api/looks", headers={"host": host}).status_code == 200


def test_pages_of_other_sites_are_refused(client):
    assert refused(client.get("/api/looks", headers={"origin": "https://evil.example"}), 403)
    assert client.get("/api/looks", headers={"origin": "http://localhost"}).status_code == 200


def test_headers(client):
    headers = client.get("/api/looks").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    refusal = client.get("/api/looks", headers={"host": "evil.example"})
    assert "content-security-policy" in refusal.headers
