// The list of jobs: their states as events tell them, sorted, found and turned over page by page.
const ENDED = ["succeeded", "partial", "failed", "cancelled"];
const JOBS_A_PAGE = 20;
const jobs = new Map();
let jobsPage = 0;

function stateText(job) {
  const { tasks, succeeded, failed, rejected, cancelled } = job.counts;
  const parts = [job.state];
  if (tasks > 0) parts.push(`${succeeded} of ${tasks} done`);
  if (failed + rejected > 0) parts.push(`${failed + rejected} failed`);
  if (cancelled > 0) parts.push(`${cancelled} cancelled`);
  return parts.join(", ");
}

async function act(job, method, path, doing) {
  say("notice", doing);
  try {
    await call(method, path);
    say("notice", "");
    if (path.endsWith("/retry")) closeResults(job);
    await refresh(job.job);
  } catch (error) {
    say("notice", error.message);
  }
}

function ended(job) {
  return ENDED.includes(job.state);
}

function done(job) {
  const { succeeded, failed, rejected, cancelled } = job.counts;
  return succeeded + failed + rejected + cancelled;
}

// The share of its work that is done.
function share(job) {
  return job.progress ?? done(job) / job.counts.tasks;
}

function tasksOf(job) {
  return job.reduce ? "nodes" : "images";
}

function timeText(ms) {
  const secs = Math.round(ms / 1000);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (secs < 90) return `${secs} s`;
  if (secs < 5400) return `${Math.round(secs / 60)} min`;
  return `${(secs / 3600).toFixed(1)} h`;
}

// How long a job took or has taken. Services that tell its end are believed; of others nothing is said once it ended.
function duration(job) {
  if (job.ms !== undefined && job.ms !== null) return job.ms;
  if (job.finished) return Date.parse(job.finished) - Date.parse(job.started ?? job.submitted);
  return ended(job) ? null : Date.now() - Date.parse(job.started ?? job.submitted);
}

// When it was submitted, how long it takes, how fast it is and when it may be done.
function paceText({ job, pace }) {
  const parts = [new Date(job.submitted).toLocaleString()];
  const took = duration(job);
  if (took !== null) parts.push(ended(job) ? `took ${timeText(took)}` : `for ${timeText(Math.max(took, 0))}`);
  const count = done(job);
  if (ended(job)) {
    if (took > 0 && count > 1) parts.push(`${((count * 1000) / took).toFixed(1)} ${tasksOf(job)}/s`);
  } else if (pace && count > pace.count) {
    // Since this page saw it first. What is to go follows the work that images make, not their number.
    const passed = Date.now() - pace.since;
    parts.push(`${(((count - pace.count) * 1000) / passed).toFixed(1)} ${tasksOf(job)}/s`);
    const grown = share(job) - pace.share;
    if (grown > 0) parts.push(`about ${timeText((passed * (1 - share(job))) / grown)} to go`);
  }
  return parts.join(" · ");
}

const ORDERS = {
  newest: (a, b) => b.submitted.localeCompare(a.submitted),
  oldest: (a, b) => a.submitted.localeCompare(b.submitted),
  name: (a, b) => jobName(a).localeCompare(jobName(b)),
  state: (a, b) => a.state.localeCompare(b.state),
  images: (a, b) => b.counts.tasks - a.counts.tasks,
  failed: (a, b) => b.counts.failed + b.counts.rejected - a.counts.failed - a.counts.rejected,
};

function jobName(job) {
  return job.name || `Job ${job.job}`;
}

// The jobs of this page in their places. What stays where it is is not touched, so that focus stays.
function arrange() {
  const text = byId("jobs-find").value.trim().toLowerCase();
  const state = byId("jobs-state").value;
  const fits = ({ job }) =>
    (state === "" || job.state === state || (state === "open" && !ended(job))) &&
    (text === "" || `${jobName(job)} ${job.job}`.toLowerCase().includes(text));
  const order = ORDERS[byId("jobs-order").value];
  const found = [...jobs.values()].filter(fits).sort((a, b) => order(a.job, b.job) || ORDERS.newest(a.job, b.job));
  const pages = Math.max(1, Math.ceil(found.length / JOBS_A_PAGE));
  jobsPage = Math.min(jobsPage, pages - 1);
  const list = byId("jobs");
  const items = found.slice(jobsPage * JOBS_A_PAGE, (jobsPage + 1) * JOBS_A_PAGE).map((entry) => entry.view.item);
  for (const item of [...list.children]) {
    if (!items.includes(item)) item.remove();
  }
  items.forEach((item, at) => {
    if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
  });
  byId("none").hidden = jobs.size > 0;
  byId("none-found").hidden = jobs.size === 0 || found.length > 0;
  byId("jobs-tools").hidden = jobs.size < 2 && text === "" && state === "";
  byId("jobs-pages").hidden = pages < 2 && !older;
  byId("jobs-older").hidden = !older;
  say("jobs-page", `${jobsPage + 1} of ${pages} (${found.length} jobs${older ? " so far" : ""})`);
  byId("jobs-before").disabled = jobsPage === 0;
  byId("jobs-after").disabled = jobsPage >= pages - 1;
}

