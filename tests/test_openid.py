"People sign in at a provider, which is a process of its own here: the way there and back over HTTP, each lie of a token, and two people in two browsers."

import json
import os
import re
import shutil
import subprocess
import sys
import time
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from click.testing import CliRunner
from profiles import environment_of
from provider import CLIENT, SECRET
from servers import free_port, served
from starlette.testclient import TestClient

import ragwb.cli  # noqa: F401  # all commands
from ragwb.api.access import SESSION_COOKIE, check_start
from ragwb.api.routes import create_api
from ragwb.api.sign_in import BEGUN_COOKIE
from ragwb.app.server import create_server
from ragwb.commands.common import main
from ragwb.operations.keys import AccessError, KeyStore, add_key, revoke_key
from ragwb.settings import Settings
from ragwb.storage.audit import Audit
from ragwb.storage.folder import Folder
from ragwb.workbench import Workbench

PEOPLE = {"anna": {"password": "seal-42", "groups": ["pumps"]}, "bert": {"password": "valve-7", "groups": ["valves", "everybody"]},
          "cleo": {"password": "tank-9", "groups": ["everybody"]}, "dora": {"password": "pipe-1", "groups": ["ragwb-admins"]}}  # fmt: skip
GROUPS = {"ragwb-admins": {"scopes": ["admin"]}, "pumps": {"scopes": ["ask"], "collections": ["anton"]}, "valves": {"scopes": ["ask"], "collections": ["berta"]}}
HERE = "http://127.0.0.1:8321"
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


class Identity:
    "A running provider: its address, and what is wrong with it."

    def __init__(self, folder: Path, redirect: str):
        self.folder, self.redirect, self.port = folder, redirect, free_port()
        self.issuer = f"http://localhost:{self.port}"
        folder.mkdir(parents=True)
        (folder / "people.json").write_text(json.dumps(PEOPLE))
        (folder / "groups.json").write_text(json.dumps(GROUPS))
        self.wrong()

    def wrong(self, **faults) -> None:
        (self.folder / "faults.json").write_text(json.dumps(faults))

    def start(self) -> None:
        program = str(Path(__file__).with_name("provider.py"))
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen([sys.executable, program, str(self.port), str(self.folder), self.redirect], stdout=log, stderr=log)
        until = time.monotonic() + 120
        while True:
            assert self.process.poll() is None and time.monotonic() < until, (self.folder / "log").read_text()
            try:
                return httpx.get(f"{self.issuer}/keys").raise_for_status() and None
            except httpx.TransportError:
                time.sleep(0.2)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def settings(self, home: Path, **more) -> Settings:
        oidc = {"oidc_issuer": self.issuer, "oidc_client": CLIENT, "oidc_secret": SECRET, "oidc_groups": str(self.folder / "groups.json")}
        return Settings(home=home, workers=1, model_servers="", **oidc, **more)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    identity = Identity(tmp_path_factory.mktemp("provider") / "provider", f"{HERE}/signin/callback")
    identity.start()
    yield identity
    identity.stop()


@pytest.fixture
def identity(running):
    running.wrong()
    (running.folder / "people.json").write_text(json.dumps(PEOPLE))
    yield running


@pytest.fixture
def client(identity, tmp_path):
    return TestClient(create_api(Workbench(identity.settings(tmp_path))), base_url=HERE, follow_redirects=False)


def at_provider(leaving: str, name: str, password: str = "") -> httpx.Response:
    "Fills in the provider's form, as a browser does."
    with httpx.Client() as browser:
        form = browser.get(leaving)
        action = unescape(re.search(r"action='([^']+)'", form.text)[1])
        return browser.post(httpx.URL(leaving).join(action), data={"name": name, "password": password or PEOPLE[name]["password"]})


def begun(client: TestClient, there: str = "/docs") -> str:
    "The address of the provider that a sign-in leads to."
    left = client.get("/signin/provider", params={"next": there})
    assert left.status_code == 303, left.text
    return left.headers["location"]


