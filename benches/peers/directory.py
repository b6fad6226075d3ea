"""Processes a folder of JPEGs with OpenCV or libvips: a pool of processes with one thread each.

    .venv/bin/python benches/peers/directory.py opencv gaussian photos/ out/
    sundog run photos/ -o out/ -p 'gaussian(sigma=2)' --format 'jpeg(quality=90)'

Prints one JSON line: seconds, and the peak of the resident memory of all its processes together.
The counterparts are gaussian(sigma=2), equalize, thumbnail(size=720), canny.
"""
import argparse
import json
import multiprocessing
import os
import threading
import time
from pathlib import Path

QUALITY = 90
OPERATIONS = ("gaussian", "equalize", "thumbnail", "canny")


def with_opencv(op, source, target):
    import cv2

    cv2.setNumThreads(1)
    image = cv2.imread(source, cv2.IMREAD_COLOR)
    if op == "gaussian":
        image = cv2.GaussianBlur(image, (13, 13), 2)
    elif op == "equalize":
        image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        image[..., 2] = cv2.equalizeHist(image[..., 2])
        image = cv2.cvtColor(image, cv2.COLOR_HSV2BGR)
    elif op == "thumbnail":
        rows, cols = image.shape[:2]
        image = cv2.resize(image, (720, max(1, round(rows * 720 / cols))), interpolation=cv2.INTER_AREA)
    else:
        image = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 50, 150)
    cv2.imwrite(target, image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def with_vips(op, source, target):
    os.environ["VIPS_CONCURRENCY"] = "1"
    import pyvips

    if op == "thumbnail":
        image = pyvips.Image.thumbnail(source, 720, height=10**7)
    elif op == "equalize":  # reads the pixels twice
        image = pyvips.Image.new_from_file(source).hist_equal()
    else:
        image = pyvips.Image.new_from_file(source, access="sequential")
        image = image.gaussblur(2) if op == "gaussian" else image.canny(sigma=1.4)
    image.jpegsave(target, Q=QUALITY)


def resident_mib():
    """Resident memory of this process and all below it, shared pages counted in each."""
    parent, pages = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            parent[int(entry)], pages[int(entry)] = int(fields[1]), int(fields[21])
    total = 0
    for pid in pages:
        above = pid
        while above and above != os.getpid():
            above = parent.get(above, 0)
        total += pages[pid] if above else 0
    return total * os.sysconf("SC_PAGE_SIZE") / 2**20


def main():
    cli = argparse.ArgumentParser(description="process a folder of JPEGs with OpenCV or libvips")
    cli.add_argument("peer", choices=("opencv", "vips"))
    cli.add_argument("op", choices=OPERATIONS)
    cli.add_argument("source", type=Path)
    cli.add_argument("target", type=Path)
    cli.add_argument("--processes", type=int, default=2)
    args = cli.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    work = [(args.op, str(path), str(args.target / path.name)) for path in sorted(args.source.glob("*.jpg"))]
    peak, done = 0.0, threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, resident_mib())

    start = time.perf_counter()
    with multiprocessing.Pool(args.processes) as pool:
        watcher = threading.Thread(target=watch)  # after the fork
        watcher.start()
        pool.starmap(with_opencv if args.peer == "opencv" else with_vips, work, chunksize=1)
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    print(json.dumps({"peer": args.peer, "op": args.op, "images": len(work), "processes": args.processes,
                      "seconds": round(seconds, 3), "peak_rss_mib": round(peak, 1)}))


if __name__ == "__main__":
    main()
