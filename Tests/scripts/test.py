#!/usr/bin/env python3
"""`make test`: sets up, builds once in release, runs every stage and ends with one summary.

A stage's output goes to .build/test-logs/STAGE.log and, where it fails, its end to the screen. The counts are read from each
runner's own closing lines; a stage that closes without having run a test counts as failed.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOGS = ROOT / ".build" / "test-logs"
# Several times what a stage takes on two slow cores: what takes longer hangs, and is ended with its last words on the screen.
STAGE_SECONDS = float(os.environ.get("NEXA_STAGE_SECONDS", "2100"))


def stages():
    """(name, command) in the order of running; each prints a closing line that `counts` knows."""
    yield "swift", ["Tests/scripts/release.sh", "test", "--skip-build", "--no-parallel"]
    yield "fuzz smoke", ["Tests/Fuzz/run.sh", os.environ.get("FUZZ_SECONDS", "5")]
    yield "end to end setup", ["bash", "-c", "Tests/e2e/setup.sh && echo '1 passed, 0 failed'"]
    yield "end to end", [".venv-e2e/bin/python", "-m", "pytest", "-q", "-rfEs", "Tests/e2e"]
    for client in ("python", "javascript"):
        if (ROOT / "clients" / client / "test.sh").exists():
            yield f"client {client}", [f"clients/{client}/test.sh"]


def counts(log):
    """(passed, failed, skipped) as the runner's closing lines in the text `log` say."""
    passed = failed = skipped = 0
    for line in log.splitlines():
        swift = re.search(r"Test run with (\d+) tests?.* (passed|failed) after", line)
        if swift:
            total = int(swift[1])
            bad = 0
            if swift[2] == "failed":
                bad = max(1, len(re.findall(r"^\S+ Test .* failed after", log, re.M)))
            passed, failed = passed + total - bad, failed + bad
            continue
        if re.match(r"^(=+ )?\d+ (passed|failed|skipped|error)", line):
            for number, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)\b", line):
                if word == "passed":
                    passed += int(number)
                elif word == "skipped":
                    skipped += int(number)
                else:
                    failed += int(number)
    return passed, failed, skipped


def failures(log):
    """What failed in the text `log`, a line each, as the runners name it: they are shown beside the summary, which is read first."""
    return [line[:300] for line in log.splitlines()
            if re.match(r"(FAILED|ERROR) \S+::|\S+ Test .* (failed after|recorded an issue)|not ok \d", line)]


def finish(stage, log):
    """Waits for a stage and gives its exit code; ends it with SIGTERM, then SIGKILL, where its time is up or this run is to stop."""
    try:
        return stage.wait(STAGE_SECONDS)
    except (subprocess.TimeoutExpired, Interrupted, KeyboardInterrupt) as reason:
        os.killpg(stage.pid, signal.SIGTERM)
        try:
            stage.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(stage.pid, signal.SIGKILL)
            stage.wait()
        if not isinstance(reason, subprocess.TimeoutExpired):
            log.flush()
            print("\n".join(pathlib.Path(log.name).read_text(errors="replace").splitlines()[-80:]), flush=True)
            raise
        log.write(f"\nended after {STAGE_SECONDS:.0f} s without coming to its end\n".encode())
        return 124


class Interrupted(BaseException):
    """SIGTERM: whoever started this run gives it no more time."""


def interrupt(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted


def run(name, command):
    """One stage in a session of its own, so that nothing it started outlives it."""
    print(f"--- {name}", flush=True)
    started = time.monotonic()
    path = LOGS / (name.replace(" ", "-") + ".log")
    with open(path, "wb") as log:
        try:
            stage = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT,
                                     start_new_session=True)
            status = finish(stage, log)
        except OSError as error:
            log.write(f"cannot run {command[0]}: {error}\n".encode())
            status = 127
    text = path.read_text(errors="replace")
    passed, failed, skipped = counts(text)
    if failed == 0 and (status != 0 or passed == 0):
        failed = 1
    if failed:
        print("\n".join(text.splitlines()[-80:]), flush=True)
    return name, passed, failed, skipped, time.monotonic() - started, failures(text)


def main():
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, interrupt)
    if subprocess.run(["Tests/scripts/setup.sh", "test"]).returncode != 0:
        return 1
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    print("--- build (release, with tests)", flush=True)
    with open(LOGS / "build.log", "wb") as log:
        built = subprocess.run(["Tests/scripts/release.sh", "build", "--build-tests"], stdout=log, stderr=subprocess.STDOUT).returncode == 0
    if not built:
        text = (LOGS / "build.log").read_text(errors="replace").splitlines()
        print("\n".join([line for line in text if "error:" in line][:40] + text[-20:]))
        print("0 passed, 1 failed")
        return 1
    rows = [("build", 0, 0, 0, time.monotonic() - started, [])]
    rows += [run(name, command) for name, command in stages()]
    print("\nSummary")
    for name, passed, failed, skipped, seconds, _ in rows:
        print(f"{name:<20} {passed:>6} passed {failed:>4} failed {skipped:>4} skipped {seconds:>6.0f} s")
    passed, failed, skipped = (sum(row[i] for row in rows) for i in (1, 2, 3))
    if failed:
        print("\n".join(line for row in rows for line in row[5][:8]))
        print(f"failed: {', '.join(row[0] for row in rows if row[2])} (logs in {LOGS.relative_to(ROOT)})")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


try:
    sys.exit(main())
except (Interrupted, KeyboardInterrupt):
    print("interrupted\n0 passed, 1 failed", flush=True)
    sys.exit(1)
