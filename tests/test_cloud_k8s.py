"The manifests of k8s/: rendered by kubectl, checked against the schemas of Kubernetes, and held to what the cluster and this application need."

import json
import re
import tempfile
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cloud import ENVIRONMENTS, ROOT, rendered

from ragwb.api.routes import watch
from ragwb.cli import main
from ragwb.settings import Settings, load_settings

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="make dev installs it")
CUSTOM = yaml.safe_load((ROOT / "tests/custom_resources.yaml").read_text("utf-8"))
VERSION = "1.37"
Resource = dict[str, Any]


@cache
def resources(environment: str) -> list[Resource]:
    "What an overlay deploys."
    return rendered(f"k8s/overlays/{environment}")


def of_kind(environment: str, *kinds: str) -> dict[str, Resource]:
    "The resources of some kinds, by name."
    return {each["metadata"]["name"]: each for each in resources(environment) if each["kind"] in kinds}


def pods(environment: str) -> dict[str, Resource]:
    "The pod templates, by the name of what makes them."
    made = {name: each["spec"]["template"] for name, each in of_kind(environment, "Deployment").items()}
    return made | {name: each["spec"]["jobTemplate"]["spec"]["template"] for name, each in of_kind(environment, "CronJob").items()}


def settings_of(environment: str) -> dict[str, str]:
    "The variables of the application's pods."
    found, = (each["data"] for name, each in of_kind(environment, "ConfigMap").items() if name.startswith("ragwb-"))
    return found


every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)
every_overlay = pytest.mark.parametrize("environment", (*ENVIRONMENTS, "local"))


@every_overlay
def test_schemas(environment):
    for each in resources(environment):
        if (schema := CUSTOM.get(f"{each['apiVersion']}/{each['kind']}")) is not None:
            jsonschema.validate(each["spec"], schema | {"definitions": CUSTOM["definitions"]})
        else:
            kubernetes_validate.validate(each, VERSION, strict=True)


@every_overlay
def test_everything_lies_in_the_namespace(environment):
    assert {each["metadata"].get("namespace", each["metadata"]["name"]) for each in resources(environment)} == {"ragwb"}
    assert not [each for each in resources(environment) if each["kind"] == "Secret"], "secrets come from Secrets Manager, never from files"