function makeJob(job) {
  const button = (textContent, properties = {}) => element("button", { type: "button", textContent, ...properties });
  const view = {
    title: element("h3"),
    state: element("span", { className: "soft" }),
    pace: element("p", { className: "soft pace" }),
    bar: element("progress", { max: 1, value: 0 }),
    cancel: button("Cancel"),
    pause: button("Pause"),
    resume: button("Resume"),
    retry: button("Retry failed"),
    again: button("Run again"),
    edit: button("Edit as new"),
    remove: button("Delete"),
    show: button("Results", { "aria-expanded": "false" }),
    results: element("div"),
  };
  const path = `/v1/jobs/${encodeURIComponent(job.job)}`;
  const entry = { job, view, open: false, pace: null };
  view.cancel.onclick = () => act(entry.job, "DELETE", path, "Cancelling …");
  view.pause.onclick = () => act(entry.job, "POST", `${path}/pause`, "Pausing …");
  view.resume.onclick = () => act(entry.job, "POST", `${path}/resume`, "Resuming …");
  view.remove.onclick = () => removeJob(entry, path);
  view.retry.onclick = () => act(entry.job, "POST", `${path}/retry`, "Trying again …");
  view.again.onclick = () => runAgain(entry.job);
  view.edit.onclick = () => editAsNew(entry.job);
  view.show.onclick = () => (entry.open ? closeResults(entry.job) : openResults(entry));
  const head = element("div", { className: "head" }, view.title, view.state);
  const buttons = element("div", { className: "row" }, view.show, view.pause, view.resume, view.cancel, view.retry, view.again, view.edit, view.remove);
  view.item = element("li", { className: "job" }, head, view.pace, view.bar, buttons, view.results);
  return entry;
}

// For those who hear the page: the end of a job is said once, where it changes nothing that they are at.
const told = new Set();

function tellEnd(job) {
  if (told.has(job.job)) return;
  told.add(job.job);
  const heard = byId("heard");
  heard.append(element("span", { textContent: `${jobName(job)}: ${stateText(job)}. ` }));
  while (heard.children.length > 5) heard.firstChild.remove();
}

// Jobs that were deleted here: an answer that was on its way says that they are there.
const gone = new Set();

function showJob(job) {
  if (gone.has(job.job)) return;
  let entry = jobs.get(job.job);
  if (!entry) {
    entry = makeJob(job);
    jobs.set(job.job, entry);
  }
  const before = entry.job.state;
  entry.job = job;
  const { view } = entry;
  const name = jobName(job);
  const focused = view.item.contains(document.activeElement) ? document.activeElement : null;
  if (!ended(job) && job.counts.tasks > 0) entry.pace ??= { since: Date.now(), count: done(job), share: share(job) };
  view.title.textContent = name;
  view.state.textContent = stateText(job);
  view.state.className = job.state === "succeeded" ? "good" : ended(job) ? "bad" : "soft";
  view.pace.textContent = paceText(entry);
  view.bar.hidden = ended(job);
  view.bar.setAttribute("aria-label", `Progress of ${name}`);
  if (job.counts.tasks > 0) view.bar.value = share(job);
  else view.bar.removeAttribute("value");
  const named = [[view.cancel, "Cancel"], [view.retry, "Retry failed images of"], [view.show, "Results of"], [view.again, "Run again:"], [view.edit, "Edit as new:"], [view.pause, "Pause"], [view.resume, "Resume"]];
  for (const [button, text] of named) button.setAttribute("aria-label", `${text} ${name}`);
  view.cancel.hidden = ended(job);
  view.retry.hidden = !ended(job) || job.state === "succeeded";
  view.pause.hidden = ended(job) || job.state === "paused";
  view.resume.hidden = job.state !== "paused";
  view.remove.hidden = !ended(job);
  view.again.hidden = !ended(job);
  view.edit.hidden = !ended(job);
  // What has the focus may have gone because of this.
  if (focused?.hidden) view.show.focus();
  if (!ended(job)) told.delete(job.job);
  if (!ended(job) || ENDED.includes(before)) return;
  tellEnd(job);
  if (entry.open) openResults(entry);
}

