"""Reference results for every operation, computed with OpenCV, Pillow and NumPy.

Each entry of OPS maps an operation's name to (function, tolerance). The function takes an image as
a NumPy array of shape (rows, cols) or (rows, cols, 3) in RGB order, dtype uint8 or uint16, and the
operation's parameters as keyword arguments, and returns the expected pixels. It raises cv2.error
where OpenCV has no result, for instance Canny on 16-bit samples. hough_lines is a set of lines
instead of pixels and stands apart.

The tolerance is (max_abs, share): at least `share` of all samples must differ by no more than
`max_abs` grey levels of 8 bit. (0, 1.0) means: equal to the last bit.

    scripts/setup
    .venv/bin/python tests/oracle/reference.py gaussian --params '{"sigma": 2.0}' in.png out.png
"""
import argparse
import json
import math

import cv2
import numpy as np
from PIL import Image

EXACT = (0, 1.0)
NEAR = (1, 1.0)            # rounding only
CLOSE = (2, 0.999)         # float paths whose order of summation differs
BORDERS = {"reflect101": cv2.BORDER_REFLECT_101, "reflect": cv2.BORDER_REFLECT,
           "replicate": cv2.BORDER_REPLICATE, "constant": cv2.BORDER_CONSTANT}


def maximum(a):
    return 65535 if a.dtype == np.uint16 else 255


def saturate(x, like):
    """Round half to even and clamp to the sample's range, as OpenCV's saturate_cast does."""
    return np.clip(np.rint(x), 0, maximum(like)).astype(like.dtype)


def gray(a):
    """0.299 R + 0.587 G + 0.114 B."""
    return a if a.ndim == 2 else cv2.cvtColor(a, cv2.COLOR_RGB2GRAY)


def table(a, curve):
    """Apply a curve on [0, 1] through a lookup table."""
    top = maximum(a)
    lut = np.clip(np.rint(curve(np.arange(top + 1) / top) * top), 0, top).astype(a.dtype)
    return lut[a]


# ---- point operations -------------------------------------------------------------------------
def invert(a):
    return maximum(a) - a


def brightness(a, delta=0.0):
    return table(a, lambda v: v + delta)


def contrast(a, factor=1.0):
    return table(a, lambda v: (v - 0.5) * factor + 0.5)


def gamma(a, gamma=1.0):
    return table(a, lambda v: v ** (1.0 / gamma))


def levels(a, black=0.0, white=1.0, gamma=1.0):
    return table(a, lambda v: np.clip((v - black) / (white - black), 0, 1) ** (1.0 / gamma))


def posterize(a, levels=4):
    return table(a, lambda v: np.floor(np.minimum(v * levels, levels - 1)) / (levels - 1))


def grayscale(a):
    return gray(a)


def to_rgb(a):
    return np.dstack([a] * 3) if a.ndim == 2 else a


