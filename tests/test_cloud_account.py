"What infra/cloud.py asks of AWS, held against botocore's own models of the services: a wrong name of an operation, a parameter or a field of an answer fails here."

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import hcl2
import pytest
import yaml
from botocore.response import StreamingBody
from botocore.stub import Stubber
from cloud import rendered, run, tool

from infra import cloud
from infra.cloud import Account, CloudError, Cluster

SETTINGS = {"project": "ragwb", "region": "us-east-1"}
ARN = "arn:aws:ec2:us-east-1:111122223333:"
DIGEST = "sha256:" + "a" * 64


class Scripted(Account):
    "An account whose services answer by script."

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.made: dict[str, tuple[Any, Stubber]] = {}

    def client(self, service: str) -> Any:
        return self.of(service)[0]

    def of(self, service: str) -> tuple[Any, Stubber]:
        if service not in self.made:
            client = boto3.client(service, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret")
            self.made[service] = client, Stubber(client)
            self.made[service][1].activate()
        return self.made[service]

    def say(self, service: str, operation: str, answer: dict[str, Any], asked: dict[str, Any]) -> None:
        self.of(service)[1].add_response(operation, answer, asked)

    def refuse(self, service: str, operation: str, code: str) -> None:
        self.of(service)[1].add_client_error(operation, code, http_status_code=400)


@pytest.fixture
def account() -> Iterator[Scripted]:
    made = Scripted()
    yield made
    for _, stub in made.made.values():
        stub.assert_no_pending_responses()


def test_who_asks(account: Scripted) -> None:
    account.say("sts", "get_caller_identity", {"Account": "111122223333"}, {})
    assert account.number() == "111122223333"
    account.refuse("sts", "get_caller_identity", "ExpiredToken")
    with pytest.raises(CloudError, match="no credentials of AWS that work.*aws sso login"):
        account.number()


def test_what_is_left_is_found_and_what_is_only_listed_still_is_not(account: Scripted) -> None:
    tags = [{"Key": name, "Values": [value]} for name, value in (("Project", "ragwb"), ("Environment", "dev"), ("Stack", "compute"))]
    listed = [ARN + "natgateway/nat-gone", ARN + "natgateway/nat-there", ARN + "instance/i-gone", ARN + "security-group/sg-1"]
    one, two = ([{"ResourceARN": arn} for arn in part] for part in (listed[:2], listed[2:]))
    account.say("resourcegroupstaggingapi", "get_resources", {"ResourceTagMappingList": one, "PaginationToken": "more"}, {"TagFilters": tags})
    account.say("resourcegroupstaggingapi", "get_resources", {"ResourceTagMappingList": two}, {"TagFilters": tags, "PaginationToken": "more"})
    cluster = {"Filters": [{"Name": "tag:kubernetes.io/cluster/ragwb-dev", "Values": ["owned"]}]}
    account.say("ec2", "describe_volumes", {"Volumes": [{"VolumeId": "vol-1"}]}, cluster)
    account.say("ec2", "describe_network_interfaces", {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}]}, cluster)
    for id, state in (("nat-gone", "deleted"), ("nat-there", "available")):
        account.say("ec2", "describe_nat_gateways", {"NatGateways": [{"NatGatewayId": id, "State": state}]}, {"Filter": [{"Name": "nat-gateway-id", "Values": [id]}]})
    account.say("ec2", "describe_instances", {"Reservations": [{"Instances": [{"State": {"Name": "terminated"}}]}]}, {"Filters": [{"Name": "instance-id", "Values": ["i-gone"]}]})
    assert account.leftovers("dev") == sorted([listed[1], listed[3], "vol-1", "eni-1"])


