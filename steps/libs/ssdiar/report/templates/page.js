// The page itself: tables that sort, and the list of recordings with its search, filters and order.

// ---- Tables ----

const cellKey = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = Number(text);
  return text !== "" && !Number.isNaN(number) ? number : text;
};

const compareKeys = (a, b) => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a.localeCompare(b, "en", { numeric: true });
};

for (const table of document.querySelectorAll("table.sortable")) {
  // Heads of columns are in their order, in the first row and then in the second one; those with a button sort.
  const heads = [...table.tHead.querySelectorAll("[scope=col]")];
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const firstWay = head.classList.contains("word") ? "ascending" : "descending";
      const other = firstWay === "ascending" ? "descending" : "ascending";
      const way = before === firstWay ? other : firstWay;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way);
      const body = table.tBodies[0];
      const sign = way === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [cellKey(row, column), row]);
      rows.sort((a, b) => sign * compareKeys(a[0], b[0]));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// ---- The list of recordings ----

const list = document.getElementById("list");
const sections = [...list.children];
const controls = document.getElementById("controls").elements;

// Keys by which recordings are ordered, the largest first; equal ones by name.
const speakersOf = (id) => currentLane(id).rows.filter((row) => row.turns.length).length;
const differenceOf = (id) => {
  if (chosen.compare === null) return 0;
  return total(differences(laneOf(id, chosen.system), laneOf(id, chosen.compare)));
};
const ORDERS = {
  name: () => 0,
  length: (id) => data.recordings[id].seconds,
  speakers: speakersOf,
  unsure: (id) => {
    const lane = currentLane(id);
    return -Math.min(meanSure(turnsOf(lane)) ?? 1, lane.count_sure ?? 1);
  },
  difference: differenceOf,
  worst: (id) => {
    const order = data.orders[`${chosen.system} ${chosen.protocol}`] ?? [];
    return order.includes(id) ? order.length - order.indexOf(id) : -1;
  },
};

const arrange = () => {
  if (!controls.order) return; // a single recording has nothing to search or order
  const keys = new Map(sections.map((section) => [section, ORDERS[controls.order.value](section.dataset.id)]));
  const sorted = [...sections].sort(
    (a, b) => keys.get(b) - keys.get(a) || a.dataset.id.localeCompare(b.dataset.id, "en", { numeric: true }),
  );
  if (sorted.some((section, at) => section !== list.children[at])) list.append(...sorted);
  filter();
};

// The heading of a recording: speakers with their shares, certainty of their number, and DER of corrections.
const showHeading = (section) => {
  const { id } = section.dataset;
  const lane = currentLane(id);
  const talk = talkOf(lane).map(({ row, share }) => make("span", "", ...speakerLabel(row), ` ${Math.round(100 * share)}\u00a0%`));
  section.querySelector(".who").replaceChildren(...(talk.length ? talk : ["no speech"]));
  const count = section.querySelector("[data-count]");
  const sure = lane.count_sure;
  count.hidden = sure === null;
  count.className = sure < data.doubtful ? "unsure-count" : "length";
  count.textContent = `number of speakers ${Math.round(100 * sure)} % sure`;
  const unsure = turnsOf(lane).filter((turn) => turn.sure < data.unsure).length;
  section.querySelector("summary > .unsure-count:not([data-count])").textContent = unsure ? `${unsure} unsure` : "";
  const der = lane.edited && chosen.protocol ? scoreOfLane(id, lane)?.der : undefined;
  const figure = section.querySelector("[data-der]");
  figure.hidden = der === undefined;
  figure.querySelector(".name + span").textContent = (100 * der).toFixed(2);
  section.querySelector("[data-corrected]").hidden = !corrections.has(id);
};

