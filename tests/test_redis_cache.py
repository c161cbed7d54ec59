"The cache of answers in a real Redis 8: the same as the local one, and whatever happens to Redis, answers go on."

import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakeredis
import numpy as np
import pytest
import redis
from servers import RedisProcess
from test_cache import CONFIG, HANDBOOK, PRICE, PRICE_TOO, STAFF, Slow, bench, entry, told

from ragwb.answering.cache_verdicts import CANDIDATES
from ragwb.answering.cached_entries import SEAL_LENGTH, AnswerCache, CacheStore, DamagedEntry, seal_of, sealed
from ragwb.answering.deletion import NotEverywhere
from ragwb.answering.pipeline import Pipeline
from ragwb.answering.redis_cache import RedisCache, cosine_of, found_pairs
from ragwb.config import NOVA_LITE, ModelConfig
from ragwb.indexing.embedding import embedder
from ragwb.network.redis import PAUSE_S, RedisError, RedisServer, health_of, server_at
from ragwb.settings import Settings
from ragwb.workbench import Workbench


def shared(home: Path, server: RedisProcess, **files: bytes) -> Workbench:
    "A workbench with documents, whose cache is in Redis."
    made = Workbench(Settings(home=home, workers=1, redis=server.url), CONFIG)
    if files or not made.collections():
        made.ingest_files([(f"{name}.md", text) for name, text in (files or {"pumps": HANDBOOK, "staff": STAFF}).items()])
    return made


# One contract, two stores.


@pytest.fixture(params=["local", "redis"])
def store(request: pytest.FixtureRequest) -> Callable[..., CacheStore]:
    "Makes a cache of either kind."
    if request.param == "local":
        return AnswerCache
    server = RedisServer(request.getfixturevalue("redis8").url, "test:")
    return lambda **given: RedisCache(server, **given)


def nearest(cache: CacheStore, number: int, scope: str = "s", words: str = "") -> list[tuple[str, float]]:
    return [(id, round(cosine, 4)) for id, _, cosine in cache.near(scope, words or f"another {number}", lambda: entry(number).vector)]


def test_what_is_put_is_found_by_words_and_by_vector_in_its_scope_alone(store: Callable[..., CacheStore]) -> None:
    cache = store()
    for number in range(20):
        cache.put(entry(number, scope="st"[number % 2]))
    assert nearest(cache, 4, words="QUESTION  4") == [("e4", 1.0)] and nearest(cache, 4, "t", "QUESTION  4")[0][0] != "e4"
    vectors = {f"e{number}": entry(number).vector for number in range(0, 20, 2)}
    exact = sorted(((id, round(float(vector @ entry(4).vector), 4)) for id, vector in vectors.items()), key=lambda pair: -pair[1])[:8]
    assert [id for id, _ in nearest(cache, 4)] == [id for id, _ in exact] and dict(nearest(cache, 4)) == pytest.approx(dict(exact), abs=2e-4)
    assert cache.near("s", "no such words", None) == [] and len(cache) == 20
    assert cache.entry("e4") == entry(4, scope="s") and cache.entry("e99") is None


def test_both_stores_name_the_same_candidates_among_thousands(redis8: RedisProcess) -> None:
    local, remote, rng = AnswerCache(), RedisCache(RedisServer(redis8.url)), np.random.default_rng(7)
    base = rng.normal(size=(20, 64))
    for number in range(2_000):
        vector = (base[number % 20] + rng.normal(size=64)).astype(np.float32)
        one = replace(entry(number), vector=vector / np.linalg.norm(vector))
        local.put(one)
        remote.put(one)
    same = 0
    for number in range(100):
        vector = (base[number % 20] + rng.normal(size=64)).astype(np.float32)
        found = [[(id, round(cosine, 3)) for id, _, cosine in cache.near("s", "?", lambda vector=vector: vector / np.linalg.norm(vector))] for cache in (local, remote)]
        same += {id for id, _ in found[0]} == {id for id, _ in found[1]}
        assert found[0][0][0] == found[1][0][0] and found[0][0][1] == pytest.approx(found[1][0][1], abs=2e-3)
    assert same >= 98, "HNSW may miss one of eight candidates now and then"


