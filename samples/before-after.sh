#!/usr/bin/env bash
# Makes docs/images/before-after.jpg, the picture of the README, with the program itself: a sample
# before and after a pipeline, side by side. Pictures are turned, so that one below the other in a
# PPM file, which is plain rows, becomes one beside the other when it is turned back.
set -euo pipefail
cd "$(dirname "$0")/.."

sundog=${SUNDOG:-target/release/sundog}
pipeline='bilateral(radius=3, sigma_color=30, sigma_space=2) | autocontrast(high=0.001) | clahe(clip=2) | saturation(factor=1.3)'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

small='resize(width=640)'
turned='rotate(degrees=90)'
back='rotate(degrees=270)'
"$sundog" run samples/halo-2.jpg -o "$work/before.ppm" -p "$small | $turned" --quiet
"$sundog" run samples/halo-2.jpg -o "$work/after.ppm" -p "$pipeline | $small | $turned" --quiet

{ read -r _; read -r width height; } < <(head -n 2 "$work/before.ppm" | tr -d '\0')
rows=$((width * height * 3))
{
  printf 'P6\n%d %d\n255\n' "$width" $((2 * height))
  tail -c $rows "$work/before.ppm"
  tail -c $rows "$work/after.ppm"
} >"$work/both.ppm"
"$sundog" run "$work/both.ppm" -o docs/images/before-after.jpg -p "$back" \
  --format 'jpeg(quality=85)' --quiet
rm -f docs/images/before-after.jpg.sundog-receipt.json
