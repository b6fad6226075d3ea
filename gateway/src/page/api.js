// The service: requests with the token, and events as they come.
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function send(method, path, body, headers = {}, signal = undefined) {
  const token = sessionStorage.getItem(TOKEN) ?? "";
  const sent = { method, headers: { Authorization: `Bearer ${token}`, ...headers }, signal };
  if (body !== undefined) {
    sent.headers["Content-Type"] = "application/json";
    sent.body = JSON.stringify(body);
  }
  return fetch(path, sent);
}

async function call(method, path, body, headers) {
  const answer = await send(method, path, body, headers);
  const text = await answer.text();
  if (answer.ok) return text === "" ? null : JSON.parse(text);
  let message = `the service answers ${answer.status}`;
  try {
    message = JSON.parse(text).detail;
  } catch {
    // Not from the service itself: a proxy, say.
  }
  if (answer.status === 401) begin(null, message);
  throw new Refused(answer.status, message);
}

// The fields of a server-sent event. Null for a heartbeat.
function parseEvent(block) {
  const event = { id: null, kind: "message", data: "" };
  let any = false;
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at === 0 || line === "") continue;
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "id") event.id = value;
    else if (name === "event") event.kind = value;
    else if (name === "data") event.data += (event.data && "\n") + value;
    else continue;
    any = true;
  }
  return any ? event : null;
}

// Reads one stream of events to its end; tells `seen` of each. An EventSource could not send the token.
async function readEvents(path, last, seen) {
  const headers = { Accept: "text/event-stream" };
  if (last) headers["Last-Event-ID"] = last;
  const answer = await send("GET", path, undefined, headers);
  if (!answer.ok) throw new Refused(answer.status, "no events");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    if (rest.length > 1 << 20) throw new Error("an event without an end");
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event) seen(event);
    }
  }
}

// Follows events for ever, from where it was when the connection breaks. Where the service has no events, asks
// for the state again and again instead.
async function follow(path, seen, poll) {
  let last = null;
  let wait = 500;
  for (;;) {
    try {
      await readEvents(path, last, (event) => {
        wait = 500;
        if (event.id !== null) last = event.id;
        seen(event);
      });
    } catch (error) {
      if (error.status === 401) return;
      if (error.status === 400) last = null;
      wait = error.status === 404 ? 1500 : Math.min(wait * 2, 15000);
    }
    await new Promise((go) => setTimeout(go, wait));
    await poll();
  }
}
