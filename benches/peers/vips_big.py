"""libvips on one large image: crop, shrink and sharpen a tiled TIFF of 10,000 x 10,000 pixels.

    .venv/bin/python benches/peers/vips_big.py make big.tif
    .venv/bin/python benches/peers/vips_big.py run big.tif out.tif
    sundog run big.tif -o out.tif --format 'tiff(compression=none)' -p 'crop(x=100,y=100,width=9800,height=9800)
        | resize(width=8820,height=8820,filter=bilinear)
        | convolve(kernel=[[-1,-1,-1],[-1,16,-1],[-1,-1,-1]],scale=0.125)'

`make` writes the input, uncompressed in tiles of 256 x 256. `run` prints one JSON line.
"""
import argparse
import json
import os
import resource
import time

MARGIN = 100
SHRINK = 1 / 0.9


def make(pyvips, target, side):
    """Three shifted zone plates with noise: detail of every size, different in each channel."""
    plate = pyvips.Image.zone(side, side) * 90 + 128
    bands = [plate.wrap(x=side * n // 7) + pyvips.Image.gaussnoise(side, side, mean=0, sigma=12, seed=n) for n in range(3)]
    image = bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb")
    image.tiffsave(target, tile=True, tile_width=256, tile_height=256, compression="none")


def run(pyvips, source, target):
    image = pyvips.Image.new_from_file(source, access="sequential")
    image = image.crop(MARGIN, MARGIN, image.width - 2 * MARGIN, image.height - 2 * MARGIN)
    image = image.reduce(SHRINK, SHRINK, kernel="linear")
    sharpen = pyvips.Image.new_from_array([[-1, -1, -1], [-1, 16, -1], [-1, -1, -1]], scale=8)
    image.conv(sharpen, precision="integer").tiffsave(target, compression="none")


def main():
    cli = argparse.ArgumentParser(description="crop, shrink and sharpen a large TIFF with libvips")
    actions = cli.add_subparsers(dest="action", required=True)
    maker = actions.add_parser("make", help="write the input")
    maker.add_argument("target")
    maker.add_argument("--side", type=int, default=10_000)
    runner = actions.add_parser("run", help="process it")
    runner.add_argument("source")
    runner.add_argument("target")
    runner.add_argument("--threads", type=int, default=2)
    args = cli.parse_args()
    os.environ["VIPS_CONCURRENCY"] = str(getattr(args, "threads", 2))
    import pyvips

    if args.action == "make":
        make(pyvips, args.target, args.side)
        return
    start = time.perf_counter()
    run(pyvips, args.source, args.target)
    print(json.dumps({
        "peer": "vips", "threads": args.threads, "seconds": round(time.perf_counter() - start, 3),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }))


if __name__ == "__main__":
    main()
