// Data, helpers and colours that the scripts of the page share. The page is plain JavaScript, because it must hold all of
// its code, and PyPI has no maintained library of waveforms that could be installed with the recipe.
const data = JSON.parse(document.getElementById("data").textContent);
const KINDS = ["miss", "false_alarm", "confusion"];
const COLOURS = 6; // --speaker-0 to --speaker-5 of the style
const chosen = { ...data.first, compare: null }; // numbers of systems, and the name of a protocol
const timelines = new Map(); // by section
const corrections = new Map(); // by recording: those with changes

const make = (tag, className, ...content) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
};

const makeButton = (text, label, action) => {
  const button = make("button", "", text);
  button.type = "button";
  button.addEventListener("click", action);
  return labelled(button, label);
};

const labelled = (element, label) => {
  element.title = label;
  element.setAttribute("aria-label", label);
  return element;
};

// m:ss or h:mm:ss, with that many decimals.
const clock = (seconds, digits = 0) => {
  const unit = 10 ** digits;
  const whole = Math.round(seconds * unit);
  const minutes = Math.floor(whole / unit / 60);
  const rest = ((whole - minutes * 60 * unit) / unit).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
};

const inWords = (kind) => kind.replace("_", " ");
const errorVariable = (kind) => `--${kind.replace("_", "-")}`;
const speakerVariable = (number) => `--speaker-${number % COLOURS}`;
const styleOf = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim();

// A bare number is "speaker N", as in captions.
const shownName = (name) => (/^\d+$/.test(name) ? `speaker ${name}` : name);
const rowName = (row) => (row.match ? `${shownName(row.name)} = ${row.match}` : shownName(row.name));

const laneOf = (id, system) => data.recordings[id].lanes.find((lane) => lane.system === system);

// The turns of a lane as {speaker, number, start, end, sure}, in order of time; sure is undefined if it is not known.
const turnsOf = ({ rows }) => {
  const own = (row) => row.turns.map(([start, end, sure]) => ({ speaker: row.name, number: row.number, start, end, sure }));
  return inOrder(rows.flatMap(own));
};
const inOrder = (turns) => [...turns].sort((a, b) => a.start - b.start || a.end - b.end || (a.speaker < b.speaker ? -1 : 1));

// The lane and the turns that count: corrected ones, or else the chosen system's.
const currentLane = (id) => corrections.get(id)?.lane() ?? laneOf(id, chosen.system);
const currentTurns = (id) => corrections.get(id)?.turns ?? turnsOf(laneOf(id, chosen.system));

// The speakers of a lane with their seconds, and their shares of all speakers' talk.
const talkOf = (lane) => {
  const talk = lane.rows.map((row) => ({ row, seconds: total(row.turns) }));
  const all = talk.reduce((sum, { seconds }) => sum + seconds, 0) || 1;
  return talk.map((one) => ({ ...one, share: one.seconds / all }));
};

const dotOf = (number) => {
  const dot = make("span", "dot");
  dot.style.setProperty("--c", `var(${speakerVariable(number)})`);
  return dot;
};

// A row's colour, name and reference speaker.
const speakerLabel = (row) => [
  dotOf(row.number), shownName(row.name), ...(row.match ? [make("span", "match", ` = ${row.match}`)] : []),
];

// The mean confidence of turns, weighted by their length; undefined if none is known.
const meanSure = (turns) => {
  const known = turns.filter((turn) => turn.sure !== undefined);
  const weighted = known.reduce((sum, turn) => sum + (turn.end - turn.start) * turn.sure, 0);
  const length = known.reduce((sum, turn) => sum + turn.end - turn.start, 0);
  return length ? weighted / length : undefined;
};

// ---- Regions [start, end] ----

const regionsOf = (turns) => turns.map(({ start, end }) => [start, end]);

const union = (regions) => {
  const result = [];
  for (const [start, end] of [...regions].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else result.push([start, end]);
  }
  return result;
};

const total = (regions) => union(regions).reduce((sum, [start, end]) => sum + end - start, 0);

// Regions between edges [time, ...] after which step(edge) returns true.
const sweep = (edges, step) => {
  const found = [];
  let since; // start of the current region
  for (const edge of edges.sort((a, b) => a[0] - b[0])) {
    if (since !== undefined && edge[0] > since) found.push([since, edge[0]]);
    since = step(edge) ? edge[0] : undefined;
  }
  return union(found);
};

// Seconds that at least two of the regions cover.
const overlapOf = (regions) => {
  let depth = 0;
  return total(sweep(regions.flatMap(([start, end]) => [[start, 1], [end, -1]]), (edge) => (depth += edge[1]) > 1));
};

// Regions in which two lanes do not have the same speakers.
const differences = (first, second) => {
  const edges = [[first, 1], [second, -1]].flatMap(([lane, sign]) =>
    lane.rows.flatMap((row) => union(row.turns).flatMap(([start, end]) => [[start, row.number, sign], [end, row.number, -sign]])),
  );
  const depth = new Map(); // by speaker: turns in the first lane minus turns in the second
  return sweep(edges, ([, number, step]) => {
    depth.set(number, (depth.get(number) ?? 0) + step);
    return [...depth.values()].some((value) => value !== 0);
  });
};
