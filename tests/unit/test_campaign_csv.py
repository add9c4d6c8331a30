"""The CSV files of existing analyses: written, read back, added to."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Campaign, Linear, Plan
from dfaas_lab.campaign.csv_export import export_csv
from dfaas_lab.campaign.csv_import import import_csv
from dfaas_lab.errors import ConfigError, DfaasLabError
from tests.unit.campaign_frames import outcomes

HEADER = (
    "function_env,rate_function_env,success_rate_function_env,cpu_usage_function_env,"
    "ram_usage_function_env,power_usage_function_env,replica_env,overloaded_function_env,"
    "medium_latency_function_env,"
    "function_figlet,rate_function_figlet,success_rate_function_figlet,cpu_usage_function_figlet,"
    "ram_usage_function_figlet,power_usage_function_figlet,replica_figlet,"
    "overloaded_function_figlet,medium_latency_function_figlet,"
    "cpu_usage_idle_node,cpu_usage_node,ram_usage_idle_node,ram_usage_node,"
    "ram_usage_idle_node_percentage,ram_usage_node_percentage,power_usage_idle_node,"
    "power_usage_node,rest_seconds,overloaded_node"
)
ROWS = (
    # As existing tools write them: latency, replicas and rest as whole numbers.
    "env,10,1.000,12.345,1048576.000,nan,1,0,7,,,,,,,,,,"
    "3.210,45.678,2000000000.000,2100000000.000,25.000,26.250,nan,nan,0,0",
    "env,10,0.987,12.400,1048576.000,nan,1,0,8,,,,,,,,,,"
    "3.210,46.000,2000000000.000,2100000001.500,25.000,26.251,nan,nan,5,0",
    "env,200,0.500,190.001,1048576.000,nan,15,1,1234,figlet,20,0.870,nan,nan,nan,1,1,99,"
    "3.210,199.999,2000000000.000,3000000000.000,25.000,93.333,11.500,55.125,180,1",
)
SKIPPED_HEADER = "function_env,rate_function_env,function_figlet,rate_function_figlet"
SKIPPED = ("env,300,figlet,20", ",,figlet,400")
INDEX = (
    "functions;rates;results_file",
    "['env'];[10];results.csv",
    "['env', 'figlet'];[200, 20];results.csv",
)


def _write(path: Path, *lines: str) -> None:
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    folder = tmp_path / "mid"
    folder.mkdir()
    _write(folder / "results.csv", HEADER, *ROWS)
    _write(folder / "skipped.csv", SKIPPED_HEADER, *SKIPPED)
    _write(folder / "index.csv", *INDEX)
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def test_existing_results_come_back_byte_by_byte(existing: Path, tmp_path: Path) -> None:
    frame = Campaign.import_csv(existing)
    export_csv(frame, tmp_path / "out")
    assert _contents(tmp_path / "out") == _contents(existing)


def test_existing_results_are_outcomes(existing: Path) -> None:
    frame = import_csv(existing)
    assert frame["target"].unique().to_list() == ["mid"]
    first = frame.row(0, named=True)
    assert first["function"] == "env"
    assert first["iteration"] == 1
    assert first["rate_rps"] == 10.0
    assert first["latency_ms_mean"] == 7.0
    assert first["function_cpu_cores"] == pytest.approx(0.12345)
    assert first["cpu_cores"] == pytest.approx(0.45678)
    assert first["memory_fraction"] == pytest.approx(0.2625)
    assert first["power_watts"] is None
    assert first["overloaded"] is False
    assert frame.filter(load_id=first["load_id"])["iteration"].to_list() == [1, 2]
    both = frame.filter(pl.col("rate_rps") == 200)
    assert both["overloaded"].to_list() == [True]
    assert both["replicas"].to_list() == [15]
    skipped = frame.filter("skipped")
    assert skipped.select("function", "rate_rps").rows() == [
        ("env", 300.0),
        ("figlet", 20.0),
        ("figlet", 400.0),
    ]
    assert skipped["success_rate"].null_count() == 3


def test_an_older_index_and_latencies_in_ns(tmp_path: Path) -> None:
    _write(
        tmp_path / "index.csv",
        "functions;rates;results_file;scraping_start;scraping_end",
        "['env'];[10];old/env.csv;1;2",
        "['env'];[20];env2.csv;1;2",
    )
    (tmp_path / "old").mkdir()
    row = ROWS[0].replace(",1,0,7,", ",1,0,7500000,")
    _write(tmp_path / "old" / "env.csv", HEADER, row)
    _write(tmp_path / "env2.csv", HEADER, row.replace("env,10", "env,20"))
    frame = import_csv(tmp_path)
    assert frame["latency_ms_mean"].to_list() == [7.5, 7.5]
    assert frame["rate_rps"].to_list() == [10.0, 20.0]


def test_a_second_export_adds_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    plan = Plan(["env", "figlet"], Linear(0, 120, step=40), sizes=(1, 2))
    whole = outcomes(plan)
    names = whole["load_id"].unique(maintain_order=True)
    part = whole.filter(pl.col("load_id").is_in(names[:5].implode()))
    export_csv(part, tmp_path / "a")
    once = _contents(tmp_path / "a")
    export_csv(part, tmp_path / "a")
    assert _contents(tmp_path / "a") == once
    export_csv(whole, tmp_path / "a")
    export_csv(whole, tmp_path / "b")
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    # A part again removes nothing.
    export_csv(part, tmp_path / "a")
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")


def test_results_of_other_functions_in_the_folder_stay(existing: Path) -> None:
    before = import_csv(existing)
    export_csv(outcomes(Plan(["aes"], [10, 20]), target="mid"), existing)
    after = import_csv(existing)
    assert after.filter(pl.col("function") != "aes").equals(before)
    assert after.filter(pl.col("function") == "aes")["rate_rps"].unique().sort().to_list() == [
        10,
        20,
    ]
    assert (existing / "index.csv").read_bytes().endswith(b"['aes'];[20];results.csv\r\n")


def test_what_was_measured_has_the_form_that_analyses_read(tmp_path: Path) -> None:
    frame = outcomes(Plan(["figlet", "env"], [0, 80, 200], sizes=(1, 2)), node=False, iterations=2)
    paths = export_csv(frame, tmp_path)
    assert [path.name for path in paths] == ["results.csv", "skipped.csv", "index.csv"]
    lines = paths[0].read_bytes().split(b"\r\n")
    assert lines[0].decode() == HEADER
    assert lines[-1] == b""
    assert b"\n" not in b"".join(lines)
    env = next(line for line in lines if line.startswith(b"env,80"))
    assert env.startswith(b"env,80,1.000,nan,nan,nan,1,0,")
    assert env.split(b",")[9:18] == [b""] * 9
    assert b",0,nan,nan,nan,nan,1,0,nan," in b"".join(lines)  # a rate of 0: no success rate
    assert (
        paths[2].read_bytes().startswith(b"functions;rates;results_file\r\n['env'];[0];results.csv")
    )
    assert b"env,200,figlet,80\r\n" in paths[1].read_bytes()


def test_several_targets_have_a_folder_each(tmp_path: Path) -> None:
    plan = Plan(["env"], [10])
    both = pl.concat([outcomes(plan, target="mid"), outcomes(plan, target="heavy node")])
    paths = export_csv(both, tmp_path)
    assert {path.parent.name for path in paths} == {"mid", "heavy node"}


def test_a_damaged_row_is_told_and_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"results.csv is not there"):
        import_csv(tmp_path)
    _write(tmp_path / "results.csv", HEADER, ROWS[0], "env,10,1.0")
    with pytest.warns(UserWarning, match="line 3: 3 columns in the place of 28"):
        assert import_csv(tmp_path).height == 1
    _write(tmp_path / "results.csv", "a,b", "1,2")
    with pytest.raises(ConfigError, match="names no rate"):
        import_csv(tmp_path)


def test_an_index_from_elsewhere_reads_no_file_outside_its_folder(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    _write(tmp_path / "secret.csv", HEADER, ROWS[0])
    _write(inside / "index.csv", "functions;rates;results_file", "['env'];[10];../secret.csv")
    with pytest.raises(ConfigError, match="is not there"):
        import_csv(inside)


@pytest.mark.parametrize("more", [("node", "seconds"), ("a", "b", "c")])
def test_further_columns_of_an_index_are_kept_and_add_nothing_twice(
    existing: Path, more: tuple[str, ...]
) -> None:
    """Indexes of three or of more columns, and of results, too."""
    index = [
        f"{line};{';'.join(more if n == 0 else '7' * len(more))}" for n, line in enumerate(INDEX)
    ]
    _write(existing / "index.csv", *index)
    _write(existing / "results.csv", f"{HEADER},seed", *(f"{row},3" for row in ROWS))
    before = _contents(existing)
    export_csv(import_csv(existing), existing)
    assert _contents(existing) == before


def test_a_name_of_a_stranger_begins_no_formula(existing: Path, tmp_path: Path) -> None:
    odd = "=HYPERLINK(A1)"
    text = (
        (existing / "results.csv").read_text().replace("_env", f"_{odd}").replace("env,", f"{odd},")
    )
    (existing / "results.csv").write_text(text)
    (existing / "index.csv").unlink()
    (existing / "skipped.csv").write_text(f"function_{odd},rate_function_{odd}\r\n{odd},900\r\n")
    for path in export_csv(import_csv(existing), tmp_path / "out"):
        cells = {cell for row in csv.reader(path.read_text().splitlines()) for cell in row}
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    again = import_csv(tmp_path / "out")
    assert odd in set(again["function"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.csv", b"\xff\xfe"),
        ("results.csv", HEADER.encode() + b"\r\n" + b"x" * 200_000),
        ("index.csv", b"functions;rates;results_file\r\n['a'];[1];" + b"n" * 5000 + b"\r\n"),
        ("skipped.csv", b"\x80"),
    ],
)
def test_what_is_no_csv_is_told(existing: Path, name: str, content: bytes) -> None:
    (existing / "skipped.csv").unlink()
    (existing / name).write_bytes(content)
    with pytest.raises(DfaasLabError) as caught:
        import_csv(existing)
    assert caught.value.hint
