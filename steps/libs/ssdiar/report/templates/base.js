// What the scripts of the report page share: its data, small helpers, colours and files to save. The page is our own plain
// JavaScript, because no maintained library of waveforms or charts can be installed from PyPI with the recipe, and the page
// must hold everything that it shows.
const data = JSON.parse(document.getElementById("data").textContent);
const KINDS = ["miss", "false_alarm", "confusion"];
const COLOURS = 6; // --speaker-0 to --speaker-5 of the style
const chosen = { system: 0, compare: null, protocol: "" };
const timelines = new Map(); // by section
const corrections = new Map(); // by recording: those that were changed

const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

const makeButton = (text, label, action) => {
  const button = make("button", "", text);
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", action);
  return button;
};

const makeOption = (value, text) => {
  const option = make("option", "", text);
  option.value = value;
  return option;
};

const clock = (seconds, digits = 0) => {
  const unit = 10 ** digits;
  const whole = Math.round(seconds * unit);
  const minutes = Math.floor(whole / unit / 60);
  const rest = ((whole - minutes * 60 * unit) / unit).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
};

// A bare number is "speaker N", as in captions.
const shownName = (name) => (/^\d+$/.test(name) ? `speaker ${name}` : name);

const speakerVariable = (number) => `--speaker-${number % COLOURS}`;

const styleOf = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim();

// Every turn of a lane as {speaker, number, start, end, sure}, by time; sure is undefined where it is not known.
const turnsOf = (lane) =>
  lane.rows
    .flatMap((row) => row.turns.map(([start, end, sure]) => ({ speaker: row.name, number: row.number, start, end, sure })))
    .sort((a, b) => a.start - b.start || a.end - b.end || (a.speaker < b.speaker ? -1 : 1));

const laneOf = (id, system) => data.recordings[id].lanes.find((lane) => lane.system === system);

// Regions [start, end] as disjoint ones in order.
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

const regionsOf = (turns) => turns.map(({ start, end }) => [start, end]);

// Seconds in which at least two of the regions are at once.
const atOnce = (regions) => {
  const edges = regions.flatMap(([start, end]) => [[start, 1], [end, -1]]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let depth = 0;
  let since = 0;
  let seconds = 0;
  for (const [time, step] of edges) {
    if (depth > 1) seconds += time - since;
    depth += step;
    since = time;
  }
  return seconds;
};

// Where two lanes do not have the same speakers, as [start, end] in order.
const differences = (first, second) => {
  const edges = [first, second].flatMap((lane, side) =>
    lane.rows.flatMap((row) =>
      union(row.turns).flatMap(([start, end]) => [[start, side, row.number, 1], [end, side, row.number, -1]]),
    ),
  );
  edges.sort((a, b) => a[0] - b[0]);
  const depth = new Map(); // speaker: turns in the first lane minus turns in the second
  const found = [];
  let apart = 0;
  let since = 0;
  for (const [time, side, number, step] of edges) {
    if (apart > 0 && time > since) {
      const last = found.at(-1);
      if (last && last[1] === since) last[1] = time;
      else found.push([since, time]);
    }
    const before = depth.get(number) ?? 0;
    const after = before + (side === 0 ? step : -step);
    depth.set(number, after);
    apart += Math.abs(after) - Math.abs(before);
    since = time;
  }
  return found;
};

// ---- Files to save, as the library writes them (io/rttm.py, exports.py) ----

const thousandth = (seconds) => (Math.round(seconds * 1000) / 1000).toFixed(3);
const token = (text) => text.trim().replace(/\s+/g, "_") || "unknown"; // fields of RTTM have no blanks
const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const duration = (turn) => ((Math.round(turn.end * 1000) - Math.round(turn.start * 1000)) / 1000).toFixed(3);

const rttmText = (id, turns) =>
  turns
    .map((turn) => {
      const sure = turn.sure === undefined ? "<NA>" : turn.sure.toFixed(3);
      const times = `${thousandth(turn.start)} ${duration(turn)}`;
      return `SPEAKER ${id} 1 ${times} <NA> <NA> ${token(turn.speaker)} ${sure} <NA>\n`;
    })
    .join("");

const audacityText = (id, turns) =>
  turns.map((turn) => `${thousandth(turn.start)}\t${thousandth(turn.end)}\t${turn.speaker}\n`).join("");

const csvText = (id, turns) => {
  const rows = turns.map((turn) => {
    const sure = turn.sure === undefined ? "" : turn.sure.toFixed(3);
    const times = `${thousandth(turn.start)},${duration(turn)},${thousandth(turn.end)}`;
    return `${id},1,${times},${quoted(turn.speaker)},${sure}\n`;
  });
  return `recording,channel,start,duration,end,speaker,confidence\n${rows.join("")}`;
};

// The file is not named, since pages are given away, nor how sure the number is, since a person may have changed it.
const jsonText = (id, turns) => {
  const names = [...new Set(turns.map((turn) => turn.speaker))];
  const own = (name) => turns.filter((turn) => turn.speaker === name);
  const talk = names.map((name) => [name, total(regionsOf(own(name)))]);
  talk.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const everybody = talk.reduce((sum, [, seconds]) => sum + seconds, 0);
  const known = turns.filter((turn) => turn.sure !== undefined);
  const sure = known.reduce((sum, turn) => sum + (turn.end - turn.start) * turn.sure, 0);
  const length = known.reduce((sum, turn) => sum + turn.end - turn.start, 0);
  const content = {
    recording: id,
    file: null,
    duration: data.recordings[id].seconds,
    num_spk: names.length,
    num_spk_probability: null,
    confidence: length ? Number((sure / length).toFixed(4)) : null,
    overlap: Number(atOnce(names.flatMap((name) => union(regionsOf(own(name))))).toFixed(3)),
    speakers: talk.map(([name, seconds]) => ({
      name,
      seconds: Number(seconds.toFixed(3)),
      share: everybody ? Number((seconds / everybody).toFixed(4)) : 0,
      turns: own(name).length,
    })),
    turns: turns.map(({ speaker, start, end, sure }) => ({
      speaker, start, end, ...(sure === undefined ? {} : { confidence: sure }),
    })),
  };
  return `${JSON.stringify(content, null, 1)}\n`;
};

const FORMATS = {
  RTTM: [".rttm", "text/plain", rttmText],
  CSV: [".csv", "text/csv", csvText],
  JSON: [".json", "application/json", jsonText],
  Audacity: [".txt", "text/plain", audacityText],
};

const saveFile = (name, type, text) => {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
};
