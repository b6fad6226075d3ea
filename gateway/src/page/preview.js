// What the operations make of a chosen image, before a job is sent. Computed here: the image goes nowhere for it.
const PREVIEW_BYTES = 256 * 1024 * 1024;
const preview = { possible: document.documentElement.dataset.preview === "yes", studio: null, compare: null, file: null, opened: 0, wanted: 0 };

function previewSays(state, problem = "") {
  byId("preview-state").textContent = state;
  byId("preview-problem").textContent = problem;
}

// Where it cannot be, nothing is said of it and jobs are sent as ever.
function previewParts() {
  if (preview.studio) return;
  preview.studio = new Studio(workerAddress("/page/worker.js"));
  preview.compare = new Compare("The image before and after");
  byId("preview-compare").append(preview.compare.box);
}

function previewShows(shown) {
  byId("preview-compare").hidden = !shown;
  byId("preview-histograms").hidden = !shown;
}

// The chosen images changed: the one that is shown stays, or else the first is.
function previewFiles(files) {
  if (!preview.possible) return;
  byId("preview").hidden = files.length === 0;
  if (files.length === 0) {
    preview.file = null;
    return;
  }
  byId("preview-of").replaceChildren(...files.map((file, at) => element("option", { value: at, textContent: nameOf(file) })));
  byId("preview-of").hidden = files.length === 1;
  const at = files.indexOf(preview.file);
  byId("preview-of").value = Math.max(at, 0);
  if (at < 0) previewOpen(files[0]);
}

async function previewOpen(file) {
  preview.file = file;
  preview.opened += 1;
  const mine = preview.opened;
  if (file.size > PREVIEW_BYTES) {
    previewShows(false);
    previewSays("", `${nameOf(file)} is too large for a preview (${sizeText(file.size)}); a job takes it all the same.`);
    return;
  }
  previewSays("Opening …");
  try {
    previewParts();
    const { state, before } = await preview.studio.ask("open", { blob: file });
    if (mine !== preview.opened) return;
    const { compare } = preview;
    compare.set("before", before.pixels.slice(0), state.before);
    compare.set("after", before.pixels, state.before);
    compare.zoom = null;
    drawHistogram(byId("preview-before"), "before", before.histograms, state.before.gray);
    drawHistogram(byId("preview-after"), "after", before.histograms, state.before.gray);
    previewShows(true);
    compare.layout();
    await previewRun();
  } catch (error) {
    if (mine !== preview.opened) return;
    previewShows(false);
    previewSays("", `${nameOf(file)}: ${error.message}`);
  }
}

async function previewRun() {
  if (!preview.file || byId("preview-compare").hidden) return;
  // A late answer does not wipe away what is said of a newer wish.
  preview.wanted += 1;
  const { opened, wanted } = preview;
  let pipeline;
  try {
    pipeline = readSteps();
  } catch (error) {
    previewSays("", error.message);
    return;
  }
  previewSays("Computing …");
  try {
    const made = await preview.studio.run(pipeline);
    if (!made || opened !== preview.opened) return;
    const { state, after, ms } = made;
    preview.compare.set("after", after.pixels, state.after);
    drawHistogram(byId("preview-after"), "after", after.histograms, state.after.gray);
    if (wanted !== preview.wanted) return;
    const { width, height, color, samples } = state.after;
    previewSays([`${width} × ${height}, ${color}, ${samples}`, `${ms.toFixed(0)} ms here`, ...state.warnings].join(" · "));
  } catch (error) {
    if (opened === preview.opened && wanted === preview.wanted) previewSays("", error.message);
  }
}

byId("preview-of").addEventListener("change", () => previewOpen(chosen[Number(byId("preview-of").value)]));
byId("steps").addEventListener("input", previewRun);
new MutationObserver(previewRun).observe(byId("steps"), { childList: true });
