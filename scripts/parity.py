#!/usr/bin/env python3
"""Runs every operation of the built program and compares the pixels with OpenCV, Pillow and NumPy.

The expected pixels and how far a result may differ come from tests/oracle/reference.py; a case that
the reference cannot do (Canny on 16-bit samples, say) is left out. One line per difference, then a
table, then `N passed, N failed`; exits with 1 if anything differs.

    cargo build --release && .venv/bin/python scripts/parity.py
    .venv/bin/python scripts/parity.py --only canny --thread-ranks 3 --mode rows
"""
import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pyvips

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "oracle"))
import reference  # noqa: E402

cv2.setNumThreads(1)
SMOOTH = [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
UNEVEN = [[0.5, -1, 0.25, 0, 2], [1, 0, -3, 0.125, 1], [0, 2, -1, 0, 0.5]]
BORDERS = ["reflect", "replicate", "constant"]
MODES = ["binary_inv", "trunc", "to_zero", "to_zero_inv"]
MORPHOLOGY = [{}, {"radius": 0}, {"radius": 2}, {"radius": 3, "shape": "ellipse"}, {"radius": 2, "shape": "cross"},
              {"radius": 1, "iterations": 3}, {"radius": 9}, {"radius": 2, "shape": "ellipse", "iterations": 2},
              {"radius": 30}]
GRADIENT = [{}, {"direction": "x"}, {"direction": "y"}]

# The parameters that each operation is tried with; --quick takes the first two.
CASES = {
    "invert": [{}],
    "grayscale": [{}],
    "to_rgb": [{}],
    "brightness": [{}, {"delta": 0.2}, {"delta": -0.35}, {"delta": 1}, {"delta": -1}],
    "contrast": [{}, {"factor": 1.5}, {"factor": 0.3}, {"factor": 0}, {"factor": 10}],
    "gamma": [{}, {"gamma": 2.2}, {"gamma": 0.4}, {"gamma": 20}, {"gamma": 0.05}],
    "levels": [{}, {"black": 0.1, "white": 0.85, "gamma": 1.3}, {"black": 0.4}, {"white": 0.5, "gamma": 0.5}],
    "posterize": [{}, {"levels": 2}, {"levels": 7}, {"levels": 256}],
    "saturation": [{}, {"factor": 1.7}, {"factor": 0}, {"factor": 0.4}, {"factor": 10}],
    "sepia": [{}, {"amount": 0.5}, {"amount": 0}],
    "threshold": [{}, {"value": 90}, {"value": 0}, {"value": 255}] + [{"value": 100, "mode": m} for m in MODES],
    "otsu": [{}] + [{"mode": m} for m in MODES],
    "equalize": [{}, {"mode": "luma"}, {"mode": "channels"}],
    "clahe": [{}, {"clip": 4, "tiles": 4}, {"clip": 1, "tiles": 3}, {"clip": 40, "tiles": 16}, {"tiles": 1}],
    "autocontrast": [{}, {"low": 0.01, "high": 0.02}, {"low": 0.1}, {"high": 0.25}, {"low": 0.5, "high": 0.5}],
    "box_blur": [{}, {"radius": 4}, {"radius": 0}, {"radius": 2}, {"radius": 25}]
                + [{"radius": 3, "border": b} for b in BORDERS],
    "gaussian": [{}, {"sigma": 2}, {"sigma": 0.5}, {"sigma": 5.3}, {"sigma": 0.1}, {"sigma": 20}]
                + [{"sigma": 1.5, "border": b} for b in BORDERS],
    "median": [{}, {"radius": 2}, {"radius": 0}, {"radius": 4}, {"radius": 12}, {"radius": 50}],
    "bilateral": [{}, {"radius": 2, "sigma_color": 25}, {"radius": 7, "sigma_color": 80, "sigma_space": 5}],
    "convolve": [{"kernel": SMOOTH, "scale": 0.0625}, {"kernel": UNEVEN, "scale": 0.5, "offset": 30},
                 {"kernel": UNEVEN}, {"kernel": [[1]], "offset": -20}, {"kernel": [[1, 0, -1]], "offset": 128},
                 {"kernel": [[1]] * 7, "scale": 1 / 7}, {"kernel": [[1] * 31] * 31, "scale": 1 / 961}]
                + [{"kernel": SMOOTH, "scale": 0.0625, "border": b} for b in BORDERS],
    "sharpen": [{}, {"amount": 0.4}, {"amount": 3}, {"amount": 0}],
    "unsharp": [{}, {"sigma": 1, "amount": 2}, {"sigma": 6, "amount": 0.8}, {"amount": 0}],
    "emboss": [{}],
    "sobel": GRADIENT,
    "scharr": GRADIENT,
    "prewitt": GRADIENT,
    "roberts": [{}],
    "laplacian": [{}],
    "canny": [{}, {"low": 20, "high": 60}, {"l2": True}, {"low": 200, "high": 700, "aperture": 5},
              {"low": 2000, "high": 6000, "aperture": 7, "l2": True}, {"low": 0, "high": 0}, {"low": 80, "high": 80}],
    "adaptive_threshold": [{}, {"method": "gaussian"}, {"block": 3, "c": 0}, {"block": 31, "c": -4},
                           {"method": "gaussian", "block": 25, "c": 5}],
    **{name: MORPHOLOGY for name in reference.MORPH},
    "harris": [{}, {"block": 3, "aperture": 5, "k": 0.06, "threshold": 0.1}, {"block": 5, "threshold": 0.001}],
    "hough_lines": [{}, {"threshold": 60}, {"rho": 2, "theta": 2, "threshold": 80, "low": 30, "high": 90},
                    {"threshold": 70, "width": 1}],
    "edge_overlay": [{}, {"style": "mask"}, {"low": 40, "high": 120, "aperture": 3, "blur": 2},
                     {"low": 100, "high": 400, "style": "mask", "blur": 0}],
    "butterworth": [{}, {"kind": "high"}, {"cutoff": 0.03, "order": 1}, {"kind": "high", "cutoff": 0.3, "order": 4}],
    "resize": [{"width": 30}, {"width": 33, "height": 21}, {"height": 70}, {"width": 90, "height": 90, "fit": "inside"},
               {"width": 61, "height": 47}] + [{"width": 40, "height": 57, "filter": f} for f in reference.FILTERS]
              + [{"width": 301, "height": 203, "filter": f} for f in reference.FILTERS],
    "thumbnail": [{"size": 40}, {"size": 17}],
    "select": [{"bands": [1]}],
    "flatten": [{}, {"background": "#204060"}],
    "range": [{}, {"low": 20, "high": 200}, {"low": "2%", "high": "98%"}, {"low": "min", "high": 99}],
    "crop": [{"x": 5, "y": 7, "width": 20, "height": 11}, {"x": 0, "y": 0, "width": 61, "height": 47},
             {"x": 60, "y": 46, "width": 1, "height": 1}, {"x": 0, "y": 0, "width": 1, "height": 1}],
    "rotate": [{}, {"degrees": 180}, {"degrees": 270}, {"degrees": 0}],
    "flip": [{}, {"axis": "vertical"}],
    "pad": [{"left": 3, "right": 1, "top": 2, "bottom": 5}, {"left": 4, "value": 77}, {}]
           + [{"left": 9, "right": 2, "top": 4, "bottom": 1, "border": b} for b in BORDERS[:2] + ["reflect101"]],
}
STATISTICS = {"otsu", "equalize", "clahe", "autocontrast", "range"}
MOVES_PIXELS = {"crop", "rotate", "flip", "pad", "resize", "thumbnail"}


class Undefined(Exception):
    """The reference says nothing about this case."""


# ---- images -----------------------------------------------------------------------------------
def photo(rows, cols, channels, seed):
    """Smooth colours, a few hard edges and a little noise, in 0..1."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((rows // 24 + 2, cols // 24 + 2, 3))
    f = cv2.resize(coarse, (cols, rows), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(f, (cols // 8, rows // 6), (cols // 2, rows // 2), (0.9, 0.3, 0.2), -1)
    cv2.circle(f, (cols * 2 // 3, rows * 3 // 5), rows // 4, (0.1, 0.2, 0.7), -1)
    cv2.line(f, (0, rows - 1), (cols - 1, rows // 3), (0.95, 0.95, 0.9), 2)
    f = np.clip(f * 0.9 + 0.05 + rng.normal(0, 0.02, f.shape), 0, 1)
    ramp = np.add.outer(np.arange(rows) / rows, np.arange(cols) / cols)[..., None] / 2
    gray = f.mean(2, keepdims=True)
    return {1: gray, 2: np.dstack([gray, ramp]), 3: f, 4: np.dstack([f, ramp])}[channels]


def test_images(quick):
    """{name: array of shape (rows, cols) or (rows, cols, 2 to 4), RGB order}."""
    out = {}
    kinds = {"gray": 1, "gray-alpha": 2, "rgb": 3, "rgba": 4}
    for bits, kind in ((8, np.uint8), (16, np.uint16)):
        top = 2 ** bits - 1
        rng = np.random.default_rng(bits)
        noise = lambda rows, cols, c: rng.integers(0, top, (rows, cols, c), dtype=kind, endpoint=True)
        for name, c in kinds.items():
            out[f"photo-{name}-{bits}"] = (photo(121, 160, c, 1) * top + 0.5).astype(kind)
            out[f"noise-{name}-{bits}"] = noise(47, 61, c)
        opaque = noise(40, 33, 4)
        opaque[..., 3] = top
        out[f"opaque-rgba-{bits}"] = opaque
        for name, c in (("gray", 1), ("rgb", 3)):
            out[f"dot-{name}-{bits}"] = noise(1, 1, c)
            out[f"flat-{name}-{bits}"] = np.full((20, 32, c), [top // 3, top // 5, top // 2][:c], kind)
            out[f"row-{name}-{bits}"] = noise(1, 37, c)
            out[f"column-{name}-{bits}"] = noise(41, 1, c)
            out[f"two-{name}-{bits}"] = noise(2, 2, c)
        out[f"narrow-rgb-{bits}"] = (photo(203, 5, 3, 2) * top + 0.5).astype(kind)
    out["dot-rgba-8"] = np.array([[[10, 200, 30, 77]]], np.uint8)
    out["black-gray-8"], out["white-rgb-8"] = np.zeros((17, 19), np.uint8), np.full((17, 19, 3), 255, np.uint8)
    out["steps-gray-8"] = np.arange(256, dtype=np.uint8).reshape(16, 16)
    out["wide-rgb-8"] = (photo(33, 517, 3, 3) * 255 + 0.5).astype(np.uint8)
    out["large-rgb-8"] = (photo(427, 640, 3, 4) * 255 + 0.5).astype(np.uint8)
    out["large-gray-8"] = (photo(480, 639, 1, 5) * 255 + 0.5).astype(np.uint8)
    # Higher than several bands of rows.
    out["tall-rgb-8"] = (photo(1300, 21, 3, 6) * 255 + 0.5).astype(np.uint8)
    out["tall-gray-16"] = (photo(1100, 17, 1, 7) * 65535 + 0.5).astype(np.uint16)
    if quick:
        keep = ("photo-rgb", "photo-gray-8", "photo-rgba-8", "noise", "dot-rgb-8", "row-gray-8", "column-rgb-8", "flat-gray-8", "tall")
        out = {name: a for name, a in out.items() if name.startswith(keep)}
    return {name: a[..., 0] if a.ndim == 3 and a.shape[2] == 1 else a for name, a in out.items()}


def write_png(path, a):
    """Every colour type, unfiltered; the libraries here cannot write gray with alpha in 16 bit."""
    rows, cols = a.shape[:2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[1 if a.ndim == 2 else a.shape[2]]
    data = np.ascontiguousarray(a.astype(a.dtype.newbyteorder(">"))).view(np.uint8).reshape(rows, -1)
    data = np.hstack([np.zeros((rows, 1), np.uint8), data]).tobytes()
    chunk = lambda tag, body: struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
    header = struct.pack(">IIBBBBB", cols, rows, a.itemsize * 8, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 1)) + chunk(b"IEND", b""))


def read(path):
    """Pixels as stored: gray, gray with alpha, RGB or RGBA."""
    if path.suffix != ".png":  # OpenCV mixes alpha into the colours of a TIFF
        image = pyvips.Image.new_from_buffer(path.read_bytes(), "")
        kind = {"uchar": np.uint8, "ushort": np.uint16}.get(image.format, np.float64)
        a = np.frombuffer(image.cast("double" if kind == np.float64 else image.format).write_to_memory(), kind)
        a = a.reshape(image.height, image.width, image.bands)
        return a[..., 0] if image.bands == 1 else a
    a = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if a is None or a.ndim == 2:
        return a
    if a.shape[2] == 3:
        return a[..., ::-1]
    with open(path, "rb") as file:
        head = file.read(26)
    if head[25] == 4:  # OpenCV spreads gray with alpha to four channels
        return a[..., [0, 3]]
    return a[..., [2, 1, 0, 3]]


# ---- expectation ------------------------------------------------------------------------------
def split(a):
    """(colour, alpha or None), each contiguous as OpenCV wants it."""
    if a.ndim == 3 and a.shape[2] in (2, 4):
        colour = a[..., 0] if a.shape[2] == 2 else a[..., :3]
        return np.ascontiguousarray(colour), np.ascontiguousarray(a[..., -1])
    return a, None


def refuse_meaningless(op, params, a):
    rows, cols = a.shape[:2]
    deep = a.dtype == np.uint16
    if op == "crop" and (params["x"] + params["width"] > cols or params["y"] + params["height"] > rows):
        raise Undefined("beyond the image, which is an error")
    if op == "thumbnail" and max(rows, cols) <= params["size"]:
        raise Undefined("not larger than the thumbnail")
    if deep and (params.get("offset") or params.get("value", 0) and op == "pad"):
        raise Undefined("given in levels of 8 bit")


def expected(op, params, a):
    """(pixels, channels to compare)."""
    refuse_meaningless(op, params, a)
    colour, alpha = split(a)
    if op in STATISTICS and alpha is not None and not alpha.all():
        raise Undefined("what is wholly transparent is left out of statistics")
    if op in ("select", "flatten") and alpha is not None:
        raise Undefined("alpha is a channel of its own here")
    run = reference.OPS[op][0]
    try:
        want = np.asarray(run(colour, **params))
    except (cv2.error, TypeError, ValueError) as error:
        raise Undefined(str(error)) from error
    if alpha is None:
        return want, slice(None)
    compared = slice(None)
    if op in MOVES_PIXELS:
        alpha = run(alpha, **params)
        if op in ("resize", "thumbnail") and params.get("filter") != "nearest" and a[..., -1].min() < reference.maximum(a):
            compared = slice(-1, None)  # colours under transparency may be weighted by it
        if op == "pad" and params.get("border", "constant") == "constant":
            compared = slice(0, -1)  # whether the frame is opaque is the program's choice
    return np.dstack([want, alpha]), compared


def compare_lines(lines, width, a, got):
    """Each line of cv2.HoughLines is painted, nothing is red elsewhere, and the rest is the source."""
    reach = width / 2 + 1.5
    colour, alpha = split(a)
    source = reference.to_rgb(colour)
    if alpha is not None:
        source = np.dstack([source, alpha])
    if got.shape != source.shape:
        return False, 0.0, f"shape {got.shape} instead of {source.shape}"
    rows, cols = colour.shape[:2]
    red = (got[..., :3] == (reference.maximum(a), 0, 0)).all(2)
    y, x = np.mgrid[:rows, :cols]
    near = np.zeros((rows, cols), bool)
    missing = total = 0
    inner = (x > 0) & (y > 0) & (x < cols - 1) & (y < rows - 1)  # at the rim a line may round to outside
    around = cv2.dilate(red.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    for rho, theta in lines:
        distance = np.abs(x * np.cos(theta) + y * np.sin(theta) - rho)
        near |= distance <= reach
        on = (distance <= 0.5) & inner
        total += int(on.sum())
        missing += int((on & ~around).sum())
    wrong = int((red & ~near & (got != source).any(2)).sum()) + int(((got != source).any(2) & ~red).sum())
    share = 1 - (wrong + missing) / (rows * cols + total)
    return wrong + missing <= 0.001 * total, share, f"{missing} of {total} line pixels missing, {wrong} painted elsewhere"


def answer(op, params, a):
    """What to compare a result with: (lines, None) for hough_lines, else (pixels, channels)."""
    if op != "hough_lines":
        return expected(op, params, a)
    try:
        return reference.hough_lines(split(a)[0], **{k: v for k, v in params.items() if k != "width"}), None
    except cv2.error as error:
        raise Undefined(str(error)) from error


def judge(op, params, a, want, compared, path):
    """(ok, share within tolerance, largest difference)."""
    got = read(path) if path.exists() else None
    if got is None:
        return False, 0.0, "no result"
    if op == "hough_lines":
        return compare_lines(want, params.get("width", 2), a, got)
    if got.shape != want.shape or got.dtype != want.dtype:
        return False, 0.0, f"{got.dtype} {got.shape} instead of {want.dtype} {want.shape}"
    if got.ndim == 3:
        got, want = got[..., compared], want[..., compared]
    return reference.agrees(op, got, want)


# ---- the program ------------------------------------------------------------------------------
def text(op, params):
    """The pipeline as the program reads it: op(name=value,name=value)."""
    if not params:
        return op
    plain = lambda v: v if isinstance(v, str) else json.dumps(v, separators=(",", ":"))
    return f"{op}({','.join(f'{name}={plain(value)}' for name, value in params.items())})"


def offered(sundog):
    """Names of the operations that the program lists."""
    answer = subprocess.run([sundog, "ops", "--json"], capture_output=True, text=True, timeout=60)
    if answer.returncode:
        sys.exit(f"parity: `{sundog} ops --json` failed: {answer.stderr.strip()}")
    try:
        listed = json.loads(answer.stdout)
    except json.JSONDecodeError:
        listed = [json.loads(line) for line in answer.stdout.splitlines() if line.strip()]
    if isinstance(listed, dict):
        listed = listed.get("ops") or listed.get("operations") or list(listed)
    return [entry if isinstance(entry, str) else entry["name"] for entry in listed]


class Harness:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.images = test_images(args.quick)
        (work / "all").mkdir()
        for name, a in self.images.items():
            write_png(work / "all" / f"{name}.png", a)

    def inputs(self, number, names):
        """A folder of just these images, so that one call of the program does them all."""
        folder = self.work / f"in{number}"
        folder.mkdir()
        for name in names:
            os.link(self.work / "all" / f"{name}.png", folder / f"{name}.png")
        return folder

    def case(self, number, op, params):
        """[(image, ok, share, difference)] and what the program said when it failed."""
        answers = {}
        for name, a in self.images.items():
            try:
                answers[name] = answer(op, params, a)
            except Undefined:
                continue
        if not answers:
            return [], ""
        out = self.work / f"out{number}"
        source = self.inputs(number, answers)
        command = [self.args.sundog, "run", source, "-o", out, "-p", text(op, params), "--format", self.args.format]
        for flag in ("ranks", "thread_ranks", "threads", "mode"):
            if value := getattr(self.args, flag):
                command += ["--" + flag.replace("_", "-"), str(value)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=self.args.timeout)
            said = "" if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()[-600:]}"
        except subprocess.TimeoutExpired:
            said = f"still running after {self.args.timeout} s"
        suffix = {"png": ".png", "tiff": ".tiff"}[self.args.format]
        results = [(name, *judge(op, params, self.images[name], want, compared, self.result(out, name, suffix)))
                   for name, (want, compared) in answers.items()]
        if self.args.keep is None:
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(source)
        return results, said

    @staticmethod
    def result(out, name, suffix):
        path = out / (name + suffix)
        return path if path.exists() else out / (name + ".tif")


def main():
    cli = argparse.ArgumentParser(description="compare the program's pixels with OpenCV, Pillow and NumPy")
    cli.add_argument("--sundog", default=str(ROOT / "target" / "release" / "sundog"), help="the program to check")
    cli.add_argument("--only", action="append", metavar="OP", help="only this operation (may be repeated)")
    cli.add_argument("--quick", action="store_true", help="fewer images and parameters")
    cli.add_argument("--complete", action="store_true", help="an operation that the program lacks is a failure")
    cli.add_argument("--format", choices=("png", "tiff"), default="png", help="what the program writes")
    cli.add_argument("--ranks", type=int, help="ranks of mpirun")
    cli.add_argument("--thread-ranks", type=int, help="ranks as threads of one process")
    cli.add_argument("--threads", type=int, help="threads per rank")
    cli.add_argument("--mode", choices=("auto", "images", "rows"))
    cli.add_argument("--jobs", type=int, default=2, help="calls of the program at a time")
    cli.add_argument("--timeout", type=float, default=300, help="seconds for one call")
    cli.add_argument("--keep", metavar="DIR", help="leave inputs and results in this new directory")
    args = cli.parse_args()
    if not os.access(args.sundog, os.X_OK):
        sys.exit(f"parity: no program at {args.sundog} (hint: cargo build --release, or --sundog PATH)")

    names = offered(args.sundog)
    unknown = [op for op in args.only or [] if op not in CASES]
    if unknown:
        sys.exit(f"parity: no cases for {', '.join(unknown)}; there are {', '.join(CASES)}")
    wanted = args.only or list(CASES)
    lacking = [op for op in wanted if op not in names]
    if not args.only:
        for op in sorted(set(names) - set(CASES)):
            print(f"note: {op} has no reference")
    for op in lacking:
        print(f"{'FAILED' if args.complete or args.only else 'note:'} {op} is not offered by the program")
    jobs = [(op, p) for op in wanted if op in names for p in (CASES[op][:2] if args.quick else CASES[op])]

    if args.keep:
        Path(args.keep).mkdir(parents=True)
    scratch = None if args.keep else tempfile.TemporaryDirectory(prefix="sundog-parity-")
    harness = Harness(args, Path(args.keep or scratch.name))
    passed, failed, worst = Counter(), Counter(), {}
    with ThreadPoolExecutor(args.jobs) as pool:
        runs = [(op, params, pool.submit(harness.case, i, op, params)) for i, (op, params) in enumerate(jobs)]
        for op, params, run in runs:
            results, said = run.result()
            if said:
                print(f"FAILED {text(op, params)}: {said}", flush=True)
                failed[op] += 1
            for image, ok, share, difference in results:
                (passed if ok else failed)[op] += 1
                if isinstance(difference, int):
                    worst[op] = max(worst.get(op, 0), difference // (257 if image.endswith("-16") else 1))
                if not ok:
                    print(f"FAILED {text(op, params)} on {image}: {share:.4%} within tolerance, largest difference {difference}", flush=True)
    if scratch:
        scratch.cleanup()

    print(f"\n{'operation':<20}{'passed':>8}{'failed':>8}  largest difference (8-bit levels)")
    for op in wanted:
        if op in names:
            print(f"{op:<20}{passed[op]:>8}{failed[op]:>8}  {worst.get(op, '-')}")
    missing = len(lacking) if args.complete or args.only else 0
    bad = failed.total() + missing
    print(f"\n{passed.total()} passed, {bad} failed")
    return 1 if bad or not passed.total() else 0


if __name__ == "__main__":
    sys.exit(main())
