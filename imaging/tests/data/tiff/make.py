#!/usr/bin/env python3
"""Makes the TIFFs of this folder by libtiff's tiffcp and Pillow (scripts/setup, apt-get install libtiff-tools).

Their pixels follow the formulas that imaging/src/codec/tiff/tests/library.rs has, too.
"""
import subprocess
import sys

import numpy
from PIL import Image

COLS, ROWS = 37, 29
y, x = numpy.mgrid[0:ROWS, 0:COLS]
bits = (x // 3 + y) % 4 == 0
gray = ((x * 7 + y * 5) % 256).astype(numpy.uint8)
rgb = numpy.stack([x * 6, y * 8, 255 - x * 3 - y * 4], axis=2).astype(numpy.uint8)

def cp(source, target, *options):
    subprocess.run(["tiffcp", *options, source, target], check=True)

def main(folder):
    at = lambda name: f"{folder}/{name}.tif"
    Image.fromarray(bits).save("/tmp/bits.tif")
    Image.fromarray(gray).save("/tmp/gray.tif")
    Image.fromarray(rgb).save("/tmp/rgb.tif")
    Image.fromarray(bits).save(at("fax_rle"), compression="tiff_ccitt")
    Image.fromarray(bits).save(at("fax_white"), compression="group4", tiffinfo={262: 0})
    cp("/tmp/bits.tif", at("fax_g3"), "-c", "g3:1d")
    cp("/tmp/bits.tif", at("fax_g3_2d"), "-c", "g3:2d:fill", "-f", "lsb2msb", "-r", "8")
    cp("/tmp/bits.tif", at("fax_g4"), "-c", "g4", "-f", "lsb2msb")
    cp("/tmp/gray.tif", at("lzma"), "-c", "lzma:2", "-r", "10")
    cp("/tmp/rgb.tif", at("zstd"), "-c", "zstd:2", "-t", "-w", "16", "-l", "16")
    cp("/tmp/rgb.tif", at("zstd_planes"), "-c", "zstd", "-p", "separate", "-r", "9", "-B")
    cp("/tmp/gray.tif", at("lerc"), "-c", "lerc")
    cp("/tmp/rgb.tif", at("jpeg"), "-c", "jpeg:95", "-r", "16")
    cp("/tmp/rgb.tif", at("jpeg_tiles"), "-c", "jpeg:95:r", "-t", "-w", "32", "-l", "16")
    cp("/tmp/rgb.tif", at("webp"), "-c", "webp:100")

main(sys.argv[1])
