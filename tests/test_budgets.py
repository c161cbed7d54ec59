"""Budgets hold: over HTTP before anything is sent, for each key, between processes, and from the ledger alone"""

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from profiles import profile_settings

from ragwb.app.server import create_server
from ragwb.costs.allowance import Allowance, Limit
from ragwb.costs.ledger import Ledger, charge
from ragwb.costs.spending import spending_of
from ragwb.costs.usage import Usage
from ragwb.operations.keys import KeyStore, add_key
from ragwb.storage.bucket import objects

LITE = "bedrock:us.amazon.nova-2-lite-v1:0"
HERE = "http://127.0.0.1:8321"
QUESTION = "What torque does the seal A1-990 need?"
BODIES = {
    "/v1/query": {"question": QUESTION, "collection": "seals"},
    "/v1/query/stream": {"question": QUESTION, "collection": "seals"},
    "/v1/chat/completions": {"model": "ragwb/seals", "messages": [{"role": "user", "content": QUESTION}], "stream": True},
}


@pytest.fixture
def served(tmp_path, request):
    "A server of profile aws with two keys, of which Ann's may spend next to nothing; and the emulated Bedrock's bill."
    with profile_settings("aws", tmp_path / "home", request, workers=1) as (settings, config):
        store = KeyStore(objects(settings))
        keys = {name: store.change(lambda ring, name=name, usd=usd: add_key(ring, name, ["ask", "ingest"], day_usd=usd))[1:] for name, usd in (("ann", 1e-6), ("bo", 0.0))}

        def client(**budgets):
            app = create_server(replace(settings, **budgets), config)
            app.state.service.workbench.ingest_files([("seals.md", b"# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n")], "seals")
            return TestClient(app, base_url=HERE)

        yield client, keys, request.getfixturevalue("bedrock"), settings.home


def asked(client, keys, who, path):
    return client.post(path, json=BODIES[path], headers={"Authorization": f"Bearer {keys[who][1]}"})


def said_of(reply):
    "The text of an answer, of any of the three routes."
    if reply.headers["content-type"].startswith("text/event-stream"):
        return reply.text
    told = reply.json()
    return told["answer"] if "answer" in told else told["choices"][0]["message"]["content"]


@pytest.mark.parametrize("path", BODIES)
def test_a_budget_that_is_used_up_still_gives_the_passages_at_no_cost(served, path):
    make, keys, bedrock, home = served
    client, before = make(budget_day_usd=1e-6), len(bedrock.calls)
    spent = next(iter(Ledger(home / "ledger.sqlite").sums())).usd
    reply = asked(client, keys, "bo", path)
    assert reply.status_code == 200 and "nothing may be spent now" in said_of(reply) and "seals.md" in said_of(reply)
    assert bedrock.calls[before:] == [], "nothing that costs is called"
    assert next(iter(Ledger(home / "ledger.sqlite").sums())).usd == spent


@pytest.mark.parametrize("path", BODIES)
def test_what_cannot_be_served_for_nothing_is_a_429_before_anything_is_sent(served, path):
    make, keys, bedrock, _ = served
    client, before = make(budget_day_usd=1e-6), len(bedrock.calls)
    body = json.loads(json.dumps(BODIES[path]).replace(QUESTION, "Xyzzyplugh?"))
    refused = client.post(path, json=body, headers={"Authorization": f"Bearer {keys['bo'][1]}"})
    told = refused.json()
    said = told["error"]["message"] if "error" in told else told["detail"]
    assert refused.status_code == 429 and "the day's budget is used up" in said and "administrator can raise" in said
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert (told["error"]["code"] if "error" in told else told["type"]) in ("insufficient_quota", "urn:ragwb:problem:budget")
    assert bedrock.calls[before:] == []


