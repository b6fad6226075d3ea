// A field for each parameter, with its range, its default and what it does, all from the registry.
const SLIDER = 1000;

// Where values stand on a slider: ranges that span many sizes are bent, so that usual values have room. Null: no slider.
function bend(param, start) {
  const { min, max } = param;
  const span = max - min;
  const share = (start - min) / span;
  if (min < 0 && span > 10000) return null;
  const power = span <= 50 || share > 0.1 || share <= 0 ? (span > 200 && share < 0.05 ? 3 : 1) : Math.min(Math.log(share) / Math.log(0.35), 8);
  const round = (value) => (param.type === "int" ? Math.round(value) : Number(value.toPrecision(3)));
  return {
    value: (at) => Math.min(Math.max(round(min + span * (at / SLIDER) ** power), min), max),
    place: (value) => SLIDER * Math.min(Math.max((value - min) / span, 0), 1) ** (1 / power),
  };
}

function plainField(param, id) {
  if (param.type === "word") {
    const options = param.values.map((value) => element("option", { value, textContent: value }));
    return element("select", { id }, ...options);
  }
  if (param.type === "bool") {
    return element("input", { id, type: "checkbox", checked: param.default === true });
  }
  if (param.type === "matrix") {
    return element("input", { id, placeholder: "[[0,1,0],[1,4,1],[0,1,0]]", required: param.required });
  }
  if (param.type === "list") {
    return element("input", { id, placeholder: "[1, 2, 3]", required: param.required });
  }
  if (param.type === "level" || param.type === "color") {
    return element("input", { id, placeholder: param.default });
  }
  const field = element("input", { id, type: "number", required: param.required });
  field.step = param.type === "int" ? "1" : "any";
  field.min = param.min;
  field.max = param.max;
  if (param.default !== null && param.default !== undefined) field.value = param.default;
  return field;
}

// A number as people write it.
function plain(number) {
  return Math.abs(number) >= 10000 ? number.toLocaleString("en") : String(number);
}

function about(param) {
  const parts = [];
  if (param.min !== undefined) parts.push(`${plain(param.min)} to ${plain(param.max)}`);
  if (param.default !== undefined && param.default !== null && param.type !== "bool") parts.push(`usually ${param.default}`);
  return parts.length > 0 ? `${param.about} (${parts.join(", ")})` : param.about;
}

// The field with its label, slider and explanation; `start` is the value that it begins with.
function paramField(param, id, start = param.default) {
  const field = plainField(param, id);
  field.dataset.param = param.name;
  field.dataset.type = param.type;
  if (param.type === "bool") field.checked = start === true;
  else if (start !== undefined && start !== null) {
    // What is written nowhere stays the default.
    if (!["level", "color"].includes(param.type) || start !== param.default) field.value = typeof start === "object" ? JSON.stringify(start) : start;
  }
  const label = element("label", { htmlFor: id, textContent: param.name });
  const help = element("p", { id: `${id}-help`, className: "soft help", textContent: about(param) });
  field.setAttribute("aria-describedby", help.id);
  const bent = field.type === "number" ? bend(param, Number(start ?? param.default ?? param.min)) : null;
  if (!bent) return element("div", { className: "param" }, label, field, help);
  const slider = element("input", { type: "range", min: 0, max: SLIDER, step: 1, value: bent.place(Number(field.value)), "aria-label": param.name });
  const spoken = () => slider.setAttribute("aria-valuetext", field.value);
  spoken();
  slider.oninput = () => {
    field.value = bent.value(Number(slider.value));
    spoken();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  field.addEventListener("input", () => {
    if (document.activeElement !== slider) slider.value = bent.place(Number(field.value));
    spoken();
  });
  return element("div", { className: "param" }, label, element("div", { className: "pair-of-fields" }, slider, field), help);
}

function readValue(type, text) {
  if (type === "matrix" || type === "list") return JSON.parse(text);
  if (type === "color") return text;
  if (type === "level") return Number.isNaN(Number(text)) ? text : Number(text);
  return Number(text);
}

// A call as a job file holds it. Throws what is wrong, in words.
function readStep(op, box) {
  const step = { op };
  for (const field of box.querySelectorAll("[data-param]")) {
    const { param, type } = field.dataset;
    if (type === "bool") step[param] = field.checked;
    else if (type === "word") step[param] = field.value;
    else if (field.value !== "" || field.validity.badInput) {
      if (!field.checkValidity()) throw new Error(`${op}: ${param}: ${field.validationMessage}`);
      try {
        step[param] = readValue(type, field.value.trim());
      } catch {
        throw new Error(`${op}: ${param}: expected a list such as ${field.placeholder}`);
      }
    } else if (field.required) throw new Error(`${op}: ${param} is needed`);
  }
  return step;
}

// The operations by group, for a list to choose from.
function operationOptions(list) {
  const groups = new Map();
  for (const operation of list) {
    if (!groups.has(operation.group)) groups.set(operation.group, element("optgroup", { label: operation.group }));
    const text = `${operation.name}: ${operation.about}`;
    groups.get(operation.group).append(element("option", { value: operation.name, textContent: text }));
  }
  return [...groups.values()];
}
