"""What teardown takes from a real host, and what it leaves; what provisioning never touches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dfaas_lab.errors import TaskFailed
from dfaas_lab.provision.provision import provision, teardown
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec
from dfaas_lab.remote.remote import Remote
from tests.testbed.look import files_of
from tests.testbed.machines import Machine
from tests.testbed.mirror import Mirror

USERS_PACKAGE = """
mkdir -p /root/needs/DEBIAN
printf '%s\n' 'Package: needs-k6' 'Version: 1' 'Architecture: all' 'Depends: k6' \
  'Maintainer: Nobody <nobody@example.invalid>' 'Description: needs k6' > /root/needs/DEBIAN/control
dpkg-deb --build /root/needs /root/needs.deb && dpkg -i /root/needs.deb
"""


def test_a_folder_that_holds_other_things_is_no_workspace_root(
    gen: Machine, spec: GeneratorSpec
) -> None:
    gen.run("touch /home/lab/thesis")
    before = gen.run("stat -c '%a %U' /home/lab")
    with pytest.raises(TaskFailed, match="holds other things") as caught:
        provision([replace(spec, workspace_root="/home/lab")])
    assert "workspace_root" in caught.value.hint
    assert gen.run("stat -c '%a %U' /home/lab") == before
    gen.run("mkdir -m 700 /srv/secret; touch /srv/secret/key")  # not even to be looked into
    with pytest.raises(TaskFailed, match="holds other things"):
        provision([replace(spec, workspace_root="/srv/secret")])
    assert gen.run("stat -c %a /srv/secret").strip() == "700"


def test_a_folder_that_was_there_stays(gen: Machine, spec: GeneratorSpec) -> None:
    gen.run("mkdir /srv/runs")
    theirs = replace(spec, workspace_root="/srv/runs")
    assert provision([theirs])
    assert teardown([theirs])
    assert gen.run("ls -A /srv") == "runs\n"
    in_tmp = replace(spec, workspace_root="/tmp")
    assert provision([in_tmp])
    assert teardown([in_tmp])
    assert gen.run("stat -c %a /tmp").strip() == "1777"


def test_what_a_lab_with_another_root_still_uses_stays(gen: Machine, spec: GeneratorSpec) -> None:
    before = files_of(gen)
    other = replace(spec, workspace_root="/srv/runs")
    assert provision([spec])
    assert provision([other])
    teardown([other])
    assert "v1" in gen.run("k6 version")
    teardown([spec])
    assert files_of(gen) == before


def test_a_target_that_is_cleared_takes_nothing_from_the_generator(
    gen: Machine, spec: GeneratorSpec
) -> None:
    assert provision([spec])
    teardown([], [TargetSpec(host=gen.host(), name="mid")])
    assert "v1" in gen.run("k6 version")


def test_what_something_else_came_to_need_stays(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    gen.run("rm /etc/apt/sources.list")
    apt = replace(spec, k6_source="apt", variables=mirror.apt)
    assert provision([apt])
    gen.run(USERS_PACKAGE)
    assert teardown([apt])
    assert gen.run("dpkg-query -W -f '${Status}' needs-k6") == "install ok installed"
    assert "v1" in gen.run("k6 version")
    assert not (gen.root / "opt/dfaas-lab").exists()


def test_of_a_chosen_folder_all_that_is_ours_goes(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    before = files_of(gen)
    gen.run("mkdir -p /srv/tools/k6-0.9; touch /srv/tools/mine /srv/tools/k6-0.9/k6")
    theirs = files_of(gen)
    chosen = replace(spec, install_dir="/srv/tools")
    old = replace(chosen, k6_source="release", k6_version="1.0.0", variables=mirror.old_release)
    assert provision([old])
    assert provision([chosen])
    assert gen.run("ls /srv/tools").split() == sorted(
        ["k6-0.9", "k6-1.0.0", f"k6-{mirror.version}", "mine"]
    )
    assert teardown([chosen])
    assert files_of(gen) == theirs
    assert theirs != before


def test_a_host_without_python_is_set_up_and_cleared(gen: Machine, spec: GeneratorSpec) -> None:
    gen.run("mkdir /usr/lib/away; mv /usr/bin/python3* /usr/lib/away/")
    before = files_of(gen)
    assert provision([spec])
    assert teardown([spec])
    assert files_of(gen) == before


def test_a_login_shell_may_say_things(gen: Machine, spec: GeneratorSpec) -> None:
    for name in ("lab", "root"):
        home = Path("/root" if name == "root" else f"/home/{name}")
        profile = gen.root / str(home / ".bashrc").lstrip("/")
        was = profile.read_text() if profile.exists() else ""
        profile.write_text("echo Welcome to this host.\necho k6_path=/nowhere/k6\n" + was)
    gen.run("chsh -s /bin/bash lab")
    assert provision([spec])
    assert "/opt/dfaas-lab/k6-" in gen.run("cat /tmp/dfaas-runs/.provisioned-lab.json")
    remote = Remote(gen.host())
    assert [remote.run("echo hello").stdout for _ in range(3)] == [b"hello\n"] * 3
    remote.close()
