"The app in a real browser: upload, ask, click a citation, rate, be refused, delete; and no request leaves the machine."

import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from html import escape
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from profiles import PROFILES, profile_settings
from reportlab.pdfgen.canvas import Canvas
from servers import free_port, served

from ragwb.app.server import create_server
from ragwb.operations.keys import KeyStore, add_key, revoke_key
from ragwb.settings import Settings
from ragwb.storage.folder import Folder
from ragwb.workbench import Workbench

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
EVIL = "<img src=http://203.0.113.7/x.png onerror=alert(1)>"

if CHROMIUM is None and os.environ.get("RAGWB_REQUIRE_BROWSER") != "1":
    pytest.skip("no Chromium here: apt-get install chromium (or set it on the PATH) to run the browser tests", allow_module_level=True)


@pytest.fixture(scope="module", params=PROFILES)
def server(request, tmp_path_factory):
    "The address of API and app in each profile."
    folder = tmp_path_factory.mktemp("app")
    with (profile_settings(request.param, folder / "home", request, port=free_port(), workers=1, max_file_mb=2, config=request.param) as (settings, _),
          served(settings, folder) as url):
        yield url


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    assert CHROMIUM, "RAGWB_REQUIRE_BROWSER=1, but there is no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def window(chromium, server, width=1280, height=800):
    "A page whose every request, error and pop-up is noted, and judged at the end."
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(30_000)
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: (wrong.append(f"pop-up: {dialog.message}"), dialog.dismiss()))
    yield page
    outside = [url for url in asked if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != urlsplit(server).netloc]
    page.close()
    assert asked and outside == [] and wrong == []


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    "A PDF and a Markdown file, with HTML in their text."
    folder = tmp_path_factory.mktemp("papers")
    canvas = Canvas(str(folder / "seals.pdf"), pagesize=(420, 300), invariant=True)
    lines = "Seal data sheet", f"Reviewed by {EVIL}", "The seal A1-990 is made of nitrile.", "The seal A1-990 is tightened with a torque of 42 N m."
    for line, y in zip(lines, (250, 220, 180, 160), strict=True):
        canvas.drawString(40, y, line)
    canvas.save()
    leave = f"Full-time employees get 30 days of annual leave. {EVIL} {escape(EVIL)}"  # as HTML, and as text that looks like it
    (folder / "leave.md").write_text(f"# Leave policy 2025\n\n## Annual leave\n\n{leave}\n\n![]({EVIL})\n")
    (folder / "broken.pdf").write_bytes((folder / "seals.pdf").read_bytes()[:200])
    return folder


def ask(page, question):
    page.get_by_label("Question", exact=True).fill(question)
    page.keyboard.press("Enter")
    page.locator(".turn h2", has_text=question).wait_for()
    turn = page.locator(f"#turn-{page.locator('.turn').count()}")
    turn.locator("summary").wait_for()
    return turn


