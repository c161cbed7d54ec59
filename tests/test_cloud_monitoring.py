"Alert rules, each of which fires and stays silent as it should, and dashboards whose figures the application really tells."

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloud import ROOT, rendered, run, tool
from fastapi.testclient import TestClient
from profiles import profile_settings
from prometheus_client.parser import text_string_to_metric_families
from pytest import FixtureRequest

from ragwb.api.routes import create_api
from ragwb.operations.metrics import Metrics
from ragwb.workbench import Workbench

FOLDER = ROOT / "k8s/monitoring"
RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text("utf-8"))["spec"]
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
RECORDED = {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
ELSEWHERE = ("kube_", "container_", "up")  # of kube-state-metrics, of the nodes, and of Prometheus itself


def requests(errors: float, others: float) -> dict[str, str]:
    "Requests in a minute."
    return {'ragwb_http_requests_total{job="ragwb",status="503"}': f"0+{errors}x2000", 'ragwb_http_requests_total{job="ragwb",status="200"}': f"0+{others}x2000"}


def answers(**outcomes: float) -> dict[str, str]:
    "Answers in a minute, by outcome."
    return {f'ragwb_answers_total{{job="ragwb",outcome="{name}"}}': f"0+{number}x2000" for name, number in outcomes.items()}


def totals(quick: int, slow: int) -> dict[str, str]:
    "Answers in a minute that took less than 5 s, and those that took up to 10 s."
    name = 'ragwb_answer_seconds_bucket{job="ragwb",stage="total",le='
    return {f'{name}"5"}}': f"0+{quick}x2000", f'{name}"10"}}': f"0+{quick + slow}x2000", f'{name}"+Inf"}}': f"0+{quick + slow}x2000"}


def money(spent: float, limit: float = 10) -> dict[str, str]:
    "What two servers spent of a day's budget."
    return {f'ragwb_budget_spent_usd{{job="ragwb",period="day",pod="{pod}"}}': f"{spent / 2}x2000" for pod in "ab"} | {
        f'ragwb_budget_limit_usd{{job="ragwb",period="day",pod="{pod}"}}': f"{limit}x2000" for pod in "ab"}


def cost(before: float, now: float) -> dict[str, str]:
    "Ten questions a minute; what a minute costs for 23 hours, and then."
    return answers(answer=10) | {'ragwb_cost_usd_total{job="ragwb"}': f"0+{before}x1380 {before * 1380}+{now}x620"}


def cache(before: int, now: int) -> dict[str, str]:
    "Ten questions to the cache in a minute; how many of them hit for 23 hours, and then."
    name = 'ragwb_cache_total{job="ragwb",outcome='
    return {f'{name}"hit"}}': f"0+{before}x1380 {before * 1380}+{now}x620", f'{name}"miss"}}': f"0+{10 - before}x1380 {(10 - before) * 1380}+{10 - now}x620"}


def one(series: str, values: str) -> dict[str, str]:
    return {series: values}


WANTED = 'kube_horizontalpodautoscaler_status_desired_replicas{namespace="ragwb",horizontalpodautoscaler="keda-hpa-ragwb-api"}'
AT, DAY_AT = 400, 1_450  # minutes after which it is looked: six hours and more; a day and more for those that compare with a day
OF_A_DAY = ("RagwbGuardrailSpike", "RagwbCacheDrop", "RagwbCacheWrong", "RagwbCostAnomaly")
# alert -> what makes it fire, and what comes close and does not
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "RagwbDown": (one('up{job="ragwb"}', "1x390 0x500"), {'up{job="ragwb",pod="a"}': "0x2000", 'up{job="ragwb",pod="b"}': "1x2000"}),
    "RagwbDown ": ({'up{job="ragwb"}': "1x390 _x500", WANTED: "1x2000"}, {'up{job="ragwb"}': "1x390 _x500", WANTED: "1x390 0x500"}),  # no pod is left: wanted, or not
    "RagwbErrorBudgetFast": (requests(10, 90), requests(5, 95)),
    "RagwbErrorBudgetSlow": (requests(4, 96), requests(2, 98)),
    "RagwbSlowAnswers": (totals(80, 20), totals(97, 3)),
    "RagwbQueue": (one('ragwb_requests_waiting{job="ragwb",kind="question"}', "40x2000"), one('ragwb_requests_waiting{job="ragwb",kind="question"}', "32x2000")),
    "RagwbNoModel": (answers(failed=10, answer=90), answers(failed=4, answer=96)),
    "RagwbBedrockThrottled": tuple({'ragwb_model_calls_total{job="ragwb",model="nova",outcome="throttled"}': f"0+{n}x2000",
                                    'ragwb_model_calls_total{job="ragwb",model="nova",outcome="answered"}': f"0+{100 - n}x2000"} for n in (20, 5)),
    "RagwbRefusals": (answers(passages=30, nothing=20, answer=50), answers(passages=30, withheld=30, answer=40)),
    "RagwbUnprovenQuotes": tuple({'ragwb_citations_total{job="ragwb",outcome="dropped"}': f"0+{n}x2000",
                                  'ragwb_citations_total{job="ragwb",outcome="proven"}': f"0+{100 - n}x2000"} for n in (30, 10)),
    "RagwbGuardrailSpike": (one('ragwb_guardrail_total{job="ragwb",of="question",action="block"}', "0x1430 0+2x500"),
                            one('ragwb_guardrail_total{job="ragwb",of="question",action="block"}', "0+1x2000")),
    "RagwbCacheDrop": (cache(6, 0), cache(6, 5)),
    "RagwbCacheWrong": tuple({'ragwb_cache_measured_total{job="ragwb",agrees="no"}': f"0+{n}x2000", 'ragwb_cache_measured_total{job="ragwb",agrees="yes"}': f"0+{100 - n}x2000"}
                             for n in (20, 5)),
    "RagwbDrift": tuple(one('kube_job_status_failed{namespace="ragwb",job_name="ragwb-drift-1"}', f"{n}x2000") for n in (1, 0)),
    "RagwbBudget50": (money(5), money(4.9)),
    "RagwbBudget80": (money(8), money(7.9)),
    "RagwbBudget100": (money(10), money(9.9)),
    "RagwbCostAnomaly": (cost(0.01, 0.1), cost(0.01, 0.015)),
    "RagwbUnpriced": tuple(one('ragwb_charges_unpriced_total{job="ragwb",model="new"}', values) for values in ("0+1x2000", "7x2000")),
    "RagwbIndexUnreadable": ({'ragwb_index_readable{job="ragwb",pod="a"}': "1x2000", 'ragwb_index_readable{job="ragwb",pod="b"}': "1x390 0x500"},
                             one('ragwb_index_readable{job="ragwb",pod="a"}', "1x2000")),
    "RagwbIndexBehind": ({'ragwb_index_version{job="ragwb",pod="a"}': "7x2000", 'ragwb_index_version{job="ragwb",pod="b"}': "6x2000"},
                         {'ragwb_index_version{job="ragwb",pod="a"}': "6x395 7x500", 'ragwb_index_version{job="ragwb",pod="b"}': "6x400 7x500"}),
    "RagwbIndexStale": tuple(one('kube_cronjob_status_last_successful_time{namespace="ragwb",cronjob="ragwb-ingest"}', f"{-3600 * hours}x2000") for hours in (21, 19)),
    "RagwbIngestFailed": tuple(one('kube_job_status_failed{namespace="ragwb",job_name="ragwb-ingest-1"}', f"{n}x2000") for n in (1, 0)),
    "RagwbRedisDown": tuple(one('kube_deployment_status_replicas_available{namespace="ragwb",deployment="redis"}', f"{n}x2000") for n in (0, 1)),
}  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def plain_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "The rules as Prometheus reads them, by the very command with which infra/local/compose.yaml takes them out of their resource."
    compose = yaml.safe_load((ROOT / "infra/local/compose.yaml").read_text("utf-8"))
    script = compose["services"]["prometheus"]["command"][0].replace("$$", "$")
    take, _, _ = script.partition(" > /tmp/rules.yaml")
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(subprocess.run(["sh", "-c", take.replace("/etc/ragwb/rules.yaml", str(FOLDER / "rules.yaml"))], check=True, capture_output=True, text=True).stdout)
    return path


