"""Measures Sundog beside OpenCV, libvips and NumPy, in turn on one machine, and prints Markdown.

    cargo build --release --workspace --features sundog-worker/mpi
    .venv/bin/python benches/compare.py kernels --threads 2
    .venv/bin/python benches/compare.py directory PHOTOS
    .venv/bin/python benches/compare.py large
    .venv/bin/python benches/compare.py ranks
    .venv/bin/python benches/compare.py reduce

Each comparison runs A B A B …; ratios are Sundog's time over the peer's, below 1 means faster.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benches" / "peers"
SUNDOG = ROOT / "target" / "release" / "sundog"


def lines(command):
    out = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def tree_rss(pid):
    """Resident bytes of a process and all below it."""
    total, todo = 0, [pid]
    while todo:
        pid = todo.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            for task in os.listdir(f"/proc/{pid}/task"):
                todo += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return total * os.sysconf("SC_PAGE_SIZE")


def timed(command):
    """Wall seconds of a whole command and the peak of its process tree in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_rss(process.pid))
        time.sleep(0.004)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{command}: {process.stderr.read().decode()}")
    return seconds, peak / 2**20


def alternate(a, b, runs):
    """Medians of both commands, run in turn after one warm-up each."""
    timed(a), timed(b)
    both = [(timed(a), timed(b)) for _ in range(runs)]
    pick = lambda side, what: statistics.median(pair[side][what] for pair in both)
    ratio = statistics.median(pair[0][0] / pair[1][0] for pair in both)
    return (pick(0, 0), pick(0, 1)), (pick(1, 0), pick(1, 1)), ratio


def kernels(args):
    python = sys.executable
    names = lines([python, PEERS / "kernels.py", "--threads", args.threads, "--runs", 1, "--only", args.only])
    print(f"| image | pipeline | OpenCV ms | Sundog ms | ratio |\n|---|---|---|---|---|")
    ratios = []
    for case in names:
        one = lambda: [c for c in lines([python, PEERS / "kernels.py", "--threads", args.threads, "--runs", 7, "--only", case["pipeline"]])
                       if c["pipeline"] == case["pipeline"] and c["size"] == case["size"]][0]
        own = lambda: lines([SUNDOG, "bench", "-p", case["pipeline"], "--size", case["size"], "--threads", args.threads, "--runs", 9, "--json"])[0]
        pairs = [(one()["median_ms"], own()["median_ms"]) for _ in range(args.repeat)]
        peer, ours = min(p[0] for p in pairs), min(p[1] for p in pairs)
        ratios.append(ours / peer)
        kind = "rgb" if case["size"].endswith("x3") else "gray"
        print(f"| {kind} | `{case['pipeline']}` | {peer:.2f} | {ours:.2f} | {ours / peer:.2f} |".replace(" | ", " | "), flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"\ngeometric mean {mean:.2f}, largest {max(ratios):.2f}, {args.threads} threads")


def directory(args):
    print("| operation | peer | peer s | Sundog s | ratio | peer MiB | Sundog MiB |\n|---|---|---|---|---|---|---|")
    pipelines = {"gaussian": "gaussian(sigma=2)", "thumbnail": "thumbnail(size=720)", "canny": "canny", "equalize": "equalize"}
    with tempfile.TemporaryDirectory() as out:
        for op, pipeline in pipelines.items():
            own = [SUNDOG, "run", args.photos, "-o", f"{out}/own", "-p", pipeline, "--format", "jpeg(quality=90)", "--threads", 2]
            for peer in ("opencv", "vips"):
                ours, theirs, ratio = alternate(own, [sys.executable, PEERS / "directory.py", peer, op, args.photos, f"{out}/{peer}"], args.repeat)
                print(f"| {op} | {peer} | {theirs[0]:.2f} | {ours[0]:.2f} | {ratio:.2f} | {theirs[1]:.0f} | {ours[1]:.0f} |", flush=True)


LARGE = "crop(x=100,y=100,width=9800,height=9800) | resize(width=8820,height=8820,filter=bilinear) | convolve(kernel=[[-1,-1,-1],[-1,16,-1],[-1,-1,-1]],scale=0.125)"


