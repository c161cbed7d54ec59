"Terraform's own lock in S3, against a real S3 server (without encryption, for which it has no key): one run holds the state, another is refused, a left lock is freed by hand."

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from terraform import RUN, Terraform, terraform

from infra.cloud import INFRA
from ragwb.emulator.s3 import S3Server

pytestmark = pytest.mark.slow
KEY = re.findall(r'key\s+= "(.*)"', (INFRA / "environments/dev/foundation.backend.hcl").read_text("utf-8"))[0]
BACKEND = """terraform {{
  backend "s3" {{
    endpoints                   = {{ s3 = "{endpoint}" }}
    bucket                      = "{bucket}"
    region                      = "us-east-1"
    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_requesting_account_id  = true
  }}
}}

resource "terraform_data" "this" {{
  input = "{input}"

  provisioner "local-exec" {{
    command = "touch {place}/begun; while [ -e {place}/hold ]; do sleep 0.1; done"
  }}
}}
"""


@pytest.fixture
def tool(tmp_path: Path, bucket: str) -> Iterator[Terraform]:
    "Terraform with the keys of the S3 server."
    (tmp_path / "none").mkdir()
    with terraform(tmp_path / "none") as running:
        yield running


def folder(place: Path, seaweed: S3Server, bucket: str, name: str) -> Path:
    "A stack whose state is in the bucket; its apply takes as long as the file `hold` is there."
    made = place / name
    made.mkdir()
    (made / "main.tf").write_text(BACKEND.format(endpoint=seaweed.endpoint, bucket=bucket, input=name, place=place))
    return made


def keys(seaweed: S3Server, bucket: str) -> set[str]:
    return {each["Key"] for each in seaweed.client().list_objects_v2(Bucket=bucket).get("Contents", ())}


def test_one_run_holds_the_state(tool: Terraform, seaweed: S3Server, bucket: str, tmp_path: Path) -> None:
    one, other = (folder(tmp_path, seaweed, bucket, name) for name in ("one", "other"))
    backend = INFRA / "environments/dev/foundation.backend.hcl"
    for each in (one, other):
        done = tool.run(each, f"init -input=false -backend-config={backend} -backend-config=encrypt=false")
        assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "hold").touch()
    apply = "apply -input=false -auto-approve -no-color -lock-timeout=0s"
    command = subprocess.Popen([sys.executable, "-c", RUN, str(one), *apply.split()], env=tool.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < until and command.poll() is None, command.stdout and command.stdout.read()
            time.sleep(0.1)
        assert f"{KEY}.tflock" in keys(seaweed, bucket)
        lock = json.loads(seaweed.client().get_object(Bucket=bucket, Key=f"{KEY}.tflock")["Body"].read())
        refused = tool.run(other, apply)
        assert refused.returncode and "Error acquiring the state lock" in refused.stderr and lock["ID"] in refused.stderr, refused.stderr
    finally:
        (tmp_path / "hold").unlink()
        said, _ = command.communicate(timeout=60)
    assert command.returncode == 0, said
    assert keys(seaweed, bucket) == {KEY}, "the lock goes with its run"
    assert tool.run(other, apply).returncode == 0, "now it is the other's turn"


def test_a_lock_that_a_killed_run_left(tool: Terraform, seaweed: S3Server, bucket: str, tmp_path: Path) -> None:
    one = folder(tmp_path, seaweed, bucket, "one")
    assert tool.run(one, f"init -input=false -backend-config={INFRA / 'environments/dev/foundation.backend.hcl'} -backend-config=encrypt=false").returncode == 0
    left = {"ID": "0f1e2d3c-0000-4000-8000-000000000000", "Operation": "OperationTypeApply", "Who": "a desk that went", "Version": "1.15",
            "Created": "2026-11-24T09:00:00Z", "Path": f"{bucket}/{KEY}"}
    seaweed.client().put_object(Bucket=bucket, Key=f"{KEY}.tflock", Body=json.dumps(left).encode())
    refused = tool.run(one, "apply -input=false -auto-approve -no-color -lock-timeout=0s")
    assert refused.returncode and "a desk that went" in refused.stderr
    assert tool.run(one, f"force-unlock -force {left['ID']}").returncode == 0
    assert tool.run(one, "apply -input=false -auto-approve").returncode == 0
