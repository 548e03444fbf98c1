"""A container that does what ``params["do"]`` of its request says, well or badly. It needs nothing but Python."""

import errno
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

OUTPUT = Path("/output")


def respond(**more):
    """Write a response that is in order."""
    versions = {"python": sys.version.split()[0], "misbehaving": "1"}
    (OUTPUT / "response.json").write_text(json.dumps({"contract": 1, "versions": versions, **more}))


def embed(request):
    """Give cell i the numbers i and the seed, last cell first. The ids are those of the tests' cells."""
    n = request["n_cells"]
    rows = list(reversed(range(n)))
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, 2), }}"
    header = header.ljust(117) + "\n"
    values = b"".join(struct.pack("<2f", row, request["seed"]) for row in rows)
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values
    (OUTPUT / "embedding.npy").write_bytes(data)
    (OUTPUT / "cell_ids.json").write_text(json.dumps([f"c{row}" for row in rows]))
    respond(genes={"known": 10, "found": request["n_genes"]})


def look_around(_):
    """Try what is forbidden, and write down how that went."""
    found = {"status": Path("/proc/self/status").read_text(), "mounts": Path("/proc/self/mounts").read_text()}
    found["interfaces"] = [name for _, name in socket.if_nameindex()]
    found["environment"] = dict(os.environ)
    found["ids"] = [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()]
    found["folder"] = str(Path.cwd())
    found["files"] = {
        name: sorted(path.relative_to(name).as_posix() for path in Path(name).rglob("*") if path.is_file())
        for name in ("/input", "/weights")
    }
    found["connect"] = tried(lambda: socket.create_connection(("192.0.2.1", 80), timeout=5))
    found["resolve"] = tried(lambda: socket.getaddrinfo("example.org", 80))
    found["become root"] = tried(lambda: os.setuid(0))
    found["mount"] = tried(lambda: subprocess.run(["mount", "-t", "tmpfs", "none", "/tmp"], check=True))
    found["raw socket"] = tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    folders = ["/", "/app", "/etc", "/usr", "/input", "/weights", "/output", "/tmp", "/var/tmp", "/root", "/home"]
    found["write"] = {name: tried(lambda name=name: (Path(name) / "new").write_text("x")) for name in folders}
    found["change"] = tried(lambda: Path("/input/request.json").write_text("{}"))
    found["read weights"] = tried(lambda: [path.read_bytes() for path in Path("/weights").rglob("*") if path.is_file()])
    (OUTPUT / "found.json").write_text(json.dumps(found))


def tried(action):
    """Say how it went: "done", or the name of what prevented it."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except subprocess.CalledProcessError as error:
        return f"exit code {error.returncode}"
    return "done"


def fork(request):
    """Start processes until it is forbidden."""
    children = []
    try:
        for _ in range(request["params"]["n"]):
            children.append(subprocess.Popen(["sleep", "60"]))
    except OSError as error:
        print(f"stopped after {len(children)} with {errno.errorcode[error.errno]}", file=sys.stderr, flush=True)
        sys.exit(3)


def leave_orphans(request):
    """End while a process of another session goes on and writes to /output."""
    script = "trap '' HUP TERM INT; while true; do date +%s%N > /output/beat; sleep 0.05; done"
    subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (OUTPUT / "beat").exists():
        time.sleep(0.02)
    embed(request)


def take_memory(_):
    """Touch more and more memory."""
    held = []
    while True:
        held.append(bytearray(os.urandom(2**20) * 16))


def use_memory_and_processor(request):
    """Hold so many MiB, and compute for so many seconds."""
    held = bytearray(os.urandom(2**20) * request["params"]["mib"])
    end = time.process_time() + request["params"]["seconds"]
    while time.process_time() < end:
        held[0] ^= 1
    embed(request)


def fill_memory_of_tmp(_):
    """Write to /tmp until it is full."""
    with Path("/tmp/filler").open("wb") as file:
        while True:
            file.write(bytes(2**20))


def sleep(request):
    """Do nothing for long, and take no hint to stop."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print("sleeping", file=sys.stderr, flush=True)
    time.sleep(request["params"].get("seconds", 600))
    embed(request)


