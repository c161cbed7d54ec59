"""Deploys an image by its digest and takes it back if it does not answer: `make deploy ENV=dev IMAGE=repository@sha256:…`, `make rollback ENV=dev`.

What runs now is written down before anything changes, in the cluster (config map ragwb-release) and in release.json, so that any machine can go back to it.
Only Python and kubectl are needed. A step that fails says why; a deployment that fails after the change is rolled back, and ends with 1.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("dev", "staging", "prod")
IMAGE = re.compile(r"[a-z0-9./_:-]+@sha256:[0-9a-f]{64}")
SETTINGS = {"RAGWB_PROFILE", "RAGWB_STORAGE", "DOCUMENTS", "RAGWB_REGION", "RAGWB_BUCKET_OWNER", "RAGWB_KMS_KEY", "RAGWB_INFERENCE_PROFILE", "RAGWB_HOSTS", "RAGWB_GUARDRAIL_ID",
            "RAGWB_GUARDRAIL_VERSION", "FORWARDED_ALLOW_IPS", "MLFLOW_DATABASE", "MLFLOW_ARTIFACTS_DESTINATION"}  # all that `infra/cloud.py settings` prints
PODS = "app.kubernetes.io/name=ragwb,app.kubernetes.io/component=api"
NEEDED = {"RAGWB_STORAGE", "DOCUMENTS", "RAGWB_HOSTS"}


class Failed(Exception):
    "Why a deployment did not happen or was taken back."


def kubectl(*arguments: str, given: str = "") -> str:
    "What kubectl prints. Raises Failed with its own words."
    try:
        done = subprocess.run(["kubectl", *arguments], input=given, capture_output=True, text=True)
    except FileNotFoundError:
        raise Failed("kubectl is not installed: make cloud-tools, then put its folder into PATH") from None
    if done.returncode:
        raise Failed(f"kubectl {' '.join(arguments[:3])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def checked_settings(path: str) -> dict[str, str]:
    "The account's own values from a file of NAME=VALUE, as Terraform's outputs fill it. Raises Failed for a missing or unknown one."
    if not path:
        return {}
    lines = [line for line in Path(path).read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    given = {name: value for name, _, value in (line.partition("=") for line in lines) if value}
    if unknown := given.keys() - SETTINGS:
        raise Failed(f"{path}: {', '.join(sorted(unknown))} is no setting of a deployment; they are {', '.join(sorted(SETTINGS))}")
    if missing := NEEDED - given.keys():
        raise Failed(f"{path}: {', '.join(sorted(missing))} is missing: `python infra/cloud.py settings --env ENV` prints them all")
    return given


def rendered(environment: str, image: str, settings: dict[str, str]) -> str:
    "The resources of an environment with an image by its digest."
    repository, _, digest = image.partition("@")
    with tempfile.TemporaryDirectory(dir=ROOT / "k8s", prefix=".release-") as folder:
        made = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": "ragwb", "resources": [f"../overlays/{environment}"],
                "images": [{"name": "ragwb", "newName": repository, "digest": digest}]}
        if settings:
            made["configMapGenerator"] = [{"name": "ragwb", "behavior": "merge", "literals": [f"{name}={value}" for name, value in settings.items()]}]
        (Path(folder) / "kustomization.yaml").write_text(json.dumps(made))
        return kubectl("kustomize", folder)


def running_image() -> str:
    "The image that runs now; empty before the first deployment."
    return kubectl("get", "deployment", "ragwb-api", "--namespace", "ragwb", "--ignore-not-found", "--output", "jsonpath={.spec.template.spec.containers[0].image}").strip()


def recorded() -> dict[str, str]:
    "What the last deployment wrote down."
    told = kubectl("get", "configmap", "ragwb-release", "--namespace", "ragwb", "--ignore-not-found", "--output", "json").strip()
    return json.loads(told).get("data", {}) if told else {}


def record(environment: str, image: str, previous: str, state: str) -> None:
    "Writes down what is deployed and what ran before, in the cluster and in release.json."
    data = {"environment": environment, "image": image, "previous": previous, "state": state}
    resource = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ragwb-release", "namespace": "ragwb"}, "data": data}
    kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", given=json.dumps(resource))
    Path("release.json").write_text(json.dumps(data, indent=1) + "\n")


def why_not() -> str:
    "What the pods that are not ready lack: an image that cannot be pulled, or the last words of one that ended or waits. Empty if that is not known."
    try:
        pods = json.loads(kubectl("get", "pods", "--namespace", "ragwb", "--selector", PODS, "--output", "json") or "{}").get("items", [])
        said = []
        for pod in pods:
            for state in pod.get("status", {}).get("containerStatuses", []):
                if waits := state.get("state", {}).get("waiting", {}):
                    said.append(f"{pod['metadata']['name']}: {waits.get('reason', '')} {waits.get('message', '')}".rstrip())
                if not state.get("ready") and state.get("restartCount", 0) + ("running" in state.get("state", {})):
                    last = kubectl("logs", "--namespace", "ragwb", pod["metadata"]["name"], "--tail=3").strip()
                    said.append(f"{pod['metadata']['name']} says: {last}")
        return "".join(f"\n  {line}" for line in said)
    except (Failed, ValueError):  # the reason why is only an addition to the failure that is told
        return ""


def analysis() -> str:
    "What the canary's figures said, by Argo Rollouts; empty without a canary."
    try:
        told = json.loads(kubectl("get", "rollout", "ragwb-api", "--namespace", "ragwb", "--ignore-not-found", "--output", "json") or "{}").get("status", {})
        paused = told.get("pauseConditions", [{}])[0].get("reason", "") if told.get("pauseConditions") else ""
        words = {"InconclusiveAnalysisRun": "the canary had no traffic to be judged by: ask questions at its URL, then `kubectl argo rollouts promote ragwb-api -n ragwb`"}
        return "".join(f"\n  {line}" for line in (told.get("message", ""), words.get(paused, paused)) if line)
    except (Failed, ValueError):
        return ""


def roll_out(environment: str, image: str, settings: dict[str, str], wait_s: int) -> None:
    "Applies an image and waits until its pods are ready. Raises Failed."
    kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", given=rendered(environment, image, settings))
    if environment == "dev":
        try:
            kubectl("rollout", "status", "deployment/ragwb-api", "--namespace", "ragwb", f"--timeout={wait_s}s")
        except Failed as error:
            raise Failed(f"{error}{why_not()}") from None
    else:  # Argo Rollouts: the canary is Healthy at its end, Degraded if it was aborted
        try:
            kubectl("wait", "rollout/ragwb-api", "--namespace", "ragwb", "--for=jsonpath={.status.phase}=Healthy", f"--timeout={wait_s}s")
        except Failed as error:
            raise Failed(f"{error}{analysis()}{why_not()}") from None


def asked(url: str, path: str, key: str, body: dict[str, str] | None = None) -> dict[str, object]:
    "A reply of the server."
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url.rstrip("/") + path, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return dict(json.loads(reply.read()))


def questions_of(path: Path) -> list[dict[str, str]]:
    "Questions and what their answers hold. Raises Failed if there are none."
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not lines:
        raise Failed(f"{path} has no questions: a deployment that was asked nothing is not known to answer")
    return lines


def sent(url: str, path: str, key: str, body: dict[str, str] | None = None) -> tuple[int, str]:
    "Status and body of a reply, whatever the status."
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url.rstrip("/") + path, json.dumps(body).encode() if body else None, headers), timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read(400).decode(errors="replace")
    except OSError as error:
        raise Failed(f"{path}: {error}") from None


def integration(url: str, questions: Path, key: str) -> str:
    "What a caller relies on beyond an answer: proof, the stream, ratings, refusals, and that keys are wanted where there is one. Raises Failed for the first that is wrong."
    line = questions_of(questions)[0]
    question, seen = {"question": line["question"]}, 0

    def holds(what: str, status: int, path: str, body: dict[str, str] | None = None, by: str = key, says: str = "") -> str:
        nonlocal seen
        code, text = sent(url, path, by, body)
        if code != status or says not in text:
            raise Failed(f"integration: {what}: {path} said {code} {text[:200]}; {status} {says} was expected")
        seen += 1
        return text

    told = json.loads(holds("an answer with its proof", 200, "/v1/query", question, says='"quote"'))
    holds("the same answer as a stream", 200, "/v1/query/stream", question, says="event: answer")
    holds("a rating", 200, "/v1/feedback", {"answer_id": str(told["id"]), "rating": "up"}, says=str(told["id"]))
    holds("what no document answers is refused", 200, "/v1/query", {"question": "Who won the chess championship in Reykjavik in 1972?"}, says='"refused":true')
    holds("a body without a question", 422, "/v1/query", {"ask": "x"})
    if key:
        for by in ("", f"{key[:-4]}xxxx"):
            holds("a caller without a right key", 401, "/v1/query", question, by)
        holds("figures for a key that may only ask", 403, "/metrics")
    return f"{seen} integration tests passed"


def tried(given: argparse.Namespace) -> str:
    "The smoke questions; in staging the integration tests besides. Raises Failed."
    told = smoke(given.url, given.questions, given.key)
    return f"{told}; {integration(given.url, given.questions, given.key)}" if given.environment == "staging" else told


def smoke(url: str, questions: Path, key: str, wait_s: float = 120) -> str:
    "Asks questions whose answers are known. Raises Failed for the first that is wrong."
    until, begun = time.monotonic() + wait_s, time.monotonic()
    while True:
        try:
            asked(url, "/readyz", "")
            break
        except (OSError, ValueError) as error:  # not there yet, or a proxy's page
            if time.monotonic() > until:
                said = error.read(400).decode(errors="replace") if isinstance(error, urllib.error.HTTPError) else ""
                raise Failed(f"{url}/readyz: {error} {said}".rstrip()) from None
            time.sleep(2)
    lines = questions_of(questions)
    for line in lines:
        try:
            told = asked(url, "/v1/query", key, {"question": line["question"]})
        except urllib.error.HTTPError as error:
            raise Failed(f"“{line['question']}”: {error.code} {error.read(400).decode(errors='replace')}") from None
        except (OSError, ValueError) as error:
            raise Failed(f"“{line['question']}”: {error}") from None
        if line["expect"] not in str(told["answer"]):
            raise Failed(f"“{line['question']}” was answered with “{str(told['answer'])[:200]}”; {line['expect']!r} was expected")
    return f"{len(lines)} smoke questions answered in {time.monotonic() - begun:.0f} s"


def deploy(given: argparse.Namespace) -> str:
    "Deploys; takes it back if it does not answer. Raises Failed."
    if not IMAGE.fullmatch(given.image):
        raise Failed(f"IMAGE = {given.image!r}: a repository with a digest is needed, as in 1234.dkr.ecr.us-east-1.amazonaws.com/ragwb@sha256:…; a tag can be moved")
    settings, previous = checked_settings(given.settings), running_image()
    rendered(given.environment, given.image, settings)  # what cannot be rendered changes nothing
    kubectl("get", "namespace", "ragwb", "--ignore-not-found") or kubectl("create", "namespace", "ragwb")
    record(given.environment, given.image, previous, "deploying")
    try:
        roll_out(given.environment, given.image, settings, given.wait)
        told = tried(given)
    except Failed as error:
        if not previous or "@sha256:" not in previous:
            record(given.environment, given.image, previous, "failed")
            raise Failed(f"{error}\nNothing ran before that could be gone back to: mend it and deploy again") from None
        print(f"{error}\nBack to {previous}", file=sys.stderr)
        raise Failed(f"{error}\n{go_back(given, previous, settings)}") from None
    record(given.environment, given.image, previous, "deployed")
    return f"{given.image} runs in {given.environment}: {told}"


def go_back(given: argparse.Namespace, image: str, settings: dict[str, str]) -> str:
    "Deploys what ran before, and asks it too. Raises Failed if that does not answer either."
    roll_out(given.environment, image, settings, given.wait)
    told = smoke(given.url, given.questions, given.key)
    record(given.environment, image, "", "rolled back")
    return f"rolled back to {image}: {told}"


def rollback(given: argparse.Namespace) -> str:
    "Goes back to the image that the last deployment wrote down. Raises Failed."
    known = recorded()
    if "@sha256:" not in (previous := known.get("previous", "")):
        raise Failed("no earlier image is written down (config map ragwb-release): deploy one by its digest with make deploy")
    return go_back(given, previous, checked_settings(given.settings))


def main() -> None:
    "The command line."
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("act", choices=["deploy", "rollback", "smoke", "integration"])
    parser.add_argument("environment", choices=ENVIRONMENTS)
    parser.add_argument("--image", default="", help="repository@sha256:digest")
    parser.add_argument("--url", required=True, help="where the environment is reached")
    parser.add_argument("--settings", default="", help="file of NAME=VALUE from Terraform's outputs; else those of the overlay")
    parser.add_argument("--questions", type=Path, default=ROOT / "infra/deploy/questions.jsonl", help="smoke questions with what their answer must hold")
    parser.add_argument("--wait", type=int, default=1_800, help="seconds for the pods of a deployment, canary and all")
    given = parser.parse_args()
    given.key = os.environ.get("SMOKE_KEY", "")
    if not given.url.startswith(("http://", "https://")):
        parser.error(f"--url {given.url!r}: an address is needed, as in https://ragwb-dev.example.com (make: URL=…)")
    if given.environment == "prod" and given.act in ("deploy", "rollback") and os.environ.get("CONFIRM") != "prod":
        parser.error("this changes production: set CONFIRM=prod")
    try:
        if given.act == "smoke":
            print(smoke(given.url, given.questions, given.key))
        elif given.act == "integration":
            print(integration(given.url, given.questions, given.key))
        else:
            print((deploy if given.act == "deploy" else rollback)(given))
    except Failed as error:
        sys.exit(f"{given.act} of {given.environment} failed: {error}")


if __name__ == "__main__":
    main()
