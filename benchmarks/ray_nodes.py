"Ray nodes on this machine, each a raylet with its own object store: for tests, the demonstration and measurements."

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import ROOT

STORE = 100_000_000  # bytes of an object store
PATIENT = {"RAY_raylet_start_wait_time_s": "180", "RAY_agent_register_timeout_ms": "180000", "RAY_worker_register_timeout_seconds": "180",
           "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "180"}  # the machine may be busy
RAYLET = """#!/bin/sh
for word in "$@"; do case $word in --dashboard_agent_command=*) port=${word##*--listen-port=};; esac; done
exec "%s" "$@" "--dashboard_agent_listen_port=${port%%%% *}"
"""  # Ray 2.60 does not pass this port on, and ends a node whose helper takes longer than 15 s to start and find one
AGENTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def free_ports(count: int) -> list[int]:
    "Ports that no process listens on."
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in found]


def agents() -> dict[str, int]:
    "Ports for a node's helpers."
    return dict(zip(AGENTS, free_ports(len(AGENTS)), strict=True))


def without_secrets() -> dict[str, str]:
    "The environment of a node: what this process has, but no keys and settings."
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAGWB_", "RAY_")) and not name.endswith("_API_KEY")}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return kept | PATIENT | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": path}


@contextmanager
def ray_nodes(count: int = 2, environment: dict[str, str] | None = None, **head: Any) -> Iterator[Any]:  # of ray.cluster_utils.Cluster, whose `address` is for RAY_ADDRESS
    "Nodes with one processor each. `environment`: what they have besides; `head`: options of the first."
    sizes = {"num_cpus": 1, "object_store_memory": STORE}
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        with patch.dict(os.environ, without_secrets() | (environment or {}), clear=True):  # a node has the environment that it was started in
            from ray._private import services, utils
            from ray.cluster_utils import Cluster

            wrapper = Path(folder, "raylet")
            wrapper.write_text(RAYLET % services.RAYLET_EXECUTABLE, "utf-8")
            wrapper.chmod(0o755)
            stack.enter_context(patch.object(services, "RAYLET_EXECUTABLE", str(wrapper)))
            Path(utils.get_ray_address_file(None)).parent.mkdir(parents=True, exist_ok=True)  # Ray notes the address there, whatever temp_dir is, and makes no folder
            cluster = Cluster(initialize_head=True, head_node_args=sizes | agents() | {"include_dashboard": False, "temp_dir": folder} | head)
            stack.callback(cluster.shutdown)
            for _ in range(count - 1):
                cluster.add_node(**sizes, **agents())
        yield cluster