def test_from_upload_to_delete(chromium, server, papers):
    from playwright.sync_api import expect

    with window(chromium, server) as page:
        page.goto(f"{server}/documents")
        page.get_by_text("No documents yet").wait_for()
        page.locator("input[type=file]").set_input_files([papers / "seals.pdf", papers / "leave.md", papers / "broken.pdf"])
        expect(page.get_by_role("heading", name="2 added, 1 failed")).to_be_visible()
        expect(page.locator(".reason")).to_contain_text("the end of the file is missing")
        expect(page.get_by_role("button", name="Try again")).to_have_count(0)  # the file would fail the same way
        rows = page.locator("table.list:visible tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.filter(has_text="seals.pdf").locator("td").nth(2)).to_have_text("1")
        rows.get_by_role("button", name="seals").or_(rows.get_by_role("button", name="Seal data sheet")).first.click()
        expect(page.locator(".pages .sheet img")).to_have_js_property("complete", True)  # as it was printed
        page.get_by_role("button", name="Text and chunks").click()
        expect(page.locator(".chunks")).to_contain_text("made of nitrile")
        page.keyboard.press("Escape")
        page.get_by_label("Search documents").fill("leave")
        expect(rows).to_have_count(1)
        rows.get_by_role("button", name="Leave policy 2025").click()
        expect(page.locator(".chunks span").first).to_contain_text("Full-time employees")
        expect(page).to_have_url(re.compile("document=leave.md"))
        page.reload()
        expect(page.locator(".chunks")).to_contain_text("<img src=")

        page.get_by_role("link", name="Ask").click()
        expect(page.locator(".welcome")).to_contain_text("Ask in a whole sentence")  # no question about these two is good enough
        turn = ask(page, "What torque is the seal A1-990 tightened with?")
        expect(turn.locator(".answer")).to_contain_text("42 N m")
        expect(turn.locator("summary")).to_contain_text(re.compile("search only|us.amazon.nova-2-lite"))
        turn.locator(".chip").first.click()
        mark = page.locator(".sheet .cited").first
        expect(mark).to_be_visible()
        picture = page.locator(".sheet img")
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("picture => picture.naturalWidth") > 500
        inside, outside = mark.bounding_box(), page.locator(".sheet").bounding_box()
        assert abs((inside["y"] + inside["height"] / 2 - outside["y"]) / outside["height"] - (300 - 163) / 300) < 0.03  # on the printed line

        turn.get_by_label("Good answer").click()
        expect(turn.get_by_label("Good answer")).to_have_attribute("aria-pressed", "true")
        turn.locator("summary").click()
        expect(turn.locator(".why")).to_contain_text("BM25")
        refused = ask(page, "Who won the world cup of 1998 in seal juggling?")
        expect(refused.locator(".refusal")).to_contain_text("Passages that may help")
        assert refused.locator(".chip").count() == 0 and turn.locator(".refusal").count() == 0
        page.get_by_label("Question", exact=True).fill("?!")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="the question is empty")).to_be_visible()
        expect(page.get_by_label("Question", exact=True)).to_have_value("?!")

        page.get_by_role("link", name="Documents").click()
        page.get_by_label("Delete seals.pdf").click()
        expect(page.get_by_role("dialog")).to_contain_text("the stored answers that lean on it")
        expect(page.get_by_role("button", name="Keep it")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_label("Delete seals.pdf").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(rows.filter(has_text="seals.pdf")).to_have_count(0)
        expect(rows).to_have_count(1)
    assert [document["id"] for document in httpx.get(f"{server}/v1/documents").json()["documents"]] == ["leave.md"]


def test_small_window_and_shared_address(chromium, server, papers):
    from playwright.sync_api import expect

    httpx.post(f"{server}/v1/documents", files=[("files", ("seals.pdf", (papers / "seals.pdf").read_bytes()))], params={"collection": "phone"}, timeout=30).raise_for_status()
    with window(chromium, server, 375, 812) as page:
        page.goto(f"{server}/ask?collection=phone")
        turn = ask(page, "What is the seal A1-990 made of?")
        turn.locator(".chip").first.click()
        expect(page.locator(".sheet .cited").first).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        expect(page).to_have_url(re.compile("answer=.*citation=1"))
        page.get_by_label("Toggle theme").focus()  # by keyboard, as everything else
        page.keyboard.press("Enter")
        expect(page.locator(".mui-dark").first).to_be_visible()
        page.wait_for_function("document.cookie.includes('ragwb-theme=dark')")
        page.reload()
        expect(page.locator(".turn h2")).to_have_text("What is the seal A1-990 made of?")
        expect(page.locator(".sheet .cited").first).to_be_visible()
        expect(page.locator(".mui-dark").first).to_be_visible()
        page.get_by_label("Close the source").click()
        expect(page.locator(".reader")).to_have_count(0)


@pytest.mark.parametrize("server", PROFILES[:1], indirect=True)
def test_conversation_is_kept_and_found_again(chromium, server, papers):
    from playwright.sync_api import expect

    files = [("files", (name, (papers / name).read_bytes())) for name in ("seals.pdf", "leave.md")]
    httpx.post(f"{server}/v1/documents", files=files, params={"collection": "kept"}, timeout=30).raise_for_status()
    with window(chromium, server) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(f"{server}/ask?collection=kept")
        expect(page.get_by_label("Question", exact=True)).to_be_focused()
        ask(page, "What is the seal A1-990 made of?")
        expect(page).to_have_url(re.compile(r"conversation=[\w-]{22}$"))
        turn = ask(page, "What torque is the seal A1-990 tightened with?")
        turn.locator(".chip").first.click()
        expect(page).to_have_url(re.compile("conversation=.*citation=1"))
        page.go_back()
        expect(page.locator(".reader")).to_have_count(0)
        page.go_forward()
        expect(page.locator(".sheet .cited").first).to_be_visible()
        narrow = page.locator(".sheet").bounding_box()
        page.get_by_label("Larger").click()
        assert page.locator(".sheet").bounding_box()["width"] > 1.2 * narrow["width"]
        page.get_by_label("Turn the page").click()
        turned = page.locator(".sheet").bounding_box()
        assert turned["height"] > turned["width"] and turned["x"] >= page.locator(".paper").bounding_box()["x"]  # a wide page stands, and can be scrolled to
        page.get_by_label("Find in the document").fill("seal data  SHEET")
        page.keyboard.press("Enter")
        expect(page.locator(".reader .sheet .cited")).to_have_count(1)
        page.get_by_label("Find in the document").fill("viton")
        page.keyboard.press("Enter")
        expect(page.locator(".missing")).to_contain_text("“viton” is not in this document")
        original = page.get_by_role("link", name="Open").get_attribute("href")
        assert httpx.get(f"{server}{original}").content == (papers / "seals.pdf").read_bytes()
        page.get_by_role("link", name="Ask", exact=True).focus()  # outside of the page that holds the source
        page.keyboard.press("Escape")
        expect(page.locator(".reader")).to_have_count(0)
        page.emulate_media(color_scheme="dark")
        page.reload()
        expect(page.locator(".mui-dark").first).to_be_visible()  # as the system has it
        assert "ragwb-theme" not in page.evaluate("document.cookie")
        expect(page.locator(".turn h2")).to_have_text(["What is the seal A1-990 made of?", "What torque is the seal A1-990 tightened with?"])
        expect(page).to_have_title("What is the seal A1-990 made of? · ragwb")
        page.get_by_label("Copy the answer").last.click()
        expect(page.get_by_label("Copied")).to_be_visible()
        assert re.search(r"42 N m.*\[1\].*\(seals.pdf, page 1\)", page.evaluate("navigator.clipboard.readText()"), re.DOTALL)
        before = page.locator(".turn").last.locator(".chip").first.get_attribute("data-answer")
        page.get_by_label("Ask again").click()
        expect(page.locator(".turn").last.locator(f".chip:not([data-answer='{before}']):enabled").first).to_be_visible()
        expect(page.locator(".turn")).to_have_count(2)

        page.get_by_role("button", name="New conversation").click()
        expect(page.locator(".turn")).to_have_count(0)
        ask(page, "How many days of annual leave do full-time employees get?")
        page.get_by_role("link", name="History").click()
        rows = page.locator("table.history tbody tr")
        expect(rows).to_have_count(2)
        page.get_by_label("Rename How many days").click()
        page.get_by_label("Title", exact=True).fill("Leave <b>2025</b>")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Leave <b>2025</b>", exact=True)).to_be_visible()  # in the navigation
        with page.expect_download() as download:
            rows.filter(has_text="made of").get_by_role("link").click()
        assert re.search(r"42 N m.*> \[1\].*seals.pdf, page 1", download.value.path().read_text("utf-8"), re.DOTALL)
        rows.filter(has_text="Leave").get_by_label("Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(rows).to_have_count(1)
        rows.get_by_role("button", name="What is the seal A1-990 made of?", exact=True).click()
        expect(page.locator(".turn")).to_have_count(2)


@pytest.mark.parametrize("server", PROFILES[:1], indirect=True)
def test_a_collection_is_made_renamed_and_deleted(chromium, server, papers):
    from playwright.sync_api import expect

    with window(chromium, server) as page:
        page.goto(f"{server}/ask")
        page.get_by_role("button", name="Collections").click()
        page.get_by_label("A new collection").fill("Contracts 2026")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("/documents[?]collection=contracts-2026$"))
        chooser = page.locator("select[data-act=collection]")
        expect(chooser.locator("option:checked")).to_have_text("Contracts 2026")
        page.locator("input[type=file]").set_input_files(papers / "leave.md")
        expect(page.locator("table.list tbody tr")).to_have_count(1)
        page.get_by_role("button", name="Collections").click()
        page.get_by_label("A new collection").fill("contracts 2026!")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("there is a collection contracts-2026 already")
        page.get_by_label("Title of this collection").fill("<i>Leases</i>")
        page.get_by_role("button", name="Rename").click()
        expect(chooser.locator("option:checked")).to_have_text("<i>Leases</i>")
        page.get_by_role("button", name="Collections").click()
        page.get_by_role("button", name="Delete this collection").click()
        expect(page.get_by_role("dialog")).to_contain_text("With it go 1 document with the original")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_role("button", name="Collections").click()
        page.get_by_role("button", name="Delete this collection").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page).not_to_have_url(re.compile("contracts"))
        expect(chooser.locator("option", has_text="Leases")).to_have_count(0)
    assert httpx.post(f"{server}/v1/query", json={"question": "How many days of annual leave?", "collection": "contracts-2026"}).status_code == 404