def test_rules_are_valid(plain_rules: Path) -> None:
    assert yaml.safe_load(plain_rules.read_text()) == RULES
    run(tool("promtool"), "check", "rules", plain_rules)


def test_every_alert_fires_and_stays_silent(tmp_path: Path) -> None:
    promtool = tool("promtool")
    assert {name.strip() for name in CASES} == ALERTS.keys()
    for group in RULES["groups"]:
        rules = tmp_path / f"{group['name']}.yaml"
        rules.write_text(yaml.safe_dump({"groups": [group]}))
        for of_a_day in (False, True):
            tests = []
            of_group = {rule["alert"] for rule in group["rules"] if "alert" in rule and (rule["alert"] in OF_A_DAY) == of_a_day}
            for alert, case in ((name.strip(), case) for name, case in CASES.items() if name.strip() in of_group):
                for fires, series in zip((1, 0), case, strict=True):
                    samples = {"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)', "eval_time": f"{DAY_AT if of_a_day else AT}m",
                               "exp_samples": [{"value": fires, "labels": "{}"}]}
                    tests.append({"name": f"{alert} {'fires' if fires else 'stays silent'}", "interval": "1m", "promql_expr_test": [samples],
                                  "input_series": [{"series": name, "values": values} for name, values in series.items()]})
            written = tmp_path / f"{group['name']}-{of_a_day}.yaml"
            written.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "10m" if of_a_day else "2m", "tests": tests}))
            run(promtool, "test", "rules", written)