def large(args):
    with tempfile.TemporaryDirectory() as out:
        source = f"{out}/big.tif"
        subprocess.run([sys.executable, str(PEERS / "vips_big.py"), "make", source], check=True)
        own = [SUNDOG, "run", source, "-o", f"{out}/own.tif", "-p", LARGE, "--format", "tiff(compression=none)", "--threads", 2]
        peer = [sys.executable, PEERS / "vips_big.py", "run", source, f"{out}/vips.tif", "--threads", 2]
        ours, theirs, ratio = alternate(own, peer, args.repeat)
        print("| peer s | Sundog s | ratio | peer MiB | Sundog MiB |\n|---|---|---|---|---|")
        print(f"| {theirs[0]:.2f} | {ours[0]:.2f} | {ratio:.2f} | {theirs[1]:.0f} | {ours[1]:.0f} |")


def ranks(args):
    print("| pipeline | 1 rank ms | 2 ranks ms | speed-up | halo bytes | halo wait |\n|---|---|---|---|---|---|")
    for pipeline in ("bilateral", "gaussian(sigma=10)"):
        bench = lambda n: lines([SUNDOG, "bench", "-p", pipeline, "--size", "10000x10000x3", "--threads", 1, "--ranks", n, "--runs", 5, "--json"])[0]
        pairs = [(bench(1), bench(2)) for _ in range(args.repeat)]
        one, two = min((p for p in pairs), key=lambda p: p[0]["median_ms"] + p[1]["median_ms"])
        wait = 100 * two["halo_wait_ms"] / two["median_ms"]
        print(f"| `{pipeline}` | {one['median_ms']:.0f} | {two['median_ms']:.0f} | {one['median_ms'] / two['median_ms']:.2f} "
              f"| {two['halo_bytes']} | {wait:.1f} % |", flush=True)


def reduce(args):
    import cv2
    import numpy as np

    rng = np.random.default_rng(5)
    print("| input | NumPy s | Sundog s | ratio | NumPy MiB | Sundog MiB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as out:
        base = cv2.resize(rng.integers(0, 255, (34, 60, 3), dtype=np.uint8), (1920, 1080), interpolation=cv2.INTER_CUBIC)
        images = [f"{out}/i{i:04}.jpg" for i in range(args.images)]
        for name in images:
            noisy = cv2.add(base, rng.integers(0, 24, base.shape, dtype=np.uint8))
            cv2.imwrite(name, noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])
        numbers = [f"{out}/n{i:03}.txt" for i in range(args.numbers)]
        for name in numbers:
            np.savetxt(name, rng.normal(0, 100, 1_000_000), fmt="%.6f")
        for label, kind, files, result in (
            (f"{args.images} JPEGs of 1920x1080", "images", images, "png"),
            (f"{args.numbers} text files of a million numbers", "numbers", numbers, "txt"),
        ):
            own = [SUNDOG, "reduce", "mean", *files, "-o", f"{out}/own.{result}", "--threads", 2]
            peer = [sys.executable, PEERS / "numpy_mean.py", kind, f"{out}/peer.{result}", *files]
            a, b = timed(own), timed(peer)
            print(f"| {label} | {b[0]:.2f} | {a[0]:.2f} | {a[0] / b[0]:.2f} | {b[1]:.0f} | {a[1]:.0f} |", flush=True)


def main():
    cli = argparse.ArgumentParser(description="Sundog beside OpenCV, libvips and NumPy")
    cli.add_argument("--repeat", type=int, default=3)
    actions = cli.add_subparsers(dest="action", required=True)
    kernel = actions.add_parser("kernels")
    kernel.add_argument("--threads", type=int, default=2)
    kernel.add_argument("--only", default="")
    actions.add_parser("directory").add_argument("photos")
    actions.add_parser("large")
    actions.add_parser("ranks")
    reducer = actions.add_parser("reduce")
    reducer.add_argument("--images", type=int, default=1000)
    reducer.add_argument("--numbers", type=int, default=20)
    args = cli.parse_args()
    if not SUNDOG.exists():
        sys.exit(f"{SUNDOG} is missing (cargo build --release --workspace)")
    globals()[args.action](args)


if __name__ == "__main__":
    main()
