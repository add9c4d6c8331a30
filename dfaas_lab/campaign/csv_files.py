"""The format of the CSV files of existing analyses: their columns, and reading their rows.

``results.csv`` has one row per iteration: for each function, sorted, nine columns (empty where the
load does not have it), then ten of the node. ``skipped.csv`` has the loads that were not measured,
``index.csv`` (semicolons, Python literals) those that were. Lines end with CR LF. CPU is 100 times
cores, fractions are percent; other numbers are as in the outcomes: memory in bytes, latency in ms,
power in watts. The existing tools' own queries give power in microwatts: such files come back as
they were, and their power is a million times ours.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

from dfaas_lab.errors import StoreError
from dfaas_lab.regular_file import read_regular
from dfaas_lab.store.files import errors_as_store_error

Row = dict[str, str]

# By the column's beginning (its end is the function's name): the outcome and its factor.
FUNCTION: dict[str, tuple[str, float]] = {
    "success_rate_function_": ("success_rate", 1),
    "cpu_usage_function_": ("function_cpu_cores", 100),
    "ram_usage_function_": ("function_memory_bytes", 1),
    "power_usage_function_": ("function_power_watts", 1),
}
NODE: dict[str, tuple[str, float]] = {
    "cpu_usage_idle_node": ("idle_cpu_cores", 100),
    "cpu_usage_node": ("cpu_cores", 100),
    "ram_usage_idle_node": ("idle_memory_bytes", 1),
    "ram_usage_node": ("memory_bytes", 1),
    "ram_usage_idle_node_percentage": ("idle_memory_fraction", 100),
    "ram_usage_node_percentage": ("memory_fraction", 100),
    "power_usage_idle_node": ("idle_power_watts", 1),
    "power_usage_node": ("power_watts", 1),
}
NODE_COLUMNS = (*NODE, "rest_seconds", "overloaded_node")
COLUMNS_OF = (
    "function_",
    "rate_function_",
    *FUNCTION,
    "replica_",
    "overloaded_function_",
    "medium_latency_function_",
)
INDEX = ("functions", "rates", "results_file")


def is_rate(column: str) -> bool:
    """Whether a column holds the rate of a function."""
    return column.startswith("rate_function_")


def read_rows(path: Path, delimiter: str = ",") -> Iterator[Row]:
    """The rows of a file; one that has more or fewer columns than the header is told and left."""
    with errors_as_store_error(path, "reading"):
        content = read_regular(path, most_bytes=256 << 20)
    try:
        text = content.decode("utf-8-sig")
        yield from _rows(path, text, delimiter)
    except (UnicodeDecodeError, csv.Error) as error:
        raise StoreError(
            f"{path} is no CSV file in UTF-8: {error}",
            path=str(path),
            hint="Write it again with the tool that made it.",
        ) from error


def _rows(path: Path, text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(reader, [])
    for row in reader:
        if len(row) == len(header):
            yield dict(zip(header, row, strict=True))
        elif row:
            warnings.warn(
                f"{path}, line {reader.line_num}: {len(row)} columns in the place of "
                f"{len(header)}: left out",
                stacklevel=2,
            )