def back(client: TestClient, name: str, there: str = "/docs"):
    "A whole sign-in; the response to the return."
    returned = at_provider(begun(client, there), name)
    assert returned.status_code == 302, returned.text
    return client.get(returned.headers["location"].removeprefix(HERE))


def alert(response) -> str:
    return unescape(response.text.partition('role="alert">')[2].partition("</p>")[0])


def test_there_and_back(identity, client, tmp_path):
    assert client.get("/docs", headers={"Accept": "text/html"}).headers["location"] == "/signin?next=/docs"  # nothing is easy where a provider is set
    assert client.get("/v1/collections").status_code == 401
    page = client.get("/signin?next=/docs")
    assert f"Sign in at localhost:{identity.port}" in page.text and 'href="/signin/provider?next=/docs"' in page.text
    leaving = begun(client)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(leaving).query).items()}
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256" and len(asked["state"]) >= 22 and len(asked["nonce"]) >= 22
    assert at_provider(leaving, "anna", "a wrong one").status_code == 200  # the provider's form again
    returned = client.get(at_provider(leaving, "anna").headers["location"].removeprefix(HERE))
    assert returned.status_code == 200 and 'content="1;url=/docs"' in returned.text and "Signed in as anna@example.com" in returned.text
    cookies = returned.headers.get_list("set-cookie")
    session = next(cookie for cookie in cookies if cookie.startswith(SESSION_COOKIE))
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in session.split(";")}
    assert any(cookie.startswith(f'{BEGUN_COOKIE}=""') for cookie in cookies)  # over
    assert client.get("/docs").status_code == 200 and client.get("/v1/collections").status_code == 401  # a session is for pages
    entry = KeyStore(Folder(tmp_path)).look()[0].keys[0]
    assert (entry.name, entry.scopes, entry.collections, entry.hash) == ("anna@example.com", ("ask",), ("anton",), "")
    assert client.get("/metrics", headers={"Authorization": f"Bearer {session.partition('=')[2].partition(';')[0]}"}).status_code == 401
    kept = client.cookies[SESSION_COOKIE]
    assert client.post("/signout").headers["location"] == "/signin"
    assert client.get("/docs").status_code == 401
    assert TestClient(client.app, base_url=HERE, cookies={SESSION_COOKIE: kept}).get("/docs").status_code == 401
    events = [(told["event"], told["by"]) for told in Audit(Folder(tmp_path)).read()]
    assert events == [("sign-in", entry.id), ("sign-out", entry.id)]


def test_the_cookie_of_a_begun_sign_in(client, identity):
    left = client.get("/signin/provider?next=/docs").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/signin", "Max-Age=600"} <= {part.strip() for part in left.split(";")} and "Secure" not in left


def test_behind_tls_all_cookies_are_secure(identity, tmp_path):
    settings = identity.settings(tmp_path, hosts="ragwb.example.com", oidc_redirect="https://ragwb.example.com/signin/callback")
    client = TestClient(create_api(Workbench(settings)), base_url=HERE, follow_redirects=False)
    left = client.get("/signin/provider")
    assert "Secure" in left.headers["set-cookie"] and parse_qs(urlsplit(left.headers["location"]).query)["redirect_uri"] == [settings.oidc_redirect]


