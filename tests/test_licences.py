"No package that a user installs with ragwb is under the GPL or the AGPL."

import re
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement

EXTRAS = ("", "aws", "oidc", "openai", "ray", "tracking-server", "workbench")  # what `pip install ragwb[...]` brings
COPYLEFT = re.compile(r"(?<!L)\bA?GPL|(?<!Lesser )(?<!Library or Lesser )General Public License|Affero", re.IGNORECASE)


def runtime_packages() -> dict[str, str]:
    "The packages behind the runtime requirements, with what each says of its licence."
    found, waiting = dict[str, str](), [("ragwb", extra) for extra in EXTRAS]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:  # for another system or Python
            continue
        about = package.metadata
        said = about.get("License-Expression") or ""
        said = said or " ".join(each for each in about.get_all("Classifier") or () if each.startswith("License")) or (about.get("License") or "")[:200]
        found[name] = said
        for line in package.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                steps = [(needed.name.lower().replace("_", "-"), each) for each in ("", *needed.extras)]
                waiting += [step for step in steps if step not in seen]
                seen |= set(steps)
    return found


def test_no_runtime_package_is_under_the_gpl():
    found = runtime_packages()
    assert len(found) > 60 and {"lancedb", "fastapi", "boto3"} <= found.keys()
    alone = {name: said for name, said in found.items() if COPYLEFT.search(said) and not re.search(r"\bor\b|MIT|BSD|Apache", said, re.IGNORECASE)}
    assert alone == {}
    assert COPYLEFT.search("GNU Affero General Public License v3") and COPYLEFT.search("GPL-3.0-only") and not COPYLEFT.search("LGPL-3.0-or-later")
    assert not COPYLEFT.search("GNU Lesser General Public License v3 (LGPLv3)")
