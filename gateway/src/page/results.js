// The results of a job: failed ones first with their reasons, then pictures in a grid, and any two of them to compare.
const SHOWN = 60;

// Links are renewed so long before they end.
const RENEWED_BEFORE = 60 * 1000;
const RENEWED_AGAIN = 5000;

function closeResults(job) {
  const entry = jobs.get(job.job);
  entry.open = false;
  clearTimeout(entry.renewing);
  entry.view.show.setAttribute("aria-expanded", "false");
  entry.view.results.replaceChildren();
}

async function openResults(entry) {
  entry.open = true;
  entry.view.show.setAttribute("aria-expanded", "true");
  let found;
  try {
    found = await call("GET", `/v1/jobs/${encodeURIComponent(entry.job.job)}/results`);
  } catch (error) {
    entry.view.results.replaceChildren(element("p", { className: "bad", textContent: error.message }));
    return;
  }
  if (!entry.open) return;
  const pairs = element("div", { className: "pairs" });
  const large = element("div", { className: "large" });
  const looks = { job: entry.job.job, large, entry };
  found.results.slice(0, SHOWN).forEach((result) => pairs.append(pair(result, looks)));
  const notes = [];
  if (found.results.length > SHOWN) notes.push(`The first ${SHOWN} of ${found.results.length} results.`);
  if (found.results.length + found.failed.length === 0) notes.push("No results so far.");
  const failures = found.failed.map((failure) =>
    element("li", { className: "bad", textContent: `${short(failure.input)}: ${failure.reason ?? failure.state}` }));
  const all = element("a", { className: "button", href: safeUrl(found.archive_url ?? ""), textContent: "All results (zip)", "aria-label": `All results of ${jobName(entry.job)} as a zip archive` });
  all.hidden = !found.archive_url || found.results.length + found.failed.length === 0;
  entry.view.results.replaceChildren(
    all,
    element("ul", { "aria-label": "Images that failed" }, ...failures),
    element("p", { className: "soft" }, notes.join(" "), notes.length > 0 ? " " : "", element("span", { className: "until" })),
    large,
    pairs,
  );
  keepLinks(entry, found);
}

// Says until when links are good, and renews them in their places before that: whoever comes back finds them working.
function keepLinks(entry, { results, archive_url: archive }) {
  clearTimeout(entry.renewing);
  if (results.length === 0) return;
  const box = entry.view.results;
  const ends = Math.min(...results.map(({ expires }) => Date.parse(expires)));
  const until = box.querySelector(".until");
  if (until) until.textContent = `Links are good until ${new Date(ends).toLocaleString()}; this page renews them.`;
  entry.links = new Map(results.map((result) => [result.output, result]));
  for (const link of box.querySelectorAll("a[data-output]")) {
    const result = entry.links.get(link.dataset.output);
    if (result) link.href = safeUrl(result.url);
  }
  const all = box.querySelector("a.button");
  if (all && archive) all.href = safeUrl(archive);
  // Half of what is left where they live shorter than that.
  const left = ends - Date.now();
  const wait = left > 2 * RENEWED_BEFORE ? left - RENEWED_BEFORE : Math.max(left / 2, 500);
  entry.renewing = setTimeout(() => renewLinks(entry), Math.min(wait, 2 ** 31 - 1));
}

async function renewLinks(entry) {
  if (!entry.open) return;
  try {
    const found = await call("GET", `/v1/jobs/${encodeURIComponent(entry.job.job)}/results`);
    if (entry.open) keepLinks(entry, found);
  } catch (error) {
    if (error.status === 401 || error.status === 404 || !entry.open) return;
    entry.renewing = setTimeout(() => renewLinks(entry), RENEWED_AGAIN);
  }
}

function short(input) {
  return input.split("/").slice(input.startsWith("uploads/") ? 2 : 0).join("/");
}

// The service makes small pictures of what browsers cannot show.
async function thumbnail({ job }, task, side) {
  const answer = await send("GET", `/v1/jobs/${encodeURIComponent(job)}/results/${task}/thumbnail?side=${side}`);
  if (!answer.ok) throw new Error("no preview");
  return answer.blob();
}

