"Finds words wherever bytes of them can lie: in names, in raw bytes, and inside what is compressed, opened by its own reader."

import gzip
import io
import re
import sqlite3
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import zstandard

ZSTD = b"\x28\xb5\x2f\xfd"


def unpacked(data: bytes) -> Iterator[bytes]:
    "What zip, gzip and zstandard hide in some bytes, wherever they begin."
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from map(archive.read, archive.namelist())
    for frame in re.finditer(re.escape(ZSTD), data):
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[frame.start():])
    if data[:6] == b"ARROW1":
        yield repr(pa.ipc.open_file(pa.py_buffer(data)).read_all().to_pylist()).encode()


def rows_of(path: Path) -> bytes:
    "All rows of an SQLite file, its log included."
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return repr([line for line in database.iterdump()]).encode()


def versions_of(place: str, options: dict[str, str] | None = None) -> Iterator[tuple[str, bytes]]:
    "Every version of every LanceDB table, read by LanceDB."
    database = lancedb.connect(place, storage_options=options or {})
    for name in database.list_tables().tables:
        for told in (table := database.open_table(name)).list_versions():
            table.checkout(told["version"])
            rows = table.to_arrow()
            kept = rows.select([column for column in rows.column_names if column != "vector"]).to_pylist()
            yield f"{name}@{told['version']}", repr(kept).encode()


def stray_data(folder: Path) -> list[str]:
    "Data files of LanceDB tables that the last version does not use: no reader opens them, and LanceDB may have packed their text."
    stray = []
    for table in folder.rglob("*.lance"):
        if (table / "_versions").is_dir():
            manifests = list((table / "_versions").glob("*.manifest"))
            last = max(manifests, key=lambda path: path.stat().st_mtime_ns).read_bytes()
            stray += [str(path) for path in (table / "data").glob("*") if path.name.encode() not in last]
    return stray


class Finder:
    "Looks for words, whatever their case, and for vectors."

    def __init__(self, words: dict[str, str], vectors: Iterable[np.ndarray] = ()):
        self.words = {name: word.lower().encode() for name, word in words.items()}
        self.vectors = [vector.astype(np.float32).tobytes() for vector in vectors]

    def kinds(self, data: bytes) -> set[str]:
        "The names of the words that some bytes hold."
        lower = data.lower()
        wide = lower.replace(b"\0", b"")  # UTF-16 and UTF-32
        found = {name for name, word in self.words.items() if word in lower or word in wide}
        return found | ({"vector"} if any(vector in data for vector in self.vectors) else set())

    def within(self, data: bytes) -> set[str]:
        "The same, also inside what is packed."
        return self.kinds(data).union(*(self.kinds(inner) for inner in unpacked(data)))

    def in_folder(self, folder: Path) -> dict[str, list[str]]:
        "File, or version of a table -> the names of the words that are in it."
        found: dict[str, set[str]] = {}
        for path in folder.rglob("*"):
            name = str(path.relative_to(folder))
            found[name] = self.kinds(name.encode())
            if path.is_file():
                data = path.read_bytes()
                found[name] |= self.within(data) | (self.kinds(rows_of(path)) if data[:15] == b"SQLite format 3" else set())
        for database in folder.rglob("lancedb"):
            for version, rows in versions_of(str(database)):
                found[f"{database.relative_to(folder)}/{version}"] = self.kinds(rows)
        return {name: sorted(kinds) for name, kinds in sorted(found.items()) if kinds}

    def in_bucket(self, client: Any, bucket: str) -> dict[str, list[str]]:
        "The same of a bucket's objects, of which each version and each unfinished upload counts."
        found: dict[str, set[str]] = {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", ()):
                told = client.get_object(Bucket=bucket, Key=item["Key"])
                found[item["Key"]] = self.within(told["Body"].read()) | self.kinds(f"{item['Key']} {told['Metadata']}".encode())
        for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
            found[f"unfinished {upload['Key']}"] = self.kinds(upload["Key"].encode())
        return {name: sorted(kinds) for name, kinds in sorted(found.items()) if kinds}


if __name__ == "__main__":
    for place, kinds in Finder({word: word for word in sys.argv[2:]}).in_folder(Path(sys.argv[1])).items():
        print(place, *kinds)