def test_cluster_and_image(account: Scripted) -> None:
    account.say("eks", "describe_cluster", {"cluster": {"status": "ACTIVE"}}, {"name": "ragwb-dev"})
    account.say("eks", "describe_cluster", {"cluster": {"status": "DELETING"}}, {"name": "ragwb-dev"})
    account.refuse("eks", "describe_cluster", "ResourceNotFoundException")
    assert [account.has_cluster("ragwb-dev") for _ in range(3)] == [True, False, False]
    account.say("ecr", "describe_images", {"imageDetails": [{"imageDigest": DIGEST}]}, {"repositoryName": "ragwb-dev/serve", "imageIds": [{"imageDigest": DIGEST}]})
    account.refuse("ecr", "describe_images", "ImageNotFoundException")
    assert [account.has_image("ragwb-dev/serve", DIGEST) for _ in range(2)] == [True, False]


def test_the_note(account: Scripted) -> None:
    body = json.dumps({"operation": "pause", "done": False}).encode()
    at = {"Bucket": "states", "Key": "dev/operation.json"}
    account.refuse("s3", "get_object", "NoSuchKey")
    account.say("s3", "get_object", {"Body": StreamingBody(io.BytesIO(body), len(body))}, at)
    account.say("s3", "put_object", {}, at | {"Body": json.dumps({"done": True}, indent=1).encode()})
    assert account.note("states", "dev") == {} and account.note("states", "dev")["operation"] == "pause"
    account.write_note("states", "dev", {"done": True})


