"""Where k6 comes from: a release archive, a signed APT repository, what is there already.

They come from a mirror of ours. Not tested here are the default URLs: they need the internet.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from dataclasses import replace

import pytest

from dfaas_lab.errors import TaskFailed
from dfaas_lab.progress import Progress
from dfaas_lab.provision import cache
from dfaas_lab.provision.provision import provision, teardown
from dfaas_lab.provision.spec import GeneratorSpec
from tests.testbed.machines import Machine
from tests.testbed.mirror import Mirror

# What apt and dpkg do for as long as they work.
HOLD_LOCK = """
import fcntl, time
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
open("/run/held", "w")
time.sleep(60)
"""


def test_a_release_whose_checksum_fits(gen: Machine, spec: GeneratorSpec, mirror: Mirror) -> None:
    release = replace(spec, k6_source="release", variables=mirror.release)
    assert provision([release]).changed > 0
    assert f"v{mirror.version}" in gen.run("su lab -c 'k6 version'")
    assert gen.run("ls /opt/dfaas-lab/k6-*").split() == ["k6"]  # the archive is gone
    assert provision([release], force=True).changed == 0


def test_a_wrong_checksum_installs_nothing(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    wrong = {**mirror.release, "k6_release_checksum": "sha256:" + "0" * 64}
    with pytest.raises(TaskFailed) as caught:
        provision([replace(spec, k6_source="release", variables=wrong)])
    assert caught.value.task == "Download k6"
    assert caught.value.host == gen.address
    assert "checksum" in caught.value.detail
    assert "check the URL and the checksum" in caught.value.hint
    assert gen.run("find /opt/dfaas-lab -type f -size +0") == ""
    assert provision([replace(spec, k6_source="release", variables=mirror.release)])


def test_a_release_from_a_file(gen: Machine, spec: GeneratorSpec, mirror: Mirror) -> None:
    url = mirror.release["k6_release_url"]
    archive = mirror.folder / url.rsplit("/", 1)[1]
    shutil.copy(archive, gen.root / "srv/k6.tar.gz")
    variables = {
        "k6_release_url": "file:///srv/k6.tar.gz",
        "k6_release_checksum": f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}",
    }
    with gen.offline():
        assert provision([replace(spec, k6_source="release", variables=variables)])


def test_a_key_that_is_another_one(gen: Machine, spec: GeneratorSpec, mirror: Mirror) -> None:
    variables = {**mirror.apt, "k6_apt_key_checksum": "sha256:" + "0" * 64}
    with pytest.raises(TaskFailed) as caught:
        provision([replace(spec, k6_source="apt", variables=variables)])
    assert caught.value.task == "Get the repository's key"
    assert "checksum" in caught.value.hint
    assert gen.run("ls /etc/apt/keyrings").split() == []


@pytest.mark.parametrize("fault", ["nothing there", "no server", "no such name"])
def test_a_broken_mirror(gen: Machine, spec: GeneratorSpec, mirror: Mirror, fault: str) -> None:
    url = {
        "nothing there": f"{mirror.url}/none",
        "no server": f"http://{mirror.machine.address}:9",
        "no such name": "http://mirror.invalid",
    }[fault]
    archive = mirror.release["k6_release_url"].rsplit("/", 1)[1]
    broken = {**mirror.release, "k6_release_url": f"{url}/{archive}"}
    with pytest.raises(TaskFailed) as caught:
        provision([replace(spec, k6_source="release", variables=broken)])
    assert caught.value.task == "Download k6"
    assert "k6_source='copy'" in caught.value.hint
    assert provision([replace(spec, k6_source="release", variables=mirror.release)])


def test_without_the_internet_a_copy_works(gen: Machine, spec: GeneratorSpec) -> None:
    with gen.offline():
        with pytest.raises(TaskFailed) as caught:
            provision([replace(spec, k6_source="release")])
        assert "internet access" in caught.value.hint
        assert provision([spec])  # what stands in the default


def test_a_signed_repository(gen: Machine, spec: GeneratorSpec, mirror: Mirror) -> None:
    without_debian(gen)
    packages = gen.run("dpkg-query -W")
    apt = replace(spec, k6_source="apt", variables=mirror.apt)
    assert provision([apt]).changed > 0
    assert gen.run("dpkg-query -W -f '${Version}' k6") == mirror.version
    assert gen.run("su lab -c 'command -v k6'").strip() == "/usr/bin/k6"
    assert provision([apt], force=True).changed == 0
    teardown([apt])
    assert gen.run("dpkg-query -W") == packages
    assert gen.run("find /etc/apt /opt -name '*dfaas*'") == ""


def test_a_repository_signed_by_somebody_else(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    without_debian(gen)
    variables = {**mirror.apt, "k6_apt_key_url": mirror.other_key()}
    with pytest.raises(TaskFailed) as caught:
        provision([replace(spec, k6_source="apt", variables=variables)])
    assert caught.value.task == "Install packages"
    assert gen.run("ls /usr/bin/k6 2>&1 || :").startswith("ls: cannot access")
    assert provision([replace(spec, k6_source="apt", variables=mirror.apt)])


def test_a_lock_of_apt_is_waited_for_and_said(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    without_debian(gen)
    apt = replace(spec, k6_source="apt", variables=mirror.apt)
    progress, said = Progress(), set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            said.update(step.text for step in progress.snapshot())
            if any("APT lock" in text for text in said):
                gen.run("systemctl stop running.service", check=False)

    watcher = threading.Thread(target=watch)
    with gen.running("python3", "-c", HOLD_LOCK):
        gen.run("while [ ! -e /run/held ]; do sleep 0.1; done")
        watcher.start()
        try:
            assert provision([apt], progress=progress)
        finally:
            done.set()
            watcher.join()
    assert any("waits for the APT lock, which someone else holds" in text for text in said)


def test_a_lock_of_apt_that_is_never_given_back(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    without_debian(gen)
    variables = {**mirror.apt, "apt_lock_wait_s": 4}
    with gen.running("python3", "-c", HOLD_LOCK):
        gen.run("while [ ! -e /run/held ]; do sleep 0.1; done")
        with pytest.raises(TaskFailed) as caught:
            provision([replace(spec, k6_source="apt", variables=variables)])
    assert "lock" in caught.value.detail
    assert "Another process installs packages" in caught.value.hint


def test_an_interrupt_of_dpkg_is_mended_by_the_next_call(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    without_debian(gen)
    apt = replace(spec, k6_source="apt", variables=mirror.apt)
    packages = gen.run("dpkg-query -W")
    gen.run("touch /etc/slow-postinst")
    cancel = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            provision([apt], cancel=cancel)
        except BaseException as error:
            failed.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    gen.run("while [ ! -e /etc/slow-postinst.running ]; do sleep 0.1; done")
    cancel.set()
    worker.join(6)
    assert not worker.is_alive()
    assert "interrupted" in str(failed[0])
    assert gen.run("pgrep -a 'apt|dpkg|postinst' || :") == ""
    gen.run("rm /etc/slow-postinst*")
    assert provision([apt])
    assert gen.run("dpkg --audit") == ""
    teardown([apt])
    assert gen.run("dpkg-query -W") == packages


def test_what_is_there_is_checked(gen: Machine, spec: GeneratorSpec, mirror: Mirror) -> None:
    present = replace(spec, k6_source="present")
    with pytest.raises(TaskFailed) as caught:
        provision([present])
    assert "no k6 on the PATH" in caught.value.detail
    own = gen.root / "usr/local/bin/k6"
    own.write_text("#!/bin/sh\necho 'k6 v1.0.0 (an old one)'\n")
    own.chmod(0o755)
    assert provision([present])
    assert '"k6_version": "1.0.0"' in gen.run("cat /tmp/dfaas-runs/.provisioned-lab.json")
    with pytest.raises(TaskFailed) as caught:
        provision([replace(present, k6_version=mirror.version)])
    assert "v1.0.0" in caught.value.detail

    # A copy beside it: what someone else installed stays what it is.
    cache.evict()
    assert provision([spec])
    assert "v1.0.0" in gen.run("k6 version")
    assert mirror.version in gen.run("cat /tmp/dfaas-runs/.provisioned-lab.json")
    teardown([spec])
    assert own.exists()


def without_debian(gen: Machine) -> None:
    """Leave the host no repository but the test's own, so that no test needs the internet."""
    gen.run("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