def test_a_keys_own_limit_is_its_own_and_its_charges_are_its_own(served):
    make, keys, _, home = served
    client = make(budget_day_usd=5.0)
    kept = asked(client, keys, "ann", "/v1/query").json()
    assert (kept["route"], kept["outcome"], kept["cost_usd"]) == ("kept", "passages", 0) and "the day's budget of this key is used up" in kept["notes"][0]
    costs = [asked(client, keys, "bo", "/v1/query").json()["cost_usd"] for _ in range(2)]  # the second question's vector is kept, and free
    assert costs[0] > costs[1] > 0
    ledger = Ledger(home / "ledger.sqlite")
    rows = {row.key: row for row in ledger.sums("collection", "key")}
    bo = keys["bo"][0].id
    assert set(rows) == {("seals", ""), ("seals", bo)}, "the upload was made in the process, the questions with a key"
    assert rows["seals", bo].usd == pytest.approx(sum(costs))
    days = dict(ledger.database.execute("SELECT key, usd FROM days"))
    assert days == pytest.approx({key[1]: row.usd for key, row in rows.items()})
    standing = Allowance(ledger).standing(Limit("day", 5.0), datetime.now(UTC))
    assert standing.spent == pytest.approx(sum(days.values())) and standing.reserved == 0
    assert [row.key for row in spending_of(home, ("key",)).rows if row.usd > rows["seals", ""].usd] == [(bo,)]


SPENDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ragwb.costs.allowance import Allowance, Limit, LimitReached
from ragwb.costs.ledger import Charge, Ledger

ledger, paid, now = Ledger(Path(sys.argv[1])), 0, datetime(2026, 11, 24, 12, tzinfo=UTC)
allowance = Allowance(ledger)
print("ready", flush=True)
sys.stdin.readline()
while True:
    try:
        with allowance.held((Limit("day", 0.05),), 0.0004, "a model", "", now, 120):
            ledger.record([Charge(f"{sys.argv[2]}/{paid}", now.isoformat(), "model", "nova", {}, 0.0003, "")])
        paid += 1
    except LimitReached:
        break
print(paid)
"""


def test_sixteen_processes_at_once_never_pass_the_limit(tmp_path):
    path = tmp_path / "ledger.sqlite"
    spenders = [subprocess.Popen([sys.executable, "-c", SPENDER, str(path), str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for n in range(16)]
    assert all(spender.stdout.readline() == "ready\n" for spender in spenders)
    for spender in spenders:
        spender.stdin.write("\n")
        spender.stdin.flush()
    paid = sum(int(spender.communicate(timeout=120)[0]) for spender in spenders)
    standing = Allowance(Ledger(path)).standing(Limit("day", 0.05), datetime(2026, 11, 24, 12, tzinfo=UTC))
    assert standing.spent == pytest.approx(paid * 0.0003) and standing.reserved == 0
    assert 0.05 - 17 * 0.0004 <= standing.spent <= 0.05


def test_a_ledger_of_an_older_release_keeps_its_charges(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE charges (id TEXT PRIMARY KEY, at TEXT NOT NULL, component TEXT NOT NULL, model TEXT NOT NULL, units TEXT NOT NULL, usd REAL, "
                         "price TEXT NOT NULL, answer TEXT NOT NULL, config TEXT NOT NULL, route TEXT NOT NULL) WITHOUT ROWID")
        database.execute("INSERT INTO charges VALUES ('a', '2026-11-20T12:00:00+00:00', 'model', ?, ?, 0.25, 'p', 'q', 'c', '')", (LITE, json.dumps({"input_tokens": 9})))
    Ledger(path).record([charge("b", "model", LITE, Usage(1_000), datetime(2026, 11, 24, tzinfo=UTC), "r", "c", collection="seals")])
    ledger = Ledger(path)
    assert [(row.key, row.charges) for row in ledger.sums("collection")] == [(("",), 1), (("seals",), 1)]
    assert ledger.of("q")[0].usd == 0.25 and ledger.of("r")[0].collection == "seals"
    assert ledger.database.execute("SELECT day, usd FROM days ORDER BY day").fetchall() == [("2026-11-20", 0.25), ("2026-11-24", 0.00033)]


@pytest.mark.parametrize(("value", "said"), [("-1", "must lie between 0 and"), ("a lot", "a number is needed"), ("nan", "must lie between 0 and")])
def test_a_budget_that_is_none_is_refused(tmp_path: Path, value, said):
    from ragwb.settings import SettingsError, load_settings

    with pytest.raises(SettingsError, match=said):
        load_settings(environment={"RAGWB_BUDGET_DAY_USD": value}, folder=tmp_path)