def write_much(request):
    """Write files of 1 MB until stopped, or one that grows."""
    for number in range(10_000):
        name = "one" if request["params"].get("one") else f"part-{number // 100}-{number}"
        with (OUTPUT / name).open("ab") as file:
            file.write(bytes(10**6))
        time.sleep(0.005)


def write_sparse(request):
    """Make many files that are said to be large and take no room, and stay below what one may have."""
    for number in range(20):
        with (OUTPUT / f"sparse-{number}").open("wb") as file:
            file.truncate(request["params"]["bytes"])
    embed(request)


def write_many(request):
    """Write many small files, and go on."""
    for number in range(400):
        (OUTPUT / f"file-{number}").touch()
    embed(request)


def nest(request):
    """Make folders in folders, deeper than a path can be long."""
    os.chdir(OUTPUT)
    for _ in range(request["params"]["depth"]):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    embed(request)


def come_and_go(request):
    """Make and remove folders as fast as possible, so that whoever looks finds them gone."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        for number in range(20):
            (OUTPUT / f"{number}" / "inner").mkdir(parents=True)
        for number in range(20):
            (OUTPUT / f"{number}" / "inner").rmdir()
            (OUTPUT / f"{number}").rmdir()
    embed(request)


def talk(request):
    """Print on both streams, with whatever a terminal would obey."""
    print("to nobody in particular", flush=True)
    for line in (
        b"plain\n",
        b"\x1b[31mred\x1b[0m \x1b]0;title\x07end\n",
        b"10 %\r50 %\rall of it\n",
        b"of Windows\r\n",
    ):
        sys.stderr.buffer.write(line)
    sys.stderr.buffer.write(b"\xff\xfe not text \x9b2J\n" + b"l" * 100_000 + b"\n\n")
    sys.stderr.buffer.flush()
    time.sleep(request["params"].get("pause", 0))
    sys.stderr.write("without an end")
    embed(request)


def count(request):
    """Print many lines from the very start."""
    for number in range(request["params"]["n"]):
        print(number, file=sys.stderr)
    embed(request)


def end(request):
    """End with an exit code, with words in the response or as the last line, or with a response that is none."""
    params = request["params"]
    if "reason" in params:
        respond(reason=params["reason"])
    if "text" in params:
        (OUTPUT / "response.json").write_text(params["text"])
    print(params.get("line", "the last words"), flush=True)
    sys.exit(params["code"])


def die(_):
    """End by a signal."""
    os.kill(os.getpid(), signal.SIGSEGV)


def fail(_):
    """Raise as a program without a handler does."""
    raise RuntimeError("the model is broken")


def write_text(request):
    """Write a response that is none."""
    embed(request)
    (OUTPUT / "response.json").write_text(request["params"]["text"])


def as_link(request):
    """Put a link to the input in place of the output."""
    embed(request)
    (OUTPUT / "cell_ids.json").unlink()
    (OUTPUT / "cell_ids.json").symlink_to(request["params"]["target"])


def as_pipe(request):
    """Put a pipe in place of the output: whoever opens it waits for ever."""
    embed(request)
    (OUTPUT / "embedding.npy").unlink()
    os.mkfifo(OUTPUT / "embedding.npy")


def nothing(_):
    """Succeed without output."""


DO = {
    each.__name__: each
    for each in (
        embed,
        look_around,
        fork,
        leave_orphans,
        take_memory,
        use_memory_and_processor,
        fill_memory_of_tmp,
        sleep,
        write_much,
        write_sparse,
        write_many,
        nest,
        come_and_go,
        talk,
        count,
        end,
        die,
        fail,
        write_text,
        as_link,
        as_pipe,
        nothing,
    )
}

if __name__ == "__main__":
    asked = json.loads(Path("/input/request.json").read_text())
    DO[asked["params"]["do"]](asked)
