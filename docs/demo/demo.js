// The page: an image, an operation, and what it makes of it.
const studio = new Studio(workerAddress("worker.js"));
const compare = new Compare("The picture before and after");
let operations = [];
let formats = [];
let open = null;

// Examples of the registry are for tiny pictures; these start with something to be seen on any.
function start(operation) {
  const { width, height } = open ?? { width: 800, height: 600 };
  const half = (n) => Math.max(1, Math.round(n / 2));
  const own = {
    crop: { x: Math.round(width / 4), y: Math.round(height / 4), width: half(width), height: half(height) },
    resize: { width: half(width) },
    thumbnail: { size: 256 },
    hough_lines: { threshold: 150 },
    equalize: {},
  };
  return own[operation.name] ?? operation.sample;
}

function chosen() {
  return operations.find((operation) => operation.name === byId("operation").value);
}

function showFields(values) {
  const operation = chosen();
  byId("about").textContent = operation.about;
  byId("params").replaceChildren(...operation.params.map((param) => paramField(param, `param-${param.name}`, values[param.name] ?? param.default)));
  byId("defaults").hidden = operation.params.length === 0;
  byId("resets").hidden = operation.params.length === 0;
}

// As `sundog run -p` takes it.
function text(step) {
  const { op, ...given } = step;
  const differs = ([name, value]) => {
    const { default: usual } = chosen().params.find((param) => param.name === name);
    return JSON.stringify(value) !== JSON.stringify(usual);
  };
  const said = Object.entries(given).filter(differs).map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`);
  return said.length > 0 ? `${op}(${said.join(", ")})` : op;
}

function described({ width, height, color, samples }) {
  return `${width} × ${height}, ${color}, ${samples}`;
}

function showProblem(message) {
  byId("problem").textContent = message;
  byId("download").disabled = message !== "";
}

// Counts what was asked for, so that a late answer does not wipe away what is said of a newer wish.
let asked = 0;

async function run() {
  asked += 1;
  const mine = asked;
  let step;
  try {
    step = readStep(chosen().name, byId("params"));
    showProblem("");
  } catch (error) {
    say("status", "");
    showProblem(error.message);
    return;
  }
  byId("command").textContent = `sundog run ${open?.name ?? "photo.jpg"} -o out -p '${text(step)}'`;
  if (!open) return;
  say("status", "Computing …");
  try {
    const made = await studio.run([step]);
    if (!made) return;
    const { state, after, ms } = made;
    compare.set("after", after.pixels, state.after);
    drawHistogram(byId("histogram-after"), "after", after.histograms, state.after.gray);
    if (mine !== asked) return;
    say("status", [`${chosen().name} took ${ms.toFixed(0)} ms`, described(state.after), ...state.warnings].join(" · "));
    showProblem("");
  } catch (error) {
    if (mine !== asked) return;
    say("status", "");
    showProblem(error.message);
  }
}

async function openImage(blob, name) {
  say("status", `Opening ${name} …`);
  showProblem("");
  let made;
  try {
    made = await studio.ask("open", { blob });
  } catch (error) {
    say("status", open ? `${open.name} is still shown.` : "");
    if (open) await studio.ask("open", { blob: open.blob });
    showProblem(`${name}: ${error.message}`);
    return;
  }
  const { state, before } = made;
  open = { blob, name, ...state.before };
  byId("empty").hidden = true;
  for (const id of ["compare", "histograms", "save"]) byId(id).hidden = false;
  const pages = state.pages > 1 ? `, the first of ${state.pages} pages` : "";
  byId("opened").textContent = `${name}: ${described(state.before)}${pages}`;
  // Both sides until the operation is done.
  compare.set("before", before.pixels.slice(0), state.before);
  compare.set("after", before.pixels, state.before);
  compare.setZoom(null);
  drawHistogram(byId("histogram-before"), "before", before.histograms, state.before.gray);
  showFields(start(chosen()));
  await run();
}

async function download() {
  const format = formats.find((other) => other.name === byId("format").value);
  say("status", `Writing ${format.title} …`);
  try {
    const { bytes } = await studio.ask("encode", { format: format.name });
    const url = URL.createObjectURL(new Blob([bytes], { type: format.media_type }));
    const stem = open.name.replace(/\.[^.]*$/, "");
    element("a", { href: url, download: `${stem}-${chosen().name}.${format.extensions[0]}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    say("status", `${sizeText(bytes.byteLength)} written.`);
  } catch (error) {
    say("status", "");
    byId("problem").textContent = error.message;
  }
}

async function begin() {
  byId("compare").append(compare.box);
  let registry;
  try {
    registry = await studio.ask("registry");
  } catch (error) {
    say("status", "");
    showProblem(error.message);
    return;
  }
  operations = registry.operations;
  formats = registry.formats.filter(({ written }) => written !== false);
  byId("operation").replaceChildren(...operationOptions(operations));
  byId("operation").value = "equalize";
  byId("operation").disabled = false;
  byId("format").replaceChildren(...formats.map(({ name, title }) => element("option", { value: name, textContent: title })));
  showFields(start(chosen()));
  say("status", "");
  await run();
}

byId("operation").addEventListener("change", () => {
  showFields(start(chosen()));
  run();
});
byId("params").addEventListener("input", run);
byId("params").addEventListener("submit", (event) => event.preventDefault());
byId("defaults").addEventListener("click", () => {
  showFields({});
  run();
});
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) openImage(file, file.name);
  event.target.value = "";
});
byId("sample").addEventListener("click", async () => {
  try {
    const answer = await fetch("sample.jpg");
    if (!answer.ok) throw new Error(`answer ${answer.status}`);
    await openImage(await answer.blob(), "sample.jpg");
  } catch (error) {
    showProblem(`The sample could not be loaded: ${error.message}`);
  }
});
byId("download").addEventListener("click", download);
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => byId("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) openImage(file, file.name);
  else showProblem("What was dropped is no file.");
});
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) openImage(file, file.name);
});
begin();
