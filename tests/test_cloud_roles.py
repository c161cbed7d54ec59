"The roles of the pods, held by a real S3 server: a proxy before it allows what infra/modules/iam says, and the application does its day's work with no more than that."

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from click.testing import CliRunner
from terraform import ROOT, prepared, terraform

from infra.cloud import resources
from ragwb.cli import main
from ragwb.emulator import s3_faults
from ragwb.emulator.s3 import S3Server
from ragwb.emulator.s3_faults import S3Fault, S3Proxy, S3Request, S3Response, s3_error
from ragwb.settings import Settings
from ragwb.storage.sync import sync
from ragwb.workbench import Workbench

pytestmark = pytest.mark.slow
Policy = list[dict[str, Any]]


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Policy]:
    "The policies of the pods as Terraform applies them."
    prepared()
    folder = tmp_path_factory.mktemp("roles") / "iam"
    shutil.copytree(ROOT / "infra/modules/iam", folder, ignore=shutil.ignore_patterns(".terraform*", "tests"))
    given = {"name": "ragwb-dev", "region": "us-east-1", "account_id": "111122223333", "bucket": "BUCKET", "kms_key_arn": "arn:aws:kms:us-east-1:111122223333:key/k",
             "guardrail_arn": "arn:aws:bedrock:us-east-1:111122223333:guardrail/g", "chat_models": ["amazon.nova-2-lite-v1:0"],
             "secret_arns": ["arn:aws:secretsmanager:us-east-1:111122223333:secret:s"],
             "tags": {"Project": "ragwb", "Environment": "dev", "CostCenter": "lab", "ManagedBy": "terraform", "Owner": "platform"}}  # fmt: skip
    with terraform(folder) as tool:
        for command in ("init -backend=false -input=false", "apply -auto-approve -input=false"):
            done = tool.run(folder, command, **given)
            assert done.returncode == 0, done.stdout + done.stderr
    state = (folder / "terraform.tfstate").read_bytes()
    return {each["name"]: json.loads(each["policy"])["Statement"] for kind, each in resources(state) if kind == "aws_iam_role_policy"}


def acts(request: S3Request, body: bytes) -> list[tuple[str, str]]:
    "What a request does, in IAM's words: action, and bucket or object."
    path, query = request.key, parse_qs(urlsplit(request.path).query, keep_blank_values=True)
    bucket, _, key = path.partition("/")
    if not key:
        if request.method == "POST" and "delete" in query:
            return [("s3:DeleteObject", f"{bucket}/{unquote(name)}") for name in re.findall(r"<Key>(.*?)</Key>", body.decode())]
        return [("s3:ListBucketMultipartUploads" if "uploads" in query else "s3:ListBucket", bucket)]
    if request.method == "DELETE":
        return [("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", path)]
    return [("s3:GetObject" if request.method in ("GET", "HEAD") else "s3:PutObject", path)]


def allowed(policy: Policy, action: str, what: str) -> bool:
    "Whether a policy allows an action on a bucket or an object."
    def listed(value: str | list[str]) -> list[str]:
        return [value] if isinstance(value, str) else value

    arn = f"arn:aws:s3:::{what}"
    return any(each["Effect"] == "Allow" and action in listed(each["Action"]) and any(fnmatchcase(arn, pattern) for pattern in listed(each["Resource"])) for each in policy)


Held = Callable[[str], tuple[Settings, list[str]]]


@pytest.fixture
def held(policies: dict[str, Policy], proxy: S3Proxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    "Settings of a pod that has a role, and what was refused to it."
    rules: Policy = []
    refused: list[str] = []
    passed_on = s3_faults.passed_on

    def within_the_role(request: S3Request, body: bytes, endpoint: str) -> S3Response:
        wrong = [f"{action} {what}" for action, what in acts(request, body) if not allowed(rules, action, what.replace(bucket, "BUCKET", 1))]
        refused.extend(wrong)
        return s3_error(S3Fault(403, "AccessDenied")) if wrong else passed_on(request, body, endpoint)

    monkeypatch.setattr(s3_faults, "passed_on", within_the_role)

    def pod(role: str) -> tuple[Settings, list[str]]:
        rules[:] = policies[role]
        return Settings(home=tmp_path / role, storage=f"s3://{bucket}/index", s3_endpoint=proxy.endpoint, region="us-east-1", refresh_s=0, workers=1), refused

    yield pod


def ragwb(settings: Settings, refused: list[str], *words: str) -> Any:
    "A command in a pod."
    given = {"RAGWB_HOME": str(settings.home), "RAGWB_STORAGE": settings.storage, "RAGWB_S3_ENDPOINT": settings.s3_endpoint, "RAGWB_WORKERS": "1"}
    done = CliRunner().invoke(main, list(words), env=given)
    assert done.exit_code == 0, f"{' '.join(words)}: {done.output}{refused}"
    return json.loads(done.stdout) if "--json" in words else done.stdout


def test_a_day_within_the_roles(held: Held, seaweed: S3Server, bucket: str, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text("# Leave\n\nFull-time employees get 30 days of annual leave.\n")
    (docs / "seals.md").write_text("# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n")
    documents = f"s3://{bucket}/documents"
    upload = Settings(home=tmp_path / "desk", s3_endpoint=seaweed.endpoint, region="us-east-1")
    sync(docs, documents, upload, delete=True)

    ingester, refused = held("ingest")
    assert ragwb(ingester, refused, "ingest", documents, "--delete", "--json")["new"] == 2
    assert not refused, f"the ingester's role is refused {refused}"

    server, refused = held("api")
    workbench = Workbench(server)
    answer, other = workbench.ask("What torque does the A1-990 need?"), workbench.ask("How many days of annual leave do I get?")
    assert not answer.refused and not other.refused and not workbench.unkept
    workbench.answers.feedback(answer.id, "down", "It has changed.")
    ragwb(server, refused, "keys", "create", "reader")
    assert {"upload", "keys create"} & {each["event"] for each in workbench.audit.read()}
    assert not refused, f"the server's role is refused {refused}"
    ragwb(server, refused, "candidates", "list", "--json")
    ragwb(server, refused, "cost", "--json")
    with pytest.raises(Exception, match=r"refuse|denied|allow|right"):
        workbench.ingest_files([("note.md", b"# Note")])
    refused.clear()

    (docs / "seals.md").unlink()
    assert sync(docs, documents, upload, delete=True).deleted == 1
    ingester, refused = held("ingest")
    done = ragwb(replace(ingester, home=tmp_path / "another pod"), refused, "ingest", documents, "--delete", "--json")
    assert (done["unchanged"], done["deleted"]) == (1, ["seals.md"]) and not refused, f"the ingester's role is refused {refused}"
    kept, = ragwb(ingester, refused, "maintain", "--json")
    assert kept["collection"] == "default" and not refused, f"maintenance in the ingester's role is refused {refused}"
    server, refused = held("api")
    assert workbench.ask("What torque does the A1-990 need?").refused
    assert [each["id"] for each in workbench.answers.recent(5) if not each["refused"]] == [other.id]
