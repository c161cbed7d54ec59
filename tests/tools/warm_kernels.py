"""Jupyter kernels that start warm. `python tests/tools/warm_kernels.py serve SOCKET` imports the large libraries once and forks a kernel
whenever `python tests/tools/warm_kernels.py kernel SOCKET CONNECTION_FILE`, which Jupyter starts for one, asks. Nothing of ragwb is imported
before the fork, and nothing that has threads: each notebook runs in a process of its own, two seconds of processor time sooner."""

import atexit
import json
import os
import select
import signal
import socket
import sys
import threading
from importlib import import_module

LIBRARIES = """
    IPython.display boto3 botocore.session click fastapi fastcore.test httpx2 ipykernel.kernelapp ipykernel.zmqshell langchain_core.language_models
    langchain_core.messages langchain_core.output_parsers langchain_core.prompts langchain_core.runnables langchain_core.tracers.event_stream lxml.html markdown_it
    matplotlib.backends.backend_agg matplotlib.figure nbclient nbformat numpy pandas panel panel_material_ui pyarrow.dataset
    pypdfium2 scipy.stats sqlite3 Stemmer tenacity uvicorn yaml
""".split()


def serve(place: str) -> None:
    "Forks a kernel for everybody who connects, until standard input ends."
    for name in LIBRARIES:
        try:
            import_module(name)
        except ImportError:
            print(f"{name} is not installed: kernels import nothing beforehand of it", file=sys.stderr)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended kernels leave no zombies
        print("ready", flush=True)
        while listener in (ready := select.select([listener, sys.stdin], [], [])[0]) or sys.stdin not in ready:
            connection = listener.accept()[0]
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                return become_kernel(connection)
            connection.close()


def become_kernel(connection: socket.socket) -> None:
    "Runs a kernel in this process with the output, folder and environment of the one who asks, and ends with them."
    os.setsid()
    size, files, _, _ = socket.recv_fds(connection, 8, 2)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    asked = json.loads(connection.makefile("rb").read(int.from_bytes(size, "big")))
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.path[0] = ""

    def watch() -> None:
        connection.recv(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    from ipykernel.kernelapp import launch_new_instance

    sys.argv = ["ipykernel"]
    try:
        launch_new_instance(argv=["-f", asked["connection_file"], f"--IPKernelApp.parent_handle={os.getppid()}", "--log-level=ERROR"])
    finally:
        atexit._run_exitfuncs()
        os._exit(0)  # libraries in C would wait for threads that a fork does not take along


def kernel(place: str, connection_file: str) -> None:
    "Asks for a kernel and lasts as long as it does. The kernel ends when this process is killed."
    asked = json.dumps({"connection_file": connection_file, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        socket.send_fds(connection, [len(asked).to_bytes(8, "big")], [1, 2])
        connection.sendall(asked)
        while connection.recv(1):
            pass


if __name__ == "__main__":
    {"serve": serve, "kernel": kernel}[sys.argv[1]](*sys.argv[2:])