def test_a_same_question_replaces_the_one_before(store: Callable[..., CacheStore]) -> None:
    cache = store()
    cache.put(entry(1))
    cache.put(replace(entry(1), id="e2", text="newer"))
    assert (len(cache), nearest(cache, 1, words="question 1"), cache.entry("e1"), nearest(cache, 1)) == (1, [("e2", 1.0)], None, [("e2", 1.0)])


def test_an_hour_ends_and_no_hit_moves_it(store: Callable[..., CacheStore]) -> None:
    now = [time.time()]
    cache = store(clock=lambda: now[0])
    cache.put(replace(entry(1), expires=now[0] + 3_600))
    for passed in (0, 1_800, 3_500):
        now[0] = time.time() + passed
        assert cache.entry("e1")
    now[0] = time.time() + 3_601
    assert cache.entry("e1") is None and not [id for id, _ in nearest(cache, 1) if cache.entry(id)]
    cache.put(replace(entry(2), expires=now[0] + 3_600))
    assert len(cache) == 1
    now[0] -= 7_200  # the clock goes backwards
    cache.put(replace(entry(3), expires=now[0] + 9_000))
    assert cache.entry("e2") and cache.entry("e3")


def test_ended_entries_take_no_place_among_the_candidates(redis8: RedisProcess) -> None:
    now = [time.time()]
    cache = RedisCache(RedisServer(redis8.url), clock=lambda: now[0])
    cache.put(replace(entry(0), expires=now[0] + 9_000))
    for number in range(1, CANDIDATES + 1):  # each is nearer to the question than the one that has not ended
        cache.put(replace(entry(number), vector=entry(1).vector, expires=now[0] + 3_600))
    assert "e0" not in dict(nearest(cache, 1)) and len(nearest(cache, 1)) == CANDIDATES
    now[0] += 3_601
    assert [id for id, _ in nearest(cache, 1)] == ["e0"] and len(cache) == CANDIDATES + 1, "a search filters, and deletes nothing"


def test_what_was_used_last_stays(store: Callable[..., CacheStore]) -> None:
    cache = store(max_entries=10)
    for number in range(10):
        cache.put(entry(number))
    assert cache.entry("e0")
    cache.put(entry(10))
    assert len(cache) == 10 and cache.entry("e0") and cache.entry("e1") is None


def test_entries_that_rest_on_a_document_are_known(store: Callable[..., CacheStore]) -> None:
    cache = store()
    cache.put(replace(entry(1), documents={"a.md": "1", "b.md": "2"}))
    cache.put(replace(entry(2), collection="other"))
    assert cache.resting_in("c") == [("e1", {"a.md": "1", "b.md": "2"})]
    cache.forget(["e1", "unheard of"])
    assert cache.resting_in("c") == [] and len(cache) == 1


def test_no_key_is_left_of_what_is_forgotten(redis8: RedisProcess) -> None:
    cache = RedisCache(RedisServer(redis8.url))
    for number in range(5):
        cache.put(entry(number))
    cache.forget([f"e{number}" for number in range(5)])
    assert redis8.client.keys("*") == []


def test_scores_of_redis_are_no_cosines(redis8: RedisProcess) -> None:
    one, other = (np.array(vector, np.float32) for vector in ([1, 0, 0], [-0.6, 0.8, 0]))
    redis8.client.execute_command("VADD", "v", "FP32", other.tobytes(), "x", "NOQUANT")
    (id, score), = found_pairs(redis8.client.execute_command("VSIM", "v", "FP32", one.tobytes(), "WITHSCORES"))
    assert id == "x" and cosine_of(score) == pytest.approx(-0.6, abs=1e-5)


# Two servers of ragwb.


