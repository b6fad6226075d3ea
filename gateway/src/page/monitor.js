// Workers: what each does, what all of them did in the last quarter of an hour, and how many there are to be.
const LOOK_AT_NODES = 2000;
const CHART = { span: 15 * 60 * 1000, width: 900, height: 120 };
// What was seen here since the page opened; the service's own series goes back further, in larger steps.
let seenLoads = [];
let looking = false;

function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// An area below the values of one key, from the left edge to now. `most`: what reaches the top.
function area(places, key, now, most) {
  const { span, width, height } = CHART;
  const x = (time) => (width - ((now - time) / span) * width).toFixed(1);
  const y = (value) => (height - (value / most) * height).toFixed(1);
  const line = places.map((place) => `${x(place.time)},${y(place[key])}`);
  if (line.length === 0) return "";
  return `${x(places[0].time)},${height} ${line.join(" ")} ${x(places.at(-1).time)},${height}`;
}

function showChart(series, busy, slots) {
  const now = Date.now();
  const young = (place) => place.time > now - CHART.span;
  seenLoads = [...seenLoads, { time: now, busy, slots }].filter(young);
  const first = seenLoads[0].time;
  const told = series.map((place) => ({ ...place, time: Date.parse(place.time) }));
  const places = [...told.filter((place) => young(place) && place.time < first), ...seenLoads];
  const most = Math.max(1, ...places.map((place) => place.slots));
  byId("nodes-slots").setAttribute("points", area(places, "slots", now, most));
  byId("nodes-busy").setAttribute("points", area(places, "busy", now, most));
  byId("nodes-most").textContent = most;
  byId("nodes-chart").setAttribute("aria-label", `${busy} of ${slots} places busy now, and in the last 15 minutes`);
}

function nodeRow(node) {
  const why = node.reason ? `${node.state}: ${node.reason}` : node.state;
  const ago = Math.max(0, Math.round((Date.now() - Date.parse(node.time)) / 1000));
  const cell = (text) => element("td", {}, String(text ?? ""));
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, node.node),
    element("td", { className: node.state === "working" ? "good" : node.reason ? "bad" : "soft" }, why ?? ""),
    cell(`${node.busy ?? 0} of ${node.slots ?? 0}`),
    cell(node.in_hand),
    cell(Number(node.load ?? 0).toFixed(2)),
    cell(node.ranks),
    cell(node.restarts),
    cell(Number.isFinite(ago) ? `${ago} s ago` : ""),
  );
}

// Images of jobs that have not ended.
function queueText() {
  const open = [...jobs.values()].map((entry) => entry.job).filter((job) => !ended(job));
  const images = open.reduce((sum, job) => sum + Math.max(0, job.counts.tasks - done(job)), 0);
  return `${images} image${images === 1 ? "" : "s"} of ${open.length} job${open.length === 1 ? "" : "s"} wait or are being worked on`;
}

function showNodes({ nodes, series, workers }) {
  const sum = (key) => nodes.reduce((total, node) => total + (node[key] ?? 0), 0);
  showChart(series ?? [], sum("busy"), sum("slots"));
  byId("nodes").replaceChildren(...nodes.map(nodeRow));
  byId("nodes-none").hidden = nodes.length > 0;
  byId("nodes-table").hidden = nodes.length === 0;
  say("nodes-queue", queueText());
  byId("workers-form").hidden = !workers;
  if (!workers) return;
  const field = byId("workers");
  field.max = workers.most;
  // What is being typed stays.
  if (document.activeElement !== field && workers.wanted !== null) field.value = workers.wanted;
}

async function lookAtNodes() {
  if (looking || document.hidden || byId("app").hidden) return;
  looking = true;
  try {
    showNodes(await call("GET", "/v1/nodes"));
  } catch {
    // The notice at the top says that there is no connection.
  }
  looking = false;
}

byId("workers-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const workers = Number(byId("workers").value);
  say("workers-notice", "Asking …");
  try {
    await call("PUT", "/v1/scale", { workers });
    say("workers-notice", `${workers} worker${workers === 1 ? "" : "s"} asked for; those that are too many finish what they have.`);
  } catch (error) {
    say("workers-notice", error.message);
  }
  byId("workers").blur();
  lookAtNodes();
});
byId("nodes-chart").append(
  svg("polygon", { id: "nodes-slots", class: "slots" }),
  svg("polygon", { id: "nodes-busy", class: "busy" }),
);
setInterval(lookAtNodes, LOOK_AT_NODES);