// Everything of a job goes, so it is asked for twice: the button says so, for a while.
async function removeJob({ job, view }, path) {
  const button = view.remove;
  if (!button.dataset.sure) {
    button.dataset.sure = "yes";
    button.textContent = "Delete with its results?";
    setTimeout(() => {
      delete button.dataset.sure;
      button.textContent = "Delete";
    }, 5000);
    return;
  }
  say("notice", "Deleting …");
  try {
    await call("DELETE", `${path}?purge=true`);
    gone.add(job.job);
    jobs.delete(job.job);
    const next = view.item.nextElementSibling ?? view.item.previousElementSibling;
    arrange();
    (next?.querySelector("button") ?? byId("files")).focus();
    say("notice", `${jobName(job)} is gone.`);
  } catch (error) {
    say("notice", error.message);
  }
}

// What an ended job was asked for, from its receipt.
async function specOf(job) {
  const { spec } = await call("GET", `/v1/jobs/${encodeURIComponent(job.job)}/receipt`);
  return spec;
}

async function runAgain(job) {
  say("notice", "Submitting again …");
  try {
    const { output, ...spec } = await specOf(job);
    const made = await call("POST", "/v1/jobs", spec);
    jobsPage = 0;
    await begun(made.job);
    say("notice", `${jobName(job)} runs again.`);
  } catch (error) {
    say("notice", error.message);
  }
}

// Its operations, format and name go into the form; the images are those that are chosen there, or its own again.
async function editAsNew(job) {
  try {
    const spec = await specOf(job);
    if (!spec.reduce) await setSteps(spec.pipeline);
    setReduction(spec.reduce);
    setFormat(spec.format);
    byId("name").value = spec.name ?? "";
    useInputs(job, spec.inputs);
    byId("new-title").scrollIntoView({ block: "start" });
    byId("operation").focus();
  } catch (error) {
    say("notice", error.message);
  }
}

async function refresh(id) {
  const job = await call("GET", `/v1/jobs/${encodeURIComponent(id)}`);
  showJob(job);
  arrange();
  return job;
}

// A job that was submitted here, which may have ended before it was seen.
async function begun(id) {
  const job = await refresh(id);
  if (ended(job)) tellEnd(job);
}

// The newest jobs come by themselves, older ones when they are asked for.
let older;

async function refreshAll() {
  try {
    const { jobs: list, next } = await call("GET", "/v1/jobs");
    list.forEach(showJob);
    if (older === undefined) older = next ?? null;
    arrange();
    // What others say stays.
    if (byId("notice").textContent.startsWith("No connection")) say("notice", "");
  } catch (error) {
    say("notice", `No connection: ${error.message}`);
  }
}

async function loadOlder() {
  byId("jobs-older").disabled = true;
  try {
    const { jobs: list, next } = await call("GET", `/v1/jobs?after=${encodeURIComponent(older)}`);
    list.forEach(showJob);
    older = next ?? null;
    arrange();
  } catch (error) {
    say("notice", error.message);
  }
  byId("jobs-older").disabled = false;
}

// Events say that something changed; the state is asked for, at most twice a second for each job.
const waiting = new Set();

function jobEvent(event) {
  let id;
  try {
    id = JSON.parse(event.data).job;
  } catch {
    // A reset of everything, say.
  }
  if (typeof id !== "string") {
    refreshAll();
    return;
  }
  if (waiting.has(id)) return;
  waiting.add(id);
  setTimeout(() => {
    waiting.delete(id);
    refresh(id).catch(() => {});
  }, 400);
}

for (const id of ["jobs-find", "jobs-state", "jobs-order"]) {
  byId(id).addEventListener("input", () => {
    jobsPage = 0;
    arrange();
  });
}
byId("jobs-before").addEventListener("click", () => {
  jobsPage -= 1;
  arrange();
});
byId("jobs-older").addEventListener("click", loadOlder);
byId("jobs-after").addEventListener("click", () => {
  jobsPage += 1;
  arrange();
});
