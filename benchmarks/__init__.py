"Speed, quality, faults and parity, measured: the scripts behind make targets. Run one with `python -m benchmarks.NAME` from the project's folder."

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "reports"
SAMPLE = ROOT / "experiments/data/sample"  # documents and golden questions