@pytest.mark.parametrize("server", PROFILES[:1], indirect=True)
def test_many_files_show_life_at_once(chromium, server, tmp_path):
    from playwright.sync_api import expect

    files = [tmp_path / f"note {n}.md" for n in range(100)]
    for n, path in enumerate(files):
        path.write_text(f"# Note {n}\n\nPump {n} takes {n} N m.\n")
    with window(chromium, server) as page:
        page.goto(f"{server}/documents?collection=notes")
        page.get_by_text("No documents yet").wait_for()
        page.locator("input[type=file]").set_input_files(files)
        expect(page.get_by_role("heading", name="of 100 still on the way")).to_be_visible(timeout=3_000)
        assert page.locator(".adding").bounding_box()["height"] <= 320
        rows = page.locator("table.list:visible tbody tr")
        expect(rows.first).to_be_in_viewport()
        expect(page.get_by_role("heading", name="100 added")).to_be_visible(timeout=60_000)
        expect(rows.nth(2)).to_contain_text("note 2.md")  # and not note 10


def test_an_idle_window_is_told_nothing(chromium, server):
    "Panel tells every window when a periodic callback begins and ends: with twenty windows open, a question waited for seconds."
    with window(chromium, server) as page:
        heard = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda payload: heard.append(payload)))
        page.goto(f"{server}/documents?collection=nothing-here")
        page.get_by_text("No documents yet").wait_for()
        while before := len(heard):
            page.wait_for_timeout(2_000)  # five looks at the uploads
            if len(heard) == before:
                break
            assert before < 500, "messages without end"


