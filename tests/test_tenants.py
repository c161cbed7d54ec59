"Two tenants on one server: what one asks for at random never holds the other's text, names or ids."

import json
import random

import pytest
from test_keys import TORQUE, Tenants

SECRETS = {"anton": ("Blaumeise 17", "private-anton.md"), "berta": ("Zebrafink 23", "private-berta.md")}
ROUTES = ("query", "stream", "chat", "documents", "document", "answer", "feedback", "collections", "models", "model", "page", "original", "conversation")


def request_of(kind: str, of: str, tenants: Tenants, rng: random.Random) -> tuple[str, str, dict]:
    "A request about the things of a tenant: method, address, and what else is sent."
    words, name = rng.choice((TORQUE, "Where does the secret bird live?", "What is the number of the bird?")), SECRETS[of][1]
    question = {"question": words} | ({"collection": of} if rng.random() < 0.7 else {}) | ({"where": {"document": name}} if rng.random() < 0.2 else {})
    chat = {"model": rng.choice((f"ragwb/{of}", "ragwb")), "messages": [{"role": "user", "content": words}], "stream": rng.random() < 0.5}
    document, flags = rng.choice(("seals.md", name)), {"text": rng.random() < 0.5, "chunks": rng.random() < 0.5}
    return {
        "query": ("POST", "/v1/query", {"json": question}), "stream": ("POST", "/v1/query/stream", {"json": question}), "chat": ("POST", "/v1/chat/completions", {"json": chat}),
        "documents": ("GET", "/v1/documents", {"params": {"collection": of, "limit": rng.randint(1, 9)}}),
        "document": ("GET", f"/v1/documents/{document}", {"params": flags | ({"collection": of} if rng.random() < 0.8 else {})}),
        "answer": ("GET", f"/v1/answers/{tenants.answers[of]}/notebook", {}),
        "feedback": ("POST", "/v1/feedback", {"json": {"answer_id": tenants.answers[of], "rating": rng.choice(("up", "down"))}}),
        "collections": ("GET", "/v1/collections", {}), "models": ("GET", "/v1/models", {}), "model": ("GET", f"/v1/models/ragwb/{of}", {}),
        "page": ("GET", f"/pages?collection={of}&document={document}&page=1", {}), "original": ("GET", f"/originals?collection={of}&document={document}", {}),
        "conversation": ("GET", f"/conversations/{of}/{tenants.talks[of]}", {}),
    }[kind]  # fmt: skip


def leaks(tenants: Tenants, count: int, seed: int) -> list[str]:
    "Sends random requests of one tenant about either's things; says what the responses hold of the other, and was not in the request."
    rng, found = random.Random(seed), []
    for name, (secret, document) in SECRETS.items():
        tenants.workbench.ingest_files([(document, f"# Secret bird\n\nThe number of the secret bird is {secret}.\n".encode())], name)
    for _ in range(count):
        me, of, kind = rng.choice(list(SECRETS)), rng.choice(list(SECRETS)), rng.choice(ROUTES)
        other = "berta" if me == "anton" else "anton"
        method, path, more = request_of(kind, of, tenants, rng)
        response = tenants.send(getattr(tenants, me), method, path, **more)
        sent = path + json.dumps(more)
        told = [mark for mark in (*SECRETS[other], other, tenants.answers[other], tenants.talks[other]) if mark in response.text and mark not in sent]
        if told or response.status_code >= 500 or (of == me and response.status_code not in (200, 404, 410)):
            found.append(f"{me}: {method} {path} {more} -> {response.status_code}, {told}")
    return found


@pytest.fixture(scope="module")
def tenants(tmp_path_factory):
    return Tenants(tmp_path_factory.mktemp("tenants") / "home")


def test_no_random_request_of_one_tenant_shows_anything_of_the_other(tenants):
    assert leaks(tenants, 400, 20261127) == []
    own = tenants.send(tenants.berta, "POST", "/v1/query", json={"question": "What is the number of the secret bird?"}).text
    assert SECRETS["berta"][0] in own, "the secret is not there to be leaked"
