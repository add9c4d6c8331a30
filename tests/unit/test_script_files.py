"""What goes with a script of the user's own, what is kept of it, and what it is asked."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.option_names import is_option
from dfaas_lab.k6.requirements import Requirements
from dfaas_lab.k6.script_archive import without_env
from dfaas_lab.k6.script_files import absolute_names, folders_written

INSPECTED = {"totalDuration": "33s", "maxVUs": 2, "scenarios": {}, "systemTags": ["url", "name"]}


def sent(folder: Path, text: str, **options: object) -> set[str]:
    (folder / "test.js").write_text(text)
    return set(CustomScript.of(folder / "test.js", **options).sources)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for name in ("a.json", "b [1].csv", "deep/c.bin"):
        (tmp_path / "data" / name).write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        'open("./data/a.json")',
        "open ( `./data/a.json` , 'b')".replace("open (", "open("),
        'open(import.meta.resolve("./data/a.json"), "b")',
        "const p = import.meta.resolve('./data/a.json'); open(p)",
        'await fs.open(import.meta.resolve( "./data/a.json" ))',
        'const FILE = "data/a.json";\nconst rows = JSON.parse(open(FILE));',
        'import data from "./data/a.json";',
        'const x = await import("./data/a.json")',
        "import('./data/a.json')",
        "import(`./data/a.json`)",
        'export * from "./data/a.json"',
    ],
)
def test_a_file_that_is_named_goes_with_the_script(folder: Path, text: str) -> None:
    assert sent(folder, text) == {"test.js", "data/a.json"}


@pytest.mark.parametrize(
    "text", ['open("./data/" + name)', "open(`./data/${x}.json`)", 'open("https://x/a.json")',
             "const FILE = 'data/a.json';", 'open("/etc/hostname")'],
)  # fmt: skip
def test_what_is_not_named_does_not_go(folder: Path, text: str) -> None:
    assert sent(folder, text) == {"test.js"}


def test_files_are_given_by_path_or_by_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    everything = {"test.js", "data/a.json", "data/b [1].csv", "data/deep/c.bin"}
    assert sent(folder, "", files=[folder / "data"]) == everything
    assert sent(folder, "", files=["data/b [1].csv"]) == {"test.js", "data/b [1].csv"}
    monkeypatch.chdir(folder.parent)
    assert sent(folder, "", files=[f"{folder.name}/data/a.json"]) == {"test.js", "data/a.json"}
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.csv"
    elsewhere.write_text("1")
    found = sent(folder, "", files=[elsewhere])
    assert {Path(name).name for name in found} == {"test.js", "x.csv"}
    assert len(found) == 2


@pytest.mark.parametrize("given", ["['protos'], 'deep/a.proto'", "[], './protos/deep/a.proto'"])
def test_a_grpc_service_goes_with_what_it_imports(folder: Path, given: str) -> None:
    (folder / "protos" / "deep").mkdir(parents=True)
    (folder / "protos" / "deep" / "a.proto").write_text('import "deep/b.proto";')
    (folder / "protos" / "deep" / "b.proto").write_text("")
    names = {"test.js", "protos/deep/a.proto", "protos/deep/b.proto"}
    assert sent(folder, f"client.load({given});") == names


@pytest.mark.parametrize("files", [["nowhere.csv"], ["data/nowhere"]])
def test_a_file_that_is_not_there_is_told(folder: Path, files: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"there is no '.*nowhere"):
        sent(folder, "", files=files)


def test_what_is_no_file_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "data" / "pipe")
    with pytest.raises(ConfigError, match="cannot be read"):
        sent(folder, "", files=["data/pipe"])


def test_a_script_below_odd_folders_is_read(tmp_path: Path) -> None:
    place = tmp_path / "thesis [2026] *" / ("long" * 50)
    (place / "lib").mkdir(parents=True)
    (place / "lib" / "x.js").write_text("")
    assert sent(place, 'import "./lib/x.js"') == {"test.js", "lib/x.js"}
    odd = place / "test.old [1]"
    odd.write_text("")
    assert set(CustomScript.of(odd).stored()) == {"script.js", "script.json"}


def test_the_folders_that_a_script_writes_to_are_known() -> None:
    text = b"""return { "out/report.html": x, './a/b/c.json': y, "../up/x.txt": 1, "/abs/x.txt": 2,
               [`plain.xml`]: z, "http://host/path/x.html": 3, "text/html": 4, stdout: "k/v." }"""
    assert folders_written([text], {}) == ["../up", "a/b", "out"]


# Archives of k6 archive


def archive(**metadata: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        files = {"data": b"script", "metadata.json": json.dumps(metadata).encode(), "e/m": b""}
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_an_archive_is_kept_without_its_environment(tmp_path: Path) -> None:
    packed = archive(type="js", env={"TOKEN": "xyzzy-4711", "K6_VUS": "9"}, options={"vus": 1})
    (tmp_path / "test.tar").write_bytes(packed)
    script = CustomScript.of(tmp_path / "test.tar", {"MORE": "plugh-4711"})
    assert script.env == {"TOKEN": "xyzzy-4711", "MORE": "plugh-4711"}
    assert script.secrets.hidden_in("xyzzy-4711") == "***"
    stored = b"".join(script.stored().values()) + b"".join(script.sources.values())
    assert b"xyzzy" not in stored
    with tarfile.open(fileobj=io.BytesIO(script.sources["test.tar"])) as tar:
        assert tar.getnames() == ["data", "metadata.json", "e/m"]
        metadata = json.load(tar.extractfile("metadata.json"))  # type: ignore[arg-type]
    assert metadata == {"type": "js", "env": {}, "options": {"vus": 1}}


@pytest.mark.parametrize("content", [b"", b"export default 1", archive()[:700], archive(env=None)])
def test_what_holds_no_environment_stays_as_it_is(content: bytes) -> None:
    assert without_env(content) == (content, {})


# What k6 is asked, and what it says


@pytest.mark.parametrize(
    ("name", "option"),
    [("K6_VUS", True), ("K6_OUT", True), ("K6_CLOUD_TOKEN", True), ("K6_WEB_DASHBOARD", True),
     ("K6_BASE_URL", False), ("K6_", False), ("K6_VUS_MAX_OF_MINE", False), ("VUS", False)],
)  # fmt: skip
def test_only_the_names_of_options_are_k6s(name: str, option: bool) -> None:
    assert is_option(name) is option


def test_the_scripts_own_system_tags_stay() -> None:
    script = CustomScript("a.js", {"a.js": b""})
    asked = script.requiring(Requirements.of(json.dumps(INSPECTED).encode())).options
    tags = set(asked.removeprefix("--system-tags=").split(","))
    assert {"url", "name", "vu", "iter", "scenario", "status"} <= tags
    assert "summary-trend-stats" not in asked


def test_an_executor_that_nobody_could_steer_is_refused() -> None:
    scenarios = {"ui": {"executor": "externally-controlled"}}
    with pytest.raises(ConfigError, match=r"externally-controlled .* k6 v2") as refused:
        Requirements.of(json.dumps(INSPECTED | {"scenarios": scenarios}).encode())
    assert refused.value.hint


def test_an_environment_is_read_back_as_it_was_sent() -> None:
    env = {"A": "it's $HOME `x`", "KEY": "two\nlines", "EMPTY": ""}
    sent = CustomScript("a.js", {"a.js": b""}, env)
    again = CustomScript("a.js", {"a.js": b""}).knowing(sent.files()["env"])
    assert again.env == env
    assert sent.knowing(b"export A=other\n").env == env
    assert CustomScript("a.js", {"a.js": b""}).knowing(b"export A='cut").env == {}


def test_absolute_names_of_files_that_may_be_written() -> None:
    text = b"""
    import { a } from "../../../lib/x.js";
    http.get("http://host/function/x.html"); http.get(base + "/function/env");
    const files = { "/tmp/out.json": data, '/tmp//a b/[1].html': html };
    files[`${__ENV.DIR}/deep/summary.json`] = 1; files[`${__ENV.NONE}/x.json`] = 2;
    files[`/tmp/${Date.now()}.json`] = 3; files["/tmp/../etc/x.csv"] = 4;
    """
    env = {
        "DIR": "/data",
        "OUT": "/results/all.csv",
        "TOKEN": "/secret/x.y",
        "N": "1",
        "REL": "a.b",
    }
    assert absolute_names([text], env) == [
        "/data/deep/summary.json", "/etc/x.csv", "/results/all.csv", "/tmp/a b/[1].html",
        "/tmp/out.json", "/x.json",
    ]  # fmt: skip
    assert folders_written([text], {"DIR": "here"}) == ["here/deep"]


def test_a_name_that_no_file_can_have_is_none_of_a_script(tmp_path: Path) -> None:
    long = "n" * 5000
    assert sent(tmp_path, f'import "./{long}.js"; open("{long}"); open("a\0b")') == {"test.js"}
    with pytest.raises(ConfigError, match="files: there is no"):
        CustomScript.of(tmp_path / "test.js", files=[long])