function picture(url, alt, caption, instead) {
  const blank = (text) => element("div", { className: "blank", textContent: text });
  const fail = async (shown) => {
    try {
      const small = URL.createObjectURL(await instead());
      const image = element("img", { alt, src: small });
      image.onload = () => URL.revokeObjectURL(small);
      shown.replaceWith(image);
    } catch {
      shown.replaceWith(blank("no preview"));
    }
  };
  const shown = element("img", { loading: "lazy", decoding: "async", alt });
  shown.onerror = () => fail(shown);
  if (url) shown.src = safeUrl(url);
  const figure = element("figure", {}, shown, element("figcaption", { textContent: caption }));
  if (!url) shown.replaceWith(blank("no preview"));
  return figure;
}

function pair(result, looks) {
  const name = short(result.input);
  const size = [result.width && `${result.width} × ${result.height}`, result.bytes && sizeText(result.bytes)];
  const link = element("a", {
    href: safeUrl(result.url), target: "_blank", rel: "noopener noreferrer", textContent: result.output.replace(/^out\//, ""),
  });
  link.dataset.output = result.output;
  if (isReduced(result)) {
    const numbers = /\.(txt|csv|npy)$/.test(result.output);
    const first = element("p", { className: "numbers" });
    if (/\.(txt|csv)$/.test(result.output)) firstNumbers(result.url, first);
    const shown = numbers ? null : element("div", { className: "images" },
      picture(result.url, `${name}, reduced`, `of ${name}`, () => thumbnail(looks, result.task, "after")));
    return element("div", { className: "pair" }, shown, link, first,
      element("p", { className: "soft", textContent: [`of ${name}`, ...size.filter(Boolean)].join(", ") }));
  }
  const compare = element("button", { type: "button", textContent: "Compare", "aria-label": `Compare ${name} before and after`, onclick: () => compareResult(result, looks, compare) });
  return element("div", { className: "pair" },
    element("div", { className: "images" },
      picture(result.input_url, `${name} before`, "before", () => thumbnail(looks, result.task, "before")),
      picture(result.url, `${name} after`, "after", () => thumbnail(looks, result.task, "after"))),
    link,
    element("div", { className: "row" },
      element("p", { className: "soft", textContent: size.filter(Boolean).join(", ") }), compare));
}

// A module of its own, so that the preview of the form keeps its image.
let reading = null;

// A picture as it is, where the browser or the module knows the format, or else small.
async function showIn(compare, side, url, instead) {
  let blob;
  try {
    blob = await (await fetch(safeUrl(url))).blob();
    return compare.draw(side, await createImageBitmap(blob));
  } catch {
    // A format that browsers do not know, or a store that does not answer them.
  }
  try {
    if (!blob || !preview.possible) throw new Error("no module");
    reading ??= new Studio(workerAddress("/page/worker.js"));
    const { state, before } = await reading.ask("open", { blob });
    return compare.set(side, before.pixels, state.before);
  } catch {
    return compare.draw(side, await createImageBitmap(await instead()));
  }
}

// Both pictures of a result in one place, with their histograms.
async function compareResult(shown, looks, opener) {
  // With the links that are good now.
  const result = looks.entry.links?.get(shown.output) ?? shown;
  const name = short(result.input);
  const { large, job } = looks;
  const title = element("h4", { textContent: name, tabIndex: -1 });
  const state = element("p", { className: "soft", role: "status", textContent: "Loading …" });
  const close = element("button", { type: "button", textContent: "Close", "aria-label": `Close ${name}` });
  close.onclick = () => {
    large.replaceChildren();
    opener.focus();
  };
  const compare = new Compare(`${name} before and after`);
  const boxes = [element("div", { className: "histogram" }), element("div", { className: "histogram" })];
  large.replaceChildren(element("div", { className: "row" }, title, close), compare.box, state, element("div", { className: "histograms" }, ...boxes));
  large.scrollIntoView({ block: "nearest" });
  title.focus({ preventScroll: true });
  try {
    await Promise.all(["before", "after"].map((side) =>
      showIn(compare, side, side === "before" ? result.input_url : result.url, () => thumbnail(looks, result.task, side))));
    state.textContent = "";
    const counts = await call("GET", `/v1/jobs/${encodeURIComponent(job)}/results/${result.task}/histogram`);
    const gray = ({ red, blue, green }) => String(red) === String(blue) && String(red) === String(green);
    if (counts.before) drawHistogram(boxes[0], "before", counts.before, gray(counts.before));
    drawHistogram(boxes[1], "after", counts.after, gray(counts.after));
  } catch (error) {
    state.textContent = `It cannot be shown: ${error.message}`;
  }
}
