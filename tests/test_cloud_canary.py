"The queries that judge a canary, asked of a real Prometheus that holds what pods told: a good canary passes, a bad one fails by the figure that is bad, one without traffic waits."

import json
import math
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
import yaml
from cloud import ROOT, tool
from prometheus_client.parser import text_string_to_metric_families

from ragwb.emulator.s3 import free_ports
from ragwb.operations.metrics import Metrics

METRICS = {each["name"]: each for each in yaml.safe_load((ROOT / "k8s/components/canary/analysis.yaml").read_text("utf-8"))["spec"]["metrics"]}
QUERY = {name: each["provider"]["prometheus"]["query"] for name, each in METRICS.items()}
GOOD = {"answered": 10, "refused": 1, "errors": 0, "slow": 0, "usd": 0.01}  # in a minute, of one track
CASES = {  # what the canary does, and what fails by it
    "good": ({}, set()), "errors": ({"errors": 2}, {"errors"}), "slow": ({"slow": 5}, {"latency"}), "refuses": ({"refused": 10}, {"refusals"}),
    "costs": ({"usd": 0.1}, {"cost"}), "no traffic": (dict.fromkeys(GOOD, 0), {"questions"}), "cheaper": ({"usd": 0.001}, set()),
}
HOUR = 3_600


def told(track: str, minute: int, does: dict[str, float]) -> dict[str, float]:
    "The series of a track after so many minutes."
    label, asked = f'job="ragwb",track="{track}"', does["answered"] + does["refused"]
    bucket = f'ragwb_answer_seconds_bucket{{{label},stage="total",le='
    each = {
        f'ragwb_answers_total{{{label},outcome="answer"}}': does["answered"], f'ragwb_answers_total{{{label},outcome="passages"}}': does["refused"],
        f'ragwb_http_requests_total{{{label},status="200"}}': asked, f'ragwb_http_requests_total{{{label},status="503"}}': does["errors"],
        f'{bucket}"5"}}': asked - does["slow"], f'{bucket}"10"}}': asked - does["slow"], f'{bucket}"30"}}': asked, f'{bucket}"+Inf"}}': asked,
        f"ragwb_cost_usd_total{{{label}}}": does["usd"],
    }
    return {name: value * minute for name, value in each.items()}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, int]]]:
    "A Prometheus that holds an hour for each case; its address, and when each case is to be judged."
    promtool, server, place = tool("promtool"), tool("prometheus"), tmp_path_factory.mktemp("prometheus")
    begun = (int(time.time()) // HOUR - len(CASES) - 4) * HOUR
    series: dict[str, list[str]] = {}
    at = {name: begun + number * HOUR + 20 * 60 for number, name in enumerate(CASES)}
    for name, (differs, _) in CASES.items():
        for minute in range(25):
            for track, does in (("stable", GOOD), ("canary", GOOD | differs)):
                for key, value in told(track, minute, does).items():
                    series.setdefault(key, []).append(f"{key} {value} {at[name] - 20 * 60 + minute * 60}")
    families: dict[str, list[str]] = {}
    for key, lines in series.items():
        families.setdefault(key.partition("{")[0], []).extend(lines)
    text = "".join(f"# TYPE {name.removesuffix('_total').removesuffix('_bucket')} {'counter' if name.endswith('_total') else 'unknown'}\n" + "\n".join(lines) + "\n"
                   for name, lines in families.items())
    (place / "told.txt").write_text(text.replace("# TYPE ragwb_answer_seconds unknown\n", "") + "# EOF\n")
    subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", place / "told.txt", place / "data"], check=True, capture_output=True)
    (place / "prometheus.yaml").write_text("{}\n")
    port, = free_ports(1)
    process = subprocess.Popen([server, f"--config.file={place / 'prometheus.yaml'}", f"--storage.tsdb.path={place / 'data'}", f"--web.listen-address=127.0.0.1:{port}"],
                               stdout=subprocess.DEVNULL, stderr=(place / "log").open("w"))
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/-/ready", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (place / "log").read_text()
                time.sleep(0.2)
        yield url, at
    finally:
        process.terminate()
        process.wait()


def judged(url: str, at: int, name: str) -> str:
    "What Argo Rollouts would make of a metric at a time: Successful, Failed or Inconclusive."
    asked = urllib.parse.urlencode({"query": QUERY[name], "time": at})
    with urllib.request.urlopen(f"{url}/api/v1/query?{asked}", timeout=10) as reply:
        result = [float(each["value"][1]) for each in json.loads(reply.read())["data"]["result"]]

    def holds(condition: str) -> bool:
        python = condition.replace("||", " or ").replace("&&", " and ").replace("false", "False")
        assert re.fullmatch(r"[\w\s()\[\]=<>.]+", python), python
        return bool(eval(python, {"__builtins__": {}, "len": len, "isNaN": math.isnan, "result": result}))

    if holds(METRICS[name]["successCondition"]):
        return "Successful"
    failed = METRICS[name].get("failureCondition")
    return "Failed" if failed is None or holds(failed) else "Inconclusive"


@pytest.mark.parametrize("case", CASES)
def test_a_canary_is_judged_by_what_it_does(prometheus: tuple[str, dict[str, int]], case: str) -> None:
    url, at = prometheus
    verdicts = {name: judged(url, at[case], name) for name in METRICS}
    wrong = "Inconclusive" if case == "no traffic" else "Failed"
    assert verdicts == {name: wrong if name in CASES[case][1] else "Successful" for name in METRICS}


def test_the_queries_read_what_the_application_tells() -> None:
    families = {family.name for family in text_string_to_metric_families(Metrics().text().decode())}
    for name, query in QUERY.items():
        for metric in re.findall(r"\bragwb_\w+", query):
            assert re.sub(r"_(total|bucket)$", "", metric) in families, f"{name} reads {metric}, which nothing tells"


def test_without_traffic_nobody_is_promoted_and_nobody_is_taken_back() -> None:
    assert METRICS["questions"]["inconclusiveLimit"] < METRICS["questions"]["count"], "five looks without a question stop the rollout, and a person decides"
    assert METRICS["questions"]["failureLimit"] == 0