const filter = () => {
  const words = controls.search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = controls.speakers.value;
  let shown = 0;
  for (const section of sections) {
    const { id } = section.dataset;
    const number = speakersOf(id);
    const known = { "": true, corrected: corrections.has(id), more: number > 3 };
    const lanes = [...data.recordings[id].lanes, currentLane(id)];
    const text = [id, ...lanes.flatMap((lane) => lane.rows.map((row) => row.name))].join(" ").toLowerCase();
    const fits = words.every((word) => text.includes(word)) && (known[wanted] ?? number === Number(wanted));
    section.hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent = `${shown} of ${sections.length}`;
  document.getElementById("none-shown").hidden = shown > 0;
};

const choose = () => {
  const key = `${chosen.system} ${chosen.protocol}`;
  for (const view of document.querySelectorAll("[data-view]")) view.hidden = view.dataset.view !== key;
  for (const ders of document.querySelectorAll("[data-protocol]")) ders.hidden = ders.dataset.protocol !== chosen.protocol;
  const missing = document.getElementById("no-view");
  if (missing) missing.hidden = data.orders[key] !== undefined;
  for (const option of controls.compare?.options ?? []) option.disabled = option.value === String(chosen.system);
  for (const section of sections) {
    const figure = section.querySelector("[data-difference]");
    figure.hidden = chosen.compare === null;
    if (chosen.compare !== null) figure.textContent = `differ ${clock(differenceOf(section.dataset.id), 1)}`;
    showHeading(section);
  }
  arrange();
  redrawStrips();
  for (const timeline of timelines.values()) timeline.showLanes();
};

for (const radio of document.querySelectorAll("input[name=protocol]")) {
  radio.addEventListener("change", () => { chosen.protocol = radio.value; choose(); });
}
controls.system?.addEventListener("change", () => {
  chosen.system = Number(controls.system.value);
  if (chosen.compare === chosen.system) {
    chosen.compare = null;
    controls.compare.value = "";
  }
  choose();
});
controls.compare?.addEventListener("change", () => {
  chosen.compare = controls.compare.value === "" ? null : Number(controls.compare.value);
  choose();
});
controls.order?.addEventListener("change", arrange);
controls.speakers?.addEventListener("change", filter);
controls.search?.addEventListener("input", filter);
document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());

document.getElementById("save-all").addEventListener("click", () => {
  const ids = sections.map((section) => section.dataset.id).sort();
  saveFile(`${data.title}.rttm`, "text/plain", ids.map((id) => rttmText(id, currentTurns(id))).join(""));
  for (const one of corrections.values()) one.safe = true;
});

const loading = document.getElementById("load");
document.getElementById("load-button").addEventListener("click", () => loading.click());
loading.addEventListener("change", async () => {
  const [file] = loading.files;
  if (!file) return;
  let said;
  try {
    const found = parseRttm(await file.text());
    const own = [...found].filter(([id]) => Object.hasOwn(data.recordings, id));
    const changed = own.filter(([id, turns]) => rttmText(id, inOrder(turns)) !== rttmText(id, currentTurns(id)));
    for (const [id, turns] of changed) {
      const timeline = timelines.get(document.getElementById(`r-${id}`));
      (timeline?.corrections ?? corrections.get(id) ?? new Corrections(id)).load(turns, file.name);
      if (timeline && !timeline.corrections) timeline.correct();
    }
    said = own.length ? `${changed.length} of ${own.length} recordings differ and are corrected` : "no turn of a recording of this page";
  } catch (problem) {
    said = problem.message;
  }
  document.getElementById("loaded").textContent = `${file.name}: ${said}`;
  loading.value = ""; // the same file can be loaded again
});

document.addEventListener("corrected", ({ detail: id }) => {
  const section = document.getElementById(`r-${id}`);
  showHeading(section);
  redrawStrips();
  timelines.get(section)?.showLanes();
});

const open = (section) => {
  section.open = true;
  if (!timelines.has(section)) timelines.set(section, new Timeline(section));
};

for (const section of sections) {
  section.addEventListener("toggle", () => { if (section.open) open(section); });
}
const redrawAll = () => {
  redrawStrips();
  for (const [section, timeline] of timelines) if (section.open) timeline.redraw();
};
addEventListener("resize", redrawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);

// A link to a recording opens it, even if the address does not change.
const follow = (hash) => {
  const section = document.getElementById(decodeURIComponent(hash.slice(1)));
  if (!section?.classList.contains("recording")) return false;
  section.hidden = false;
  open(section);
  section.scrollIntoView();
  return true;
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#r-']");
  if (link) follow(link.getAttribute("href"));
});
addEventListener("hashchange", () => follow(location.hash));

for (const radio of document.querySelectorAll("input[name=protocol]")) radio.checked = radio.value === chosen.protocol;
if (controls.system) controls.system.value = String(chosen.system);
for (const { dataset } of sections) restore(dataset.id);
choose();
for (const canvas of document.querySelectorAll("canvas[data-strip]")) stripObserver.observe(canvas);
if (!follow(location.hash) && list.firstElementChild) open(list.firstElementChild);
