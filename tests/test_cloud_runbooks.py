"The commands of the runbooks: each is parsed by the program that it calls, with its own words, options and kinds of values; those of AWS by botocore's models of the services."

import re
import shlex
import subprocess
from pathlib import Path

import boto3
import click
import pytest
from botocore import xform_name
from cloud import ROOT, tool

from infra import cloud
from ragwb.cli import main

GUIDES = ROOT / "nbs/guides"
PAGES = [path for path in sorted(GUIDES.glob("*.md")) if path.name[:2] in ("12", "13", "15", "16", "17", "18", "19", "20", "21")]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
STARTS = ("make ", "ragwb ", "python infra/", "kubectl ", "aws ", "export ", "ray ", "CONFIRM=prod make ")


def commands(page: Path) -> list[str]:
    "The commands of a page: the lines of its blocks without a language."
    blocks = re.findall(r"^```\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line.partition("   #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def mentioned(page: Path) -> list[str]:
    "The commands within the sentences of a page, whole or by their name alone."
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = [each.removeprefix("sudo ").replace(" …", "") for each in re.findall(r"`([^`\n]+)`", text)]
    return [each for each in found if re.match(r"(make|ragwb|python infra/cloud\.py|kubectl|aws) \S", each) and not each.startswith("kubectl argo ")]  # a plugin of kubectl


READMES = [ROOT / "infra/README.md", ROOT / "k8s/README.md", ROOT / "infra/image/README.md", *sorted((ROOT / "infra/stacks").glob("*/README.md"))]
WITHIN = {page: [*mentioned(page), *(each for each in commands(page) if page in READMES and each.startswith(STARTS))] for page in (*PAGES, *READMES)}
MENTIONED = sorted({(page.relative_to(ROOT).as_posix(), command) for page, found in WITHIN.items() for command in found})
ALL = [pytest.param(command, id=f"{page.stem}: {command[:50]}") for page in PAGES for command in commands(page)]


def check_make(words: list[str]) -> None:
    "The target is there, and it or what it calls reads each variable."
    assert re.search(rf"^{words[0]}:", MAKEFILE, re.MULTILINE), f"make knows no {words[0]}"
    for word in words[1:]:
        assert f"$({word.partition('=')[0]})" in MAKEFILE, f"the Makefile reads no {word}"


def check_ragwb(words: list[str]) -> None:
    "click takes the words; nothing is run."
    command: click.Command = main
    context = click.Context(main, info_name="ragwb")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None, name
        command = found
    command.make_context(command.name, words, parent=context)


def check_ray(words: list[str]) -> None:
    "Ray's own command takes the words; nothing is run."
    scripts = pytest.importorskip("ray.scripts.scripts")
    scripts.cli.commands[words[0]].make_context(words[0], words[1:])


def check_kubectl(words: list[str]) -> None:
    "kubectl's own help of the subcommand names each option."
    kind = words[1:3] if words[1:2] == ["secret"] else words[1:2] if words[0] in ("rollout", "create", "config") else []
    told = subprocess.run([tool("kubectl"), words[0], *kind, "--help"], capture_output=True, text=True).stdout
    everywhere = subprocess.run([tool("kubectl"), "options"], capture_output=True, text=True).stdout
    for option in (word.partition("=")[0] for word in words if word.startswith("-")):
        assert re.search(rf"(?:^|[\s,]){option}(?:[=,\s])", told + everywhere), f"kubectl {words[0]} knows no {option}"


def check_aws(words: list[str]) -> None:
    "botocore's model of the service has the operation and its parameters."
    client = boto3.client(words[0].replace("s3api", "s3"), region_name="us-east-1")
    names = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    assert words[1] in names, f"aws {words[0]} knows no {words[1]}"
    shape = client.meta.service_model.operation_model(names[words[1]]).input_shape
    known = {f"--{xform_name(name, '-')}" for name in shape.members}
    given = {word for word in words[2:] if word.startswith("--")}
    assert {word.replace("--no-", "--") for word in given} <= known, f"aws {words[1]} knows no {given - known}"
    assert {f"--{xform_name(name, '-')}" for name in shape.required_members} <= given, f"aws {words[1]} wants {shape.required_members}"


@pytest.mark.parametrize("command", ALL)
def test_a_command_is_one(command: str) -> None:
    assert command.startswith(STARTS), f"{command}: nothing here checks such a command"
    words = shlex.split(command)
    if words[0] == "CONFIRM=prod":
        words = words[1:]
    if words[0] == "python":
        script, *given = words[1:words.index(">") if ">" in words else None]
        assert (ROOT / script).is_file()
        (cloud.arguments if script == "infra/cloud.py" else check_nothing)(given)
    elif words[0] != "export":
        {"make": check_make, "ragwb": check_ragwb, "kubectl": check_kubectl, "aws": check_aws, "ray": check_ray}[words[0]](words[1:])


@pytest.mark.parametrize(("page", "command"), MENTIONED, ids=[f"{Path(page).name}: {command[:50]}" for page, command in MENTIONED])
def test_a_command_in_a_sentence_is_one(page: str, command: str) -> None:
    "With its words and options if it has any, else that there is such a subcommand."
    for part in command.partition("   #")[0].split(" && "):
        words = shlex.split(part)
        if words[0] in ("make", "python") or any(word.startswith("-") for word in words) and words[0] != "aws" or words[0] == "aws" and len(words) > 3:
            test_a_command_is_one(part.removeprefix("CONFIRM=prod "))
        elif words[0] == "ragwb":
            group: click.Command = main
            for word in words[1:]:
                if not isinstance(group, click.Group):
                    break
                group = group.commands[word]
        elif words[0] == "aws":
            client = boto3.client(words[1], region_name="us-east-1")
            assert words[2] in {xform_name(name, "-") for name in client.meta.service_model.operation_names}, command
        elif words[0] == "kubectl":
            assert words[1] in subprocess.run([tool("kubectl"), "help"], capture_output=True, text=True).stdout, command


def check_nothing(given: list[str]) -> None:
    raise AssertionError(f"nothing here checks {given}")


def test_every_operation_has_its_page() -> None:
    titles = " ".join(path.read_text("utf-8").splitlines()[0].lower() for path in PAGES)
    assert all(word in titles for word in ("deploy", "pause", "resume", "roll back", "restore", "rotate", "scale", "cost", "first day"))


def test_wrong_commands_are_found() -> None:
    for command in (
        "make pauze ENV=dev", "make pause ENVIRONMENT=dev", "ragwb restore --until now", "ragwb restoor", "python infra/cloud.py stop", "kubectl get pods --namespaces x",
                    "aws s3api list-object-versions --buckets b", "aws budgets describe-budgets", "terraform destroy", "terraform force-unlock ID", "rm -rf /", "ray start --heads",
    ):  # fmt: skip
        with pytest.raises((AssertionError, click.ClickException, SystemExit)):
            test_a_command_is_one(command)


def test_settings_named_in_the_runbooks_are_in_the_code() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    for name in re.findall(r"`([a-z_]+) = ", text):
        assert any(f'variable "{name}"' in path.read_text("utf-8") for path in (ROOT / "infra/stacks").rglob("variables.tf")), name
    for path in re.findall(r"`((?:infra|k8s|tests)/[\w./-]+)`", text):
        if "ENV" not in path:
            assert (ROOT / path).exists(), f"{path} is not there"