def names_in(expression: str) -> set[str]:
    "The metrics that an expression reads."
    return set(re.findall(r"\b(?:ragwb_\w+|ragwb:[\w:]+|process_\w+|kube_\w+|container_\w+(?=\{)|up(?=\{))", expression))


def expressions(dashboard: Path) -> dict[str, str]:
    "The expressions of a dashboard, by panel."
    found: dict[str, str] = {}
    for panel in json.loads(dashboard.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


@pytest.fixture(scope="module")
def exposed(request: FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    "The series of a server of profile aws after a few questions, by the name of their metric: how many there are."
    with profile_settings("aws", tmp_path_factory.mktemp("home"), request, budget_day_usd=10.0, budget_month_usd=100.0, workers=1) as (settings, config):
        workbench = Workbench(settings, config)
        workbench.ingest_files([("leave.md", b"# Leave\n\nFull-time employees get 30 days of annual leave.\n"), ("badge.txt", b"The visitor badge is green.")])
        client = TestClient(create_api(workbench), base_url="http://127.0.0.1")
        for question in ("How many days of annual leave do I get?", "Who won the chess championship in Reykjavik?", "What colour is the visitor badge?"):
            assert client.post("/v1/query", json={"question": question}).status_code == 200
        counted: dict[str, int] = {}
        for family in text_string_to_metric_families(client.get("/metrics").text):
            counted[family.name] = 0
            for sample in family.samples:
                counted[sample.name] = counted.get(sample.name, 0) + 1
        yield counted


RARE = {  # no series before the first event
    "ragwb_charges_unpriced", "ragwb_cache", "ragwb_cache_measured", "ragwb_cache_saved_calls", "ragwb_documents_ingested", "ragwb_feedback",
    "ragwb_cost_anomalies", "ragwb_cost_flagged",
}


def told_by(exposed: dict[str, int], name: str) -> bool:
    "Whether a server tells a metric: with a series, or, for events that are rare, with the family alone."
    return exposed.get(name, 0) > 0 or name.removesuffix("_total") in RARE & exposed.keys()


def test_alerts_read_what_the_application_tells(exposed: dict[str, int]) -> None:
    for rule in (rule for group in RULES["groups"] for rule in group["rules"]):
        for name in names_in(rule["expr"]) - RECORDED:
            assert name.startswith(ELSEWHERE) or told_by(exposed, name), f"{rule.get('alert') or rule.get('record')} reads {name}, which nothing tells"


def test_every_alert_has_its_line_in_the_guide() -> None:
    guide = (ROOT / "nbs/guides/13_deploy_and_watch.md").read_text("utf-8")
    for alert, rule in ALERTS.items():
        assert f"### {alert}\n" in guide, alert
        assert rule["annotations"]["runbook"] == f"nbs/guides/13_deploy_and_watch.md#{alert.lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket", "info") and {"summary", "description"} <= rule["annotations"].keys()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_show_what_the_application_tells(dashboard: Path, exposed: dict[str, int]) -> None:
    for panel, expression in expressions(dashboard).items():
        assert (names := names_in(expression)), f"{panel} reads nothing"
        for name in names - RECORDED:
            assert name.startswith(ELSEWHERE) or told_by(exposed, name), f"{panel} reads {name}, which nothing tells"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_parse(dashboard: Path, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": each.replace("$__rate_interval", "5m").replace("$__range", "1d")} for number, each in enumerate(expressions(dashboard).values())]
    written = tmp_path / "rules.yaml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run(tool("promtool"), "check", "rules", written)
    told = json.loads(dashboard.read_text("utf-8"))
    assert len({panel["id"] for panel in told["panels"]}) == len(told["panels"]) and told["uid"] == f"ragwb-{dashboard.stem}"
    assert all(panel.get("description") for panel in told["panels"] if panel["type"] != "row"), "a panel says what it shows"


def test_every_metric_is_on_a_dashboard_or_in_an_alert() -> None:
    used: set[str] = set()
    for text in (*(each for path in DASHBOARDS for each in expressions(path).values()), *(rule["expr"] for group in RULES["groups"] for rule in group["rules"])):
        used |= names_in(text)
    stems = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in used}
    told = {family.name for family in text_string_to_metric_families(Metrics().text().decode())} - {"ragwb_build_info"}
    unseen = sorted(name for name in told if name.startswith("ragwb_") and not name.endswith("_created") and name not in stems)
    assert not unseen, f"nobody looks at {', '.join(unseen)}"


def test_the_folder_is_a_kustomization() -> None:
    made: dict[str, Any] = {each["kind"]: each for each in rendered(FOLDER)}
    assert set(made) == {"PrometheusRule", "ServiceMonitor", "ConfigMap"}
    assert set(made["ConfigMap"]["data"]) == {path.name for path in DASHBOARDS}