LIES = {
    "wrong nonce": ({"claims": {"nonce": "of another sign-in"}}, "'nonce'"), "no nonce": ({"claims": {"nonce": None}}, "'nonce'"),
    "expired": ({"claims": {"exp": 1_700_000_000}}, "expired"),
    "wrong audience": ({"claims": {"aud": "another"}}, "'aud'"), "made out to another": ({"claims": {"aud": [CLIENT, "another"], "azp": "another"}}, "'azp'"),
    "wrong issuer": ({"claims": {"iss": "https://evil.example"}}, "'iss'"), "alg none": ({"alg": "none"}, "none"), "HMAC with the public key": ({"alg": "HS256"}, "HS256"),
    "signed by a stranger": ({"stranger": True}, "bad_signature"), "not begun yet": ({"claims": {"iat": 4_000_000_000}}, "future"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_lies_lets_nobody_in(identity, client, tmp_path, lie):
    faults, told = LIES[lie]
    identity.wrong(**faults)
    returned = back(client, "anna")
    assert returned.status_code == 403 and "cannot be believed" in alert(returned) and told in alert(returned), alert(returned)
    assert SESSION_COOKIE not in client.cookies and client.get("/docs").status_code == 401
    assert KeyStore(Folder(tmp_path)).look()[0].keys == ()
    identity.wrong()
    assert back(client, "anna").status_code == 200


def test_a_return_that_did_not_begin_here_lets_nobody_in(identity, client, tmp_path):
    "A link with somebody else's code, a wrong state, a state without its cookie, and the same return again."
    other = TestClient(client.app, base_url=HERE, follow_redirects=False)
    theirs = at_provider(begun(other), "bert").headers["location"].removeprefix(HERE)
    for prepared in (False, True):
        if prepared:
            begun(client)
        refused = client.get(theirs)
        assert refused.status_code == 400 and "sign in again" in alert(refused) and SESSION_COOKIE not in client.cookies
    own = at_provider(begun(client), "anna").headers["location"].removeprefix(HERE)
    assert client.get(re.sub(r"state=[^&]+", "state=x", own)).status_code == 400
    assert client.get(own).status_code == 400  # over with the first try
    own = at_provider(begun(client), "anna").headers["location"].removeprefix(HERE)
    kept = client.cookies[BEGUN_COOKIE]
    assert client.get(own).status_code == 200
    client.cookies.set(BEGUN_COOKIE, kept, domain="127.0.0.1", path="/signin")
    again = client.get(own)
    assert again.status_code == 403 and "did not take the code" in alert(again)  # a code is good for once
    denied = client.get(f"/signin/callback?error=access_denied&state={parse_qs(urlsplit(begun(client)).query)['state'][0]}")
    assert denied.status_code == 403 and "access_denied" in alert(denied)


def test_a_stolen_code_is_worth_nothing_without_the_verifier(identity, client):
    stolen = at_provider(begun(client), "anna").headers["location"]
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": f"{HERE}/signin/callback"}
    for verifier in ({}, {"code_verifier": "x" * 64}):
        assert httpx.post(f"{identity.issuer}/token", data=given | verifier, auth=(CLIENT, SECRET)).status_code == 400


@pytest.mark.parametrize("there", ["https://evil.example", "//evil.example", "/\\evil.example", "/signin/provider", "javascript:alert(1)"])
def test_a_sign_in_goes_on_to_this_server_only(client, there):
    assert 'content="1;url=/"' in back(client, "anna", there).text


def test_the_provider_may_change_its_keys(identity, client):
    assert back(client, "anna").status_code == 200
    httpx.post(f"{identity.issuer}/rotate").raise_for_status()
    assert back(client, "anna").status_code == 200


def test_a_session_is_new_at_each_sign_in_and_the_earlier_one_ends(client):
    back(client, "anna")
    first = client.cookies[SESSION_COOKIE]
    back(client, "anna")
    second = client.cookies[SESSION_COOKIE]
    assert first != second and client.get("/docs").status_code == 200
    other = TestClient(client.app, base_url=HERE, follow_redirects=False, cookies={SESSION_COOKIE: first})
    assert other.get("/docs").status_code == 401


def test_a_person_in_no_group_is_told_what_to_do(client, tmp_path):
    refused = back(client, "cleo")
    assert refused.status_code == 403 and "You are cleo@example.com, and in no group that may use this server. Your groups: everybody. Ask whoever runs it" in alert(refused)
    assert SESSION_COOKIE not in client.cookies and KeyStore(Folder(tmp_path)).look()[0].keys == ()


def test_groups_are_read_again_at_each_sign_in_and_revoking_a_person_ends_all(identity, client, tmp_path, monkeypatch):
    monkeypatch.setenv("RAGWB_HOME", str(tmp_path))
    back(client, "anna")
    (identity.folder / "people.json").write_text(json.dumps(PEOPLE | {"anna": PEOPLE["anna"] | {"groups": ["valves"]}}))
    other = TestClient(client.app, base_url=HERE, follow_redirects=False)
    back(other, "anna")
    store = KeyStore(Folder(tmp_path))
    assert [entry.collections for entry in store.look()[0].keys] == [("berta",)]  # for all her windows
    assert [browser.get("/docs").status_code for browser in (client, other)] == [200, 200]
    run = lambda *words: CliRunner().invoke(main, ["keys", *words], catch_exceptions=False)  # noqa: E731
    assert f"signs in at {identity.issuer}" in run("list").output
    assert "has no key that could be rotated" in run("rotate", "anna@example.com").output
    assert run("revoke", "anna@example.com").exit_code == 0
    client.app.state.keys.read(0)
    assert [browser.get("/docs").status_code for browser in (client, other)] == [401, 401]
    out = back(client, "anna")
    assert out.status_code == 403 and "shut out" in alert(out) and "ragwb keys readmit" in alert(out)
    assert "may sign in again" in run("readmit", "anna@example.com").output
    assert back(client, "anna").status_code == 200


def test_a_provider_that_is_down_or_strange(tmp_path):
    "The page says what is the matter, and keys work."
    identity = Identity(tmp_path / "provider", f"{HERE}/signin/callback")
    client = TestClient(create_api(Workbench(identity.settings(tmp_path / "home"))), base_url=HERE, follow_redirects=False)
    token = KeyStore(Folder(tmp_path / "home")).change(lambda ring: add_key(ring, "robot", ["admin"]))[2]
    client.app.state.keys.read(0)
    away = client.get("/signin/provider?next=/docs")
    assert away.status_code == 503 and away.headers["retry-after"] and "sign in with an API key" in alert(away)
    assert client.get("/v1/collections", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    identity.start()
    try:
        leaving = at_provider(begun(client), "anna").headers["location"].removeprefix(HERE)
        identity.stop()  # between leaving and coming back
        gone = client.get(leaving)
        assert gone.status_code == 503 and "does not answer just now" in alert(gone)
        assert client.post("/signin", data={"key": token, "next": "/docs"}).headers["location"] == "/docs" and client.get("/docs").status_code == 200
        identity.start()
        needed = "https:// is needed"
        for strange, told in (({"issuer": "https://evil.example"}, "calls itself"), ({"token_endpoint": "file:///etc/passwd"}, needed),
                              ({"jwks_uri": "http://203.0.113.7/keys"}, needed)):  # fmt: skip
            identity.wrong(description=strange)
            refused = client.get("/signin/provider")
            assert refused.status_code == 503 and told in alert(refused), alert(refused)
    finally:
        identity.stop()


def test_damaged_groups_tell_the_server_and_not_the_person(identity, tmp_path, caplog):
    (tmp_path / "groups.json").write_text("{")
    settings = Settings(home=tmp_path / "home", model_servers="", oidc_issuer=identity.issuer, oidc_client=CLIENT, oidc_secret=SECRET, oidc_groups=str(tmp_path / "groups.json"))
    with pytest.raises(AccessError, match="it must be JSON"):
        check_start(settings)
    client = TestClient(create_api(Workbench(settings)), base_url=HERE, follow_redirects=False)
    refused = back(client, "anna")
    assert refused.status_code == 503 and str(tmp_path) not in refused.text and "ragwb doctor" in alert(refused) and str(tmp_path) in caplog.text


def test_doctor_and_start(identity, tmp_path, monkeypatch):
    for name, value in environment_of(identity.settings(tmp_path)).items():
        monkeypatch.setenv(name, value)
    told = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)
    checks = {check["name"]: check for check in told}
    assert checks["sign-in"]["ok"] and "answers, with 1 keys; 3 groups may sign in" in checks["sign-in"]["detail"] and checks["access"]["detail"].startswith("people sign in at")
    monkeypatch.setenv("RAGWB_OIDC_ISSUER", "http://localhost:9")
    told = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)
    assert not told[-1]["ok"] and told[-1]["name"] == "sign-in" and "does not answer" in told[-1]["detail"]
    with pytest.raises(AccessError, match="set hosts"):
        check_start(identity.settings(tmp_path, host="0.0.0.0"))
    assert "people sign in at" in check_start(identity.settings(tmp_path, host="0.0.0.0", hosts="ragwb.example.com"))


@pytest.mark.skipif(CHROMIUM is None and os.environ.get("RAGWB_REQUIRE_BROWSER") != "1", reason="no Chromium here")
def test_two_people_in_two_browsers_see_their_own(tmp_path):
    "The provider is another site for the browser: what a cookie's SameSite does is tried too."
    from playwright.sync_api import expect, sync_playwright

    port = free_port()
    identity = Identity(tmp_path / "provider", f"http://127.0.0.1:{port}/signin/callback")
    settings = identity.settings(tmp_path / "home", port=port)
    workbench = Workbench(settings)
    for name in ("anton", "berta"):
        workbench.ingest_files([("seals.md", f"# Seals of {name}\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n".encode())], name)
    identity.start()
    expect.set_options(timeout=60_000)
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    try:
        with served(settings, tmp_path) as url, sync_playwright() as playwright:
            browsers = {name: playwright.chromium.launch(executable_path=CHROMIUM, args=flags) for name in ("anna", "bert")}
            pages = {name: browser.new_page() for name, browser in browsers.items()}
            for name, page in pages.items():
                page.set_default_timeout(60_000)
                page.goto(f"{url}/documents?collection={'berta' if name == 'anna' else 'anton'}")  # the other's address
                page.get_by_role("link", name=f"Sign in at localhost:{identity.port}").click()
                page.get_by_label("Name").fill(name)
                page.get_by_label("Password").fill(PEOPLE[name]["password"])
                page.get_by_role("button", name="Log in").click()
            for name, own, other in (("anna", "anton", "berta"), ("bert", "berta", "anton")):
                page = pages[name]
                expect(page.locator("select[data-act=collection]")).to_have_text(own)  # signed in, at the address that was wanted, in one's own collection
                expect(page.get_by_text(f"Seals of {own}").first).to_be_visible()
                expect(page.get_by_text(f"{name}@example.com").first).to_be_visible()
                assert f"Seals of {other}" not in page.content() and "/documents" in page.url
            pages["anna"].get_by_role("button", name="Sign out").click()
            expect(pages["anna"].get_by_label("API key")).to_be_visible()
            KeyStore(Folder(settings.home)).change(lambda ring: revoke_key(ring, "bert@example.com"))
            expect(pages["bert"].get_by_label("API key")).to_be_visible()  # by itself
            for browser in browsers.values():
                browser.close()
    finally:
        identity.stop()


def test_the_app_too_is_closed_and_a_key_has_its_way(identity, tmp_path):
    store = KeyStore(Folder(tmp_path))
    token = store.change(lambda ring: add_key(ring, "robot", ["ask"]))[2]
    client = TestClient(create_server(identity.settings(tmp_path)), base_url=HERE, follow_redirects=False)
    assert client.get("/ask", headers={"Accept": "text/html"}).headers["location"] == "/signin?next=/ask"
    client.post("/signin", data={"key": token, "next": "/ask"})
    with client:
        assert client.get("/ask").status_code == 200