def test_two_data_folders_of_one_installation_share_answers(redis8: RedisProcess, tmp_path: Path, s3_settings: Settings) -> None:
    one, other = (Workbench(replace(s3_settings, home=tmp_path / name, workers=1, redis=redis8.url), CONFIG) for name in ("one", "other"))
    one.ingest_files([("pumps.md", HANDBOOK)])
    first, again = one.ask(PRICE), other.ask(PRICE_TOO)
    assert (told(first), told(again), again.text, again.citations) == (("miss", "new"), ("hit", "semantic"), first.text, first.citations)
    assert not (tmp_path / "other" / "cache.sqlite").exists()
    other.ingest_files([("pumps.md", HANDBOOK.replace(b"40 euros", b"47 euros"))])
    assert "47 euros" in one.ask(PRICE).text and "47 euros" in other.ask(PRICE).text


def test_installations_on_one_redis_know_nothing_of_each_other(redis8: RedisProcess, tmp_path: Path) -> None:
    one, other = shared(tmp_path / "one", redis8), shared(tmp_path / "other", redis8, pumps=HANDBOOK.replace(b"40 euros", b"55 euros"))
    assert "40 euros" in one.ask(PRICE).text and "55 euros" in other.ask(PRICE).text
    other.delete(["pumps.md"])
    assert one.ask(PRICE).cached


def test_a_deleted_document_leaves_no_byte_in_redis_nor_in_its_files(redis8: RedisProcess, tmp_path: Path) -> None:
    workbench = shared(tmp_path, redis8, pumps=HANDBOOK.replace(b"40 euros", b"40 Quorvexil"), staff=STAFF)
    workbench.ask(PRICE)
    workbench.ask("What is the vacation of all staff?")

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(redis8.folder.rglob("*")) if path.is_file())

    assert b"Quorvexil" in files()
    Workbench(Settings(home=tmp_path, workers=1, redis=redis8.url)).delete(["pumps.md"])  # by another process, as it were
    client = redis8.client
    values = [client.dump(key) for key in client.keys("*")]
    assert not any(b"Quorvexil" in (value or b"") or b"P-101" in (value or b"") for value in values)
    until = time.monotonic() + 10
    while b"Quorvexil" in files() and time.monotonic() < until:
        time.sleep(0.1)
    assert b"Quorvexil" not in files()
    assert not workbench.ask(PRICE).cached


def test_a_deletion_without_redis_is_completed_when_it_is_back(redis8: RedisProcess, tmp_path: Path) -> None:
    workbench = shared(tmp_path, redis8)
    workbench.ask(PRICE)
    redis8.kill()
    with pytest.raises(NotEverywhere, match="cached answers in Redis .*cannot be reached"):
        workbench.delete(["pumps.md"])
    redis8.start()
    time.sleep(PAUSE_S + 0.1)
    assert any(redis8.client.keys("*cache:answer:*"))
    workbench.delete(["staff.md"])
    assert redis8.client.keys("*cache:answer:*") == []


# Redis away.


def test_answers_go_on_while_redis_is_killed_and_come_from_it_when_it_is_back(redis8: RedisProcess, tmp_path: Path) -> None:
    workbench = shared(tmp_path, redis8)
    workbench.ask(PRICE)
    redis8.kill()
    without = [workbench.ask(PRICE) for _ in range(3)]
    assert [told(answer) for answer in without] == [("miss", "unavailable")] * 3 and all("40 euros" in answer.text for answer in without)
    redis8.start()
    time.sleep(PAUSE_S + 0.1)
    assert told(workbench.ask(PRICE)) == ("hit", "exact")


def test_killed_between_look_up_and_keeping(redis8: RedisProcess, tmp_path: Path) -> None:
    workbench = shared(tmp_path, redis8)
    model = Slow(responses=["It costs 40 euros. [[1|costs 40 euros]]"], calls=[], wait=threading.Event())
    config = replace(CONFIG, fast=ModelConfig(NOVA_LITE))
    pipeline = Pipeline(workbench.store.open("default"), config, embedder("local:wordllama"), model, workbench.settings, cache=workbench.cache)
    threading.Timer(0.15, redis8.kill).start()
    assert "40 euros" in pipeline.invoke(PRICE).text and redis8.process.poll() is not None