@every_overlay
def test_restricted_pod_security(environment):
    assert of_kind(environment, "Namespace")["ragwb"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, template in pods(environment).items():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert all(set(volume) & {"emptyDir", "configMap", "secret"} for volume in spec.get("volumes", ())), f"{name} has a volume that a pause would have to delete"
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            held = container["securityContext"]
            assert held["readOnlyRootFilesystem"] and not held["allowPrivilegeEscalation"] and held["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"} and "memory" in container["resources"]["limits"], name


@every_environment
def test_pods_are_spread_and_the_namespace_has_limits(environment):
    spec = pods(environment)["ragwb-api"]["spec"]
    apart = {each["topologyKey"]: each["labelSelector"]["matchLabels"].items() for each in spec["topologySpreadConstraints"]}
    assert "topology.kubernetes.io/zone" in apart and all(wanted <= pods(environment)["ragwb-api"]["metadata"]["labels"].items() for wanted in apart.values())
    quota, = of_kind(environment, "ResourceQuota").values()
    most = max(int(each["spec"]["maxReplicaCount"]) for each in of_kind(environment, "ScaledObject").values())
    assert int(quota["spec"]["hard"]["pods"]) >= most + len(pods(environment)), "KEDA may ask for more pods than the namespace may hold"


@every_overlay
def test_selectors_find_their_pods(environment):
    labels = {name: template["metadata"]["labels"] for name, template in pods(environment).items()}
    for name, each in of_kind(environment, "Deployment", "Service", "Rollout", "PodDisruptionBudget").items():
        spec = each["spec"]
        wanted = spec["selector"].get("matchLabels", spec["selector"])
        assert wanted.items() <= labels[name].items(), name
        assert [other for other in labels if wanted.items() <= labels[other].items()] == [name], f"{name} selects others too"
    for name, service in of_kind(environment, "Service").items():
        ports = {port["name"]: port["containerPort"] for container in pods(environment)[name]["spec"]["containers"] for port in container["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"], name


@every_overlay
def test_probes_are_routes_of_the_application(environment):
    container, = pods(environment)["ragwb-api"]["spec"]["containers"]
    routes = {getattr(route, "path", "") for route in watch.routes}
    probes = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert probes == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    assert set(probes.values()) <= routes
    assert container["ports"][0]["containerPort"] == load_settings("aws", {}, ROOT).port == 8321


TARGET_GROUP = ROOT / "infra/modules/alb/main.tf"
DEREGISTRATION_S = int(re.findall(r"deregistration_delay\s*=\s*(\d+)", TARGET_GROUP.read_text("utf-8"))[0]) if TARGET_GROUP.exists() else 30


@every_environment
def test_a_pod_that_ends_answers_what_it_was_asked(environment):
    spec = pods(environment)["ragwb-api"]["spec"]
    sleep = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert DEREGISTRATION_S < sleep < spec["terminationGracePeriodSeconds"]


@every_environment
def test_settings_are_known(environment):
    given = {name: value for name, value in settings_of(environment).items() if name.startswith("RAGWB_")}
    later = {"RAGWB_REDIS"} - {f"RAGWB_{field.name.upper()}" for field in fields(Settings)}  # until the setting is there
    settings = load_settings(environment={name: value for name, value in given.items() if name not in later}, folder=ROOT)
    assert settings.profile == "aws" and settings.storage.startswith(f"s3://ragwb-{environment}/")
    assert str(settings.home) in [mount["mountPath"] for mount in pods(environment)["ragwb-api"]["spec"]["containers"][0]["volumeMounts"]]


@every_environment
def test_callers_behind_the_load_balancer_are_told_apart(environment):
    "The load balancer's pods-facing addresses lie in the environment's network, and nothing else is believed to say who calls: tests/test_doors.py has what that does."
    network, = re.findall(r'^vpc_cidr\s+= "(.*)"', (ROOT / f"infra/environments/{environment}/foundation.tfvars").read_text("utf-8"), re.MULTILINE)
    assert settings_of(environment)["FORWARDED_ALLOW_IPS"] == network
    container, = pods(environment)["ragwb-api"]["spec"]["containers"]
    assert {"configMapRef"} == {kind for source in container["envFrom"] for kind in source}, "the pods do not read it"
    assert "FORWARDED_ALLOW_IPS" not in settings_of("local"), "no load balancer stands before the local overlay"


@every_environment
def test_only_the_ingester_writes(environment):
    accounts = {name: template["spec"].get("serviceAccountName") for name, template in pods(environment).items()}
    assert {name for name, account in accounts.items() if account == "ragwb-ingest"} == {"ragwb-ingest", "ragwb-maintain"}
    assert accounts["ragwb-api"] == "ragwb-api"
    assert set(of_kind(environment, "ServiceAccount")) == {"ragwb-api", "ragwb-ingest"}
    job, = pods(environment)["ragwb-ingest"]["spec"]["containers"]
    assert job["args"] == ["ingest", "$(DOCUMENTS)", "--delete"] and settings_of(environment)["DOCUMENTS"].startswith("s3://")
    upkeep, = pods(environment)["ragwb-maintain"]["spec"]["containers"]
    assert upkeep["args"] == ["maintain"] and upkeep["args"][0] in main.commands
    jobs = {name: of_kind(environment, "CronJob")[name]["spec"] for name in ("ragwb-ingest", "ragwb-maintain")}
    assert {each["concurrencyPolicy"] for each in jobs.values()} == {"Forbid"} and len({each["schedule"] for each in jobs.values()}) == 2


@every_overlay
def test_nothing_in_or_out_but_what_is_listed(environment):
    policies = of_kind(environment, "NetworkPolicy")
    denied = policies.pop("default-deny")["spec"]
    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        for rule in (*policy["spec"].get("egress", ()), *policy["spec"].get("ingress", ())):
            peers = rule.get("to") or rule.get("from")
            assert peers and rule["ports"], f"{name} lets everything through"
            for block in (peer["ipBlock"] for peer in peers if "ipBlock" in peer):
                assert block["cidr"] != "0.0.0.0/0" or block["except"] == ["169.254.0.0/16"], f"{name} reaches the node's metadata"
    labels = [template["metadata"]["labels"] for template in pods(environment).values()]
    for name, policy in policies.items():
        wanted = policy["spec"]["podSelector"].get("matchLabels", {})
        assert any(wanted.items() <= each.items() for each in labels), f"{name} is for no pod"


@every_environment
def test_one_scaler_and_a_budget_only_for_several_pods(environment):
    scaler, = of_kind(environment, "ScaledObject", "HorizontalPodAutoscaler").values()
    target = scaler["spec"]["scaleTargetRef"]
    assert target["name"] in of_kind(environment, target["kind"])
    assert "replicas" not in of_kind(environment, target["kind"])[target["name"]]["spec"], "a deployment would undo what the scaler set"
    wanted = [int(trigger["metadata"]["desiredReplicas"]) for trigger in scaler["spec"]["triggers"] if trigger["type"] == "cron"]
    assert wanted and max(wanted) <= scaler["spec"]["maxReplicaCount"]
    least = min(scaler["spec"]["minReplicaCount"] or min(wanted), *wanted)
    assert bool(of_kind(environment, "PodDisruptionBudget")) == (least >= 2), "a budget with one pod blocks the drain of its node"


def hours_of(start: str, end: str) -> set[tuple[int, int]]:
    "Weekday and hour of each hour between two times of cron; all days for *."
    days = range(7) if start.split()[4] == "*" else range(int(start.split()[4][0]), int(start.split()[4][-1]) + 1)
    return {(day % 7, hour) for day in days for hour in range(int(start.split()[1]), int(end.split()[1]))}


@every_environment
def test_pods_and_jobs_run_while_there_are_nodes(environment):
    told = (ROOT / f"infra/environments/{environment}/compute.tfvars").read_text("utf-8")
    clock = {name: (cron, int(least)) for name, cron, least in re.findall(r'(\w+) = { cron = "([^"]+)", min = (\d+)', told)}
    there = hours_of(clock["morning"][0], clock["evening"][0]) if not clock["evening"][1] else {(day, hour) for day in range(7) for hour in range(24)}
    scaler, = of_kind(environment, "ScaledObject").values()
    for trigger in scaler["spec"]["triggers"]:
        if trigger["type"] == "cron":
            assert trigger["metadata"]["timezone"] == "Etc/UTC" and hours_of(trigger["metadata"]["start"], trigger["metadata"]["end"]) <= there, "pods without nodes"
    for name, job in of_kind(environment, "CronJob").items():
        begins = job["spec"]["schedule"]
        hour = int(begins.split()[1])
        assert job["spec"]["timeZone"] == "Etc/UTC" and hours_of(begins, begins.replace(f" {hour} ", f" {hour + 1} ", 1)) <= there, f"{name} begins without nodes"


@every_environment
def test_no_controller_makes_what_terraform_owns(environment):
    kinds = {each["kind"] for each in resources(environment)}
    assert not kinds & {"Ingress", "PersistentVolumeClaim", "Gateway"}
    assert {each["spec"].get("type", "ClusterIP") for each in of_kind(environment, "Service").values()} == {"ClusterIP"}
    assert of_kind(environment, "TargetGroupBinding")["ragwb-api"]["spec"]["targetGroupName"] == f"ragwb-{environment}"


@every_environment
def test_images_of_others_name_their_version(environment):
    images = {container["image"] for template in pods(environment).values() for container in template["spec"]["containers"]}
    assert "ragwb" in images, "make deploy puts repository and digest in its place"
    for image in images - {"ragwb"}:
        assert "/" in image and not image.endswith(":latest") and ":" in image.rpartition("/")[2], image


def test_the_job_whose_alert_is_drift():
    with tempfile.TemporaryDirectory(dir=ROOT / "k8s", prefix=".test-") as folder:
        Path(folder, "kustomization.yaml").write_text(json.dumps({"kind": "Kustomization", "resources": ["../base"], "components": ["../components/drift"]}))
        job, = (each for each in rendered(folder) if each["metadata"]["name"] == "ragwb-drift")
    kubernetes_validate.validate(job, VERSION, strict=True)
    assert job["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_an_ingestion_on_ray():
    with tempfile.TemporaryDirectory(dir=ROOT / "k8s", prefix=".test-") as folder:
        images = [{"name": "ragwb-ray", "newName": "registry.example/ragwb-ray", "digest": f"sha256:{'0' * 64}"}]
        kustomization = {"kind": "Kustomization", "namespace": "ragwb", "resources": ["../base"], "components": ["../components/ray"], "images": images}
        Path(folder, "kustomization.yaml").write_text(json.dumps(kustomization))
        made = {(each["kind"], each["metadata"]["name"]): each for each in rendered(folder)}
    job = made["RayJob", "ragwb-ingest-ray"]
    jsonschema.validate(job["spec"], CUSTOM["ray.io/v1/RayJob"] | {"definitions": CUSTOM["definitions"]})
    head, nodes = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"], job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]
    for template in (head, nodes):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | {"name": "ray"}, "spec": template["spec"]}
        kubernetes_validate.validate(pod, VERSION, strict=True)
        container, = template["spec"]["containers"]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert template["spec"]["securityContext"]["runAsNonRoot"] and template["spec"]["automountServiceAccountToken"] is False
        assert container["image"].startswith("registry.example/ragwb-ray@sha256:")
    settings, = (name for kind, name in made if kind == "ConfigMap" and name.startswith("ragwb-"))
    assert head["spec"]["containers"][0]["envFrom"] == [{"configMapRef": {"name": settings}}]
    assert head["spec"]["serviceAccountName"] == "ragwb-ingest" and "serviceAccountName" not in nodes["spec"], "a node that parses has no rights"
    assert "envFrom" not in nodes["spec"]["containers"][0] and nodes["spec"]["nodeSelector"] == {"eks.amazonaws.com/capacityType": "SPOT"}
    reaches_aws = made["NetworkPolicy", "aws"]["spec"]["podSelector"]["matchLabels"]
    assert reaches_aws.items() <= head["metadata"]["labels"].items() and not reaches_aws.items() <= nodes["metadata"]["labels"].items()
    for name in ("ray", "ray-operator"):
        kubernetes_validate.validate(made["NetworkPolicy", name], VERSION, strict=True)
    assert not [each for environment in ENVIRONMENTS for each in resources(environment) if each["apiVersion"].startswith("ray.io")], "an overlay needs no KubeRay"


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_canary(environment):
    rollout = of_kind(environment, "Rollout")["ragwb-api"]["spec"]
    assert of_kind(environment, "Deployment")["ragwb-api"]["spec"]["replicas"] == 0, "the pods of the Deployment would stand beside those of the Rollout"
    assert "trafficRouting" not in rollout["strategy"]["canary"], "weights of the load balancer give 503 at the last step (ADR 37)"
    named = {each["templateName"] for step in rollout["strategy"]["canary"]["steps"] for each in step.get("analysis", {}).get("templates", ())}
    assert named == set(of_kind(environment, "AnalysisTemplate"))
    metrics = {metric["name"]: metric for metric in of_kind(environment, "AnalysisTemplate")["ragwb-canary"]["spec"]["metrics"]}
    assert {"questions", "errors", "latency", "refusals", "cost"} == set(metrics)
    assert metrics["questions"]["failureCondition"] == "false", "a canary without traffic waits for a person: it neither goes on nor back"


@every_environment
def test_secrets_come_from_the_environments_own(environment):
    made = {each["kind"]: each for each in rendered(f"k8s/secrets/{environment}")}
    assert made.pop("Namespace")["metadata"]["name"] == "monitoring"
    for each in made.values():
        jsonschema.validate(each["spec"], CUSTOM[f"{each['apiVersion']}/{each['kind']}"] | {"definitions": CUSTOM["definitions"]})
        assert each["metadata"]["namespace"] == "monitoring"
    secret = made["ExternalSecret"]["spec"]
    assert [each["remoteRef"]["key"] for each in secret["data"]] == [f"ragwb-{environment}/grafana"]
    assert re.search(r"^    grafana += {", (ROOT / "infra/stacks/foundation/main.tf").read_text("utf-8"), re.MULTILINE), "Terraform makes no such secret"
    admin = yaml.safe_load((ROOT / "k8s/charts/monitoring.yaml").read_text("utf-8"))["grafana"]["admin"]
    assert admin["existingSecret"] == secret["target"]["name"] and {admin["userKey"], admin["passwordKey"]} == secret["target"]["template"]["data"].keys()


@every_environment
def test_redis_asks_for_the_password_that_the_application_shows(environment):
    secret = of_kind(environment, "ExternalSecret")["ragwb-redis"]["spec"]
    assert [each["remoteRef"]["key"] for each in secret["data"]] == [f"ragwb-{environment}/redis"]
    assert re.search(r"^    redis += {", (ROOT / "infra/stacks/foundation/main.tf").read_text("utf-8"), re.MULTILINE), "Terraform makes no such secret"
    made = secret["target"]["template"]["data"]
    assert made["redis.conf"] == "requirepass {{ .password }}" and "exclude_punctuation = true" in (ROOT / "infra/modules/secrets/main.tf").read_text("utf-8")
    assert Settings(redis=made["RAGWB_REDIS"].replace("{{ .password }}", "x" * 32)).redis.endswith("@redis:6379/0")
    spec = pods(environment)["redis"]["spec"]
    assert spec["containers"][0]["args"][0] == "/etc/redis/redis.conf" and "ragwb-redis" in {each["secret"]["secretName"] for each in spec["volumes"] if "secret" in each}
    for name in ("ragwb-api", "ragwb-ingest"):
        shown = {each["name"]: each for each in pods(environment)[name]["spec"]["containers"][0]["env"]}
        assert shown["RAGWB_REDIS"]["valueFrom"]["secretKeyRef"] == {"name": "ragwb-redis", "key": "RAGWB_REDIS"}, name


def test_the_local_overlay_needs_no_aws():
    kinds = {each["kind"] for each in resources("local")}
    assert not kinds & {"TargetGroupBinding", "ScaledObject", "ExternalSecret", "Rollout"}
    given = settings_of("local")
    settings = load_settings(environment={name: value for name, value in given.items() if name.startswith("RAGWB_")}, folder=ROOT)
    services = of_kind("local", "Service")
    for address in (settings.s3_endpoint, settings.bedrock_endpoint, given["RAGWB_REDIS"]):
        host, port = re.findall(r"//(\w+):(\d+)", address)[0]
        assert {each["port"] for each in services[host]["spec"]["ports"]} == {int(port)}, address
    known = json.loads((ROOT / "k8s/overlays/local/identities.json").read_text())["identities"][0]["credentials"][0]
    assert known == {"accessKey": given["AWS_ACCESS_KEY_ID"], "secretKey": given["AWS_SECRET_ACCESS_KEY"]}


@every_environment
def test_an_argo_cd_application_for_each_overlay(environment):
    told = yaml.safe_load((ROOT / f"k8s/argocd/{environment}.yaml").read_text("utf-8"))
    jsonschema.validate(told["spec"], CUSTOM[f"{told['apiVersion']}/{told['kind']}"] | {"definitions": CUSTOM["definitions"]})
    assert told["spec"]["source"]["path"] == f"k8s/overlays/{environment}" and (ROOT / told["spec"]["source"]["path"]).is_dir()
    assert ("automated" in told["spec"]["syncPolicy"]) == (environment == "dev"), "staging and prod are synced by a person"
    scaled = of_kind(environment, "ScaledObject")["ragwb-api"]["spec"]["scaleTargetRef"]
    ignored = {(each["kind"], each["name"]) for each in told["spec"]["ignoreDifferences"] if "/spec/replicas" in each["jsonPointers"]}
    assert (scaled.get("kind", "Deployment"), scaled["name"]) in ignored, "Argo CD would undo what KEDA scales"
