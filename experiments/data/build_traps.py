"""Make question pairs that are near and ask different things, of kinds that the traps beside the sample's questions have few of.

Usage: python experiments/data/build_traps.py

Writes cache/traps.jsonl: exchanged roles, another quarter or day, another unit, another actor, words of scope, before and after, was and is,
a single exception, another thing asked of the same.
Templates are filled with names of the sample documents;
each pair stands once as it is and once with one side in other words. The same code gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

FILLS = {
    "gauge": ["gauge G-61", "gauge PG-509"], "kit": ["seal kit K7-110", "seal kit K7-120"], "site": ["Harrowfell", "Varnmouth"], "pump": ["the CX-40", "the DM-25 pump"],
    "firm": ["Ostberg Precision", "Marlow Bay Ferries"], "plate": ["gland plate A1-990", "gland plate A1-991-S"],
    "person": ["Corwin Hale", "Marit Aldergate"],
}  # fmt: skip
TEMPLATES = {
    "role": [
        ("What replaced {gauge}?", "What did {gauge} replace?"),
        ("Which kit was superseded by {kit}?", "Which kit superseded {kit}?"),
        ("Who reports to {person}?", "Who does {person} report to?"),
        ("Which supplier does {firm} audit?", "Which supplier audits {firm}?"),
        ("Who appointed {person}?", "Who was appointed by {person}?"),
        ("Did {firm} acquire Veltrano?", "Did Veltrano acquire {firm}?"),
        ("How is a flow in litres converted to gallons at {site}?", "How is a flow in gallons converted to litres at {site}?"),
    ],
    "period": [
        ("What did {site} sell in the first quarter of 2024?", "What did {site} sell in the second quarter of 2024?"),
        ("Sales of {pump} in Q3 2024?", "Sales of {pump} in Q4 2024?"),
        ("How many hours did {site} work in January 2025?", "How many hours did {site} work in March 2025?"),
        ("Is {site} open on Saturday?", "Is {site} open on Sunday?"),
        ("How many returns came from {firm} this year?", "How many returns came from {firm} last year?"),
        ("Who is on duty at {site} in the morning?", "Who is on duty at {site} in the evening?"),
    ],
    "unit": [
        ("How long is {plate} in millimetres?", "How long is {plate} in inches?"),
        ("What does {pump} weigh in kilograms?", "What does {pump} weigh in pounds?"),
        ("How many days of notice does {firm} get?", "How many weeks of notice does {firm} get?"),
        ("What does {kit} cost in euros?", "What does {kit} cost in dollars?"),
        ("At how many degrees Celsius does {pump} stop?", "At how many degrees Fahrenheit does {pump} stop?"),
    ],
    "actor": [
        ("May contractors enter the workshop at {site}?", "May visitors enter the workshop at {site}?"),
        ("What must a customer sign for {pump}?", "What must a supplier sign for {pump}?"),
        ("Who trains apprentices at {site}?", "Who trains managers at {site}?"),
        ("How much does the employee pay towards the gym in {site}?", "How much does the firm pay towards the gym in {site}?"),
    ],
    "scope": [
        ("Must all {site} staff wear gloves?", "Must only {site} staff wear gloves?"),
        ("Are all seals of {pump} replaced?", "Are some seals of {pump} replaced?"),
        ("Is every return from {firm} examined?", "Is any return from {firm} examined?"),
        ("What is the maximum pressure of {pump}?", "What is the minimum pressure of {pump}?"),
        ("At least how many people must sign for {firm}?", "At most how many people must sign for {firm}?"),
        ("Does {pump} need oil?", "Does only {pump} need oil?"),
    ],
    "order": [
        ("What is checked before {pump} is started?", "What is checked after {pump} is started?"),
        ("What was the price of {kit}?", "What is the price of {kit}?"),
        ("Who was the manager at {site}?", "Who is the manager at {site}?"),
        ("Who led {site} before {person}?", "Who led {site} after {person}?"),
        ("When was {gauge} last calibrated?", "When is {gauge} next calibrated?"),
        ("What happens with {plate} until it is inspected?", "What happens with {plate} once it is inspected?"),
    ],
    "exception": [
        ("Which sites are open on Ascension Day?", "Which sites except {site} are open on Ascension Day?"),
        ("Can {pump} run without oil?", "Can {pump} run with oil?"),
        ("Which vans carry {kit}?", "Which vans do not carry {kit}?"),
        ("Is {plate} allowed for drinking water?", "Is {plate} not allowed for drinking water?"),
        ("Who may enter {site}?", "Who else but electricians may enter {site}?"),
    ],
    "thing": [
        ("What does {kit} cost?", "What does {kit} weigh?"),
        ("When was {plate} approved?", "Why was {plate} approved?"),
        ("How many people work in {site}?", "How many people live in {site}?"),
        ("How long is the warranty of {pump}?", "How long is the delivery of {pump}?"),
        ("Who designed {pump}?", "Who tested {pump}?"),
        ("Where is {gauge} stored?", "Where is {gauge} used?"),
        ("How is {pump} installed?", "How is {pump} removed?"),
        ("What is the pressure of {pump}?", "What is the temperature of {pump}?"),
        ("Which colour is {plate}?", "Which thickness is {plate}?"),
        ("Who accepted the offer of {firm}?", "Who declined the offer of {firm}?"),
        ("What does {firm} buy from us?", "What does {firm} sell to us?"),
        ("How do I open {plate}?", "How do I close {plate}?"),
    ],
}  # fmt: skip


def polite(question: str) -> str:
    """The question with a frame around it."""
    return f"I would like to know this, please: {question[0].lower()}{question[1:]}"


def filled(one: str, other: str) -> Iterator[tuple[str, str]]:
    """A template with each of its fills."""
    names = [name for name in FILLS if f"{{{name}}}" in one + other]
    for values in product(*(FILLS[name] for name in names)):
        known = dict(zip(names, values, strict=True))
        yield one.format(**known), other.format(**known)


def pairs() -> Iterator[dict[str, str]]:
    """All pairs, each with its kind."""
    for kind, templates in TEMPLATES.items():
        for template in templates:
            for one, other in filled(*template):
                yield {"kind": kind, "question": one, "trap": other}
                yield {"kind": kind, "question": other, "trap": polite(one)}


if __name__ == "__main__":
    made = list(pairs())
    (Path(__file__).parent / "cache/traps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    print(f"{len(made)} pairs")