def test_a_redis_that_does_not_answer_costs_a_question_its_time_out_once(redis8: RedisProcess, tmp_path: Path) -> None:
    workbench = shared(tmp_path, redis8)
    workbench.ask(PRICE)
    redis8.freeze()
    begun = time.monotonic()
    assert [told(workbench.ask(PRICE)) for _ in range(3)] == [("miss", "unavailable")] * 3
    assert time.monotonic() - begun < 3
    redis8.thaw()


def test_a_full_redis_gives_what_it_has_and_keeps_no_more(redis8: RedisProcess, tmp_path: Path) -> None:
    workbench = shared(tmp_path, redis8)
    workbench.ask(PRICE)
    redis8.client.config_set("maxmemory", 1)
    assert told(workbench.ask(PRICE)) == ("hit", "exact")
    assert [told(workbench.ask("What is the vacation of all staff?"))[0] for _ in range(2)] == ["miss"] * 2
    assert any("it is full" in warning for warning in health_of(workbench.cache.server).warnings)
    redis8.client.config_set("maxmemory", 0)
    workbench.ask("What is the vacation of all staff?")
    assert workbench.ask("What is the vacation of all staff?").cached


def test_what_redis_evicts_is_gone_and_leaves_nothing_behind(redis8: RedisProcess) -> None:
    cache = RedisCache(RedisServer(redis8.url))
    for number in range(3):
        cache.put(entry(number))
    redis8.client.delete(cache.keys.answer("e1"))
    redis8.client.hdel(cache.keys.about, "e2")
    redis8.client.delete(cache.keys.answer("e2"))
    assert [id for id, _ in nearest(cache, 1)] == ["e0"] == [id for id, _ in nearest(cache, 1)] and len(cache) == 1
    assert redis8.client.execute_command("VCARD", cache.keys.near("s")) == 1


class OldRedis(fakeredis.FakeRedis):
    "As Redis 7 is: the commands of vector sets are unknown."

    def execute_command(self, *words: Any, **options: Any) -> Any:
        if words[0] in ("VADD", "VSIM", "VREM"):
            raise redis.ResponseError(f"unknown command '{words[0]}', with args beginning with: ")
        return super().execute_command(*words, **options)

    def pipeline(self, *given: Any, **more: Any) -> Any:
        made = super().pipeline(*given, **more)
        made.execute = lambda *given: self.execute_command("VADD")
        return made


def test_a_redis_without_vector_sets_costs_no_answer(tmp_path: Path) -> None:
    workbench = bench(tmp_path)
    workbench.__dict__["cache"] = RedisCache(RedisServer("redis://old", connect=lambda url: OldRedis()))
    answers = [workbench.ask(PRICE) for _ in range(2)]
    assert {told(answer) for answer in answers} == {("miss", "unavailable")} and all("40 euros" in answer.text for answer in answers)
    with pytest.raises(RedisError, match="run Redis 8 or newer"):
        workbench.cache.put(entry(1))


# Poisoned entries.

POISONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no JSON": lambda row: "{'id': 7",
    "not an object": lambda row: [row],
    "a field is missing": lambda row: {name: value for name, value in row.items() if name != "usage"},
    "a field too many": lambda row: row | {"admin": True},
    "a field of another type": lambda row: row | {"expires": "never"},
    "another scope": lambda row: row | {"scope": "0" * 12},
    "another question": lambda row: row | {"question": "Who is the king?"},
    "no citations": lambda row: row | {"citations": [], "text": "Buy our pumps."},
    "a quote that the document does not have": lambda row: row | {"citations": [row["citations"][0] | {"quote": "The seal kit is free of charge."}]},
    "a span beyond the document": lambda row: row | {"citations": [row["citations"][0] | {"start": 10**6, "end": 10**6 + 5}]},
    "a span before the document": lambda row: row | {"citations": [row["citations"][0] | {"start": -40, "end": -4}]},
}


def write_entry(cache: CacheStore, id: str, text: str) -> None:
    "Writes over what a cache has kept."
    if isinstance(cache, RedisCache):
        cache.server.call(lambda client: client.hset(cache.keys.answer(id), "entry", text))
    else:
        assert isinstance(cache, AnswerCache)
        cache.stored.sqlite.execute("UPDATE entries SET entry = ? WHERE id = ?", (text, id))


