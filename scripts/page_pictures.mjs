// Drives a browser through the page and the demo, and keeps pictures of both in DIR. Called by scripts/page-pictures.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [link, samples, out, demo] = process.argv.slice(2);
const PATIENCE = 60000;

class Browser {
  constructor() {
    this.profile = mkdtempSync(join(tmpdir(), "sundog-pictures-"));
    const flags = ["--headless", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
      "--disable-background-networking", "--disable-sync", "--disable-component-update", "--hide-scrollbars",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", `--user-data-dir=${this.profile}`, "about:blank"];
    this.child = spawn(process.env.CHROMIUM ?? "chromium", flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.waiting = new Map();
    this.last = 0;
    let rest = Buffer.alloc(0);
    this.child.stdio[4].on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
        const message = JSON.parse(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
        this.waiting.get(message.id)?.(message);
        this.waiting.delete(message.id);
      }
    });
  }

  async ask(method, params = {}, session = this.session) {
    this.last += 1;
    const id = this.last;
    const answer = new Promise((done) => this.waiting.set(id, done));
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
    const { error, result } = await answer;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  async open(url) {
    if (!this.session) {
      const { targetId } = await this.ask("Target.createTarget", { url: "about:blank" });
      ({ sessionId: this.session } = await this.ask("Target.attachToTarget", { targetId, flatten: true }));
      for (const domain of ["Page", "Runtime", "DOM"]) await this.ask(`${domain}.enable`);
    }
    await this.ask("Page.navigate", { url });
    await this.until("document.readyState === 'complete'");
  }

  async value(expression) {
    const { result, exceptionDetails } = await this.ask("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true, userGesture: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  async until(expression) {
    const end = Date.now() + PATIENCE;
    while ((await this.value(expression)) !== true) {
      if (Date.now() > end) throw new Error(`${expression} does not become true`);
      await new Promise((go) => setTimeout(go, 50));
    }
  }

  async choose(selector, files) {
    const { root } = await this.ask("DOM.getDocument");
    const { nodeId } = await this.ask("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.ask("DOM.setFileInputFiles", { nodeId, files });
  }

  // A window of that size in light or dark colours.
  async look(width, height, theme, mobile = false) {
    await this.ask("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
    await this.ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: theme }] });
    await new Promise((go) => setTimeout(go, 600));
  }

  async keep(name) {
    const { data } = await this.ask("Page.captureScreenshot", { format: "png" });
    writeFileSync(join(out, `${name}.png`), Buffer.from(data, "base64"));
  }

  end() {
    this.child.kill();
    return new Promise((done) => this.child.on("exit", () => {
      rmSync(this.profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
      done();
    }));
  }
}

const byId = (id) => `document.getElementById('${id}')`;
const change = (id, value) => `(() => { const e = ${byId(id)}; e.value = '${value}'; for (const n of ['input', 'change']) e.dispatchEvent(new Event(n, { bubbles: true })); })()`;
const top = (id) => `${byId(id)}.scrollIntoView({ block: 'start', behavior: 'instant' })`;

async function page(browser) {
  await browser.open(link);
  await browser.until(`!${byId("app")}.hidden && ${byId("operation")}.options.length > 20`);
  const files = ["halo-1.jpg", "halo-2.jpg"].map((name) => join(samples, name));
  await browser.choose("#files", files);
  await browser.value(`${change("operation", "clahe")}, ${byId("add")}.click(), 0`);
  await browser.value(`${change("operation", "sharpen")}, ${byId("add")}.click(), 0`);
  await browser.value(`${change("format", "webp")}, ${change("name", "halos")}, 0`);
  if (await browser.value("document.documentElement.dataset.preview === 'yes'")) {
    await browser.until(`${byId("preview-state")}.innerText.includes(' here')`);
  }
  await browser.look(1100, 1500, "light");
  await browser.value("scrollTo(0, 0)");
  await browser.keep("page-light");
  await browser.look(390, 1500, "light", true);
  await browser.keep("page-phone");
  await browser.look(1100, 1500, "dark");
  await browser.value(`${byId("submit")}.click(), 0`);
  const job = "document.querySelector('#jobs > li')";
  await browser.until(`(${job}?.innerText ?? '').includes('succeeded')`);
  const compare = `[...(${job}?.querySelectorAll('button') ?? [])].find((b) => b.innerText === 'Compare')`;
  await browser.until(`!!${compare}`);
  await browser.value(`${compare}.click(), 0`);
  await browser.until("document.querySelectorAll('#jobs .large svg path').length === 8");
  await browser.value(`${job}.scrollIntoView({ block: 'start', behavior: 'instant' })`);
  await browser.look(1100, 1500, "dark");
  await browser.until("[...document.querySelectorAll('#jobs .pair img')].filter((i) => i.getBoundingClientRect().top < innerHeight).every((i) => i.complete)");
  await browser.keep("page-dark");
  // A reduction, with the tree that it will have, and the workers.
  await browser.value(`${byId("kind-reduce")}.click(), 0`);
  await browser.look(1100, 900, "light");
  await browser.value(`document.querySelector('#reduction details').open = true, ${change("format", "")}, ${byId("make")}.click(), 0`);
  await browser.until(`${byId("chosen")}.children.length === 20`);
  await browser.value(`${top("new-title")}, 0`);
  await browser.keep("page-reduce");
}

// A host of files, as any is.
function host(folder) {
  const kinds = { html: "text/html", js: "text/javascript", css: "text/css", wasm: "application/wasm" };
  const server = createServer((asked, answer) => {
    const name = asked.url === "/" ? "index.html" : asked.url.slice(1).split("?")[0];
    try {
      const bytes = readFileSync(join(folder, name));
      answer.writeHead(200, { "Content-Type": kinds[name.split(".").at(-1)] ?? "application/octet-stream" });
      answer.end(bytes);
    } catch {
      answer.writeHead(404);
      answer.end();
    }
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

async function demonstration(browser, folder) {
  const server = await host(folder);
  await browser.open(`http://127.0.0.1:${server.address().port}/`);
  await browser.until(`${byId("operation")}.value === 'equalize'`);
  await browser.value(`${byId("sample")}.click(), 0`);
  const drawn = `(${byId("status")}?.innerText ?? '').includes('ms')`;
  await browser.until(drawn);
  await browser.look(1100, 1000, "light");
  await browser.keep("demo-light");
  await browser.look(390, 1100, "light", true);
  await browser.keep("demo-phone");
  await browser.value(`${change("operation", "canny")}, 0`);
  await browser.until(drawn);
  await browser.look(1100, 1000, "dark");
  await browser.keep("demo-dark");
  server.close();
}

mkdirSync(out, { recursive: true });
const browser = new Browser();
try {
  await page(browser);
  if (demo) await demonstration(browser, demo);
} catch (error) {
  // What was there instead.
  await browser.keep("failed");
  throw error;
} finally {
  await browser.end();
}