@pytest.mark.parametrize("asks", [True, False], ids=["after its document", "at once"])
def test_a_closed_window_lets_go_of_its_session(tmp_path, asks):
    "Otherwise each lives on, and looks at the uploads for ever."
    api = create_server(Settings(home=tmp_path, workers=1))
    with TestClient(api, base_url="http://127.0.0.1") as client:
        def connections():
            return [session.connection_count for context in api.state.windows._applications.values() for session in context.sessions]

        token = re.search(r'"token": ?"([^"]+)"', client.get("/ask").text)[1]
        with client.websocket_connect("/ask/ws", subprotocols=["bokeh", token], headers={"Host": "127.0.0.1"}) as socket:
            assert "ACK" in socket.receive_text()
            if asks:
                for part in (json.dumps({"msgid": "1", "msgtype": "PULL-DOC-REQ"}), "{}", "{}"):
                    socket.send_text(part)
                while "PULL-DOC-REPLY" not in socket.receive_text():
                    pass
            assert connections() == [1]
        end = time.monotonic() + 10
        while connections() != [0] and time.monotonic() < end:
            time.sleep(0.05)
        assert connections() == [0]


def test_page_says_that_nothing_may_be_fetched_from_elsewhere(server):
    policy = httpx.get(f"{server}/documents").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http" not in policy