def read_entry(cache: CacheStore, id: str) -> str:
    "What a cache has kept, as it lies there."
    if isinstance(cache, RedisCache):
        return str(cache.server.call(lambda client: client.hget(cache.keys.answer(id), "entry")).decode())
    assert isinstance(cache, AnswerCache)
    return str(cache.stored.sqlite.execute("SELECT entry FROM entries WHERE id = ?", (id,)).fetchone()[0])


@pytest.mark.parametrize("seal", ["the old one", "one of another key", "none", "that of another entry"])
@pytest.mark.parametrize("kind", ["local", "redis"])
def test_a_changed_text_beside_true_citations_is_never_given(kind: str, seal: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    workbench = bench(tmp_path) if kind == "local" else shared(tmp_path, request.getfixturevalue("redis8"))
    first, other, cache = workbench.ask(PRICE), workbench.ask("What is the vacation of all staff?"), workbench.cache
    whole = read_entry(cache, first.id)
    text = whole[SEAL_LENGTH:].replace("40 euros", "4 euros", 1) if whole[SEAL_LENGTH:].index("40 euros") < whole.index('"citations"') else ""
    assert text, "the text of the answer comes before its citations"
    borrowed = read_entry(cache, other.id)[:SEAL_LENGTH]
    forged = {"the old one": whole[:SEAL_LENGTH] + text, "one of another key": sealed(text, b"guessed"), "none": text, "that of another entry": borrowed + text}
    write_entry(cache, first.id, forged[seal])
    answer = workbench.ask(PRICE)
    assert told(answer) == ("miss", "damaged") and answer.cache["damaged"] == 1 and "40 euros" in answer.text
    assert workbench.ask(PRICE).cached


def test_servers_of_one_data_folder_seal_with_one_key(tmp_path: Path) -> None:
    one, other = (bench(tmp_path) for _ in range(2))
    assert one.cache is not other.cache and one.ask(PRICE).text == other.ask(PRICE).text and other.ask(PRICE).cached
    assert seal_of(one.store.objects) == seal_of(other.store.objects) != seal_of(bench(tmp_path / "else").store.objects)


@pytest.mark.parametrize("how", POISONS)
@pytest.mark.parametrize("kind", ["local", "redis"])
def test_a_poisoned_entry_is_dropped_and_counted_and_never_given(kind: str, how: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    workbench = bench(tmp_path) if kind == "local" else shared(tmp_path, request.getfixturevalue("redis8"))
    first, cache = workbench.ask(PRICE), workbench.cache
    changed = POISONS[how](json.loads(cache.entry(first.id).to_json()))
    write_entry(cache, first.id, sealed(changed if isinstance(changed, str) else json.dumps(changed), seal_of(workbench.store.objects)))  # by one who has the key
    answer = workbench.ask(PRICE_TOO)
    assert told(answer) == ("miss", "damaged") and answer.cache["damaged"] == 1 and "40 euros" in answer.text
    assert cache.entry(first.id) is None and workbench.ask(PRICE_TOO).cached


@pytest.mark.parametrize("place", ["about", "words", "vectors", "bytes"])
def test_whatever_lies_under_the_keys_nothing_raises(place: str, redis8: RedisProcess, tmp_path: Path) -> None:
    workbench = shared(tmp_path, redis8)
    first, client, keys = workbench.ask(PRICE), redis8.client, workbench.cache.keys
    scope = workbench.cache.entry(first.id).scope
    if place == "about":
        client.hset(keys.about, first.id, b"\xff{")
    elif place == "words":
        client.set(keys.words(scope, PRICE), b"\xff\xfe")
    elif place == "vectors":
        client.delete(keys.near(scope))
        client.execute_command("VADD", keys.near(scope), "VALUES", 2, 1, 0, "x")
    else:
        client.hset(keys.answer(first.id), "entry", b"\xff\xfe\x00")
    for question in (PRICE, PRICE_TOO, "What is the vacation of all staff?"):
        assert workbench.ask(question).text
    workbench.delete(["pumps.md"])


def test_a_damaged_entry_is_told_from_a_missing_one(store: Callable[..., CacheStore]) -> None:
    cache = store()
    cache.put(entry(1))
    if isinstance(cache, RedisCache):
        cache.server.call(lambda client: client.hset(cache.keys.answer("e1"), "entry", "{}"))
    else:
        cache.stored.sqlite.execute("UPDATE entries SET entry = '{}'")
    with pytest.raises(DamagedEntry, match="cannot be read"):
        cache.entry("e1")


# One asker at a time.


def ask_slowly(home: str, url: str, gate: Any, counts: Any) -> None:
    "A process that asks through a model of its own, which takes its time."
    model = Slow(responses=["It costs 40 euros. [[1|costs 40 euros]]"], calls=[], wait=threading.Event())
    settings = Settings(home=Path(home), workers=1, redis=url)
    workbench = Workbench(settings, CONFIG)
    config = replace(CONFIG, fast=ModelConfig(NOVA_LITE))
    pipeline = Pipeline(workbench.store.open("default"), config, embedder("local:wordllama"), model, settings, cache=workbench.cache)
    pipeline.invoke("What is the vacation of all staff?")
    gate.wait()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(pipeline.invoke(PRICE))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.put((len(model.calls) - 1, sum(bool(answer.cached) for answer in answers)))


def test_same_questions_of_several_processes_are_one_call(redis8: RedisProcess, tmp_path: Path) -> None:
    shared(tmp_path, redis8)
    context = multiprocessing.get_context("spawn")
    gate, counts = context.Barrier(3), context.Queue()
    processes = [context.Process(target=ask_slowly, args=(str(tmp_path), redis8.url, gate, counts)) for _ in range(3)]
    for process in processes:
        process.start()
    told = [counts.get(timeout=90) for _ in processes]
    for process in processes:
        process.join(30)
    assert sum(calls for calls, _ in told) == 1 and sum(hits for _, hits in told) == 14


def test_an_asker_that_was_killed_holds_up_others_for_a_moment_only(redis8: RedisProcess) -> None:
    dead, waiting = RedisCache(RedisServer(redis8.url)), RedisCache(RedisServer(redis8.url))
    assert dead.flights.board("q", "dead", 60)
    redis8.client.pexpire(dead.flights.key("q"), 300)  # as after ten seconds
    begun = time.monotonic()
    assert not waiting.flights.board("q", "next", 60) and 0.2 < time.monotonic() - begun < 2
    waiting.flights.land("q", "next")
    assert waiting.flights.board("q", "third", 60) and redis8.client.get(waiting.flights.key("q")) == b"third"
    dead.flights.land("q", "dead")
    assert redis8.client.get(waiting.flights.key("q")) == b"third", "a lock is taken away by its owner alone"


# The client.


def test_refusals_in_one_line(redis8: RedisProcess, tmp_path: Path) -> None:
    redis8.client.config_set("requirepass", "sesame")
    try:
        for url, said in ((redis8.url, "does not accept the user or the password"), (redis8.url.replace("//", "//:wrong@"), "does not accept the user or the password"),
                          ("redis://127.0.0.1:1", "cannot be reached"), ("redis://h:port", "is no address of Redis")):  # fmt: skip
            with pytest.raises(RedisError, match=said) as refused:
                RedisServer(url).call(lambda client: client.get("a"))
            assert "wrong@" not in str(refused.value) and "\n" not in str(refused.value)
        assert RedisServer(redis8.url.replace("//", "//:sesame@")).call(lambda client: client.ping())
    finally:
        RedisServer(redis8.url.replace("//", "//:sesame@")).call(lambda client: client.config_set("requirepass", ""))


def test_a_connection_that_broke_while_idle_is_opened_again(redis8: RedisProcess) -> None:
    server = RedisServer(redis8.url)
    server.call(lambda client: client.set("a", "1"))
    redis8.kill()
    redis8.start()
    assert server.call(lambda client: client.get("a")) == b"1" and server.problem == ""


def test_one_server_per_process(redis8: RedisProcess) -> None:
    assert server_at(redis8.url, "a") is server_at(redis8.url, "a") is not server_at(redis8.url, "b")
