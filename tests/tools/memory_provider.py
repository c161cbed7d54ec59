"""A Terraform provider that serves the AWS provider's schema and keeps resources in memory: python memory_provider.py SCHEMA SOCKET TYPES FAULTS

It checks what a schema can check (names, types, what is required) and invents what AWS would compute. It knows no AWS: no allowed values, conflicts,
replacements or permissions. The file FAULTS holds a number: after so many changes one fails, as AWS fails half-way.
"""

import hashlib
import json
import os
import signal
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import msgpack
import tfplugin6_pb2 as pb  # from the cache folder: tests/tools/terraform.py puts it there

UNKNOWN = msgpack.ExtType(0, b"\x00")
SECRET = ("password", "secret_string", "secret_binary", "auth_token")
SERVICE = "/tfplugin6.Provider/"
Attributes = dict[str, dict[str, Any]]

# The bindings describe the provider itself in another way than resources: this much of it is used.
PROVIDER: Attributes = {
    "region": {"type": "string"},
    "allowed_account_ids": {"type": ["set", "string"]},
    "default_tags": {"nest": "list", "block": True, "max": 1, "attrs": {"tags": {"type": ["map", "string"]}}},
}


def as_type(attributes: Attributes) -> list[Any]:
    "Terraform's type of an object."
    return ["object", {name: type_of(each) for name, each in attributes.items()}]


def type_of(attribute: dict[str, Any]) -> Any:
    "Terraform's type of an attribute."
    if "nest" not in attribute:
        return attribute["type"]
    inner = as_type(attribute["attrs"])
    return inner if attribute["nest"] == "single" else [nesting(attribute), inner]


def is_open(attributes: Attributes) -> bool:
    "Whether a block holds a value of any type: the rules of a WAF nest without an end, and the bindings end them so."
    return any(is_open(each["attrs"]) if "nest" in each else "dynamic" in str(each["type"]) for each in attributes.values())


def nesting(each: dict[str, Any]) -> str:
    "How the blocks of a name are held: a set cannot hold values of any type, so those are a list."
    return "list" if each["nest"] == "set" and is_open(each["attrs"]) else str(each["nest"])


def as_block(attributes: Attributes) -> Any:
    "A block of the schema, as the protocol writes it."
    block = pb.Schema.Block(version=0)
    for name, each in sorted(attributes.items()):
        required, computed = each.get("required", False), each.get("computed", False)
        if each.get("block"):
            nested = block.block_types.add(type_name=name, nesting=getattr(pb.Schema.NestedBlock, nesting(each).upper()))
            nested.block.CopyFrom(as_block(each["attrs"]))
            if each["nest"] in ("list", "set"):
                nested.min_items, nested.max_items = int(required), each.get("max", 0)
        else:
            block.attributes.add(name=name, type=json.dumps(type_of(each)).encode(), required=required, optional=each.get("optional", True) and not required,
                                 computed=computed and not required, write_only=name.endswith("_wo"), sensitive=any(word in name for word in SECRET))  # fmt: skip
    return block


def read(value: Any) -> Any:
    "A value of the protocol."
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, strict_map_key=False, raw=False)
    return json.loads(value.json) if value.json else None


def written(value: Any) -> Any:
    "A value for the protocol."
    return pb.DynamicValue(msgpack=msgpack.packb(value, use_bin_type=True))


def planned(attributes: Attributes, value: Any) -> Any:
    "What is not given and AWS computes is unknown until it is made; what is only written is not kept."
    if not isinstance(value, dict):
        return value
    found = {}
    for name, each in attributes.items():
        given = value.get(name)
        if each.get("block"):
            found[name] = [planned(each["attrs"], inner) for inner in given] if isinstance(given, list) else planned(each["attrs"], given)
        elif name.endswith("_wo"):
            found[name] = None
        else:
            found[name] = UNKNOWN if given is None and each.get("computed") else given
    return found


def invented(of: Any, path: str) -> Any:
    "A value of a type: the same for the same resource."
    name, digits = path.rpartition(".")[2], hashlib.sha256(path.encode()).hexdigest()[:10]
    if of == "string":
        return f"arn:aws:memory:us-east-1:123456789012:{digits}" if name == "arn" or name.endswith("_arn") else f"{name}-{digits}"
    return {"number": 0, "bool": False, "dynamic": None}.get(of) if isinstance(of, str) else {} if of[0] == "map" else []


def made(attributes: Attributes, value: Any, path: str) -> Any:
    "A resource with all that was unknown filled in."
    if not isinstance(value, dict):
        return value
    found = {}
    for name, each in attributes.items():
        given, at = value.get(name), f"{path}.{name}"
        if "nest" in each:
            if isinstance(given, msgpack.ExtType):
                given = dict.fromkeys(each["attrs"], UNKNOWN) if each["nest"] == "single" else [dict.fromkeys(each["attrs"], UNKNOWN)] if each["nest"] == "list" else []
            found[name] = [made(each["attrs"], inner, f"{at}{number}") for number, inner in enumerate(given)] if isinstance(given, list) else made(each["attrs"], given, at)
        else:
            found[name] = invented(each["type"], at) if isinstance(given, msgpack.ExtType) else given
    return found


