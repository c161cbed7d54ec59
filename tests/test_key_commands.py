"What a person at the terminal reads of `ragwb keys` (`ragwb.commands.keys`)."

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import ragwb.cli  # noqa: F401  # all commands
from ragwb.commands.common import main
from ragwb.operations.keys import KeyRing, KeyStore, add_key
from ragwb.storage.folder import Folder


class Terminal:
    "A terminal on a data folder."

    def __init__(self, home: Path):
        self.home = home

    def __call__(self, *line: str, fails: bool = False) -> Result:
        done = CliRunner().invoke(main, ["keys", *line], env={"RAGWB_HOME": str(self.home)})
        assert done.exit_code == (1 if fails else 0), done.output
        return done

    @property
    def ring(self) -> KeyRing:
        ring = KeyStore(Folder(self.home)).look()[0]
        assert ring
        return ring


@pytest.fixture
def keys(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_a_new_key_is_alone_on_standard_output_and_told_once(keys: Terminal) -> None:
    assert keys("list").stdout.startswith("no key was made: on this machine everyone may do everything. ragwb keys create NAME makes one")
    assert json.loads(keys("list", "--json").stdout) == []
    made = keys("create", " Ann ", "--scope", "ask, ingest,,", "--collections", "seals, pumps")
    assert made.stderr == "Ann: ask, ingest · seals, pumps · until it is revoked\nThe key is shown this once and kept as a hash only:\n"
    (token,) = made.stdout.splitlines()
    ann = keys.ring.of_token(token, datetime.now(UTC))
    assert ann and (ann.name, ann.scopes, ann.collections, ann.expires, ann.day_usd) == ("Ann", ("ask", "ingest"), ("seals", "pumps"), "", 0.0)
    everyone = keys("create", "bo", "--expires", "90d")
    bo = keys.ring.named("bo")[0]
    assert everyone.stderr.startswith(f"bo: ask · all collections · until {bo.expires}\n")
    assert datetime.fromisoformat(bo.expires) - datetime.fromisoformat(bo.created) == timedelta(days=90)
    told = json.loads(keys("create", "ci", "--json", "--day-usd", "0.5").stdout)
    ci = keys.ring.of_token(told.pop("key"), datetime.now(UTC))
    assert ci and told == {"id": ci.id, "name": "ci", "state": "valid", "scopes": ["ask"], "collections": [],
                          "created": ci.created, "expires": "", "used": "", "provider": "", "day_usd": 0.5, "limits": {}}


def test_a_name_is_taken_while_its_key_is_valid(keys: Terminal) -> None:
    keys("create", "Ann")
    for name in ("Ann", " Ann "):
        assert "is called" in (said := keys("create", name, fails=True).output) and f"ragwb keys rotate {name}" in said
    assert len(keys.ring.keys) == 1
    keys("create", "ann")
    keys("revoke", "Ann")
    keys("create", "Ann")
    assert [key.name for key in keys.ring.keys] == ["Ann", "ann", "Ann"]
    assert "is not a length of time" in keys("create", "cy", "--expires", "soon", fails=True).output
    assert "unknown scope 'read'" in keys("create", "cy", "--scope", "read", fails=True).output


def test_a_list_says_of_each_key_what_it_may_and_whether_it_still_does(keys: Terminal) -> None:
    keys("create", "Ann", "--collections", "seals", "--expires", "2d", "--day-usd", "1.50")
    keys("create", "a name of more than twenty letters", "--scope", "admin")
    KeyStore(Folder(keys.home)).change(lambda ring: add_key(ring, "old", ["ask"], [], timedelta(days=1), datetime.now(UTC) - timedelta(days=2)))
    keys("create", "gone", "--expires", "9d")
    keys("revoke", "gone")
    ann, long, old, gone = keys.ring.keys
    assert keys("list").stdout.splitlines() == [
        f"{ann.id}  Ann                  valid until {ann.expires[:10]} · ask · seals · at most $1.5 a day · used never",
        f"{long.id}  a name of more than twenty letters valid · admin · all collections · used never",
        f"{old.id}  old                  expired · ask · all collections · used never",
        f"{gone.id}  gone                 revoked · ask · all collections · used never",
    ]
    assert [(row["name"], row["state"]) for row in json.loads(keys("list", "--json").stdout)] == [
        (ann.name, "valid"),
        (long.name, "valid"),
        ("old", "expired"),
        ("gone", "revoked"),
    ]


def test_a_key_is_revoked_once_and_rotated_with_or_without_a_time_for_both(keys: Terminal) -> None:
    old = keys("create", "Ann").stdout.strip()
    new = keys("rotate", "Ann")
    assert new.stderr.startswith("Ann: ask · all collections · until it is revoked\n")
    now, first = datetime.now(UTC), keys.ring.keys[0]
    assert timedelta(hours=23, minutes=59) < datetime.fromisoformat(first.expires) - now <= timedelta(hours=24)
    assert [bool(keys.ring.of_token(token, now)) for token in (old, new.stdout.strip())] == [True, True]
    assert "2 valid keys are called 'Ann'" in keys("rotate", "Ann", fails=True).output
    assert keys("revoke", first.id).stdout == f"revoked: {first.id}\n"
    for n, overlap in enumerate(("0", "0s")):
        told = json.loads(keys("rotate", "Ann", "--overlap", overlap, "--json").stdout)
        assert [key.state(datetime.now(UTC)) for key in keys.ring.keys] == ["revoked", *["expired"] * (n + 1), "valid"] and keys.ring.of_token(told["key"], datetime.now(UTC))
    assert "is not a length of time" in keys("rotate", "Ann", "--overlap", "0d", fails=True).output
    keys("create", "bo")
    bo = keys.ring.named("bo")[0]
    keys("revoke", "bo")
    KeyStore(Folder(keys.home)).change(lambda ring: type(ring)(tuple(type(key)(**{**vars(key), "revoked": "2026-01-01T00:00:00+00:00"}) for key in ring.keys), ring.secret))
    assert keys("revoke", "bo").stdout == "revoked: nothing, it was before\n" and keys.ring.of_id(bo.id)
    assert "no key 'nobody'" in keys("revoke", "nobody", fails=True).output
