"""Times OpenCV in memory, one JSON line per operation, on the same work as `sundog bench`.

    .venv/bin/python benches/peers/kernels.py --threads 2
    sundog bench -p 'gaussian(sigma=2)' --size 4000x3000x3 --threads 2 --json

Compare ratios taken on one machine in the same minute; times alone say little.
"""
import argparse
import json
import math
import statistics
import time

import cv2
import numpy as np

HATS = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)
GAMMA = np.rint((np.arange(256) / 255) ** (1 / 1.4) * 255).astype(np.uint8)


def synthetic(rows, cols):
    """Smooth colours with noise, RGB of 8 bits."""
    rng = np.random.default_rng(11)
    smooth = cv2.resize(rng.random((rows // 60 + 2, cols // 60 + 2, 3)), (cols, rows), interpolation=cv2.INTER_CUBIC)
    return np.clip(25 + 205 * smooth + rng.normal(0, 15, smooth.shape), 0, 255).astype(np.uint8)


def window(radius, shape=cv2.MORPH_RECT):
    return cv2.getStructuringElement(shape, (2 * radius + 1,) * 2)


def gaussian(a, sigma):
    return cv2.GaussianBlur(a, (2 * math.ceil(3 * sigma) + 1,) * 2, sigma)


def equalize_value(a):
    hsv = cv2.cvtColor(a, cv2.COLOR_RGB2HSV)
    hsv[..., 2] = cv2.equalizeHist(hsv[..., 2])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def sobel(a):
    x, y = cv2.Sobel(a, cv2.CV_32F, 1, 0), cv2.Sobel(a, cv2.CV_32F, 0, 1)
    return cv2.convertScaleAbs(cv2.magnitude(x, y))


def chain(a):
    a = gaussian(cv2.medianBlur(cv2.LUT(a, GAMMA), 3), 2)
    return cv2.convertScaleAbs(cv2.filter2D(a, -1, HATS), alpha=1.2, beta=-25.5)


COLOUR = {
    "invert": cv2.bitwise_not,
    "grayscale": lambda a: cv2.cvtColor(a, cv2.COLOR_RGB2GRAY),
    "gamma(gamma=1.4)": lambda a: cv2.LUT(a, GAMMA),
    "equalize": equalize_value,
    "box_blur(radius=2)": lambda a: cv2.blur(a, (5, 5)),
    "gaussian(sigma=2)": lambda a: gaussian(a, 2),
    "gaussian(sigma=10)": lambda a: gaussian(a, 10),
    "median(radius=1)": lambda a: cv2.medianBlur(a, 3),
    "median(radius=2)": lambda a: cv2.medianBlur(a, 5),
    "median(radius=4)": lambda a: cv2.medianBlur(a, 9),
    "bilateral(radius=4)": lambda a: cv2.bilateralFilter(a, 9, 50, 50),
    "sharpen": lambda a: cv2.filter2D(a, -1, HATS),
    "unsharp": lambda a: cv2.addWeighted(a, 1.5, gaussian(a, 2), -0.5, 0),
    "erode(radius=2)": lambda a: cv2.erode(a, window(2)),
    "open(radius=2)": lambda a: cv2.morphologyEx(a, cv2.MORPH_OPEN, window(2)),
    "resize(width=2000,filter=box)": lambda a: cv2.resize(a, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "resize(width=1480,filter=lanczos3)": lambda a: cv2.resize(a, (1480, 1110), interpolation=cv2.INTER_LANCZOS4),
    "rotate(degrees=90)": lambda a: cv2.rotate(a, cv2.ROTATE_90_CLOCKWISE),
    "flip": lambda a: cv2.flip(a, 1),
    "gamma(gamma=1.4) | median(radius=1) | gaussian(sigma=2) | sharpen | contrast(factor=1.2)": chain,
}
GRAY = {
    "otsu": lambda a: cv2.threshold(a, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1],
    "equalize": cv2.equalizeHist,
    "clahe": lambda a: cv2.createCLAHE(2.0, (8, 8)).apply(a),
    "sobel": sobel,
    "canny": lambda a: cv2.Canny(a, 50, 150),
    "laplacian": lambda a: cv2.convertScaleAbs(cv2.Laplacian(a, cv2.CV_16S, ksize=1)),
    "adaptive_threshold": lambda a: cv2.adaptiveThreshold(
        a, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 11, 2),
    "dilate(radius=3,shape=ellipse)": lambda a: cv2.dilate(a, window(3, cv2.MORPH_ELLIPSE)),
}


def milliseconds(run, image, runs):
    run(image)  # fills caches and starts threads
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run(image)
        times.append(1e3 * (time.perf_counter() - start))
    return {"median_ms": round(statistics.median(times), 3), "min_ms": round(min(times), 3)}


def main():
    cli = argparse.ArgumentParser(description="time OpenCV on the operations of sundog bench")
    cli.add_argument("--threads", type=int, default=2)
    cli.add_argument("--runs", type=int, default=7)
    cli.add_argument("--only", default="", help="part of the pipeline's text")
    args = cli.parse_args()
    cv2.setNumThreads(args.threads)
    colour = synthetic(3000, 4000)
    gray = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    for size, image, cases in (("4000x3000x3", colour, COLOUR), ("4000x3000x1", gray, GRAY)):
        for pipeline, run in cases.items():
            if args.only in pipeline:
                line = {"peer": "opencv", "pipeline": pipeline, "size": size, "threads": args.threads}
                print(json.dumps(line | milliseconds(run, image, args.runs)), flush=True)


if __name__ == "__main__":
    main()
