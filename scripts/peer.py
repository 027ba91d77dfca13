"""What the benchmarks share: DuckDB from PyPI, a broker, timed runs, and how a result is written down."""
import datetime, json, os, pathlib, platform, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KAFKA = ROOT / "scripts/kafka"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "k"


def fetched(package):
    """Returns the python that has a package of PyPI, fetched once into a folder of its own, or None."""
    folder = CACHE / package
    python = folder / "bin/python"
    has = [str(python), "-c", f"import {package}"]
    if not python.exists() or subprocess.run(has, capture_output=True).returncode:
        made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True)
        is_fetched = made.returncode == 0 and subprocess.run(
            [python, "-m", "pip", "install", "-q", package], capture_output=True).returncode == 0
        if not is_fetched:
            print(f"SKIPPED {package}: it could not be fetched from PyPI", file=sys.stderr)
            return None
    return str(python)


def duckdb():
    """Returns the python that has DuckDB, or None."""
    return fetched("duckdb")


def k(given=None):
    """Returns the path of `k`: the one given, that of K_BINARY, or a build as it is shipped."""
    if given is None and (given := os.environ.get("K_BINARY")) is None:
        subprocess.run(["cargo", "build", "--profile", "dist", "--locked", "--quiet"], cwd=ROOT, check=True)
        given = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "dist/k"
    return str(given)


def build(bench):
    """Builds `k` and one of benches/; returns their paths by name."""
    line = ["cargo", "build", "--profile", "dist", "--locked", "--message-format=json", "--bin", "k", "--bench", bench]
    built = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if built.returncode:
        sys.exit(f"the programs cannot be built; see `cargo build --profile dist --bench {bench}`")
    messages = map(json.loads, built.stdout.splitlines())
    return {message["target"]["name"]: message["executable"]
            for message in messages if message.get("executable")}


def broker(given=None):
    """Returns the address of a broker: the one given, or one that ends with this process."""
    if given is not None:
        return given
    started = subprocess.run([KAFKA, "up", "--port", "0", "--with", str(os.getpid())],
                             stdout=subprocess.PIPE, text=True)
    if started.returncode:
        sys.exit("SKIPPED: no broker")
    return started.stdout.strip()


def java():
    return output("sh", "-c", "java -version 2>&1 | head -1")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def described(k, duckdb=None, **versions):
    """Returns the date, the machine and the versions of a run; `duckdb` is the python that has it."""
    if duckdb:
        versions["DuckDB"] = output(duckdb, "-c", "import duckdb; print(duckdb.__version__)")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": output("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2"),
                    "processors": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()},
        "versions": {"k": output(k, "--version").removeprefix("k "), **versions},
    }


def headline(result, rounds):
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (f"{result['date']}, {os.cpu_count()} × {result['machine']['processor']}, {versions}, "
            f"load {os.getloadavg()[0]:.1f}; median of {rounds}")


def timed(line, expected=0, **more):
    """Runs a command that ends with a status; returns seconds, processor seconds, and its peak memory in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen(line, **{"stdout": subprocess.DEVNULL, **more})
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != expected:
        sys.exit(f"{line[0]} failed")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def rounds(cases, count):
    """Runs the cases in turns; returns the raw numbers and the medians of each."""
    measured = {name: [] for name in cases}
    for _ in range(count):
        for name, run in cases.items():
            measured[name].append(run())
    medians = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in measured.items()}
    return measured, medians


def write(result, path):
    path = pathlib.Path(path)
    paths = [path]
    if os.environ.get("K_KEEP"):
        paths.append(ROOT / "docs/runs" / datetime.date.today().isoformat() / path.name)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n")
