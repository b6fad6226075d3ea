// The images that are chosen, and their way to the store.
const AT_ONCE = 4;
let chosen = [];
// Inputs of an earlier job instead: its uploads are still there.
let earlier = null;

function useInputs(job, inputs) {
  earlier = inputs.every((input) => input.startsWith("uploads/")) ? inputs : null;
  byId("inputs-of").hidden = earlier === null;
  say("inputs-text", earlier ? `The images of ${jobName(job)}, which are there already.` : "");
}

function choose(files) {
  const names = new Set(chosen.map((file) => file.name));
  for (const file of files) {
    if (!names.has(file.name)) chosen.push(file);
    names.add(file.name);
  }
  showChosen();
}

function showChosen() {
  if (chosen.length > 0) noInputs();
  previewFiles(reducing() ? [] : chosen);
  showTree();
  byId("chosen").replaceChildren(...chosen.map((file) => {
    const drop = () => {
      chosen = chosen.filter((other) => other !== file);
      showChosen();
    };
    return element("li", {},
      `${file.name} (${sizeText(file.size)}) `,
      element("button", { type: "button", textContent: "Remove", "aria-label": `Remove ${file.name}`, onclick: drop }));
  }));
}

function noInputs() {
  earlier = null;
  byId("inputs-of").hidden = true;
}

byId("inputs-none").addEventListener("click", noInputs);

// Puts one file where its link leads, and tries again what may pass.
async function put(place, file) {
  for (let attempt = 1; ; attempt += 1) {
    let reason;
    try {
      const answer = await fetch(place.url, { method: place.method, headers: place.headers, body: file });
      if (answer.ok) return;
      reason = `answer ${answer.status}`;
      if (answer.status < 500 && answer.status !== 429) attempt = 3;
    } catch (error) {
      reason = error.message;
    }
    if (attempt >= 3) throw new Error(`${file.name} could not be sent: ${reason}`);
    await new Promise((go) => setTimeout(go, 1000 * attempt));
  }
}

// Sends all files; returns what a job names as its inputs.
async function upload(files, progress) {
  const announced = files.map((file) => ({ name: file.name, bytes: file.size }));
  const { inputs, files: places } = await call("POST", "/v1/uploads", { files: announced });
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < places.length) {
      const at = next;
      next += 1;
      await put(places[at], files[at]);
      done += 1;
      progress(done / places.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return inputs;
}
