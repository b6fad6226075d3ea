// The list of jobs: their states as events tell them, their results when they are asked for.
const ENDED = ["succeeded", "partial", "failed", "cancelled"];
const SHOWN = 60;
const jobs = new Map();

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
    if (method === "POST") closeResults(job);
    await refresh(job.job);
  } catch (error) {
    say("notice", error.message);
  }
}

function makeJob(job) {
  const view = {
    title: element("h3"),
    state: element("span", { className: "soft" }),
    bar: element("progress", { max: 1, value: 0 }),
    cancel: element("button", { type: "button", textContent: "Cancel" }),
    retry: element("button", { type: "button", textContent: "Retry failed" }),
    show: element("button", { type: "button", textContent: "Results", "aria-expanded": "false" }),
    results: element("div"),
  };
  const path = `/v1/jobs/${encodeURIComponent(job.job)}`;
  const entry = { job, view, open: false };
  view.cancel.onclick = () => act(entry.job, "DELETE", path, "Cancelling …");
  view.retry.onclick = () => act(entry.job, "POST", `${path}/retry`, "Trying again …");
  view.show.onclick = () => (entry.open ? closeResults(entry.job) : openResults(entry));
  const head = element("div", { className: "head" }, view.title, view.state);
  const buttons = element("div", { className: "row" }, view.show, view.cancel, view.retry);
  view.item = element("li", { className: "job" }, head, view.bar, buttons, view.results);
  return entry;
}

function showJob(job) {
  let entry = jobs.get(job.job);
  if (!entry) {
    entry = makeJob(job);
    jobs.set(job.job, entry);
    // The newest first.
    const later = [...byId("jobs").children].find((item) => item.dataset.submitted < job.submitted);
    entry.view.item.dataset.submitted = job.submitted;
    byId("jobs").insertBefore(entry.view.item, later ?? null);
  }
  const ended = ENDED.includes(job.state);
  const before = entry.job.state;
  entry.job = job;
  const { view } = entry;
  const { tasks, succeeded, failed, rejected, cancelled } = job.counts;
  const name = job.name || `Job ${job.job}`;
  view.title.textContent = name;
  view.state.textContent = stateText(job);
  view.state.className = job.state === "succeeded" ? "good" : ended ? "bad" : "soft";
  view.bar.hidden = ended;
  view.bar.setAttribute("aria-label", `Progress of ${name}`);
  if (tasks > 0) view.bar.value = (succeeded + failed + rejected + cancelled) / tasks;
  else view.bar.removeAttribute("value");
  for (const [button, text] of [[view.cancel, "Cancel"], [view.retry, "Retry failed images of"], [view.show, "Results of"]]) {
    button.setAttribute("aria-label", `${text} ${name}`);
  }
  view.cancel.hidden = ended;
  view.retry.hidden = !ended || job.state === "succeeded";
  byId("none").hidden = jobs.size > 0;
  if (ended && !ENDED.includes(before) && entry.open) openResults(entry);
}

async function refresh(id) {
  showJob(await call("GET", `/v1/jobs/${encodeURIComponent(id)}`));
}

async function refreshAll() {
  try {
    const { jobs: list } = await call("GET", "/v1/jobs");
    list.forEach(showJob);
    say("notice", "");
  } catch (error) {
    say("notice", `No connection: ${error.message}`);
  }
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

function closeResults(job) {
  const entry = jobs.get(job.job);
  entry.open = false;
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
  found.results.slice(0, SHOWN).forEach((result) => pairs.append(pair(result)));
  const notes = [];
  if (found.results.length > SHOWN) notes.push(`The first ${SHOWN} of ${found.results.length} results.`);
  if (found.results.length > 0) notes.push(`Links are good until ${new Date(found.results[0].expires).toLocaleString()}.`);
  if (found.results.length + found.failed.length === 0) notes.push("No results so far.");
  const failures = found.failed.map((failure) =>
    element("li", { className: "bad", textContent: `${short(failure.input)}: ${failure.reason ?? failure.state}` }));
  entry.view.results.replaceChildren(
    element("p", { className: "soft", textContent: notes.join(" ") }),
    pairs,
    element("ul", { "aria-label": "Images that failed" }, ...failures),
  );
}

function short(input) {
  return input.split("/").slice(input.startsWith("uploads/") ? 2 : 0).join("/");
}

// A browser shows some formats and not others: then there is a word instead of the image.
function picture(url, alt, caption) {
  const blank = (text) => element("div", { className: "blank", textContent: text });
  let shown = blank("no preview");
  if (url) {
    shown = element("img", { loading: "lazy", decoding: "async", alt, src: safeUrl(url) });
    shown.onerror = () => shown.replaceWith(blank("this browser cannot show it"));
  }
  return element("figure", {}, shown, element("figcaption", { textContent: caption }));
}

function pair(result) {
  const name = short(result.input);
  const size = [result.width && `${result.width} × ${result.height}`, result.bytes && sizeText(result.bytes)];
  const link = element("a", {
    href: safeUrl(result.url), target: "_blank", rel: "noopener noreferrer", textContent: result.output.replace(/^out\//, ""),
  });
  return element("div", { className: "pair" },
    element("div", { className: "images" },
      picture(result.input_url, `${name} before`, "before"),
      picture(result.url, `${name} after`, "after")),
    link,
    element("p", { className: "soft", textContent: size.filter(Boolean).join(", ") }));
}
