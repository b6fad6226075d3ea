"""Jobs in turn with `sundog run` and with Celery; called by scripts/job-speed."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PIPELINE = "gaussian(sigma=2)"
SETS = {"small": (1000, "512x512"), "tiny": (20000, "32x32")}


def say(line):
    print(json.dumps(line), flush=True)


class Cluster:
    """A cluster that stays, with the environment of its user."""

    def __init__(self, programs, ranks):
        self.process = subprocess.Popen(
            [f"{programs}/sundog-cluster", "--stay", "--directory", "--dispatchers", "1", "--ranks", str(ranks)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.environment = dict(os.environ)
        for line in self.process.stdout:
            if not line.startswith("export "):
                continue
            name, _, value = line.removeprefix("export ").strip().partition("=")
            self.environment[name] = value.strip("'")
            if {"SUNDOG_GATEWAY", "SUNDOG_TOKEN"} <= self.environment.keys():
                break

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


def ask(program, environment, *arguments):
    done = subprocess.run([program, *arguments], env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def run(program, threads, files, out):
    """Seconds of `sundog run`."""
    shutil.rmtree(out, ignore_errors=True)
    begun = time.monotonic()
    ask(program, os.environ, "run", files, "-o", out, "-p", PIPELINE, "--threads", str(threads))
    return time.monotonic() - begun


def job(program, environment, files):
    """Seconds of the same as a job: by its receipt, from its start to its end."""
    name = ask(program, environment, "submit", files, "-p", PIPELINE).strip()
    ask(program, environment, "watch", name)
    status = json.loads(ask(program, environment, "status", name, "--json"))
    assert status["state"] == "succeeded", status
    ask(program, environment, "delete", name)
    return status["ms"] / 1000


def against_run(arguments, sets, work):
    program = f"{arguments.programs}/sundog"
    cluster = Cluster(arguments.programs, arguments.ranks)
    try:
        for name, files in sets.items():
            ratios = []
            for turn in range(arguments.rounds + 1):
                alone = run(program, arguments.ranks, files, f"{work}/out")
                queued = job(program, cluster.environment, files)
                if turn == 0:
                    # Neither side begins with cold files.
                    continue
                ratios.append(queued / alone)
                say({"set": name, "run_s": round(alone, 3), "job_s": round(queued, 3), "ratio": round(ratios[-1], 2)})
            say({"set": name, "median_ratio": round(statistics.median(ratios), 2)})
    finally:
        cluster.end()


def against_celery(arguments, image):
    python = os.path.abspath(".venv/bin/python")
    subprocess.run(
        [f"{arguments.programs}/sundog-load", image, "--peer", python, "--rounds", str(arguments.rounds), "--ranks", str(arguments.ranks)],
        check=True,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--photos")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sets")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--debug", action="store_true")
    arguments = parser.parse_args()
    wanted = arguments.sets.split(",") if arguments.sets else ["small", "tiny", "photos", "celery"]
    unknown = set(wanted) - {"small", "tiny", "photos", "celery"}
    if unknown:
        sys.exit(f"there is no set {', '.join(sorted(unknown))} (small, tiny, photos, celery)")
    with tempfile.TemporaryDirectory(prefix="sundog-job-speed-") as work:
        program, sets = f"{arguments.programs}/sundog", {}
        for name, (files, size) in SETS.items():
            if name in wanted or (name == "small" and "celery" in wanted):
                kind = ["--format", "jpeg(quality=90)"] if name == "small" else []
                made = f"{work}/{name}"
                ask(program, os.environ, "generate", "images", "-o", made, "--files", str(files), "--count", size, *kind)
                if name in wanted:
                    sets[name] = made
        if "photos" in wanted and arguments.photos:
            sets["photos"] = arguments.photos
        if sets:
            against_run(arguments, sets, work)
        if "celery" in wanted:
            against_celery(arguments, min(entry.path for entry in os.scandir(f"{work}/small")))


if __name__ == "__main__":
    main()
