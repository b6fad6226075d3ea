// One result of all files in place of one of each: the operation, the fan-in, and the tree that follows from them.
const NUMBERS = ["txt", "csv", "npy"];
let imagesAccepted = byId("files").accept;

// Endings of what the service reads, beside what browsers take for images.
function acceptFiles(endings) {
  imagesAccepted = ["image/*", ...endings.map((ending) => `.${ending}`)].join();
  showKind();
}

function reducing() {
  return byId("kind-reduce").checked;
}

// Nodes of each level, from those that take files to the root.
function treeLevels(files, fanIn) {
  const levels = [Math.ceil(files / fanIn)];
  while (levels[levels.length - 1] > 1) levels.push(Math.ceil(levels[levels.length - 1] / fanIn));
  return levels;
}

function fanIn() {
  const text = byId("reduce-fan-in").value.trim();
  const number = Number(text);
  if (!Number.isInteger(number) || number < 2 || number > 100000) throw new Error(`A node takes from 2 to 100000 files, not ${text || "nothing"}.`);
  return number;
}

function showTree() {
  let text = "";
  try {
    const levels = treeLevels(chosen.length, fanIn());
    const nodes = levels.reduce((sum, count) => sum + count, 0);
    const median = byId("reduce-op").value === "median";
    if (chosen.length > 0 && median) text = "The median needs all files at once: one node takes them.";
    else if (chosen.length > 0) text = `A tree of ${nodes} ${nodes === 1 ? "node" : "nodes"} for ${chosen.length} files: ${levels.join(" + ")}.`;
  } catch (error) {
    text = error.message;
  }
  say("reduce-tree", text);
}

// Shows the fields of the one or the other.
function showKind() {
  const all = reducing();
  byId("each").hidden = all;
  byId("reduction").hidden = !all;
  say("files-label", all ? "Choose files" : "Choose images");
  byId("files").accept = all ? `${imagesAccepted},${NUMBERS.map((ending) => `.${ending}`).join(",")}` : imagesAccepted;
  for (const option of byId("format").options) {
    if (option.value in TEXTS) option.hidden = !all;
  }
  if (!all && byId("format").value in TEXTS) setFormat("");
  showChosen();
}

// As in a job file.
function readReduction() {
  const bits = byId("reduce-bits").value;
  return { op: byId("reduce-op").value, fan_in: fanIn(), ...(bits && { bits }) };
}

function setReduction(reduce) {
  byId(reduce ? "kind-reduce" : "kind-each").checked = true;
  if (reduce) {
    byId("reduce-op").value = reduce.op;
    byId("reduce-fan-in").value = reduce.fan_in;
    byId("reduce-bits").value = reduce.bits ?? "";
  }
  showKind();
}

// The result of a reduction has no picture before it.
function isReduced(result) {
  return !result.input_url && /^\d+ files?$/.test(result.input);
}

for (const id of ["kind-each", "kind-reduce"]) byId(id).addEventListener("change", showKind);
for (const id of ["reduce-op", "reduce-fan-in"]) byId(id).addEventListener("input", showTree);