def test_the_model_taken_in_settings_answers_and_a_stopped_server_gives_its_advice(chromium, host, tmp_path):
    from playwright.sync_api import expect

    settings = Settings(home=tmp_path / "home", port=free_port(), workers=1)
    with served(settings, tmp_path / "served") as url, window(chromium, url) as page:
        httpx.post(f"{url}/v1/documents", files=[("files", ("seals.md", b"# Seals\n\nThe A1-990 is tightened with 42 N m.\n"))], timeout=30).raise_for_status()
        page.goto(f"{url}/ask")
        expect(ask(page, "Which torque does the A1-990 need?").locator("summary")).to_contain_text("search only")
        page.get_by_role("link", name="Settings").click()
        in_use = page.locator("[data-region=use]")
        expect(in_use).to_contain_text("Search only")
        row = page.locator("[data-region=found] tr", has_text="qwen3:8b")
        host.reply = (404, {"error": {"message": "model 'qwen3:8b' not found"}})
        row.get_by_role("button", name="Use").click()
        expect(in_use.get_by_role("alert")).to_contain_text("there is no model qwen3:8b")
        expect(in_use).to_contain_text("Search only")  # it does not answer, and was not taken
        host.reply = (200, "It needs 42 N m. [[1|tightened with 42 N m]]")
        row.get_by_role("button", name="Use").click()
        expect(row).to_contain_text("in use")
        expect(in_use).to_contain_text(re.compile(r"qwen3:8b.*ready"))

        page.get_by_role("link", name="Ask", exact=True).click()
        turn = ask(page, "What torque does the A1-990 take?")
        expect(turn.locator(".answer")).to_contain_text("It needs 42 N m.")
        expect(turn.locator("summary")).to_contain_text("qwen3:8b")

        host.shutdown()
        host.server_close()
        turn = ask(page, "With which torque is the A1-990 tightened?")
        expect(turn).to_contain_text(f"no server runs at {host.address}/v1; start it")
        expect(turn.locator(".answer")).to_contain_text("The A1-990 is tightened with 42 N m.")  # the local reader stands in
        page.get_by_role("link", name="Settings").click()
        expect(in_use).to_contain_text(f"no server runs at {host.address}/v1: start it")
        in_use.get_by_role("button", name="Test").click()
        expect(in_use.get_by_role("alert")).to_contain_text(f"no server runs at {host.address}/v1")
        in_use.get_by_role("button", name="Search only").click()
        expect(in_use).to_contain_text("No language model is in use")
        page.get_by_role("link", name="Ask", exact=True).click()
        expect(ask(page, "What is the torque of the A1-990?").locator("summary")).to_contain_text("search only")


def test_two_people_sign_in_and_see_their_own(chromium, tmp_path):
    "Two browsers at once, two collections with a document of the same name; signing out and a revoked key end what is shown."
    from playwright.sync_api import expect

    settings = Settings(home=tmp_path / "home", port=free_port(), workers=1, model_servers="")
    store, workbench, tokens = KeyStore(Folder(settings.home)), Workbench(settings), {}
    for name, torque in (("anton", 42), ("berta", 57)):
        workbench.ingest_files([("seals.md", f"# Seals of {name}\n\nThe seal A1-990 is tightened with a torque of {torque} N m.\n".encode())], name)
        tokens[name] = store.change(lambda ring, name=name: add_key(ring, name, ["ask"], [name]))[2]
    with served(settings, tmp_path) as url:
        pages = {}
        for name, other in (("anton", "berta"), ("berta", "anton")):
            page = pages[name] = chromium.new_context().new_page()
            page.goto(f"{url}/documents?collection={other}")
            page.get_by_label("API key").fill(tokens[name])
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator("select[data-act=collection]")).to_have_text(name)  # the other's address leads to one's own
            expect(page.get_by_text(f"Seals of {name}").first).to_be_visible()
            page.goto(f"{url}/ask")
            page.get_by_text("Ask " + name).wait_for()
        for name, torque, other in (("anton", "42 N m", "57 N m"), ("berta", "57 N m", "42 N m")):
            turn = ask(pages[name], "What torque does the seal A1-990 need?")
            expect(turn).to_contain_text(torque)
            assert other not in pages[name].content()
        pages["anton"].get_by_role("link", name="Documents").click()
        pages["anton"].locator("[data-act=delete]").first.click()
        expect(pages["anton"].get_by_text("this needs a key with the scope ingest")).to_be_visible()
        assert "seals.md" in workbench.store.open("anton").hashes()
        pages["anton"].get_by_role("button", name="Sign out").click()
        expect(pages["anton"].get_by_label("API key")).to_be_visible()
        store.change(lambda ring: revoke_key(ring, "berta"))
        expect(pages["berta"].get_by_label("API key")).to_be_visible(timeout=15_000)  # by itself
        for page in pages.values():
            page.context.close()
