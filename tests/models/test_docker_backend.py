"""The sandbox of a real Docker daemon: what a container cannot do, how it ends, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cellgauge.models import docker_backend
from cellgauge.models.docker_backend import DockerBackend
from cellgauge.models.sandbox import BackendLost, BackendMissing, ImageMissing, NoGpu, Sandbox

Ask = Callable[..., Any]
Make = Callable[..., Sandbox]
Containers = Callable[[str], list[str]]
MB = 10**6


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold every test that runs containers to this: whatever happened, they are gone."""
    if "misbehaving" not in request.fixturenames:
        yield
        return
    containers, image = request.getfixturevalue("containers"), request.getfixturevalue("misbehaving")
    yield
    assert containers(image) == []


# What a container sees: one looks around, and writes down what it found and what it was refused.


@pytest.fixture(scope="module")
def seen(ask: Ask, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    weights = tmp_path_factory.mktemp("weights")
    (weights / "inner").mkdir()
    (weights / "inner" / "model.bin").write_bytes(b"numbers")
    weights.chmod(0o777)
    asked = ask("look_around", {"weights": weights, "cpus": 1.5, "memory_bytes": 100 * MB})
    assert asked.ended.exit_code == 0, asked.ended.log
    found: dict[str, Any] = json.loads((asked.output / "found.json").read_text())
    return found


@pytest.fixture
def status(seen: dict[str, Any]) -> dict[str, str]:
    """What the kernel says of the process."""
    return {name: value.strip() for name, value in (line.split(":", 1) for line in seen["status"].splitlines())}


@pytest.fixture
def mounts(seen: dict[str, Any]) -> dict[str, tuple[str, set[str]]]:
    """Of each place that is mounted, the file system and its options."""
    parts = (line.split() for line in seen["mounts"].splitlines())
    return {where: (kind, set(options.split(","))) for _, where, kind, options, *_ in parts}


def test_there_is_no_network(seen: dict[str, Any]) -> None:
    assert seen["interfaces"] == ["lo"]
    assert seen["connect"] == "ENETUNREACH"
    assert seen["resolve"] != "done"


def test_nothing_can_be_written_but_output_and_tmp(seen: dict[str, Any]) -> None:
    assert {name for name, how in seen["write"].items() if how == "done"} == {"/output", "/tmp"}
    assert {seen["write"][name] for name in ("/", "/input", "/weights")} == {"EROFS"}
    assert seen["change"] == "EROFS"


def test_the_root_and_what_is_given_are_mounted_read_only(mounts: dict[str, tuple[str, set[str]]]) -> None:
    assert {where: "ro" in mounts[where][1] for where in ("/", "/input", "/weights", "/output", "/tmp")} == {
        "/": True,
        "/input": True,
        "/weights": True,
        "/output": False,
        "/tmp": False,
    }


def test_tmp_is_memory_of_half_the_limit(mounts: dict[str, tuple[str, set[str]]]) -> None:
    kind, options = mounts["/tmp"]
    assert kind == "tmpfs"
    assert {"nosuid", "nodev"} <= options
    (size,) = (int(one.removeprefix("size=").removesuffix("k")) for one in options if one.startswith("size="))
    assert size * 1024 == -(-50 * MB // 4096) * 4096  # in whole pages


def test_weights_lie_there_under_their_names(seen: dict[str, Any]) -> None:
    assert seen["files"] == {"/input": ["request.json"], "/weights": ["inner/model.bin"]}
    assert seen["read weights"] == "done"


def test_the_user_is_nobody_and_cannot_become_another(seen: dict[str, Any], status: dict[str, str]) -> None:
    assert seen["ids"] == [65534, 65534, 65534, [65534]]
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
    assert seen["become root"] == "EPERM"


def test_no_capabilities_no_new_privileges_and_filtered_calls(seen: dict[str, Any], status: dict[str, str]) -> None:
    kinds = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert {kind: int(status[kind], 16) for kind in kinds} == dict.fromkeys(kinds, 0)
    assert status["NoNewPrivs"] == "1"
    assert seen["raw socket"] == "EPERM"
    assert seen["mount"] != "done"


def test_threads_are_as_many_as_processors(seen: dict[str, Any]) -> None:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    assert {seen["environment"][name] for name in names} == {"1"}
    assert seen["environment"]["HOME"] == seen["folder"] == "/tmp"


# What it may use.


def test_more_memory_than_allowed_ends_it(ask: Ask) -> None:
    ended = ask("take_memory", {"memory_bytes": 64 * MB}).ended
    assert ended.out_of_memory
    assert ended.exit_code == 137


def test_what_lies_in_tmp_counts_as_memory_and_is_limited(ask: Ask) -> None:
    asked = ask("fill_memory_of_tmp", {"memory_bytes": 64 * MB})
    assert asked.ended.exit_code == 1
    assert "No space left on device" in asked.ended.log


def test_more_processes_than_allowed_cannot_be_started(ask: Ask) -> None:
    asked = ask("fork", {"processes": 20}, n=100)
    assert asked.ended.exit_code == 3
    (line,) = asked.lines
    n, why = line.removeprefix("stopped after ").split(" with ")
    assert 10 <= int(n) < 20
    assert why == "EAGAIN"


def test_a_container_that_takes_too_long_is_killed(ask: Ask) -> None:
    asked = ask("sleep", {"seconds": 1.5})
    assert asked.ended.stopped == "stopped after its time limit of 1.5 s"
    assert asked.lines == ["sleeping"]
    assert asked.ended.wall_s >= 1.5


def test_one_file_cannot_grow_beyond_the_allowed_size(ask: Ask) -> None:
    asked = ask("write_much", {"output_bytes": 20 * MB}, one=True)
    assert (asked.output / "one").stat().st_size == 20 * MB
    # It fails at that, unless it is killed first: on the disk a file takes a little more than it holds.
    assert "File too large" in asked.ended.log or asked.ended.stopped is not None


def test_many_files_that_are_too_large_together_end_it(ask: Ask) -> None:
    stopped = ask("write_much", {"output_bytes": 20 * MB}, one=False).ended.stopped
    assert re.fullmatch(r"stopped because it wrote \d+\.\d\d GB; 0\.02 GB are allowed", stopped)


def test_a_sparse_file_has_the_size_that_it_says(ask: Ask) -> None:
    asked = ask("write_sparse", {"output_bytes": 20 * MB}, bytes=2 * MB)
    assert asked.ended.stopped == "stopped because it wrote 0.02 GB; 0.02 GB are allowed"
    assert sum(path.stat().st_blocks * 512 for path in asked.output.iterdir()) < MB


def test_more_files_than_allowed_end_it(ask: Ask) -> None:
    stopped = ask("write_many").ended.stopped
    assert stopped == "stopped because it wrote more than the 100 files that are allowed"


def test_folders_deeper_than_a_path_can_be_are_counted(ask: Ask) -> None:
    asked = ask("nest", depth=150)
    assert asked.ended.stopped == "stopped because it wrote more than the 100 files that are allowed"


def test_folders_that_come_and_go_while_somebody_looks(ask: Ask) -> None:
    ended = ask("come_and_go").ended
    assert (ended.exit_code, ended.stopped) == (0, None), ended.log


def test_more_processors_than_there_are_is_no_error(ask: Ask) -> None:
    assert ask("embed", {"cpus": 4096.0}).ended.exit_code == 0


def test_a_gpu_that_is_not_there(backend: DockerBackend, sandbox: Make, docker: str) -> None:
    if "nvidia" in subprocess.run([docker, "info"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this machine has what hands out GPUs")
    with pytest.raises(NoGpu, match="it asks for a GPU, and Docker finds none on this machine"):
        backend.run(sandbox("embed", {"gpu": True}), print)


# What it says.


def test_standard_error_is_handed_on_and_both_streams_are_kept(ask: Ask) -> None:
    asked = ask("talk")
    assert asked.lines[:4] == ["plain", "red 0;titleend", "all of it", "of Windows"]
    assert asked.lines[4] == "\N{REPLACEMENT CHARACTER}" * 2 + " not text " + "\N{REPLACEMENT CHARACTER}2J"
    assert asked.lines[5] == "l" * 400
    assert asked.lines[6:] == ["without an end"]
    assert sorted(asked.ended.log.splitlines()) == sorted(["to nobody in particular", *asked.lines])


def test_lines_come_while_it_runs(backend: DockerBackend, sandbox: Make) -> None:
    came: list[tuple[str, bool]] = []
    made = sandbox("talk", pause=1.5)
    backend.run(made, lambda line: came.append((line, (made.output / "response.json").exists())))
    assert ("plain", False) in came


def test_no_line_is_lost_or_repeated(ask: Ask) -> None:
    for _ in range(3):
        asked = ask("count", n=3000)
        assert asked.lines == [str(number) for number in range(3000)]
        assert asked.ended.log.splitlines() == asked.lines[-200:]


@pytest.mark.slow
def test_silence_longer_than_an_answer_may_take(
    misbehaving: str, sandbox: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_backend, "_ANSWER_S", 4.0)
    lines: list[str] = []
    with DockerBackend() as impatient:
        assert impatient.run(sandbox("talk", pause=5.5), lines.append).exit_code == 0
    assert lines[-1] == "without an end"


def test_somebody_who_cannot_take_a_line_is_told(backend: DockerBackend, sandbox: Make) -> None:
    def closed(line: str) -> None:
        raise BrokenPipeError(line)

    with pytest.raises(BrokenPipeError, match="sleeping"):
        backend.run(sandbox("sleep"), closed)


# How it ends.


@pytest.mark.parametrize("code", [0, 3, 64])
def test_it_ends_with_its_exit_code_and_its_last_words(ask: Ask, code: int) -> None:
    ended = ask("end", code=code).ended
    assert (ended.exit_code, ended.log, ended.stopped) == (code, "the last words", None)
    assert not ended.out_of_memory


def test_it_ends_by_a_signal(ask: Ask) -> None:
    ended = ask("die").ended
    assert (ended.exit_code, ended.out_of_memory, ended.stopped) == (139, False, None)


def test_an_image_without_a_program_to_start(
    backend: DockerBackend, build: Callable[..., str], misbehaving: str, ask: Ask
) -> None:
    dockerfile = 'ARG BASE_IMAGE=scratch\nFROM ${BASE_IMAGE}\nENTRYPOINT ["/no/such/program"]\n'
    other = build(dockerfile, {"BASE_IMAGE": misbehaving})
    ended = ask("embed", {"image": backend.find(other)}).ended
    assert ended.exit_code == 127
    assert "/no/such/program" in ended.log
    assert "o such file or directory" in ended.log


def test_processes_that_it_leaves_end_with_it(ask: Ask) -> None:
    asked = ask("leave_orphans")
    assert asked.ended.exit_code == 0
    last = (asked.output / "beat").read_bytes()
    time.sleep(0.5)
    assert (asked.output / "beat").read_bytes() == last


def test_what_it_used_is_measured(ask: Ask) -> None:
    asked = ask("use_memory_and_processor", mib=100, seconds=1.0)
    ended = asked.ended
    assert ended.exit_code == 0, ended.log
    assert ended.wall_s > 1
    assert ended.peak_memory_mb is not None
    assert 100 < ended.peak_memory_mb < 256
    assert ended.memory_method == "peak of the container's cgroup, page cache included"
    assert ended.cpu_s is not None
    assert 0.5 < ended.cpu_s < 5  # the last moments before the end are not seen


def test_whoever_waits_is_interrupted(backend: DockerBackend, sandbox: Make) -> None:
    # Whatever a shell starts in the background inherits that interrupts are ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(_: str) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            backend.run(sandbox("sleep"), interrupt)
    finally:
        signal.signal(signal.SIGINT, before)


def test_somebody_else_removes_the_container(
    backend: DockerBackend, sandbox: Make, docker: str, containers: Containers, misbehaving: str
) -> None:
    def remove(_: str) -> None:
        subprocess.run([docker, "rm", "--force", *containers(misbehaving)], check=True)

    try:
        ended = backend.run(sandbox("sleep"), remove)
    except BackendLost as error:
        assert "No such container" in str(error)
    else:  # it was looked at between being killed and being removed
        assert ended.exit_code == 137


def test_a_folder_that_is_not_there_is_not_made_up(backend: DockerBackend, sandbox: Make, tmp_path: Path) -> None:
    with pytest.raises(BackendLost, match="bind source path does not exist"):
        backend.run(replace(sandbox("embed"), weights=tmp_path / "none"), print)
    assert not (tmp_path / "none").exists()


def test_folders_may_have_any_name(ask: Ask, tmp_path: Path) -> None:
    weights = tmp_path / "a:b, c=d:ro"
    weights.mkdir()
    (weights / "model.bin").touch()
    asked = ask("look_around", {"weights": weights})
    assert json.loads((asked.output / "found.json").read_text())["files"]["/weights"] == ["model.bin"]


# Images.


def test_an_image_that_was_built_here_has_an_id_and_no_digest_of_a_registry(
    backend: DockerBackend, misbehaving: str, docker: str
) -> None:
    found = backend.find(misbehaving)
    said = subprocess.run(
        [docker, "image", "inspect", "--format", "{{.Id}}", misbehaving], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert (found.name, found.id, found.repo_digest) == (misbehaving, said, None)
    assert found.id.startswith("sha256:")
    assert len(found.id) == 71
    assert backend.find(found.id).id == found.id


@pytest.mark.parametrize("name", ["cellgauge-test/none:1", f"cellgauge-test/none@sha256:{'0' * 64}"])
def test_an_image_that_is_missing(backend: DockerBackend, name: str) -> None:
    with pytest.raises(ImageMissing, match=f"{name}: there is no such image on this machine"):
        backend.find(name)


def test_a_name_that_is_none_of_an_image(backend: DockerBackend) -> None:
    with pytest.raises((BackendLost, ImageMissing)):
        backend.find("NOT A NAME")


# The daemon.


@pytest.mark.parametrize(
    "where", ["unix://{}/none.sock", "unix://{}/silent.sock", "tcp://127.0.0.1:1", "a word", "tcp://:x"]
)
def test_a_daemon_that_does_not_answer(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))  # and nobody listens
        address = where.format(tmp_path)
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(BackendMissing) as caught:
            DockerBackend()
    assert f"no Docker daemon answers at {address}: start Docker, or set DOCKER_HOST" in str(caught.value)


def test_a_daemon_that_takes_calls_and_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_backend, "_ANSWER_S", 0.5)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen(5)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/silent.sock")
        with pytest.raises(BackendMissing, match="no Docker daemon answers"):
            DockerBackend()


SLEEPER = """
import signal, sys
from pathlib import Path
from cellgauge.models.docker_backend import DockerBackend
from cellgauge.models.sandbox import Sandbox

signal.signal(signal.SIGINT, signal.default_int_handler)
image, folder = sys.argv[1], Path(sys.argv[2])
with DockerBackend() as backend:
    backend.run(
        Sandbox(
            image=backend.find(image), input=folder / "input", output=folder / "output", weights=None,
            memory_bytes=10**8, seconds=600, processes=20, output_bytes=10**6, cpus=1.0, gpu=False,
        ),
        lambda line: print(line, flush=True),
    )
"""


@pytest.mark.kill
def test_the_containers_of_a_killed_process_are_removed_by_the_next_and_others_are_not(
    containers: Containers, misbehaving: str, sandbox: Make
) -> None:
    started = []
    for _ in range(2):
        folder = sandbox("sleep").input.parent
        process = subprocess.Popen(
            [sys.executable, "-c", SLEEPER, misbehaving, str(folder)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "sleeping\n"
    killed, living = started
    try:
        assert len(containers(misbehaving)) == 2
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        assert len(containers(misbehaving)) == 2
        with DockerBackend():
            assert len(containers(misbehaving)) == 1
        assert living.poll() is None
    finally:
        living.send_signal(signal.SIGINT)
        living.communicate(timeout=60)
    assert containers(misbehaving) == []


def test_backends_open_while_others_remove_their_containers(ask: Ask, sandbox: Make, docker: str) -> None:
    """Each looks for abandoned containers when it opens, and those it finds may be gone when it asks about them."""
    errors: list[Exception] = []
    done = threading.Event()

    def open_again_and_again() -> None:
        while not done.is_set():
            try:
                with DockerBackend():
                    pass
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=open_again_and_again) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            assert ask("nothing").ended.exit_code == 0
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
