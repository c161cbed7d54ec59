"""The AWS provider's schema, rebuilt from the CDK Terrain bindings on PyPI: aws_schema(FOLDER) reads their lib/ folder.

The provider itself comes from a registry that a test must not need; the bindings are made from the provider's schema and say the same.
"""

import re
from pathlib import Path
from typing import Any

CLASS = re.compile(r"^class (\w+) extends (?:cdktn|cdktf)\.(\w+) \{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"^    // ([a-z0-9_]+) - computed: (true|false), optional: (true|false), required: (true|false)\n(?=((?:.*\n){1,6}))", re.MULTILINE)
DECLARED = re.compile(r"^export interface (\w+)|^    \* ([a-z0-9_]+) block$", re.MULTILINE)
FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.DOTALL | re.MULTILINE)
KINDS = {"TerraformResource": "resource", "TerraformDataSource": "data", "TerraformEphemeralResource": "ephemeral"}
SIMPLE = {"String": "string", "Number": "number", "Boolean": "bool"}
NESTING = {"OutputReference": "single", "Map": "map"}


def listed(indent: int, text: str) -> dict[str, str]:
    "How a generated function writes each of its attributes."
    return dict(re.findall(rf'^ {{{indent}}}([a-z0-9_]+): \{{\n\s+value: .*\n\s+isBlock: (?:true|false),\n\s+type: "(\w+)"', text, re.MULTILINE))


def simple_type(text: str, name: str) -> Any:
    "The type that an attribute's getter reads."
    if found := re.search(rf'new cdkt[nf]\.(\w+)Map\(this, "{name}"\)', text):
        return ["map", SIMPLE.get(found[1], "string")]
    if found := re.search(rf"(tolist\()?this\.get(\w+)Attribute\('{name}'\)", text):
        many, kind = "set" if found[1] else "list", found[2]
        if kind in SIMPLE:
            return SIMPLE[kind]
        if kind in ("List", "NumberList"):
            return [many, "number" if kind == "NumberList" else "string"]
        if kind.endswith("Map"):
            return ["map", "dynamic" if kind == "AnyMap" else SIMPLE.get(kind[:-3], "string")]
    return "dynamic"


class Folder:
    "One folder of the bindings: the resources and data sources of a name."

    def __init__(self, folder: Path):
        code = "".join(path.read_text("utf-8") for path in sorted(folder.rglob("*.js")))
        self.classes = {found[1]: (found[2], found[3]) for found in CLASS.finditer(code)}
        self.written = {found[1]: listed(8, found[2]) for found in FUNCTION.finditer(code)}
        self.blocks, interface = set(), ""
        for found in DECLARED.finditer("".join(path.read_text("utf-8") for path in sorted(folder.rglob("*.d.ts")))):
            interface = found[1] or interface
            if found[2]:
                self.blocks.add((interface, found[2]))

    def attributes(self, name: str, interface: str, depth: int = 0) -> dict[str, dict[str, Any]]:
        "The attributes and blocks of a class."
        body, found = self.classes[name][1], {}
        many = listed(12, body) | self.written.get(interface[:1].lower() + interface[1:], {})
        for match in COMMENT.finditer(body):
            attribute, *flags, text = match.groups()
            each: dict[str, Any] = dict(zip(("computed", "optional", "required"), (flag == "true" for flag in flags), strict=True))
            nested = re.search(rf'new (?:\w+\.)?(\w+?)(OutputReference|List|Map)\(this, "{attribute}"(?:, (true|false))?\)', text)
            if nested and nested[1] + nested[2] in self.classes:
                inner = nested[1] + "OutputReference"
                each["nest"] = NESTING.get(nested[2], "set" if nested[3] == "true" else "list")
                each["block"] = (interface, attribute) in self.blocks
                each["attrs"] = self.attributes(inner, nested[1], depth + 1) if inner in self.classes and depth < 14 else {}
                if each["nest"] == "single" and many.get(attribute) in ("list", "set"):
                    each |= {"nest": many[attribute], "max": 1}
            else:
                each["type"] = simple_type(text, attribute)
            found[attribute] = each
        return found


def aws_schema(library: Path) -> dict[str, dict[str, Any]]:
    "Resources, data sources and ephemeral resources by name."
    found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS.values()}
    for place in sorted(path for path in library.iterdir() if path.is_dir() and path.name != "provider"):
        folder = Folder(place)
        for name, (base, body) in folder.classes.items():
            if base in KINDS and (type_name := re.search(r'static tfResourceType = "(\w+)"', body)):
                found[KINDS[base]][type_name[1]] = folder.attributes(name, f"{name}Config")
    return found
