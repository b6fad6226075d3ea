// 256 counts as a picture that takes its colours from the page. Ends stand out so often that they do not set the scale.
const SVG = "http://www.w3.org/2000/svg";
const CHANNELS = ["luma", "red", "green", "blue"];

function curve(counts, top, filled) {
  const points = counts.map((count, value) => `${value},${(100 - 100 * Math.min(count / top, 1)).toFixed(2)}`);
  return filled ? `M0,100L${points.join("L")}L255,100Z` : `M${points.join("L")}`;
}

// Values below which shares of all pixels lie, in words.
function spread(counts) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  let mean = 0;
  let median = 0;
  counts.forEach((count, value) => {
    mean += (count * value) / Math.max(all, 1);
    if (seen < all / 2) median = value;
    seen += count;
  });
  const least = counts.findIndex((count) => count > 0);
  const greatest = counts.findLastIndex((count) => count > 0);
  return { least, greatest, mean, median };
}

function drawHistogram(box, title, histograms, gray) {
  const shown = gray ? ["luma"] : CHANNELS;
  const inner = shown.flatMap((name) => histograms[name].slice(1, 255));
  const top = Math.max(...inner, ...shown.map((name) => Math.max(histograms[name][0], histograms[name][255]) / 4), 1);
  const { least, greatest, mean, median } = spread(histograms.luma);
  const words = `brightness ${least} to ${greatest}, mean ${mean.toFixed(0)}, median ${median}`;
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 255 100");
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `Histogram ${title}: ${words}`);
  for (const name of shown) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    path.setAttribute("d", curve(histograms[name], top, name === "luma"));
    picture.append(path);
  }
  box.replaceChildren(
    element("h4", { textContent: title }),
    picture,
    element("p", { className: "soft axis" }, element("span", { textContent: "0" }), element("span", { textContent: words }), element("span", { textContent: "255" })),
  );
}