def saturation(a, factor=1.0):
    """HSV saturation scaled; hue and value kept: c' = V - (V - c) k, k = min(factor, V/(V-m))."""
    if a.ndim == 2:
        return a
    f = a.astype(np.float64)
    v, m = f.max(2, keepdims=True), f.min(2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.minimum(factor, np.where(v > m, v / np.maximum(v - m, 1e-12), factor))
    return saturate(v - (v - f) * k, a)


def sepia(a, amount=1.0):
    m = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    f = to_rgb(a).astype(np.float64)
    return saturate(f + amount * (np.minimum(f @ m.T, maximum(a)) - f), a)


MODES = {"binary": cv2.THRESH_BINARY, "binary_inv": cv2.THRESH_BINARY_INV, "trunc": cv2.THRESH_TRUNC,
         "to_zero": cv2.THRESH_TOZERO, "to_zero_inv": cv2.THRESH_TOZERO_INV}


def threshold(a, value=128, mode="binary"):
    """Per channel; `v > value` passes, `value` in 8-bit levels."""
    top = maximum(a)
    return cv2.threshold(a, value * (top // 255), top, MODES[mode])[1]


def otsu(a, mode="binary"):
    return cv2.threshold(gray(a), 0, maximum(a), MODES[mode] | cv2.THRESH_OTSU)[1]


def equalize(a, mode="value"):
    """Gray: cv2.equalizeHist. Colour: `value` maps V = max(R,G,B) and scales the channels by V'/V
    (hue and saturation kept); `luma` maps Y of YCrCb; `channels` maps each channel alone."""
    if a.ndim == 2:
        return cv2.equalizeHist(a)
    if mode == "channels":
        return np.dstack([cv2.equalizeHist(np.ascontiguousarray(a[..., c])) for c in range(3)])
    if mode == "luma":
        y = cv2.cvtColor(a, cv2.COLOR_RGB2YCrCb)
        y[..., 0] = cv2.equalizeHist(np.ascontiguousarray(y[..., 0]))
        return cv2.cvtColor(y, cv2.COLOR_YCrCb2RGB)
    v = a.max(2)
    w = cv2.equalizeHist(v).astype(np.float64)
    return saturate(a * (w / np.maximum(v, 1))[..., None], a)


def clahe(a, clip=2.0, tiles=8):
    """Gray: cv2.createCLAHE. Colour: on Y of YCrCb."""
    c = cv2.createCLAHE(clip, (tiles, tiles))
    if a.ndim == 2:
        return c.apply(a)
    y = cv2.cvtColor(a, cv2.COLOR_RGB2YCrCb)
    y[..., 0] = c.apply(np.ascontiguousarray(y[..., 0]))
    return cv2.cvtColor(y, cv2.COLOR_YCrCb2RGB)


def autocontrast(a, low=0.0, high=0.0):
    """Stretch all channels together so that `low` of the samples fall to black, `high` to white."""
    h = np.bincount(a.ravel(), minlength=maximum(a) + 1)
    c = np.cumsum(h)
    n = c[-1]
    lo = int(np.searchsorted(c, low * n, side="right"))
    hi = int(np.searchsorted(c, (1.0 - high) * n, side="left"))
    if hi <= lo:
        return a
    return saturate((a.astype(np.float64) - lo) * (maximum(a) / (hi - lo)), a)


# ---- neighbourhoods ---------------------------------------------------------------------------
def box_blur(a, radius=1, border="reflect101"):
    k = 2 * radius + 1
    return cv2.blur(a, (k, k), borderType=BORDERS[border])


def gaussian(a, sigma=1.0, border="reflect101"):
    """Window radius = ceil(3 sigma)."""
    k = 2 * math.ceil(3 * sigma) + 1
    return cv2.GaussianBlur(a, (k, k), sigma, sigmaY=sigma, borderType=BORDERS[border])


def median(a, radius=1):
    """Border: replicate."""
    return cv2.medianBlur(a, 2 * radius + 1)


def bilateral(a, radius=4, sigma_color=50.0, sigma_space=50.0):
    return cv2.bilateralFilter(a, 2 * radius + 1, sigma_color, sigma_space)


def convolve(a, kernel, scale=1.0, offset=0.0, border="reflect101"):
    """Correlation (the kernel is not flipped), sum * scale + offset (offset in grey levels)."""
    k = np.array(kernel, np.float64) * scale
    f = cv2.filter2D(a.astype(np.float64), cv2.CV_64F, k, borderType=BORDERS[border])
    return saturate(f + offset, a)


def sharpen(a, amount=1.0):
    k = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float64) * amount
    k[1, 1] += 1
    return convolve(a, k)


def unsharp(a, sigma=2.0, amount=0.5):
    k = 2 * math.ceil(3 * sigma) + 1
    f = a.astype(np.float64)
    return saturate(f + amount * (f - cv2.GaussianBlur(f, (k, k), sigma, sigmaY=sigma)), a)


def emboss(a):
    return convolve(a, [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


GRADIENTS = {
    "sobel": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "scharr": [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]],
    "prewitt": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
}


def gradient_magnitude(name):
    def op(a, direction="magnitude"):
        """x and y give |g|; per channel; saturates."""
        k = np.array(GRADIENTS[name], np.float64)
        f = a.astype(np.float64)
        gx = cv2.filter2D(f, cv2.CV_64F, k)
        gy = cv2.filter2D(f, cv2.CV_64F, k.T.copy())
        g = {"x": np.abs(gx), "y": np.abs(gy), "magnitude": np.sqrt(gx * gx + gy * gy)}[direction]
        return saturate(g, a)
    return op


def roberts(a):
    """sqrt((p(y,x) - p(y+1,x+1))^2 + (p(y,x+1) - p(y+1,x))^2), border replicate."""
    p = np.pad(a.astype(np.float64), [(0, 1), (0, 1)] + [(0, 0)] * (a.ndim - 2), mode="edge")
    d, e = p[:-1, :-1] - p[1:, 1:], p[:-1, 1:] - p[1:, :-1]
    return saturate(np.sqrt(d * d + e * e), a)


def laplacian(a):
    """|4-neighbour Laplacian|."""
    return saturate(np.abs(cv2.Laplacian(a.astype(np.float64), cv2.CV_64F, ksize=1)), a)


def canny(a, low=50.0, high=150.0, aperture=3, l2=False):
    return cv2.Canny(gray(a), low, high, apertureSize=aperture, L2gradient=l2)


def adaptive_threshold(a, method="mean", block=11, c=2.0):
    m = cv2.ADAPTIVE_THRESH_MEAN_C if method == "mean" else cv2.ADAPTIVE_THRESH_GAUSSIAN_C
    return cv2.adaptiveThreshold(gray(a), 255, m, cv2.THRESH_BINARY, block, c)


SHAPES = {"rect": cv2.MORPH_RECT, "ellipse": cv2.MORPH_ELLIPSE, "cross": cv2.MORPH_CROSS}
MORPH = {"erode": cv2.MORPH_ERODE, "dilate": cv2.MORPH_DILATE, "open": cv2.MORPH_OPEN,
         "close": cv2.MORPH_CLOSE, "morph_gradient": cv2.MORPH_GRADIENT,
         "top_hat": cv2.MORPH_TOPHAT, "black_hat": cv2.MORPH_BLACKHAT}


def morphology(name):
    def op(a, radius=1, shape="rect", iterations=1):
        """Outside the image counts as nothing (never wins)."""
        k = cv2.getStructuringElement(SHAPES[shape], (2 * radius + 1, 2 * radius + 1))
        return cv2.morphologyEx(a, MORPH[name], k, iterations=iterations)
    return op


def harris(a, block=2, aperture=3, k=0.04, threshold=0.01):
    """RGB image with every pixel whose response exceeds threshold * max painted red."""
    r = cv2.cornerHarris(np.float32(gray(a)), block, aperture, k)
    out = to_rgb(a).copy()
    out[r > threshold * r.max()] = (maximum(a), 0, 0)
    return out


def hough_lines(a, rho=1.0, theta=1.0, threshold=100, low=50.0, high=150.0):
    """The lines as [(rho, theta in radians)]; the operation paints them red on the RGB image."""
    found = cv2.HoughLines(canny(a, low, high), rho, math.radians(theta), threshold)
    return [] if found is None else [(float(r), float(t)) for r, t in np.reshape(found, (-1, 2))]


def edge_overlay(a, low=10.0, high=30.0, aperture=5, style="green", blur=1):
    """`green`: half the source with edges painted (0,255,0), edges from blurred gray.
    `mask`: the source's colours on the edges, black elsewhere, edges from the blurred colour image."""
    k = 2 * blur + 1
    rgb = to_rgb(a)
    if style == "green":
        e = cv2.Canny(cv2.blur(gray(a), (k, k)), low, high, apertureSize=aperture)
        out = rgb // 2
        out[e > 0] = (0, 255, 0)
        return out
    e = cv2.Canny(cv2.cvtColor(cv2.blur(rgb, (k, k)), cv2.COLOR_RGB2GRAY), low, high, apertureSize=aperture)
    return np.where(e[..., None] > 0, rgb, 0).astype(a.dtype)


def butterworth(a, kind="low", cutoff=0.1, order=2):
    """Per channel, mirrored (even) extension: the image is reflected to twice its size, filtered
    with H = 1 / (1 + (d / cutoff)^(2 order)), d = frequency in cycles per pixel, then cropped.
    `high` uses 1 - H and adds mid-grey."""
    planes = a[..., None] if a.ndim == 2 else a
    h, w = planes.shape[:2]
    fy, fx = np.fft.fftfreq(2 * h)[:, None], np.fft.rfftfreq(2 * w)[None, :]
    d = np.sqrt(fx * fx + fy * fy)
    gain = 1.0 / (1.0 + (d / cutoff) ** (2 * order))
    if kind == "high":
        gain = 1.0 - gain
    out = []
    for c in range(planes.shape[2]):
        p = planes[..., c].astype(np.float64)
        p = np.concatenate([p, p[::-1]], 0)
        p = np.concatenate([p, p[:, ::-1]], 1)
        out.append(np.fft.irfft2(np.fft.rfft2(p) * gain, s=p.shape)[:h, :w])
    f = np.dstack(out).reshape(a.shape)
    return saturate(f + ((maximum(a) + 1) / 2 if kind == "high" else 0), a)


# ---- geometry ---------------------------------------------------------------------------------
FILTERS = {"nearest": Image.Resampling.NEAREST, "box": Image.Resampling.BOX,
           "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC,
           "lanczos3": Image.Resampling.LANCZOS}


def resize(a, width=0, height=0, filter="lanczos3", fit="stretch"):
    """Antialiased, as Pillow. One of width and height may be 0: keeps the aspect ratio (rounded to
    nearest, at least 1). `inside` fits within width x height and keeps the aspect ratio."""
    h, w = a.shape[:2]
    if fit == "inside" and width and height:
        s = min(width / w, height / h)
        width, height = max(1, math.floor(w * s + 0.5)), max(1, math.floor(h * s + 0.5))
    width = width or max(1, math.floor(w * height / h + 0.5))
    height = height or max(1, math.floor(h * width / w + 0.5))
    plane = lambda p: np.asarray(Image.fromarray(p).resize((width, height), FILTERS[filter]))
    if a.ndim == 3 and a.dtype == np.uint16:  # Pillow has no colour image of 16 bit
        return np.dstack([plane(np.ascontiguousarray(a[..., c])) for c in range(a.shape[2])])
    return plane(a)


def thumbnail(a, size=256):
    """For images larger than `size`."""
    return resize(a, size, size, fit="inside")


def crop(a, x=0, y=0, width=1, height=1):
    return a[y:y + height, x:x + width]


def rotate(a, degrees=90):
    """Clockwise, multiples of 90."""
    return np.ascontiguousarray(np.rot90(a, -(degrees // 90)))


def flip(a, axis="horizontal"):
    return np.ascontiguousarray(a[:, ::-1] if axis == "horizontal" else a[::-1])


def pad(a, left=0, right=0, top=0, bottom=0, border="constant", value=0):
    return cv2.copyMakeBorder(a, top, bottom, left, right, BORDERS[border], value=(value,) * 3)


def select(a, bands):
    """Channels by number from 1; one is gray, three are RGB."""
    channels = a.reshape(a.shape[0], a.shape[1], -1)
    out = np.ascontiguousarray(channels[..., [band - 1 for band in bands]])
    return out[..., 0] if len(bands) == 1 else out


def flatten(a, background="white"):
    """Nothing to do without alpha."""
    return a


def range_(a, low="min", high="max"):
    """`low`..`high` to the full range: numbers of the image's own units, min, max, or the sample below which a share lies."""
    def end(value):
        if isinstance(value, str):
            share = {"min": 0.0, "max": 1.0}.get(value)
            share = float(value[:-1]) / 100 if share is None else share
            samples = np.sort(a, axis=None)
            return float(samples[min(int(share * (samples.size - 1)), samples.size - 1)])
        return float(value)
    low, high = end(low), end(high)
    if high > low:
        unit = np.clip((a.astype(np.float64) - low) / (high - low), 0, 1)
    else:
        unit = (a > low).astype(np.float64)
    return saturate(unit * maximum(a), a)


OPS = {
    "invert": (invert, EXACT), "brightness": (brightness, EXACT), "contrast": (contrast, EXACT),
    "gamma": (gamma, EXACT), "levels": (levels, EXACT), "posterize": (posterize, EXACT),
    "grayscale": (grayscale, NEAR), "to_rgb": (to_rgb, EXACT), "saturation": (saturation, NEAR),
    "sepia": (sepia, NEAR), "threshold": (threshold, EXACT), "otsu": (otsu, (0, 0.9999)),
    "equalize": (equalize, NEAR), "clahe": (clahe, NEAR), "autocontrast": (autocontrast, NEAR),
    "box_blur": (box_blur, NEAR), "gaussian": (gaussian, NEAR), "median": (median, EXACT),
    "bilateral": (bilateral, CLOSE), "convolve": (convolve, NEAR), "sharpen": (sharpen, NEAR),
    "unsharp": (unsharp, NEAR), "emboss": (emboss, NEAR),
    "sobel": (gradient_magnitude("sobel"), NEAR), "scharr": (gradient_magnitude("scharr"), NEAR),
    "prewitt": (gradient_magnitude("prewitt"), NEAR), "roberts": (roberts, NEAR),
    "laplacian": (laplacian, EXACT), "canny": (canny, (0, 0.9999)),
    "adaptive_threshold": (adaptive_threshold, (0, 0.999)),
    **{name: (morphology(name), EXACT) for name in MORPH},
    "harris": (harris, (0, 0.999)), "edge_overlay": (edge_overlay, (1, 0.999)),
    "butterworth": (butterworth, NEAR),
    "resize": (resize, NEAR), "thumbnail": (thumbnail, (8, 0.99)), "crop": (crop, EXACT), "rotate": (rotate, EXACT),
    "flip": (flip, EXACT), "pad": (pad, EXACT),
    "select": (select, EXACT), "flatten": (flatten, EXACT), "range": (range_, NEAR),
}


def agrees(name, got, expected):
    """(ok, share of samples within the tolerance, largest difference)."""
    if got.shape != expected.shape:
        return False, 0.0, f"shape {got.shape} instead of {expected.shape}"
    unit = 257 if expected.dtype == np.uint16 else 1
    limit, share = OPS[name][1]
    d = np.abs(got.astype(np.int64) - expected.astype(np.int64))
    within = float((d <= limit * unit).mean()) if d.size else 1.0
    return within >= share, within, int(d.max(initial=0))


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description="write the reference result of one operation")
    cli.add_argument("op", choices=sorted(OPS))
    cli.add_argument("source")
    cli.add_argument("target")
    cli.add_argument("--params", default="{}", type=json.loads)
    args = cli.parse_args()
    pixels = np.asarray(Image.open(args.source))
    Image.fromarray(OPS[args.op][0](pixels, **args.params)).save(args.target)
