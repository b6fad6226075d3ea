// The format of results with its options, from the service's own table.
// Texts that reductions of numbers are written as, beside the formats of images.
const TEXTS = { txt: "text", csv: "CSV" };
let formats = new Map();

async function loadFormats() {
  const list = await call("GET", "/v1/formats");
  formats = new Map(list.map((format) => [format.name, format]));
  const option = (value, textContent, hidden = false) => element("option", { value, textContent, hidden });
  byId("format").replaceChildren(
    option("", "as it was"),
    ...list.filter(({ written }) => written).map(({ name, title }) => option(name, title)),
    ...Object.entries(TEXTS).map(([name, title]) => option(name, title, true)),
  );
  acceptFiles(list.flatMap(({ extensions }) => extensions));
  showFormat();
}

// The fields of the chosen format, with these values where there are any.
function showFormat(values = {}) {
  const options = formats.get(byId("format").value)?.options ?? [];
  const box = byId("format-options");
  box.hidden = options.length === 0;
  byId("format-params").replaceChildren(...options.map((option) => paramField(option, `format-${option.name}`, values[option.name])));
  showMeaning();
}

// A flag leaves no meaning to the others.
function showMeaning() {
  const fields = [...byId("format-params").querySelectorAll("input, select")];
  const flag = fields.find((field) => field.type === "checkbox" && field.checked);
  for (const field of fields) field.disabled = flag !== undefined && field !== flag;
}

// As in a job file, with every option; null where results stay in the format of their images. Throws what is wrong.
function readFormat() {
  const list = byId("format");
  const known = formats.get(list.value);
  if (!known) return list.value || null;
  const { op, ...values } = readStep(known.title, byId("format-params"));
  const flag = Object.keys(values).find((name) => values[name] === true);
  if (flag) return `${known.name}(${flag})`;
  const said = Object.entries(values).filter(([, value]) => value !== false).map(([name, value]) => `${name}=${value}`);
  return said.length > 0 ? `${known.name}(${said.join(", ")})` : known.name;
}

// A format as in a job file goes into the form; one that the list does not have, too.
function setFormat(text) {
  const list = byId("format");
  const [, name = "", inner = ""] = /^\s*([^(\s]*)\s*(?:\((.*)\))?\s*$/.exec(text ?? "") ?? [];
  const lower = name.toLowerCase();
  const known = formats.get(lower) ?? [...formats.values()].find(({ extensions, written }) => written && extensions.includes(lower));
  const value = known?.name ?? (lower in TEXTS ? lower : text ?? "");
  if (![...list.options].some((option) => option.value === value)) list.append(element("option", { value, textContent: value }));
  list.value = value;
  const values = {};
  for (const pair of inner.split(",").filter((part) => part.trim() !== "")) {
    const [key, given = "true"] = pair.split("=").map((part) => part.trim());
    values[key] = given === "true" ? true : given;
  }
  showFormat(values);
}

byId("format").addEventListener("change", () => showFormat());
byId("format-params").addEventListener("input", showMeaning);
