// The images that are chosen.
let chosen = [];
// What files are called beside their own names: the folders that they came from, or a number.
const ways = new WeakMap();
// Inputs of an earlier job instead: its uploads are still there.
let earlier = null;

function nameOf(file) {
  return ways.get(file) ?? (file.webkitRelativePath || file.name);
}

function useInputs(job, inputs) {
  earlier = inputs.every((input) => input.startsWith("uploads/")) ? inputs : null;
  byId("inputs-of").hidden = earlier === null;
  say("inputs-text", earlier ? `The images of ${jobName(job)}, which are there already.` : "");
}

// A name that no other file has; of the same file once more there is none.
function freeName(file, names) {
  const name = nameOf(file);
  const at = name.lastIndexOf(".") > name.lastIndexOf("/") + 1 ? name.lastIndexOf(".") : name.length;
  for (let number = 1; ; number += 1) {
    const free = number === 1 ? name : `${name.slice(0, at)} (${number})${name.slice(at)}`;
    const other = names.get(free);
    if (!other) return free;
    if (other.size === file.size && other.lastModified === file.lastModified) return null;
  }
}

function choose(files) {
  const names = new Map(chosen.map((file) => [nameOf(file), file]));
  for (const file of files) {
    const name = freeName(file, names);
    if (name === null) continue;
    ways.set(file, name);
    names.set(name, file);
    chosen.push(file);
  }
  showChosen();
}

// What systems leave in folders, and what is no image, is passed over there.
function isWanted(file) {
  const ending = file.name.slice(file.name.lastIndexOf(".")).toLowerCase();
  return !file.name.startsWith(".") && (file.type.startsWith("image/") || byId("files").accept.split(",").includes(ending));
}

async function walk(entry, below, found) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    if (below === "" || isWanted(file)) {
      ways.set(file, below + file.name);
      found.push(file);
    }
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // Browsers give some at a time.
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) return;
    for (const inner of some) await walk(inner, `${below}${entry.name}/`, found);
  }
}

// Files and folders that were dropped.
async function chooseDropped(transfer) {
  // They are gone after the first wait.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return choose(transfer.files);
  const found = [];
  try {
    for (const entry of entries) await walk(entry, "", found);
  } catch (error) {
    say("form-notice", `The folder cannot be read: ${error.message}`);
  }
  if (found.length === 0) say("form-notice", "There is no image in what was dropped.");
  return choose(found);
}

function chooseFolder(files) {
  const wanted = [...files].filter(isWanted);
  if (wanted.length === 0) say("form-notice", "There is no image in that folder.");
  choose(wanted);
}

function showChosen() {
  if (chosen.length > 0) noInputs();
  previewFiles(reducing() ? [] : chosen);
  showTree();
  showCutOff();
  byId("chosen").replaceChildren(...chosen.map((file) => {
    const drop = () => {
      const next = byId("chosen").children[chosen.indexOf(file) + 1];
      chosen = chosen.filter((other) => other !== file);
      const label = next?.querySelector("button")?.getAttribute("aria-label");
      showChosen();
      // Focus goes on to the next one, or back to where files are chosen.
      const buttons = [...byId("chosen").querySelectorAll("button")];
      (buttons.find((button) => button.getAttribute("aria-label") === label) ?? buttons.at(-1) ?? byId("files")).focus();
    };
    const name = nameOf(file);
    return element("li", {},
      `${name} (${sizeText(file.size)}) `,
      element("button", { type: "button", textContent: "Remove", "aria-label": `Remove ${name}`, onclick: drop }));
  }));
}

function noInputs() {
  earlier = null;
  byId("inputs-of").hidden = true;
}

byId("inputs-none").addEventListener("click", () => {
  noInputs();
  byId("files").focus();
});