class Provider(grpc.GenericRpcHandler):
    "Answers Terraform."

    def __init__(self, schema: dict[str, dict[str, Attributes]], faults: Path):
        self.schema, self.faults = schema, faults
        self.answers = {
            "GetProviderSchema": (self.say_schema, pb.GetProviderSchema.Request), "UpgradeResourceState": (self.upgrade, pb.UpgradeResourceState.Request),
            "ReadResource": (self.refresh, pb.ReadResource.Request), "PlanResourceChange": (self.plan, pb.PlanResourceChange.Request),
            "ApplyResourceChange": (self.apply, pb.ApplyResourceChange.Request), "ReadDataSource": (self.look_up, pb.ReadDataSource.Request),
            "OpenEphemeralResource": (self.open, pb.OpenEphemeralResource.Request),
        }  # fmt: skip
        for name in ("ValidateProviderConfig", "ValidateResourceConfig", "ValidateDataResourceConfig", "ValidateEphemeralResourceConfig", "ConfigureProvider",
                     "CloseEphemeralResource", "StopProvider"):  # fmt: skip
            kind = getattr(pb, name)
            self.answers[name] = (lambda request, kind=kind: kind.Response(), kind.Request)

    def service(self, call: Any) -> Any:
        "Called by gRPC for each request."
        if (name := call.method.removeprefix(SERVICE)) not in self.answers:
            return None
        answer, request = self.answers[name]
        return grpc.unary_unary_rpc_method_handler(lambda asked, _: answer(asked), request_deserializer=request.FromString,
                                                   response_serializer=lambda reply: reply.SerializeToString())  # fmt: skip

    def say_schema(self, request: Any) -> Any:
        reply = pb.GetProviderSchema.Response()
        reply.provider.block.CopyFrom(as_block(PROVIDER))
        for kind, target in (("resource", reply.resource_schemas), ("data", reply.data_source_schemas), ("ephemeral", reply.ephemeral_resource_schemas)):
            for name, attributes in self.schema[kind].items():
                target[name].block.CopyFrom(as_block(attributes))
        return reply

    def upgrade(self, request: Any) -> Any:
        return pb.UpgradeResourceState.Response(upgraded_state=pb.DynamicValue(json=request.raw_state.json))

    def refresh(self, request: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state, private=request.private)

    def plan(self, request: Any) -> Any:
        value, attributes = read(request.proposed_new_state), self.schema["resource"][request.type_name]
        if value is None:
            return pb.PlanResourceChange.Response(planned_state=request.proposed_new_state)
        if read(request.prior_state) is not None:  # an update keeps what was computed
            return pb.PlanResourceChange.Response(planned_state=written({name: None if name.endswith("_wo") else each for name, each in value.items()}))
        return pb.PlanResourceChange.Response(planned_state=written(planned(attributes, value)))

    def apply(self, request: Any) -> Any:
        if self.fault():
            broken = pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary="InternalFailure: injected", detail=f"{request.type_name} did not change")
            return pb.ApplyResourceChange.Response(new_state=request.prior_state, diagnostics=[broken])
        value = read(request.planned_state)
        if value is None:
            return pb.ApplyResourceChange.Response(new_state=request.planned_state)
        seed = request.type_name + hashlib.sha256(request.config.msgpack).hexdigest()[:8]
        return pb.ApplyResourceChange.Response(new_state=written(made(self.schema["resource"][request.type_name], value, seed)))

    def fault(self) -> bool:
        "Whether this change is the one that fails."
        if not self.faults.exists():
            return False
        left = int(self.faults.read_text())
        self.faults.write_text(str(left - 1)) if left > 0 else self.faults.unlink()
        return left == 0

    def look_up(self, request: Any) -> Any:
        attributes = self.schema["data"][request.type_name]
        return pb.ReadDataSource.Response(state=written(made(attributes, planned(attributes, read(request.config)), request.type_name)))

    def open(self, request: Any) -> Any:
        attributes = self.schema["ephemeral"][request.type_name]
        return pb.OpenEphemeralResource.Response(result=written(made(attributes, planned(attributes, read(request.config)), request.type_name)))


def main(schema: str, socket: str, types: str, faults: str) -> None:
    "Serves until it is told to stop; prints how Terraform reaches it."
    known, wanted = json.loads(Path(schema).read_text()), set(types.split(","))
    served = {kind: {name: known[kind][name] for name in known[kind] if name in wanted} for kind in ("resource", "data", "ephemeral")}
    server = grpc.server(futures.ThreadPoolExecutor(1), options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Provider(served, Path(faults)),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    address = {"Network": "unix", "String": socket}
    print(json.dumps({"registry.terraform.io/hashicorp/aws": {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address}}), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
