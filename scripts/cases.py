"""Files as people have them, and what is right for each: see scripts/cases.

Each function named case_… builds its files in a folder of its own, runs the program and asserts. Where the right value is a
number, it is computed here from the samples that went in.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pyvips
from PIL import Image, ImageCms

PROGRAM = str(Path(os.environ["SUNDOG_BIN"]).resolve())
KINDS = {"u1": 1, "i1": 2, "u2": 1, "i2": 2, "u4": 1, "i4": 2, "f2": 3, "f4": 3, "f8": 3}


# ---- building and running -----------------------------------------------------------------------
def sundog(*args, code=0):
    run = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True)
    assert run.returncode == code, f"exit {run.returncode} instead of {code}: {run.stderr.strip()[-300:]}"
    return run.stdout, run.stderr


def process(source, out, *args, code=0):
    """Events of a run."""
    stdout, _ = sundog("run", source, "-o", out, "--json", *args, code=code)
    return [json.loads(line) for line in stdout.splitlines()]


def warnings(events):
    return [event["text"] for event in events if event["event"] == "warning"]


def tiff(path, pages):
    """Little-endian, one strip a page. A page is (array, {tag: (type, values)})."""
    out, links = bytearray(b"II*\0\0\0\0\0"), 4
    for samples, own in pages:
        a = samples if samples.ndim == 3 else samples[..., None]
        rows, cols, channels = a.shape
        data = np.ascontiguousarray(a).tobytes()
        strip = len(out)
        out += data + b"\0" * (len(data) % 2)
        kind, bits = KINDS[a.dtype.str[1:]], 8 * a.dtype.itemsize
        tags = {256: (3, [cols]), 257: (3, [rows]), 258: (3, [bits] * channels), 259: (3, [1]),
                262: (3, [2 if channels >= 3 else 1]), 273: (4, [strip]), 277: (3, [channels]), 278: (3, [rows]),
                279: (4, [len(data)]), 339: (3, [kind] * channels), **own}
        entries, extra = b"", bytearray()
        base = len(out) + 2 + 12 * len(tags) + 4
        for tag in sorted(tags):
            type_, values = tags[tag]
            letter = {1: "B", 2: "s", 3: "H", 4: "I", 12: "d"}[type_]
            if type_ == 2:
                packed, count = values, len(values)
            else:
                packed, count = struct.pack(f"<{len(values)}{letter}", *values), len(values)
            if len(packed) > 4:
                offset = base + len(extra)
                extra += packed + b"\0" * (len(packed) % 2)
                packed = struct.pack("<I", offset)
            entries += struct.pack("<HHI", tag, type_, count) + packed.ljust(4, b"\0")
        struct.pack_into("<I", out, links, len(out))
        out += struct.pack("<H", len(tags)) + entries
        links = len(out)
        out += b"\0\0\0\0" + extra
    Path(path).write_bytes(out)


def read(path, page=0):
    image = pyvips.Image.new_from_file(str(path), **({"page": page} if page else {}))
    a = image.numpy()
    return a[..., 0] if a.ndim == 3 and a.shape[2] == 1 else a


def pages(path):
    image = pyvips.Image.new_from_file(str(path))
    return image.get("n-pages") if image.get_typeof("n-pages") else 1


def ramp(shape, dtype, low, high):
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape).astype(dtype)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(a, *chunks, end=True):
    """8-bit gray or RGB with chunks before its pixels."""
    rows, cols = a.shape[:2]
    raw = b"".join(b"\0" + row.tobytes() for row in a)
    head = struct.pack(">IIBBBBB", cols, rows, 8, 2 if a.ndim == 3 else 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(raw))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + (chunk(b"IEND", b"") if end else b"")


def photo(size=(64, 48)):
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return np.stack([x * 3 % 256, y * 5 % 256, (x + y) * 2 % 256], -1).astype(np.uint8)


def jpeg(path, a=None, **options):
    Image.fromarray(photo() if a is None else a).save(path, "JPEG", quality=92, **options)


# ---- pages, bands, sample types -----------------------------------------------------------------
def case_pages_of_a_tiff(d):
    stack = [np.full((4 + i, 5), 10 * i + 1, np.uint8) for i in range(3)]
    tiff(d / "a.tif", [(page, {}) for page in stack])
    process(d / "a.tif", d / "o", "-p", "invert")
    assert pages(d / "o/a.tif") == 3
    for i, page in enumerate(stack):
        assert np.array_equal(read(d / "o/a.tif", i), 255 - page)
    process(d / "a.tif", d / "p", "--format", "png")
    assert sorted(p.name for p in (d / "p").glob("*.png")) == ["a-p0001.png", "a-p0002.png", "a-p0003.png"]
    process(d / "a.tif", d / "q", "--pages", "2..3")
    assert pages(d / "q/a.tif") == 2


def case_thumbnail_page_first(d):
    small, large = np.zeros((2, 2), np.uint8), np.full((8, 9), 77, np.uint8)
    tiff(d / "a.tif", [(small, {254: (4, [1])}), (large, {})])
    process(d / "a.tif", d / "o")
    assert pages(d / "o/a.tif") == 1 and np.array_equal(read(d / "o/a.tif"), large)


def case_pages_of_a_stack(d):
    tiff(d / "a.tif", [(np.full((3, 3), v, np.uint8), {}) for v in (10, 20, 60)])
    sundog("reduce", "mean", d / "a.tif", "-o", d / "m.png")
    assert np.array_equal(read(d / "m.png"), np.full((3, 3), 30))


def case_animation(d):
    frames = [Image.new("RGB", (6, 6), c) for c in ("red", "lime", "blue")]
    frames[0].save(d / "a.gif", save_all=True, append_images=frames[1:], duration=70, loop=0)
    frames[0].save(d / "b.png", save_all=True, append_images=frames[1:], duration=70)
    process(d / "a.gif", d / "o", "-p", "invert")
    with Image.open(d / "o/a.gif") as out:
        assert out.n_frames == 3
        out.seek(1)
        assert out.convert("RGB").getpixel((0, 0)) == (255, 0, 255)
    process(d / "b.png", d / "o")
    with Image.open(d / "o/b.png") as out:
        assert out.n_frames == 3
    assert warnings(process(d / "a.gif", d / "j", "--format", "jpeg"))


def case_five_bands(d):
    a = ramp((5, 7, 5), np.uint8, 0, 255)
    tiff(d / "a.tif", [(a, {262: (3, [1]), 338: (3, [0] * 4)})])
    process(d / "a.tif", d / "o", "-p", "invert")
    assert np.array_equal(read(d / "o/a.tif"), 255 - a)
    process(d / "a.tif", d / "j", "--format", "png", code=1)
    process(d / "a.tif", d / "s", "--format", "png", "-p", "select(bands=[5,1,3])")
    assert np.array_equal(read(d / "s/a.png"), a[..., [4, 0, 2]])
    _, error = sundog("run", d / "a.tif", "-o", d / "g", "-p", "grayscale", code=1)
    assert "select(bands=" in error


def case_near_infrared_is_no_alpha(d):
    a = ramp((6, 6, 4), np.uint8, 0, 250)
    tiff(d / "a.tif", [(a, {338: (3, [0])})])
    process(d / "a.tif", d / "o", "-p", "box_blur(radius=1)")
    out = pyvips.Image.new_from_file(str(d / "o/a.tif"))
    assert out.bands == 4
    for band in range(4):
        tiff(d / f"b{band}.tif", [(a[..., band], {})])
        process(d / f"b{band}.tif", d / "o", "-p", "box_blur(radius=1)")
        assert np.array_equal(out.numpy()[..., band], read(d / f"o/b{band}.tif"))
    with Image.open(d / "o/a.tif") as image:
        assert image.tag_v2[338] in (0, (0,))


def typed(d, dtype, low, high):
    a = ramp((6, 5), dtype, low, high)
    name = f"{np.dtype(dtype).name}.tif"
    tiff(d / name, [(a, {})])
    process(d / name, d / "o", "-p", "flip")
    # libvips reads no doubles.
    got = cv2.imread(str(d / "o" / name), cv2.IMREAD_UNCHANGED) if dtype == np.float64 else read(d / "o" / name)
    assert got.dtype == a.dtype and np.array_equal(got, a[:, ::-1]), (got.dtype, got[0], a[0])


def case_int16(d):
    typed(d, np.int16, -1000, 3000)


def case_uint32(d):
    typed(d, np.uint32, 0, 4_000_000_000)


def case_float64(d):
    typed(d, np.float64, 0.1, 1e9)


def case_int8_and_int32(d):
    typed(d, np.int8, -100, 100)
    typed(d, np.int32, -2_000_000_000, 2_000_000_000)


def case_float_range(d):
    a = ramp((4, 4), np.float32, 0, 3000)
    tiff(d / "a.tif", [(a, {})])
    told = warnings(process(d / "a.tif", d / "o", "--format", "png"))
    assert any("3000" in text for text in told), told
    process(d / "a.tif", d / "strict", "--format", "png", "--strict", code=1)
    assert not (d / "strict/a.png").exists()
    process(d / "a.tif", d / "r", "--format", "png", "-p", "range")
    out = read(d / "r/a.png")
    assert out.min() == 0 and out.max() == 65535


def case_float_statistics(d):
    a = ramp((8, 8), np.float32, 100, 3000)
    a[0, 0], a[0, 1] = np.nan, np.inf
    tiff(d / "a.tif", [(a, {})])
    process(d / "a.tif", d / "o", "-p", "autocontrast(low=0.1, high=0.1)")
    out = read(d / "o/a.tif")
    seen = out[np.isfinite(out)]
    assert abs(seen.min() - a[0, 2]) < 1 and abs(seen.max() - 3000) < 1 and (seen == seen.max()).sum() >= 5


# ---- files ---------------------------------------------------------------------------------------
def case_transparency_of_one_bit(d):
    head = struct.pack(">IIBBBBB", 8, 2, 1, 0, 0, 0, 0)
    raw = zlib.compress(b"\0\xf0\0\x0f")
    parts = [chunk(b"IHDR", head), chunk(b"tRNS", b"\x00\xff"), chunk(b"IDAT", raw), chunk(b"IEND", b"")]
    (d / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    process(d / "a.png", d / "o")
    with Image.open(d / "o/a.png") as image:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
    assert alpha.tolist() == [[0] * 4 + [255] * 4, [255] * 4 + [0] * 4]


def case_damage_beside_the_pixels(d):
    a = photo()
    broken = bytearray(chunk(b"tEXt", b"Comment\0hello"))
    broken[-1] ^= 1
    (d / "crc.png").write_bytes(png(a, bytes(broken)))
    (d / "end.png").write_bytes(png(a, end=False))
    jpeg(d / "whole.jpg")
    whole = (d / "whole.jpg").read_bytes()
    (d / "eoi.jpg").write_bytes(whole[:-2])
    for name in ("crc.png", "end.png", "eoi.jpg"):
        assert warnings(process(d / name, d / "o")), name
        process(d / name, d / "s", "--strict", code=1)
        assert not (d / "s" / name).exists()
    assert np.array_equal(read(d / "o/crc.png"), a) and np.array_equal(read(d / "o/end.png"), a)
    (d / "cut.png").write_bytes(png(a)[:-200])
    process(d / "cut.png", d / "o", code=1)


def case_compressions_of_tiff(d):
    a = photo()
    for name, mode, compression in [("jpeg", "RGB", "jpeg"), ("lzma", "RGB", "lzma"), ("zstd", "RGB", "zstd"),
                                    ("webp", "RGB", "webp"), ("g3", "1", "group3"), ("g4", "1", "group4"),
                                    ("packbits", "RGB", "packbits"), ("lzw", "RGB", "tiff_lzw")]:
        path = d / f"{name}.tif"
        try:
            Image.fromarray(a).convert(mode).save(path, compression=compression)
        except (OSError, ValueError, RuntimeError):
            continue
        process(path, d / "o", "--format", "png")
        with Image.open(path) as image:
            want = np.asarray(image.convert("L" if mode == "1" else "RGB")).astype(int)
        got = read(d / f"o/{name}.png").astype(int)
        assert got.shape == want.shape, (name, got.shape, want.shape)
        assert np.abs(got - want).max() <= (4 if name in ("jpeg", "webp") else 0), name


def case_sparse_and_side_data(d):
    a = photo()[..., 0]
    tiff(d / "sparse.tif", [(a, {273: (4, [0]), 279: (4, [0])})])
    process(d / "sparse.tif", d / "o")
    assert not read(d / "o/sparse.tif").any()
    tiff(d / "exif.tif", [(a, {34665: (4, [99_999_999])})])
    assert warnings(process(d / "exif.tif", d / "o"))
    assert np.array_equal(read(d / "o/exif.tif"), a)
    tiff(d / "next.tif", [(a, {})])
    data = bytearray((d / "next.tif").read_bytes())
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    struct.pack_into("<I", data, at + 2 + 12 * count, 99_999_999)
    (d / "next.tif").write_bytes(data)
    assert warnings(process(d / "next.tif", d / "o"))


def case_lossless_webp_stays_lossless(d):
    a = np.random.default_rng(1).integers(0, 255, (20, 20, 3), np.uint8)
    Image.fromarray(a).save(d / "a.webp", lossless=True)
    process(d / "a.webp", d / "o")
    assert np.array_equal(read(d / "o/a.webp"), a)


# ---- colour and metadata ------------------------------------------------------------------------
def case_dots_per_inch(d):
    jpeg(d / "a.jpg", dpi=(300, 300))
    Image.fromarray(photo()).save(d / "b.png", dpi=(300, 300))
    for name in ("a.jpg", "b.png"):
        for kind, extension in (("png", "png"), ("jpeg", "jpg"), ("tiff", "tif")):
            process(d / name, d / "o", "--format", kind)
            with Image.open(d / f"o/{name[0]}.{extension}") as image:
                assert abs(float(image.info["dpi"][0]) - 300) < 0.1, (name, kind, image.info.get("dpi"))


def case_profile_fits_the_pixels(d):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo()[..., 0]).save(d / "gray.png", icc_profile=profile)
    Image.fromarray(photo()).save(d / "rgb.png", icc_profile=profile)
    process(d / "gray.png", d / "o")
    process(d / "rgb.png", d / "o", "-p", "grayscale")
    for name in ("gray", "rgb"):
        with Image.open(d / f"o/{name}.png") as image:
            icc = image.info.get("icc_profile")
            assert icc is None or icc[16:20] == b"GRAY", (name, icc[16:20])


def table_profile():
    """A printer's profile (version 2, 16-bit tables to and from Lab) of an invented device: gamma 1.9 with crosstalk."""
    mixing = np.array([[0.55, 0.25, 0.1642], [0.28, 0.65, 0.07], [0.03, 0.12, 0.6749]])
    mixing = mixing @ np.array([[0.92, 0.05, 0.03], [0.04, 0.93, 0.03], [0.02, 0.06, 0.92]])
    white, knee = np.array([0.9642, 1.0, 0.8249]), 6 / 29

    def to_lab(rgb):
        t = rgb**1.9 @ mixing.T / white
        f = np.where(t > knee**3, np.cbrt(t), t / (3 * knee**2) + 4 / 29)
        lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)
        return (lab + [0, 128, 128]) * [652.8, 256, 256]

    def to_rgb(code):
        lab = code * 65535 / [652.8, 256, 256] - [0, 128, 128]
        y = (lab[..., 0] + 16) / 116
        f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
        xyz = white * np.where(f > knee, f**3, 3 * knee**2 * (f - 4 / 29))
        return np.clip(xyz @ np.linalg.inv(mixing).T, 0, 1) ** (1 / 1.9) * 65535

    def table(points, of):
        grid = np.stack(np.meshgrid(*[np.linspace(0, 1, points)] * 3, indexing="ij"), -1)
        cells = np.clip(np.rint(of(grid)), 0, 65535).astype(">u2").tobytes()
        same = struct.pack(">2H", 0, 65535) * 3
        matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
        return b"mft2\0\0\0\0" + bytes([3, 3, points, 0]) + matrix + struct.pack(">2H", 2, 2) + same + cells + same

    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 7) + b"tables\0" + bytes(78),
        b"cprt": b"text\0\0\0\0free\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in white)),
        b"A2B0": table(17, to_lab),
        b"B2A0": table(33, to_rgb),
    }
    entries, data = b"", b""
    for name, tag in tags.items():
        entries += name + struct.pack(">2I", 132 + 12 * len(tags) + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head = struct.pack(">I4sI4s4s4s12s4s", 0, b"lcms", 0x02100000, b"prtr", b"RGB ", b"Lab ", date, b"acsp")
    head += bytes(28) + struct.pack(">3i", *(round(v * 65536) for v in white))
    profile = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + data
    return struct.pack(">I", len(profile)) + profile[4:]


def case_profiles_of_tables(d):
    # To and from such a device's colours as LittleCMS has them, with every step computed rather than tabulated.
    (d / "device.icc").write_bytes(table_profile())
    device, srgb = ImageCms.getOpenProfile(str(d / "device.icc")), ImageCms.createProfile("sRGB")
    levels = [range(0, 256, 5), range(0, 256, 5), range(0, 256, 17)]
    colours = np.stack(np.meshgrid(*levels, indexing="ij"), -1).reshape(52, -1, 3).astype(np.uint8)
    Image.fromarray(colours).save(d / "plain.png")
    Image.fromarray(colours).save(d / "own.png", icc_profile=(d / "device.icc").read_bytes())
    process(d / "plain.png", d / "to", "--color", d / "device.icc")
    process(d / "own.png", d / "from", "--color", "srgb")
    exact = ImageCms.Flags.NOOPTIMIZE
    for ours, source, target, most in (("to/plain.png", srgb, device, 2), ("from/own.png", device, srgb, 4)):
        image = Image.fromarray(colours)
        want = np.asarray(ImageCms.profileToProfile(image, source, target, renderingIntent=0, flags=exact))
        off = np.abs(want.astype(int) - read(d / ours).astype(int))
        assert off.max() <= most and off.mean() < 0.1, (ours, int(off.max()), float(off.mean()))


def case_alpha_to_jpeg(d):
    a = np.zeros((16, 16, 4), np.uint8)
    a[..., 0], a[:8, :, 3] = 255, 255
    Image.fromarray(a).save(d / "a.png")
    process(d / "a.png", d / "o", "--format", "jpeg(quality=95)")
    out = read(d / "o/a.jpg")
    assert (out[12, 8] > 245).all() and out[3, 8, 0] > 240 and out[3, 8, 1] < 20
    process(d / "a.png", d / "b", "--format", "jpeg(quality=95)", "--background", "black")
    assert (read(d / "b/a.jpg")[12, 8] < 10).all()


def case_exif_of_the_output(d):
    exif = Image.Exif()
    inner = exif.get_ifd(0x8769)
    inner[0xA002], inner[0xA003] = 64, 48
    jpeg(d / "a.jpg", exif=exif)
    process(d / "a.jpg", d / "o", "-p", "crop(x=0, y=0, width=20, height=10)")
    with Image.open(d / "o/a.jpg") as image:
        inner = image.getexif().get_ifd(0x8769)
        assert (inner.get(0xA002), inner.get(0xA003)) == (20, 10), dict(inner)


def case_comments_and_xmp(d):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
    jpeg(d / "a.jpg", xmp=xmp, comment=b"by hand")
    process(d / "a.jpg", d / "o", "--keep-metadata", "all")
    data = (d / "o/a.jpg").read_bytes()
    assert b"x:xmpmeta" in data and b"by hand" in data
    process(d / "a.jpg", d / "n", "--keep-metadata", "none")
    assert b"x:xmpmeta" not in (d / "n/a.jpg").read_bytes()


def case_geographic_tags(d):
    geo = {33550: (12, [10.0, 10.0, 0.0]), 33922: (12, [0, 0, 0, 500.0, 900.0, 0]),
           34735: (3, [1, 1, 0, 1, 1024, 0, 1, 1]), 42113: (2, b"-9999\0")}
    tiff(d / "a.tif", [(photo()[..., 0], geo)])
    process(d / "a.tif", d / "o", "-p", "invert")
    process(d / "a.tif", d / "c", "-p", "crop(x=4, y=2, width=20, height=20)")
    with Image.open(d / "o/a.tif") as image:
        assert image.tag_v2[33550][0] == 10.0 and image.tag_v2[33922][3] == 500.0 and 34735 in image.tag_v2
    with Image.open(d / "c/a.tif") as image:
        i, j, _, x, y, _ = image.tag_v2[33922]
        # The corner of the output in the world.
        assert (x - i * 10, y + j * 10) == (540.0, 880.0), (i, j, x, y)


# ---- names and batches --------------------------------------------------------------------------
def case_one_file_under_two_names(d):
    (d / "dir").mkdir()
    Image.fromarray(photo()).save(d / "a.png")
    events, _ = sundog("run", d / "a.png", d / "dir/../a.png", "-o", d / "o", "--json")
    assert events.count('"task_finished"') == 1


def case_numbers_after_a_dot(d):
    for name in ("frame.000", "frame.001", "v1.2_final", "noext"):
        Image.fromarray(photo()).save(d / name, "PNG")
    process(d, d / "o", "--format", "tiff")
    names = sorted(p.name for p in (d / "o").glob("*.tif"))
    assert names == ["frame.000.tif", "frame.001.tif", "noext.tif", "v1.2_final.tif"], names


def case_junk_is_counted(d):
    source = d / "in"
    source.mkdir()
    jpeg(source / "a.jpg")
    (source / "._a.jpg").write_bytes(b"\0\5\26\7")
    (source / ".DS_Store").write_bytes(b"\0")
    (source / "Thumbs.db").write_bytes(b"\0")
    (source / "notes.txt").write_text("no picture\n")
    _, summary = sundog("run", source, "-o", d / "o")
    assert (d / "o/a.jpg").exists() and "4" in summary, summary


def case_clash_is_found_first(d):
    for name in ("a.png", "a.bmp"):
        Image.fromarray(photo()).save(d / name)
    _, error = sundog("run", d / "a.png", d / "a.bmp", "-o", d / "o", "--format", "tiff", code=2)
    assert "a.png" in error and "a.bmp" in error and "--names" in error, error
    assert not list((d / "o").glob("*.tif"))
    sundog("run", d / "a.png", d / "a.bmp", "-o", d / "o", "--format", "tiff", "--names", "{stem}-{ext}.{format}")
    assert len(list((d / "o").glob("a-*.tif"))) == 2


def case_true_counts(d):
    (d / "in").mkdir()
    for i, v in enumerate((10, 20, 60)):
        Image.fromarray(np.full((3, 3), v, np.uint8)).save(d / f"in/{i}.png")
    _, told = sundog("reduce", "mean", d / "in", d / "in/0.png", "-o", d / "m.png")
    assert np.array_equal(read(d / "m.png"), np.full((3, 3), 30)) and "3 files" in told, told


def case_missing_halves_weigh_nothing(d):
    a = np.zeros((4, 4, 4), np.uint8)
    b = a.copy()
    a[:, :2], b[:, 2:] = (200, 0, 0, 255), (0, 100, 0, 255)
    Image.fromarray(a).save(d / "a.png")
    Image.fromarray(b).save(d / "b.png")
    sundog("reduce", "mean", d / "a.png", d / "b.png", "-o", d / "m.png")
    out = read(d / "m.png")
    assert out[0, 0].tolist()[:3] == [200, 0, 0] and out[0, 3].tolist()[:3] == [0, 100, 0]


def main():
    names = {name[5:]: run for name, run in globals().items() if name.startswith("case_")}
    wanted = sys.argv[1:] or list(names)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        sys.exit(f"cases: there is no {', '.join(unknown)}; there are {', '.join(names)}")
    failed = 0
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="sundog-case-") as folder:
            try:
                names[name](Path(folder))
                print(f"ok      {name}")
            except Exception as error:  # noqa: BLE001: whatever goes wrong is that case's failure
                failed += 1
                print(f"FAILED  {name}: {type(error).__name__}: {str(error)[:400]}")
    print(f"{len(wanted) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
