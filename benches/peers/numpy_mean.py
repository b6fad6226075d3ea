"""The mean over many files as a NumPy user writes it; the counterpart of `sundog reduce mean`.

    .venv/bin/python benches/peers/numpy_mean.py images OUT.png FILE...
    .venv/bin/python benches/peers/numpy_mean.py numbers OUT.txt FILE...

Prints one JSON line: files, seconds, peak resident memory of the process.
"""
import argparse
import json
import resource
import time

import numpy as np


def mean_of_images(files, target):
    import cv2

    total = None
    for file in files:
        image = cv2.imread(file, cv2.IMREAD_UNCHANGED)
        total = image.astype(np.float64) if total is None else total + image
    mean = np.rint(total / len(files))
    cv2.imwrite(target, mean.astype(image.dtype))


def mean_of_numbers(files, target):
    total = 0.0
    for file in files:
        total = total + np.loadtxt(file)
    np.savetxt(target, np.atleast_1d(total / len(files)), fmt="%.17g")


def main():
    cli = argparse.ArgumentParser(description="mean over files with NumPy and OpenCV")
    cli.add_argument("kind", choices=("images", "numbers"))
    cli.add_argument("target")
    cli.add_argument("files", nargs="+")
    args = cli.parse_args()
    start = time.perf_counter()
    {"images": mean_of_images, "numbers": mean_of_numbers}[args.kind](args.files, args.target)
    print(json.dumps({
        "peer": "numpy", "kind": args.kind, "files": len(args.files),
        "seconds": round(time.perf_counter() - start, 3),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }))


if __name__ == "__main__":
    main()
