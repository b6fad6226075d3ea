"""Paints the sample photographs: winter landscapes under a sun with its 22-degree halo and sun dogs.

They stand in for photographs wherever a small set with a clear licence is needed (demo, tests,
README). Running this again gives the same pictures:

    .venv/bin/python samples/make.py samples
"""

import sys
from pathlib import Path

import cv2
import numpy as np


def noise(rng, h, w, octaves, roughness=0.55):
    """Sums of smooth random fields, coarse to fine, in 0..1."""
    total, weight, scale = np.zeros((h, w)), 1.0, 2
    for _ in range(octaves):
        field = rng.random((scale + 2, int(scale * w / h) + 2)).astype(np.float32)
        total += weight * cv2.resize(field, (w, h), interpolation=cv2.INTER_CUBIC)
        weight *= roughness
        scale *= 2
    total -= total.min()
    return total / total.max()


def sky(rng, h, w, sun, warmth):
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    horizon = y / h
    top, low = np.array([0.16, 0.30, 0.58]), np.array([0.92, 0.78 - 0.1 * warmth, 0.62 - 0.25 * warmth])
    picture = top + (low - top) * horizon[..., None] ** 1.3
    d = np.hypot(x - sun[0], y - sun[1]) / h
    glow = np.exp(-d * 7) * 0.9 + np.exp(-((d / 0.035) ** 2))
    halo = np.exp(-(((d - 0.36) / 0.016) ** 2)) * 0.28
    side = np.abs(x - sun[0]) / h
    dogs = np.exp(-(((side - 0.37) / 0.03) ** 2) - (((y - sun[1]) / h / 0.03) ** 2)) * 0.8
    picture += glow[..., None] * np.array([1.0, 0.93, 0.75])
    inner = np.clip((d - 0.36) / 0.03, -1, 1)
    picture += (halo + dogs)[..., None] * (np.array([0.9, 0.9, 0.9]) + inner[..., None] * np.array([-0.25, 0.0, 0.25]))
    cirrus = np.clip(noise(rng, h, w, 7) - 0.55, 0, 1) * 1.1
    return picture * (1 - cirrus[..., None] * 0.5) + cirrus[..., None] * 0.5


def ridge(rng, picture, base, height, colour, snow):
    h, w = picture.shape[:2]
    line = noise(rng, 64, w, 9, 0.6)[32]
    top = h * (base - height * (line - 0.4))
    y = np.arange(h)[:, None]
    inside = np.clip(y - top[None, :], 0, 1)
    rock = noise(rng, h, w, 9, 0.75)
    light = np.clip(np.gradient(rock, axis=1) * 30 + 0.55, 0.1, 1)
    white = np.clip((noise(rng, h, w, 6) - 0.45 + snow - (y - top[None, :]) / h) * 6, 0, 1)[..., None]
    surface = np.array(colour) * light[..., None] * (1 - white) + white * light[..., None] ** 0.5 * np.array([0.9, 0.94, 1.0])
    return picture * (1 - inside[..., None]) + surface * inside[..., None]


def trees(rng, picture, base, count):
    h, w = picture.shape[:2]
    for _ in range(count):
        x, size = rng.random() * w, h * (0.06 + 0.12 * rng.random())
        foot = int(h * base + rng.random() * h * (1 - base))
        for row in range(int(size)):
            y = foot - row
            half = size * 0.22 * (1 - row / size) * (0.6 + 0.4 * ((row * 7 / size) % 1))
            left, right = int(max(0, x - half)), int(min(w, x + half + 1))
            if 0 <= y < h and left < right:
                shade = 0.06 + 0.06 * rng.random((right - left, 1))
                picture[y, left:right] = shade * np.array([0.7, 1.0, 0.8])
    return picture


def paint(seed, w, h, exposure):
    rng = np.random.default_rng(seed)
    warmth = rng.random()
    sun = (w * (0.3 + 0.4 * rng.random()), h * (0.3 + 0.15 * rng.random()))
    picture = sky(rng, h, w, sun, warmth)
    picture = ridge(rng, picture, 0.66, 0.30, (0.42, 0.45, 0.52), 0.30)
    picture = ridge(rng, picture, 0.78, 0.22, (0.24, 0.25, 0.27), 0.12)
    picture = ridge(rng, picture, 0.90, 0.08, (0.80, 0.82, 0.88), 0.60)
    picture = trees(rng, picture, 0.84, 60)
    picture = np.clip(picture, 0, 1.4) * exposure + rng.normal(0, 0.012, (h, w, 1))
    return (np.clip(picture, 0, 1) ** (1 / 1.1) * 255 + 0.5).astype(np.uint8)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    shots = [(1, 960, 640, 0.95), (2, 960, 640, 0.45), (3, 640, 960, 0.8), (4, 1023, 577, 0.6), (5, 801, 601, 1.1)]
    for seed, w, h, exposure in shots:
        bgr = paint(seed, w, h, exposure)[..., ::-1]
        cv2.imwrite(str(target / f"halo-{seed}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 82])
