"""Brings an environment up, pauses it and resumes it: python infra/cloud.py COMMAND --env dev

Each command may be stopped at any point and run again: what is done is found done. Nothing but compute is ever destroyed.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parent
ROOT = INFRA.parent
ENVIRONMENTS = ("dev", "staging", "prod")
STACKS = ("foundation", "compute")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAMESPACE = "ragwb"
QUOTAS = {False: ("ec2", "L-1216C47A"), True: ("ec2", "L-34B43A08")}  # vCPUs of standard instances: on demand, Spot
ADDRESSES = ("ec2", "L-0263D0A3")                                     # Elastic IP addresses
CHARTS = ROOT / "k8s/charts"
PODS = "app.kubernetes.io/name=ragwb,app.kubernetes.io/component=api"


class CloudError(Exception):
    "What is wrong, and what to do."


def settings_of(environment: str, infra: Path = INFRA) -> dict[str, str]:
    "The plain values of an environment's common.tfvars: region, owner, cost centre."
    if environment not in ENVIRONMENTS:
        raise CloudError(f"environment {environment!r} is unknown; there are {', '.join(ENVIRONMENTS)} (infra/environments)")
    path = infra / "environments" / environment / "common.tfvars"
    given = {"project": "ragwb"} | dict(re.findall(r'^(\w+)\s*=\s*"([^"]*)"', path.read_text("utf-8"), re.MULTILINE))
    if missing := [name for name in ("region", "owner", "cost_center") if not given.get(name)]:
        raise CloudError(f"{path.relative_to(infra.parent)} names no {', '.join(missing)}: add a line such as {missing[0]} = \"...\"")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(name, given["region"]) != given["region"]:
            raise CloudError(f"{environment} is in {given['region']}, and {name} says {os.environ[name]}: unset {name}, or set it to {given['region']}")
    return given


def wanted(environment: str, infra: Path = INFRA) -> dict[str, Any]:
    "What an environment takes of the account's quotas with all its nodes: how many of which type, whether on Spot, and an address for each NAT gateway."
    text = (infra / "environments" / environment / "compute.tfvars").read_text("utf-8")
    types = re.search(r'^instance_types\s*=\s*\["([^"]+)"', text, re.MULTILINE)
    nodes = re.search(r"^nodes\s*=\s*{[^}]*\bmax\s*=\s*(\d+)", text, re.MULTILINE)
    if not types or not nodes:
        raise CloudError(f"infra/environments/{environment}/compute.tfvars names no {'nodes' if types else 'instance_types'}: the quotas cannot be checked without")
    spot = bool(re.search(r"^spot\s*=\s*true", text, re.MULTILINE))
    zones = 3 if re.search(r"^nat_per_zone\s*=\s*true", text, re.MULTILINE) else 1
    return {"type": types[1], "nodes": int(nodes[1]), "spot": spot, "addresses": zones}


class Stacks:
    "Terraform on the stacks of one environment."

    def __init__(self, environment: str, account: str, infra: Path = INFRA):
        self.environment, self.account, self.infra = environment, account, infra
        self.settings = settings_of(environment, infra)
        self.bucket = f"{self.settings['project']}-state-{account}-{self.settings['region']}"
        self.ready: set[str] = set()

    def execute(self, stack: str, arguments: Sequence[str], variables: dict[str, Any], shown: bool) -> tuple[int, str]:
        "One run of Terraform: exit code, and what it said if that is not shown."
        given = {f"TF_VAR_{name}": value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()}
        data = ROOT / ".ragwb/terraform" / f"{self.environment}-{stack}"  # else one environment's backend would be taken for another's
        environment = os.environ | given | {"TF_DATA_DIR": str(data), "TF_IN_AUTOMATION": "1"}
        try:
            done = subprocess.run(["terraform", *arguments], cwd=self.infra / "stacks" / stack, env=environment, text=True, stdout=None if shown else subprocess.PIPE)
        except FileNotFoundError:
            raise CloudError("terraform is not installed: 1.11 or newer is needed") from None
        return done.returncode, done.stdout or ""

    def backend(self, stack: str) -> list[str]:
        "Where a stack's state is."
        file = self.infra / "environments" / self.environment / f"{stack}.backend.hcl"
        return [f"-backend-config={file}", f"-backend-config=bucket={self.bucket}", f"-backend-config=region={self.settings['region']}"]

    def foundation_state(self) -> dict[str, Any]:
        "Where compute finds foundation's state."
        return {"backend": "s3", "config": {"bucket": self.bucket, "key": f"{self.environment}/foundation.tfstate", "region": self.settings["region"]}}

    def run(self, stack: str, *arguments: str, shown: bool = True, **variables: Any) -> str:
        "A command on a stack. Raises CloudError."
        if stack not in self.ready:
            self.checked(stack, *self.execute(stack, ["init", "-input=false", "-reconfigure", *self.backend(stack)], {}, False), "init")
            self.ready.add(stack)
        return self.checked(stack, *self.execute(stack, arguments, {"account_id": self.account} | variables, shown), arguments[0])

    def checked(self, stack: str, code: int, text: str, what: str) -> str:
        if code:
            again = "run the same command again: what was done stays done, the rest is finished"
            raise CloudError(f"terraform {what} of {stack} failed in {self.environment}; {again}\n{text[-3_000:]}".rstrip())
        return text

    def files(self, stack: str) -> list[str]:
        "The environment's values for a stack."
        return [f"-var-file={self.infra / 'environments' / self.environment / name}.tfvars" for name in ("common", stack)]

    def change(self, stack: str, action: str, **variables: Any) -> None:
        "Plan, apply or destroy."
        more = {"foundation_state": self.foundation_state()} if stack == "compute" else {}
        agreed = ["-lock=false"] if action == "plan" else ["-lock-timeout=5m", "-auto-approve"]  # a plan changes nothing, and who may only read may make one
        self.run(stack, action, "-input=false", *agreed, *self.files(stack), **more, **variables)

    def state(self, stack: str) -> bytes:
        "A stack's state, byte for byte; empty if there is none."
        return self.run(stack, "state", "pull", shown=False).encode()


def resources(state: bytes) -> list[tuple[str, dict[str, Any]]]:
    "Type and attributes of all that a state holds."
    found = json.loads(state or b"{}").get("resources", [])
    return [(each["type"], instance["attributes"]) for each in found if each["mode"] == "managed" for instance in each["instances"]]


def output(state: bytes, name: str) -> Any:
    "An output of a state; None without one."
    return json.loads(state or b"{}").get("outputs", {}).get(name, {}).get("value")


def hourly_usd(state: bytes, prices: dict[str, Any]) -> dict[str, float]:
    "What the resources of a state cost in an hour, by kind. What is billed by use (tokens, traffic, storage) is not in it."
    hour, sums = prices["hour_usd"], {}
    for kind, each in resources(state):
        cost = 0.0
        if kind == "aws_eks_node_group":
            size, share = each["scaling_config"][0]["desired_size"], hour["spot_share"] if each["capacity_type"] == "SPOT" else 1
            cost = size * (hour["instances"][each["instance_types"][0]] * share + 40 * hour["gp3_gb"])
        elif kind == "aws_elasticache_replication_group":
            cost = each["num_cache_clusters"] * hour["instances"][each["node_type"]]
        elif kind == "aws_cloudwatch_metric_alarm":
            cost = hour["alarm"]
        elif kind == "aws_cloudwatch_dashboard":
            cost = hour["dashboard"]
        elif kind in hour:
            cost = hour[kind]
        elif kind in prices["month_usd"]:
            cost = prices["month_usd"][kind] / 730
        if cost:
            sums[kind] = sums.get(kind, 0.0) + cost
    return sums


class Account:
    "What AWS itself says: who asks, what carries the tags, what was noted."

    def __init__(self, settings: dict[str, str]):
        self.settings = settings

    def client(self, service: str) -> Any:
        "A client of boto3."
        try:
            import boto3
        except ImportError:
            raise CloudError("boto3 is missing: pip install 'ragwb[aws]'") from None
        return boto3.client(service, region_name=self.settings["region"])

    def number(self) -> str:
        "The account of the credentials."
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return str(self.client("sts").get_caller_identity()["Account"])
        except (BotoCoreError, ClientError) as error:
            raise CloudError(f"no credentials of AWS that work: {error}. Sign in, such as with `aws sso login`") from None

    def leftovers(self, environment: str) -> list[str]:
        "What carries compute's tags, and network interfaces and disks that nothing uses in the environment's network."
        tags = [{"Key": "Project", "Values": [self.settings["project"]]}, {"Key": "Environment", "Values": [environment]}, {"Key": "Stack", "Values": ["compute"]}]
        pages = self.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=tags)
        tagged = [each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]]
        ec2, name = self.client("ec2"), f"{self.settings['project']}-{environment}"
        cluster = [{"Name": f"tag:kubernetes.io/cluster/{name}", "Values": ["owned"]}]
        made = [each["VolumeId"] for page in ec2.get_paginator("describe_volumes").paginate(Filters=cluster) for each in page["Volumes"]]
        made += [each["NetworkInterfaceId"] for page in ec2.get_paginator("describe_network_interfaces").paginate(Filters=cluster) for each in page["NetworkInterfaces"]]
        return sorted({arn for arn in tagged if self.is_there(arn)} | set(made))

    def is_there(self, arn: str) -> bool:
        "The tagging API names things for a while after they are gone: those that cost are looked at."
        ec2, id = self.client("ec2"), arn.rpartition("/")[2]
        if ":natgateway/" in arn:
            found = ec2.describe_nat_gateways(Filter=[{"Name": "nat-gateway-id", "Values": [id]}])["NatGateways"]
            return any(each["State"] not in ("deleted", "deleting") for each in found)
        if ":instance/" in arn:
            found = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [id]}])["Reservations"]
            return any(each["State"]["Name"] not in ("terminated", "shutting-down") for group in found for each in group["Instances"])
        return True

    def has_cluster(self, name: str) -> bool:
        "Whether there is a cluster to talk to."
        eks = self.client("eks")
        try:
            return eks.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE"
        except eks.exceptions.ResourceNotFoundException:
            return False

    def quota(self, service: str, code: str) -> float:
        "A limit of the account: its own, or AWS's default."
        quotas = self.client("service-quotas")
        try:
            return float(quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
        except quotas.exceptions.NoSuchResourceException:
            return float(quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])

    def short_of(self, asked: dict[str, Any]) -> list[str]:
        "The quotas that do not suffice for what is asked beside what runs, in words."
        ec2, said = self.client("ec2"), []
        cores = ec2.describe_instance_types(InstanceTypes=[asked["type"]])["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"] * asked["nodes"]
        pages = ec2.get_paginator("describe_instances").paginate(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}])
        there = [each for page in pages for group in page["Reservations"] for each in group["Instances"]]
        used = sum(each["CpuOptions"]["CoreCount"] * each["CpuOptions"]["ThreadsPerCore"] for each in there if (each.get("InstanceLifecycle") == "spot") == asked["spot"])
        addresses = len(ec2.describe_addresses()["Addresses"])
        for what, need, use, quota in (("vCPUs of Spot instances" if asked["spot"] else "vCPUs of instances on demand", cores, used, QUOTAS[asked["spot"]]),
                                       ("Elastic IP addresses", asked["addresses"], addresses, ADDRESSES)):  # fmt: skip
            if use + need > (limit := self.quota(*quota)):
                said.append(f"{need} {what} are needed, {limit:.0f} are allowed and {use} in use (quota {quota[1]})")
        return said

    def has_image(self, repository: str, digest: str) -> bool:
        "Whether an image is there to be pulled."
        ecr = self.client("ecr")
        try:
            return bool(ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])["imageDetails"])
        except ecr.exceptions.ImageNotFoundException:
            return False

    def note(self, bucket: str, environment: str) -> dict[str, Any]:
        "What was noted of the last operation; empty without a note."
        s3 = self.client("s3")
        try:
            found: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=f"{environment}/operation.json")["Body"].read())
        except s3.exceptions.NoSuchKey:
            return {}
        return found

    def write_note(self, bucket: str, environment: str, note: dict[str, Any]) -> None:
        self.client("s3").put_object(Bucket=bucket, Key=f"{environment}/operation.json", Body=json.dumps(note, indent=1).encode())


class Cluster:
    "What runs on the cluster, by kubectl."

    def __init__(self, name: str, region: str):
        self.name, self.region = name, region

    def kubectl(self, *arguments: str) -> str:
        "A command of kubectl."
        return self.run("kubectl", *arguments)

    def run(self, *command: str) -> str:
        "A command on the cluster, in a context of its own. Raises CloudError."
        config = ROOT / ".ragwb/terraform" / f"{self.name}.kubeconfig"
        environment = os.environ | {"KUBECONFIG": str(config)}
        for each in (["aws", "eks", "update-kubeconfig", "--name", self.name, "--region", self.region], list(command)):
            try:
                done = subprocess.run(each, env=environment, text=True, capture_output=True)
            except FileNotFoundError:
                raise CloudError(f"{each[0]} is not installed") from None
            if done.returncode:
                raise CloudError(f"{' '.join(each)}: {done.stderr.strip()[-1_000:]}")
        return done.stdout

    def prepare(self, environment: str, vpc: str) -> None:
        "The controllers that the manifests need, by chart and version: a new cluster has none. What is there already stays."
        own = [f"clusterName={self.name}", f"region={self.region}", f"vpcId={vpc}"]
        for chart in json.loads((CHARTS / "charts.json").read_text("utf-8")):
            name, values = chart["name"], [word for value in own for word in ("--set-string", value)] if chart["name"] == "aws-load-balancer-controller" else []
            if environment not in chart.get("not_in", ()):
                if name == "monitoring":  # Grafana starts with a password that External Secrets writes
                    self.kubectl("apply", "--server-side", "-k", str(CHARTS.parent / "secrets" / environment))
                if name in self.run("helm", "list", "--pending", "--short", "--namespace", chart["namespace"]).split():  # of a resume that was stopped here: helm would refuse
                    self.run("helm", "uninstall", name, "--namespace", chart["namespace"], "--wait")
                self.run("helm", "upgrade", "--install", name, chart.get("chart", name), "--repo", chart["repo"], "--version", chart["version"], "--namespace", chart["namespace"],
                         "--create-namespace", "--values", str(CHARTS / f"{name}.yaml"), *values, "--wait", "--timeout", "10m")  # fmt: skip
        self.kubectl("apply", "--server-side", "-k", str(CHARTS.parent / "monitoring"))

    def detach(self) -> None:
        "No pod is left that a load balancer knows; nothing brings pods back, nothing holds a disk."
        if claims := self.kubectl("get", "pvc", "-A", "-o", "name").split():
            raise CloudError(f"volumes would be lost with the cluster: {', '.join(claims)}; keep their data elsewhere, delete them and run the pause again")
        known = set(self.kubectl("api-resources", "--verbs=delete", "-o", "name").split())
        for kind in ("scaledobjects.keda.sh", "rollouts.argoproj.io", "horizontalpodautoscalers.autoscaling", "targetgroupbindings.elbv2.k8s.aws"):
            if kind in known:
                self.kubectl("-n", NAMESPACE, "delete", kind, "--all", "--timeout=120s")
        self.kubectl("-n", NAMESPACE, "scale", "deployments", "--all", "--replicas=0")
        self.kubectl("-n", NAMESPACE, "wait", "--for=delete", "pods", "--all", "--timeout=300s")

    def deploy(self, environment: str, image: str, values: dict[str, str]) -> None:
        "The overlay of the environment, with an image (REPOSITORY@sha256:…) and the account's own values, until a pod is ready."
        overlay = ROOT / "k8s/overlays" / environment
        if not overlay.is_dir():
            raise CloudError(f"{overlay.relative_to(ROOT)} is missing: what is to run on {environment}?")
        repository, _, digest = image.partition("@")
        target = ROOT / ".ragwb/terraform" / self.name
        target.mkdir(parents=True, exist_ok=True)
        made = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": NAMESPACE,
            "resources": [os.path.relpath(overlay, target)], "images": [{"name": "ragwb", "newName": repository, "digest": digest}],
            "configMapGenerator": [{"name": "ragwb", "behavior": "merge", "literals": [f"{name}={value}" for name, value in values.items()]}],
        }  # fmt: skip
        (target / "kustomization.yaml").write_text(json.dumps(made, indent=1), "utf-8")  # JSON is YAML
        self.kubectl("apply", "--server-side", "-k", str(target))
        until = time.monotonic() + 300
        while not self.kubectl("-n", NAMESPACE, "get", "pods", "-l", PODS, "-o", "name").strip():  # kubectl waits for none that is not there yet
            if time.monotonic() > until:
                raise CloudError(f"no pod of {NAMESPACE} was started: kubectl -n {NAMESPACE} get scaledobjects,events; outside working hours dev and staging have none")
            time.sleep(5)
        self.kubectl("-n", NAMESPACE, "wait", "--for=condition=Ready", "pod", "-l", PODS, "--timeout=900s")

    def ask(self, question: str) -> dict[str, Any]:
        "A question, asked inside the running service."
        pods = self.kubectl("-n", NAMESPACE, "get", "pods", "-l", PODS, "--field-selector=status.phase=Running", "-o", "name").split()
        if not pods:
            raise CloudError(f"no pod of {NAMESPACE} runs that could be asked: kubectl -n {NAMESPACE} describe pods; outside working hours dev and staging have none")
        found: dict[str, Any] = json.loads(self.kubectl("-n", NAMESPACE, "exec", pods[0], "--", "ragwb", "ask", question, "--json"))
        return found


def fingerprint(state: bytes) -> str:
    "What a state holds, in one line: `state pull` writes the results of checks in another order each time."
    held = {name: value for name, value in json.loads(state).items() if name != "check_results"}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


class Operation:
    "Pause or resume of one environment; its steps can be taken any number of times."

    def __init__(self, stacks: Stacks, account: Any, cluster: Any, say: Callable[[str], None] = print, clock: Callable[[], float] = time.time):
        self.stacks, self.account, self.cluster, self.say, self.clock = stacks, account, cluster, say, clock
        self.environment = stacks.environment
        self.name = f"{stacks.settings['project']}-{self.environment}"
        self.prices = json.loads((INFRA / "prices.json").read_text("utf-8"))

    def begin(self, what: str, image: str = "") -> dict[str, Any]:
        "The note of this operation: a new one, or that of one that was stopped half-way."
        note, foundation = self.account.note(self.stacks.bucket, self.environment), self.stacks.state("foundation")
        if not foundation:
            raise CloudError(f"{self.environment} has no foundation yet: python infra/cloud.py apply foundation --env {self.environment}")
        if note.get("operation") == what and not note.get("done"):
            self.say(f"{what} of {self.environment} was begun before and is finished now")
        else:
            note = {"operation": what, "started": self.clock(), "foundation": fingerprint(foundation), "image_digest": note.get("image_digest", ""), "done": False}
        note["image_digest"] = image or output(self.stacks.state("compute"), "image_digest") or note["image_digest"]
        if not DIGEST.fullmatch(note["image_digest"]):
            raise CloudError(f"which image runs on {self.environment} is not known: name it with --image sha256:… (aws ecr describe-images)")
        self.account.write_note(self.stacks.bucket, self.environment, note)
        return note

    def end(self, note: dict[str, Any]) -> None:
        "Nothing that lasts has changed; what it took is printed and noted."
        if fingerprint(self.stacks.state("foundation")) != note["foundation"]:
            raise CloudError(f"foundation's state of {self.environment} changed meanwhile: compare the versions of its object in {self.stacks.bucket}; somebody applied it")
        took = self.clock() - note["started"]
        hour = sum(hourly_usd(self.stacks.state("compute"), self.prices).values())
        idle = sum(hourly_usd(self.stacks.state("foundation"), self.prices).values())
        self.account.write_note(self.stacks.bucket, self.environment, note | {"done": True, "took_s": round(took)})
        self.say(f"{note['operation']} of {self.environment}: {took / 60:.1f} minutes")
        self.say(f"compute now costs ${hour:.2f} an hour (${hour * 730:.0f} a month); what lasts costs ${idle * 730:.2f} a month, and what is stored")

    def pause(self, confirm: str = "") -> None:
        "Compute goes; nothing else. Raises CloudError if anything that costs is left."
        if self.environment == "prod" and confirm != "prod":
            raise CloudError("a pause of prod takes the service from its users: say so with CONFIRM=prod (--confirm prod)")
        last = self.account.note(self.stacks.bucket, self.environment)
        half_done = last.get("operation") == "pause" and not last["done"]
        if not half_done and not resources(self.stacks.state("compute")):
            self.say(f"{self.environment} has no compute: nothing to destroy")
            return self.left_behind()
        note = self.begin("pause")
        if self.account.has_cluster(self.name):
            self.say("detaching what runs")
            self.cluster.detach()
        self.say("destroying compute")
        self.stacks.change("compute", "destroy", image_digest=note["image_digest"])
        if left := resources(self.stacks.state("compute")):
            raise CloudError(f"{len(left)} resources are left in compute's state: {', '.join(sorted({kind for kind, _ in left}))}; run the pause again")
        self.left_behind()
        self.end(note)

    def left_behind(self) -> None:
        "Fails loudly over what controllers made and Terraform does not know."
        if left := self.account.leftovers(self.environment):
            raise CloudError(f"{len(left)} things that may cost are left in {self.environment}; delete them and run the pause again:\n" + "\n".join(f"  {each}" for each in left))

    def values(self) -> dict[str, str]:
        "The account's own values for the pods, of both states. Raises CloudError."
        found: dict[str, str] = {}
        for stack in STACKS:
            if not (given := output(self.stacks.state(stack), "environment")):
                raise CloudError(f"the state of {stack} names no values for the pods of {self.environment}: apply foundation and resume the environment first")
            found |= given
        return found

    def resume(self, image: str = "", questions: Iterable[str] = ()) -> None:
        "Compute comes back with the image that ran, and answers."
        note = self.begin("resume", image)
        foundation = self.stacks.state("foundation")
        repository = output(foundation, "repositories")["serve"]
        if not self.account.has_image(f"{self.name}/serve", note["image_digest"]):
            raise CloudError(f"there is no image {note['image_digest']} in {repository}: nothing was started. Name one that is there with --image (aws ecr describe-images)")
        if not resources(self.stacks.state("compute")) and (short := self.account.short_of(wanted(self.environment, self.stacks.infra))):
            raise CloudError(f"the account's quotas are too small for {self.environment}, nothing was started: {'; '.join(short)}. Ask for more: "
                             f"aws service-quotas request-service-quota-increase, or fewer nodes in infra/environments/{self.environment}/compute.tfvars")
        self.say("making compute")
        self.stacks.change("compute", "apply", image_digest=note["image_digest"])
        self.say("installing controllers")
        self.cluster.prepare(self.environment, output(foundation, "vpc_id"))
        self.say("starting what runs")
        self.cluster.deploy(self.environment, f"{repository}@{note['image_digest']}", self.values())
        for question in questions:
            answer = self.cluster.ask(question)
            if answer.get("refused") or not answer.get("citations"):
                raise CloudError(f"the smoke question {question!r} got no answer with a source: look at the logs of {NAMESPACE}/ragwb-api, or at whether the index is there")
            self.say(f"? {question} → {answer['answer'][:80]}")
        self.end(note)


def smoke_questions(environment: str, infra: Path = INFRA) -> list[str]:
    "Questions that the environment's documents answer, one a line; none if there is no such file."
    path = infra / "environments" / environment / "smoke.txt"
    return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")] if path.exists() else []


def bootstrap(stacks: Stacks) -> None:
    "The bucket of the states, made with a state on this desk that then moves into it."
    folder, backend = stacks.infra / "stacks/bootstrap", stacks.infra / "stacks/bootstrap/desk_override.tf"
    variables = {name: stacks.settings[name] for name in ("region", "owner", "cost_center")} | {"account_id": stacks.account}
    moved = ["-backend-config=key=bootstrap.tfstate", "-backend-config=encrypt=true", "-backend-config=use_lockfile=true",
             f"-backend-config=bucket={stacks.bucket}", f"-backend-config=region={stacks.settings['region']}"]  # fmt: skip
    if stacks.execute("bootstrap", ["init", "-input=false", "-reconfigure", *moved], {}, False)[0]:  # no bucket yet
        backend.write_text('terraform {\n  backend "local" {\n    path = "bootstrap.tfstate"\n  }\n}\n', "utf-8")
        try:
            for command in (["init", "-input=false", "-reconfigure"], ["apply", "-input=false", "-auto-approve"]):
                stacks.checked("bootstrap", *stacks.execute("bootstrap", command, variables, True), command[0])
        finally:
            backend.unlink()
        stacks.checked("bootstrap", *stacks.execute("bootstrap", ["init", "-input=false", "-migrate-state", "-force-copy", *moved], {}, True), "init")
        (folder / "bootstrap.tfstate").unlink(missing_ok=True)
    else:
        stacks.checked("bootstrap", *stacks.execute("bootstrap", ["apply", "-input=false", "-auto-approve"], variables, True), "apply")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("bootstrap", "plan", "apply", "destroy", "pause", "resume", "settings", "status", "outputs", "unlock"))
    parser.add_argument("stack", nargs="?", choices=STACKS, default="compute")
    parser.add_argument("--env", default="", help="dev, staging or prod")
    parser.add_argument("--image", default="", help="sha256:… of the image that is to run")
    parser.add_argument("--confirm", default="", help="prod: yes, pause production")
    parser.add_argument("--lock", default="", help="unlock: the ID that Terraform's message names")
    return parser.parse_args(given)


def obey(asked: argparse.Namespace, account_of: Callable[[dict[str, str]], Any] = Account, stacks_of: Callable[..., Stacks] = Stacks,
         cluster_of: Callable[[str, str], Any] = Cluster) -> None:  # fmt: skip
    "Carries a command out. Raises CloudError."
    if asked.command == "destroy":
        if asked.stack == "foundation":
            raise CloudError("foundation holds documents, index, keys and secrets and is not destroyed from here. "
                             "To stop the costs: make pause. To end an environment: infra/README.md")
        raise CloudError(f"compute is taken away by `make pause ENV={asked.env or 'dev'}`, which also detaches, looks for leftovers and checks what lasts")
    settings = settings_of(asked.env)
    if asked.image and not DIGEST.fullmatch(asked.image):
        raise CloudError(f"--image {asked.image}: sha256: and 64 hexadecimal digits are needed; a tag can change under a running service")
    account = account_of(settings)
    stacks = stacks_of(asked.env, account.number())
    operation = Operation(stacks, account, cluster_of(f"{settings['project']}-{asked.env}", settings["region"]))
    if asked.command == "bootstrap":
        bootstrap(stacks)
    elif asked.command in ("plan", "apply"):
        note = account.note(stacks.bucket, asked.env) if asked.stack == "compute" else {}
        stacks.change(asked.stack, asked.command, **({"image_digest": asked.image or note.get("image_digest", "")} if asked.stack == "compute" else {}))
    elif asked.command == "pause":
        operation.pause(asked.confirm)
    elif asked.command == "resume":
        operation.resume(asked.image, smoke_questions(asked.env))
    elif asked.command == "outputs":
        print(json.dumps({name: each["value"] for name, each in json.loads(stacks.state(asked.stack) or b"{}").get("outputs", {}).items()}, indent=1))
    elif asked.command == "unlock":
        if not asked.lock:
            raise CloudError("which lock? --lock ID, as Terraform's message names it; only if nobody runs Terraform on this state")
        stacks.run(asked.stack, "force-unlock", "-force", asked.lock)
    elif asked.command == "settings":
        print("\n".join(f"{name}={value}" for name, value in sorted(operation.values().items())))
    else:
        compute = stacks.state("compute")
        costs = hourly_usd(compute, operation.prices)
        print(f"{asked.env}: {'running' if resources(compute) else 'paused'}, last {json.dumps(account.note(stacks.bucket, asked.env))}")
        for kind, usd in sorted(costs.items(), key=lambda each: -each[1]):
            print(f"  ${usd:.3f} an hour  {kind}")


def main(given: Sequence[str] | None = None) -> int:
    "Exit code 1 and one message for what is wrong."
    try:
        obey(arguments(given))
    except CloudError as error:
        print(f"cloud: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
