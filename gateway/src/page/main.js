// What happens when the page opens and when its form is sent.
let following = false;

let opened = false;

async function open() {
  const token = await takeToken();
  // The page begins anew.
  if (token === undefined) return undefined;
  if (token === null) return askForToken();
  if (opened) return takePipeline();
  try {
    await showMe();
    await Promise.all([loadOperations(), loadFormats()]);
  } catch (error) {
    if (error.status !== 401) say("notice", `No connection: ${error.message}`);
    return undefined;
  }
  opened = true;
  byId("login").hidden = true;
  byId("app").hidden = false;
  showPresets();
  showCutOff();
  await refreshAll();
  await takePipeline();
  lookAtNodes();
  if (!following) {
    following = true;
    follow("/v1/events", jobEvent, refreshAll).finally(() => {
      following = false;
    });
  }
  return undefined;
}

async function sendChosen(progress) {
  sending = new AbortController();
  try {
    return await upload(chosen, progress, sending.signal);
  } finally {
    sending = null;
    showCutOff();
  }
}

async function submitJob() {
  if (chosen.length === 0 && !earlier) throw new Error(reducing() ? "Choose at least one file." : "Choose at least one image.");
  const wanted = reducing() ? { reduce: readReduction() } : { pipeline: readSteps() };
  const format = readFormat();
  const sent = byId("sent");
  sent.hidden = false;
  sent.value = 0;
  byId("sent-cancel").hidden = earlier !== null;
  const inputs = earlier ?? (await sendChosen((share) => {
    sent.value = share;
  }));
  byId("sent-cancel").hidden = true;
  const job = { name: byId("name").value, inputs, ...wanted };
  if (format !== null) job.format = format;
  // The same key again after a lost answer is the same job.
  const key = { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
  let made;
  try {
    made = await call("POST", "/v1/jobs", job, key);
  } catch (error) {
    if (error instanceof Refused) throw error;
    made = await call("POST", "/v1/jobs", job, key);
  }
  chosen = [];
  showChosen();
  noInputs();
  jobsPage = 0;
  await begun(made.job);
  openResults(jobs.get(made.job));
}

byId("job-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  // A button that is disabled loses the focus.
  const focused = document.activeElement;
  byId("submit").disabled = true;
  say("form-notice", "");
  try {
    await submitJob();
  } catch (error) {
    say("form-notice", error.message);
  }
  byId("submit").disabled = false;
  if (document.activeElement === document.body) focused.focus();
  byId("sent").hidden = true;
  byId("sent-cancel").hidden = true;
});
byId("sent-cancel").addEventListener("click", () => sending?.abort());
byId("folder").addEventListener("change", (event) => {
  chooseFolder(event.target.files);
  event.target.value = "";
});
byId("add").addEventListener("click", () => addStep(byId("operation").value));
byId("files").addEventListener("change", (event) => {
  choose(event.target.files);
  event.target.value = "";
});
const drop = byId("drop");
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  drop.addEventListener(name, () => drop.classList.remove("over"));
}
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  chooseDropped(event.dataTransfer);
});
window.addEventListener("hashchange", open);
open();
