// Two pictures in one place with a divider between them, which a pointer or the arrow keys move, and zoom.
const ZOOMS = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16];

class Compare {
  constructor(label) {
    this.before = element("canvas");
    this.after = element("canvas");
    this.stage = element("div", { className: "stage" }, this.before, this.after);
    this.view = element("div", { className: "view", tabIndex: 0, role: "group", "aria-label": `${label}, to be scrolled with the arrow keys` }, this.stage);
    this.line = element("div", { className: "line", "aria-hidden": "true" });
    this.left = element("span", { className: "tag left", textContent: "before", "aria-hidden": "true" });
    this.right = element("span", { className: "tag right", textContent: "after", "aria-hidden": "true" });
    this.range = element("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50, "aria-label": "Divider: before on its left, after on its right" });
    const button = (text, says, act) => element("button", { type: "button", textContent: text, title: says, "aria-label": says, onclick: act });
    this.told = element("output", { className: "soft" });
    const tools = element("div", { className: "tools" },
      element("span", { className: "soft", "aria-hidden": "true", textContent: "before" }), this.range, element("span", { className: "soft", "aria-hidden": "true", textContent: "after" }),
      element("span", { className: "zoom" }, button("−", "Zoom out", () => this.step(-1)), button("Fit", "Fit into the window", () => this.setZoom(null)), button("1:1", "One pixel each", () => this.setZoom(1)), button("+", "Zoom in", () => this.step(1)), this.told));
    this.window = element("div", { className: "window" }, this.view, this.line, this.left, this.right);
    this.box = element("div", { className: "compare" }, this.window, tools);
    this.zoom = null;
    this.size = { width: 1, height: 1 };
    this.range.oninput = () => this.place();
    this.view.onscroll = () => this.place();
    this.view.onkeydown = (event) => this.key(event);
    this.view.onpointerdown = (event) => this.drag(event);
    new ResizeObserver(() => this.layout()).observe(this.view);
  }

  // Pixels as the worker hands them over.
  set(side, pixels, { width, height }) {
    const canvas = this[side];
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels), width, height), 0, 0);
    if (side === "after") {
      this.size = { width, height };
      this.layout();
    }
  }

  // A picture that the browser decoded.
  draw(side, bitmap) {
    const { width, height } = bitmap;
    this[side].width = width;
    this[side].height = height;
    this[side].getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    if (side === "after") {
      this.size = { width, height };
      this.layout();
    }
  }

  fit() {
    const { clientWidth: w, clientHeight: h } = this.view;
    return Math.min(w / this.size.width, h / this.size.height, 8) || 1;
  }

  scale() {
    return this.zoom ?? this.fit();
  }

  // The middle of what is seen stays where it is.
  setZoom(zoom) {
    const { view } = this;
    const at = (from, all, whole) => (from + all / 2) / Math.max(whole, 1);
    const x = at(view.scrollLeft, view.clientWidth, view.scrollWidth);
    const y = at(view.scrollTop, view.clientHeight, view.scrollHeight);
    this.zoom = zoom;
    this.layout();
    view.scrollLeft = x * view.scrollWidth - view.clientWidth / 2;
    view.scrollTop = y * view.scrollHeight - view.clientHeight / 2;
    this.place();
  }

  step(by) {
    const now = this.scale();
    const next = by > 0 ? ZOOMS.find((zoom) => zoom > now * 1.01) : ZOOMS.findLast((zoom) => zoom < now * 0.99);
    if (next) this.setZoom(next);
  }

  layout() {
    const scale = this.scale();
    this.stage.style.width = `${Math.max(1, Math.round(this.size.width * scale))}px`;
    this.stage.style.height = `${Math.max(1, Math.round(this.size.height * scale))}px`;
    this.stage.classList.toggle("pixels", scale >= 2);
    this.told.textContent = `${Math.round(scale * 100)} %`;
    this.place();
  }

  // The divider stands in the window, wherever the pictures are scrolled to.
  place() {
    const share = Number(this.range.value) / 100;
    const x = share * this.view.clientWidth;
    const cut = this.view.scrollLeft + x - this.stage.offsetLeft;
    const width = this.stage.offsetWidth;
    this.after.style.clipPath = `inset(0 0 0 ${Math.min(Math.max(cut, 0), width)}px)`;
    this.before.style.clipPath = `inset(0 ${Math.min(Math.max(width - cut, 0), width)}px 0 0)`;
    this.line.style.left = `${x}px`;
    this.left.hidden = share < 0.12;
    this.right.hidden = share > 0.88;
  }

  drag(event) {
    if (event.button !== 0) return;
    const box = this.view.getBoundingClientRect();
    if (event.clientX > box.left + this.view.clientWidth || event.clientY > box.top + this.view.clientHeight) return;
    const move = ({ clientX }) => {
      this.range.value = (100 * (clientX - box.left)) / this.view.clientWidth;
      this.place();
    };
    // A finger scrolls what is larger than the window, and moves the divider otherwise.
    if (event.pointerType === "touch" && this.zoom !== null && this.zoom > this.fit()) return;
    this.view.setPointerCapture(event.pointerId);
    move(event);
    this.view.onpointermove = move;
    this.view.onpointerup = () => {
      this.view.onpointermove = null;
    };
    this.view.onpointercancel = this.view.onpointerup;
  }

  key(event) {
    const acts = { "+": () => this.step(1), "=": () => this.step(1), "-": () => this.step(-1), 0: () => this.setZoom(null), 1: () => this.setZoom(1) };
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}
