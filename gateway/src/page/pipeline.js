// The operations of a job, chosen from the service's list with their parameters.
let operations = new Map();

async function loadOperations() {
  const list = await call("GET", "/v1/ops");
  operations = new Map(list.map((operation) => [operation.name, operation]));
  const groups = new Map();
  for (const operation of list) {
    if (!groups.has(operation.group)) {
      groups.set(operation.group, element("optgroup", { label: operation.group }));
    }
    const text = `${operation.name}: ${operation.about}`;
    groups.get(operation.group).append(element("option", { value: operation.name, textContent: text }));
  }
  byId("operation").replaceChildren(...groups.values());
}

function paramField(param, id) {
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

let steps = 0;

function addStep(name) {
  const operation = operations.get(name);
  if (!operation) return;
  steps += 1;
  const number = steps;
  const params = operation.params.map((param) => {
    const id = `step-${number}-${param.name}`;
    const field = paramField(param, id);
    field.dataset.param = param.name;
    field.dataset.type = param.type;
    const label = element("label", { htmlFor: id, textContent: param.name, title: param.about });
    return element("div", {}, label, field);
  });
  const item = element("li");
  item.dataset.op = name;
  const move = (to) => to && (to === item.previousElementSibling ? to.before(item) : to.after(item));
  const button = (text, label, act) =>
    element("button", { type: "button", textContent: text, "aria-label": `${label} ${name}`, onclick: act });
  item.append(
    element("div", { className: "row" },
      element("strong", { textContent: name }),
      button("↑", "Earlier:", () => move(item.previousElementSibling)),
      button("↓", "Later:", () => move(item.nextElementSibling)),
      button("Remove", "Remove", () => item.remove())),
    element("p", { className: "soft", textContent: operation.about }),
    element("div", { className: "params" }, ...params),
  );
  byId("steps").append(item);
}

function readValue(type, text) {
  if (type === "matrix" || type === "list") return JSON.parse(text);
  if (type === "color") return text;
  if (type === "level") return Number.isNaN(Number(text)) ? text : Number(text);
  return Number(text);
}

// The calls as a job file holds them. Throws what is wrong, in words.
function readSteps() {
  return [...byId("steps").children].map((item) => {
    const step = { op: item.dataset.op };
    for (const field of item.querySelectorAll("[data-param]")) {
      const { param, type } = field.dataset;
      if (type === "bool") step[param] = field.checked;
      else if (type === "word") step[param] = field.value;
      else if (field.value !== "" || field.validity.badInput) {
        if (!field.checkValidity()) throw new Error(`${step.op}: ${param}: ${field.validationMessage}`);
        try {
          step[param] = readValue(type, field.value.trim());
        } catch {
          throw new Error(`${step.op}: ${param}: expected a list such as ${field.placeholder}`);
        }
      } else if (field.required) throw new Error(`${step.op}: ${param} is needed`);
    }
    return step;
  });
}
