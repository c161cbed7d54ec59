"""Two Ray nodes on this machine: the sample company lies in S3, the nodes prepare it, the caller writes the index to S3, a question is asked, all is stopped.

    python -m benchmarks.demo_ray [--documents FOLDER]

No account and no network. The nodes have no key of the bucket: what they need comes with each document.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import SAMPLE
from benchmarks.demo_aws import ragwb
from benchmarks.ray_nodes import ray_nodes
from ragwb.emulator.s3 import ADMIN, s3_server

QUESTION = "What torque does the A1-990-S need?"


def main() -> None:
    "The demonstration."
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--documents", type=Path, default=SAMPLE / "docs", help="a folder of documents")
    given = options.parse_args()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAGWB_", "RAY_"))}
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder) / "s3") as server, ray_nodes() as cluster:
        bucket = server.new_bucket("ragwb-ray")
        place = {"RAGWB_HOME": f"{folder}/home", "RAGWB_STORAGE": f"s3://{bucket}/index", "RAGWB_S3_ENDPOINT": server.endpoint, "RAY_ADDRESS": cluster.address}
        environment = inherited | ADMIN.environment | place
        print(f"1. S3 (SeaweedFS) at {server.endpoint}, {len(cluster.list_all_nodes())} Ray nodes at {cluster.address}", flush=True)
        print(f"\n2. Upload {given.documents.name} to s3://{bucket}/incoming", flush=True)
        ragwb(environment, "sync", str(given.documents), f"s3://{bucket}/incoming")
        print(f"\n3. Ingest s3://{bucket}/incoming --engine ray, twice: the second time there is nothing to do", flush=True)
        for _ in range(2):
            ragwb(environment, "ingest", f"s3://{bucket}/incoming", "--engine", "ray")
        print(f"\n4. Ask\n\n? {QUESTION}", flush=True)
        ragwb(environment, "ask", QUESTION)
    print("\n5. Nodes and server are stopped; their data is gone.")


if __name__ == "__main__":
    main()