@pytest.mark.parametrize(("limit", "spot", "addresses", "says"), [
    (8, True, 5, ["6 vCPUs of Spot instances are needed, 8 are allowed and 4 in use (quota L-34B43A08)"]), (10, True, 5, []), (8, False, 5, []),
    (100, False, 2, ["1 Elastic IP addresses are needed, 2 are allowed and 2 in use (quota L-0263D0A3)"]),
])  # fmt: skip
def test_quotas(account: Scripted, limit: int, spot: bool, addresses: int, says: list[str]) -> None:
    running = {"InstanceLifecycle": "spot", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2}}
    account.say("ec2", "describe_instance_types", {"InstanceTypes": [{"VCpuInfo": {"DefaultVCpus": 2}}]}, {"InstanceTypes": ["t4g.large"]})
    account.say("ec2", "describe_instances", {"Reservations": [{"Instances": [running]}]}, {"Filters": [{"Name": "instance-state-name", "Values": ["pending", "running"]}]})
    account.say("ec2", "describe_addresses", {"Addresses": [{}, {}]}, {})
    cpus = {"ServiceCode": "ec2", "QuotaCode": "L-34B43A08" if spot else "L-1216C47A"}
    account.refuse("service-quotas", "get_service_quota", "NoSuchResourceException")  # never raised: the default holds
    account.say("service-quotas", "get_aws_default_service_quota", {"Quota": {"Value": float(limit)}}, cpus)
    account.say("service-quotas", "get_service_quota", {"Quota": {"Value": float(addresses)}}, {"ServiceCode": "ec2", "QuotaCode": "L-0263D0A3"})
    assert account.short_of({"type": "t4g.large", "nodes": 3, "spot": spot, "addresses": 1}) == says


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[str]], dict[str, str]]:
    "What the cluster's commands were, and what they print, by their first words."
    asked: list[list[str]] = []
    prints: dict[str, str] = {}

    def run(command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        asked.append(command)
        said = next((text for words, text in prints.items() if " ".join(command).startswith(words)), "")
        return subprocess.CompletedProcess(command, int(said.startswith("error")), said, said)

    monkeypatch.setattr(cloud.subprocess, "run", run)
    return asked, prints


def test_the_cluster_is_detached_in_order(commands: tuple[list[list[str]], dict[str, str]]) -> None:
    asked, prints = commands
    prints["kubectl api-resources"] = "scaledobjects.keda.sh\ntargetgroupbindings.elbv2.k8s.aws\n"
    Cluster("ragwb-dev", "us-east-1").detach()
    done = [command[3:] for command in asked if command[:2] == ["kubectl", "-n"]]
    steps = [["delete", "scaledobjects.keda.sh"], ["delete", "targetgroupbindings.elbv2.k8s.aws"], ["scale", "deployments"], ["wait", "--for=delete"]]
    assert [words[:2] for words in done] == steps
    assert ["aws", "eks", "update-kubeconfig", "--name", "ragwb-dev", "--region", "us-east-1"] in asked


def test_a_volume_stops_the_pause_and_a_refusal_is_told(commands: tuple[list[list[str]], dict[str, str]]) -> None:
    asked, prints = commands
    prints["kubectl get pvc"] = "persistentvolumeclaim/data"
    with pytest.raises(CloudError, match="volumes would be lost with the cluster: persistentvolumeclaim/data"):
        Cluster("ragwb-dev", "us-east-1").detach()
    assert not [command for command in asked if "delete" in command]
    prints["aws eks"] = "error: no cluster found"
    with pytest.raises(CloudError, match="aws eks update-kubeconfig.*no cluster found"):
        Cluster("ragwb-dev", "us-east-1").kubectl("get", "pods")


def test_a_new_cluster_gets_its_controllers(commands: tuple[list[list[str]], dict[str, str]]) -> None:
    "Every kind that the manifests use and Kubernetes does not know comes with a chart of a pinned version; Grafana's password is there before Grafana."
    asked, _ = commands
    for environment, charts in (("dev", 4), ("prod", 5)):
        asked.clear()
        Cluster(f"ragwb-{environment}", "us-east-1").prepare(environment, "vpc-1")
        done = [command for command in asked if command[0] != "aws" and command[1] != "list"]
        helm = {command[3]: command for command in done if command[0] == "helm"}
        assert len(helm) == charts and ("argo-rollouts" in helm) == (environment != "dev")
        for command in helm.values():
            assert re.fullmatch(r"\d+\.\d+\.\d+", command[command.index("--version") + 1]) and Path(command[command.index("--values") + 1]).is_file()
        words = helm["aws-load-balancer-controller"]
        assert {f"clusterName=ragwb-{environment}", "region=us-east-1", "vpcId=vpc-1"} <= set(words)
        order = [command[3] if command[0] == "helm" else Path(command[-1]).name for command in done]
        assert order[-3:] == [environment, "monitoring", "monitoring"] and order.index("external-secrets") < order.index(environment)
        assert done[-1][:2] == ["kubectl", "apply"]


def test_a_chart_that_was_stopped_half_way_is_installed_again(commands: tuple[list[list[str]], dict[str, str]]) -> None:
    asked, prints = commands
    prints["helm list --pending --short --namespace keda"] = "keda\n"
    Cluster("ragwb-dev", "us-east-1").prepare("dev", "vpc-1")
    helm = [command[1:4] for command in asked if command[0] == "helm" and "keda" in command[2:4]]
    assert helm == [["uninstall", "keda", "--namespace"], ["upgrade", "--install", "keda"]] and len([command for command in asked if command[1] == "uninstall"]) == 1


def test_charts_run_under_the_accounts_that_have_roles() -> None:
    told = (cloud.INFRA / "modules/iam/main.tf").read_text("utf-8")
    charts = {each["name"]: each for each in json.loads((cloud.CHARTS / "charts.json").read_text("utf-8"))}
    for name in ("aws-load-balancer-controller", "external-secrets"):
        account = yaml.safe_load((cloud.CHARTS / f"{name}.yaml").read_text("utf-8"))["serviceAccount"]["name"]
        assert re.search(rf'namespace\s+= "{charts[name]["namespace"]}"\n\s+service_account = "{account}"', told), name
    groups = {"keda.sh": "keda", "argoproj.io": "argo-rollouts", "external-secrets.io": "external-secrets", "elbv2.k8s.aws": "aws-load-balancer-controller",
              "monitoring.coreos.com": "monitoring"}  # fmt: skip
    for folder in (*(f"overlays/{name}" for name in cloud.ENVIRONMENTS), *(f"secrets/{name}" for name in cloud.ENVIRONMENTS), "monitoring"):
        environment = folder.partition("/")[2]
        for each in rendered(f"k8s/{folder}"):
            group = each["apiVersion"].partition("/")[0]
            if "." in group and not group.endswith(".k8s.io"):
                assert environment not in charts[groups[group]].get("not_in", ()), f"{folder}: nothing in the cluster knows {each['apiVersion']} {each['kind']}"


def test_helm_knows_the_words(tmp_path: Path) -> None:
    for command, options in (("upgrade", "install repo version namespace create-namespace values set-string wait timeout"), ("list", "pending short namespace"),
                             ("uninstall", "wait namespace")):  # fmt: skip
        told = run(tool("helm"), command, "--help")
        assert not [option for option in options.split() if f"--{option}" not in told], command


def test_a_deployment_waits_for_pods_that_are_not_there_yet(commands: tuple[list[list[str]], dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    asked, prints = commands
    monkeypatch.setattr(cloud.time, "sleep", lambda _: prints.update({"kubectl -n ragwb get pods": "pod/ragwb-api-1"}))
    Cluster("ragwb-test", "us-east-1").deploy("dev", f"registry/serve@{DIGEST}", {"RAGWB_HOSTS": "x"})
    steps = [command[1:] for command in asked if command[0] == "kubectl"]
    assert steps[0][0] == "apply" and [words[2] for words in steps[1:]] == ["get", "get", "wait"]
    made = json.loads((cloud.ROOT / ".ragwb/terraform/ragwb-test/kustomization.yaml").read_text("utf-8"))
    assert made["images"] == [{"name": "ragwb", "newName": "registry/serve", "digest": DIGEST}]
    shutil.rmtree(cloud.ROOT / ".ragwb/terraform/ragwb-test")
    monkeypatch.setattr(cloud.time, "sleep", lambda _: None)
    monkeypatch.setattr(cloud.time, "monotonic", iter(range(0, 10_000, 200)).__next__)
    prints.clear()
    with pytest.raises(CloudError, match="no pod of ragwb was started.*outside working hours"):
        Cluster("ragwb-test", "us-east-1").deploy("dev", f"registry/serve@{DIGEST}", {})
    shutil.rmtree(cloud.ROOT / ".ragwb/terraform/ragwb-test")


def test_a_question_goes_to_a_pod_that_runs(commands: tuple[list[list[str]], dict[str, str]]) -> None:
    asked, prints = commands
    prints["kubectl -n ragwb get pods"], prints["kubectl -n ragwb exec"] = "pod/ragwb-api-1 pod/ragwb-api-2", '{"answer": "30 days"}'
    assert Cluster("ragwb-dev", "us-east-1").ask("How many?") == {"answer": "30 days"}
    assert asked[-1] == ["kubectl", "-n", "ragwb", "exec", "pod/ragwb-api-1", "--", "ragwb", "ask", "How many?", "--json"]
    prints["kubectl -n ragwb get pods"] = ""
    with pytest.raises(CloudError, match="no pod of ragwb runs"):
        Cluster("ragwb-dev", "us-east-1").ask("How many?")


def test_the_firewalls_rules_are_what_aws_waf_takes() -> None:
    "The rules are JSON, which Terraform passes on unseen: botocore's model of AWS WAF knows their fields."
    text = (cloud.INFRA / "modules/alb/main.tf").read_text("utf-8")
    told = hcl2.loads(text)["locals"][0]
    names = set(re.findall(r"^\s{2,}\{?\[?\{?\s*([A-Z]\w+)\s*=", text, re.MULTILINE)) | set(re.findall(r"\{ ([A-Z]\w+) =", text))
    names -= {key.strip('"') for key in told["managed_rules"]}
    assert {"Name", "Priority", "Statement", "VisibilityConfig"} <= names

    def fields(shape: Any, seen: tuple[str, ...] = ()) -> set[str]:
        if shape.type_name == "list":
            return fields(shape.member, seen)
        if shape.type_name != "structure" or shape.name in seen:
            return set()
        return set(shape.members).union(*(fields(each, (*seen, shape.name)) for each in shape.members.values()))

    model = boto3.client("wafv2", region_name="us-east-1").meta.service_model
    known = fields(model.operation_model("CreateWebACL").input_shape.members["Rules"])
    assert names <= known, f"AWS WAF knows no {names - known}"
