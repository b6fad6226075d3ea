// The operations of a job, chosen from the service's list with their parameters.
let operations = new Map();

async function loadOperations() {
  const list = await call("GET", "/v1/ops");
  operations = new Map(list.map((operation) => [operation.name, operation]));
  byId("operation").replaceChildren(...operationOptions(list));
}

let steps = 0;

function addStep(name, values = {}) {
  const operation = operations.get(name);
  if (!operation) return;
  steps += 1;
  const number = steps;
  const params = operation.params.map((param) => {
    const id = `step-${number}-${param.name}`;
    return paramField(param, id, values[param.name] ?? param.default);
  });
  const item = element("li");
  item.dataset.op = name;
  const button = (text, label, act) => {
    const made = element("button", { type: "button", textContent: text, "aria-label": `${label} ${name}` });
    made.onclick = () => act(made);
    return made;
  };
  // What is moved loses the focus.
  const move = (to, mover) => {
    if (!to) return;
    if (to === item.previousElementSibling) to.before(item);
    else to.after(item);
    mover.focus();
  };
  const remove = () => {
    const next = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    ([...(next?.querySelectorAll("button") ?? [])].at(-1) ?? byId("operation")).focus();
  };
  item.append(
    element("div", { className: "row" },
      element("strong", { textContent: name }),
      button("↑", "Earlier:", (mover) => move(item.previousElementSibling, mover)),
      button("↓", "Later:", (mover) => move(item.nextElementSibling, mover)),
      button("Remove", "Remove", remove)),
    element("p", { className: "soft", textContent: operation.about }),
    element("div", { className: "params" }, ...params),
  );
  byId("steps").append(item);
}

// The calls as a job file holds them. Throws what is wrong, in words.
function readSteps() {
  return [...byId("steps").children].map((item) => readStep(item.dataset.op, item));
}

// Other steps instead of those that there are: a list as in a job file, or a text, which the module reads.
async function setSteps(pipeline) {
  let list = pipeline ?? [];
  if (typeof list === "string") {
    if (!preview.possible) throw new Error(`This page cannot read the pipeline ${list}`);
    previewParts();
    list = await preview.studio.ask("parse", { text: list });
  }
  const unknown = list.find(({ op }) => !operations.has(op));
  if (unknown) throw new Error(`There is no operation ${unknown.op} here.`);
  byId("steps").replaceChildren();
  for (const { op, ...values } of list) addStep(op, values);
}
