"""OpenCV on the processor for what scripts/gpu-check timed, and the table of both.

    gpu_peer.py FIGURES            times OpenCV on the pipelines and sizes of FIGURES, one JSON line each
    gpu_peer.py --table FIGURES    prints the figures as a table
"""
import json
import statistics
import sys
import time


def figures(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines if line.startswith("{")]


def steps():
    import cv2
    import numpy as np
    from kernels import COLOUR, GRAY, gaussian, window

    gamma = COLOUR["gamma(gamma=1.4)"]
    sharpen = COLOUR["sharpen"]

    def long_chain(a):
        a = gaussian(cv2.medianBlur(gamma(a), 5), 10)
        return cv2.morphologyEx(sharpen(a), cv2.MORPH_OPEN, window(3))

    chains = {
        "equalize | gaussian(sigma=2) | sharpen": lambda a: sharpen(gaussian(COLOUR["equalize"](a), 2)),
        "gamma(gamma=1.4) | median(radius=2) | gaussian(sigma=10) | sharpen | open(radius=3)": long_chain,
        # Its height from the aspect ratio, whatever the image's size.
        "resize(width=1480,filter=lanczos3)": lambda a: cv2.resize(
            a, (1480, round(1480 * a.shape[0] / a.shape[1])), interpolation=cv2.INTER_LANCZOS4),
    }
    return cv2, np, {3: COLOUR | chains, 1: GRAY}


def measure(path):
    cv2, np, cases = steps()
    cv2.setNumThreads(0 if not hasattr(cv2, "getNumberOfCPUs") else cv2.getNumberOfCPUs())
    rng = np.random.default_rng(3)
    images = {}
    for line in figures(path):
        if "pipeline" not in line:
            continue
        cols, rows, channels = map(int, line["size"].split("x"))
        run = cases[channels].get(line["pipeline"])
        if run is None:
            continue
        if line["size"] not in images:
            smooth = cv2.resize(rng.integers(0, 256, (rows // 60, cols // 60, channels), np.uint8), (cols, rows))
            noise = rng.integers(0, 32, (rows, cols, channels), np.uint8)
            images[line["size"]] = cv2.add(smooth.reshape(noise.shape), noise)
        image = images[line["size"]]
        run(image)
        times, begun = [], time.perf_counter()
        for _ in range(5):
            start = time.perf_counter()
            run(image)
            times.append(1e3 * (time.perf_counter() - start))
            if time.perf_counter() - begun > 1:
                break
        print(json.dumps({"peer": "opencv", "version": cv2.__version__, "threads": cv2.getNumThreads(),
                          "pipeline": line["pipeline"], "size": line["size"],
                          "opencv_ms": statistics.median(times)}), flush=True)


def table(path):
    lines = figures(path)
    peers = {(p["pipeline"], p["size"]): p for p in lines if p.get("peer") == "opencv"}
    for line in lines:
        if "device" in line:
            print(f"device {line['device']}, driver {line['driver']}, opened in {line['opened_ms']:.0f} ms; "
                  f"{line['threads']} threads of the processor")
        if "skipped" in line:
            print(f"SKIPPED: {line['skipped']}")
        if "compared" in line:
            print(f"{line['compared']} comparisons of {line['pipelines']} pipelines, {line['wrong']} differ")
        if "wrong" in line and "size" in line:
            print(f"DIFFERS: {line['wrong']} on {line['size']}: {line['different']} bytes; {line['trouble']}")
        if "up_ns_per_byte" in line:
            print(f"each piece {line['fixed_ms']:.3f} ms, there {1 / line['up_ns_per_byte']:.1f} GB/s, "
                  f"back {1 / line['down_ns_per_byte']:.1f} GB/s, a sample read {1e3 * line['read_ns']:.2f} ps")
    if peers:
        one = next(iter(peers.values()))
        print(f"OpenCV {one['version']}, {one['threads']} threads")
    rows = [line for line in lines if "cpu_ms" in line]
    if not rows:
        return
    print("\n| size | pipeline | OpenCV ms | processor ms | GPU ms | of it computing | GPU, several at once | auto |")
    print("|---|---|---|---|---|---|---|---|")
    for r in rows:
        peer = peers.get((r["pipeline"], r["size"]))
        opencv = f"{peer['opencv_ms']:.2f}" if peer else ""
        computing = f"{r['gpu_compute_ms']:.2f}" if r["gpu_compute_ms"] is not None else "not at once"
        chosen = "GPU" if r["auto"] else "processor"
        print(f"| {r['size']} | `{r['pipeline']}` | {opencv} | {r['cpu_ms']:.2f} | {r['gpu_ms']:.2f} | {computing} "
              f"| {r['gpu_in_flight_ms']:.2f} | {chosen} |")
        if r["trouble"]:
            print(f"TROUBLE: {r['trouble']}")


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        table(sys.argv[2])
    else:
        measure(sys.argv[1])
