// Files to save, as the library writes them (io/rttm.py, exports.py).

const thousandths = (seconds) => (Math.round(seconds * 1000) / 1000).toFixed(3);
const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

// Names by speaker as RTTM can hold them: without blanks, and still different.
const tokensOf = (names) => {
  const tokens = new Map();
  for (const name of new Set(names)) {
    let token = name.replace(/\s+/g, "_").replace("<NA>", "NA");
    while ([...tokens.values()].includes(token)) token += "_";
    tokens.set(name, token);
  }
  return tokens;
};

// hh:mm:ss.ttt
const stamp = (seconds) => {
  const whole = Math.round(seconds * 1000);
  const parts = [Math.floor(whole / 3600000), Math.floor(whole / 60000) % 60, Math.floor(whole / 1000) % 60];
  return `${parts.map((part) => String(part).padStart(2, "0")).join(":")}.${String(whole % 1000).padStart(3, "0")}`;
};

// Return the function that writes a file of one entry per turn, from the texts of its fields.
const perTurn = (entry, between = "", ...head) => (id, turns) => {
  const tokens = tokensOf(turns.map((turn) => turn.speaker));
  const entries = turns.map(({ speaker, start, end, sure }, at) => entry({
    id, speaker, number: at + 1, token: tokens.get(speaker), sure: sure?.toFixed(3) ?? "",
    start: thousandths(start), end: thousandths(end), length: thousandths(end - start),
    times: `${stamp(start)} --> ${stamp(end)}`,
  }));
  return [...head, ...entries].join(between);
};

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const rttmText = perTurn(
  (turn) => `SPEAKER ${turn.id} 1 ${turn.start} ${turn.length} <NA> <NA> ${turn.token} ${turn.sure || "<NA>"} <NA>\n`,
);
const audacityText = perTurn((turn) => `${turn.start}\t${turn.end}\t${turn.speaker}\n`);
const csvText = perTurn(
  (turn) => `${turn.id},1,${turn.start},${turn.length},${turn.end},${quoted(turn.speaker)},${turn.sure}\n`,
  "", "recording,channel,start,duration,end,speaker,confidence\n",
);
const srtText = perTurn((turn) => `${turn.number}\n${turn.times.replaceAll(".", ",")}\n${shownName(turn.speaker)}\n`, "\n");
const vttText = perTurn(
  (turn) => `${turn.times}\n<v ${escaped(turn.speaker)}>${escaped(shownName(turn.speaker))}</v>\n`, "\n", "WEBVTT\n",
);

// Return the turns of an RTTM by recording; throws an Error with the line that is malformed.
const parseRttm = (text) => {
  const found = new Map();
  text.split(/\r?\n/).forEach((line, at) => {
    const [type, id, , start, length, , , speaker, sure] = line.trim().split(/\s+/);
    if (type !== "SPEAKER") return;
    const end = Math.round(1000 * (Number(start) + Number(length))) / 1000;
    const fits = Number(start) >= 0 && Number(length) > 0 && sure !== undefined;
    if (!fits) throw new Error(`line ${at + 1} is not a turn of an RTTM`);
    if (end > data.recordings[id]?.seconds + 0.001) throw new Error(`the turn of line ${at + 1} ends after ${id}`);
    const known = Number(sure) >= 0 && Number(sure) <= 1;
    const turn = { speaker, start: Number(start), end, sure: known ? Number(sure) : undefined };
    found.set(id, [...(found.get(id) ?? []), turn]);
  });
  return found;
};

const textGridText = (id, turns) => {
  const praat = (text) => `"${text.replaceAll('"', '""')}"`;
  const end = Math.max(data.recordings[id].seconds, ...turns.map((turn) => turn.end));
  const names = [...new Set(turns.map((turn) => turn.speaker))].sort();
  const lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", `xmax = ${thousandths(end)}`];
  lines.push("tiers? <exists>", `size = ${names.length}`, "item []:");
  names.forEach((name, at) => {
    const talk = union(regionsOf(turns.filter((turn) => turn.speaker === name)));
    const edges = [0, ...talk.flat(), end]; // silence and talk in turn
    const intervals = edges.slice(1).map((stop, place) => [edges[place], stop, place % 2 ? name : ""]);
    const shown = intervals.filter(([start, stop]) => stop > start);
    lines.push(`    item [${at + 1}]:`, '        class = "IntervalTier"', `        name = ${praat(name)}`);
    lines.push("        xmin = 0", `        xmax = ${thousandths(end)}`, `        intervals: size = ${shown.length}`);
    shown.forEach(([start, stop, text], place) => {
      lines.push(`        intervals [${place + 1}]:`, `            xmin = ${thousandths(start)}`);
      lines.push(`            xmax = ${thousandths(stop)}`, `            text = ${praat(text)}`);
    });
  });
  return `${lines.join("\n")}\n`;
};

// "file" is null, since pages are given away; the probability of the number is null, since a person may have changed it.
const jsonText = (id, turns) => {
  const talk = talkOf(currentLane(id)).filter(({ row }) => row.turns.length);
  talk.sort((a, b) => b.seconds - a.seconds || (a.row.name < b.row.name ? -1 : 1));
  const sure = meanSure(turns);
  const content = {
    recording: id,
    file: null,
    duration: data.recordings[id].seconds,
    num_spk: talk.length,
    num_spk_probability: null,
    confidence: sure === undefined ? null : Number(sure.toFixed(4)),
    overlap: Number(overlapOf(talk.flatMap(({ row }) => union(row.turns))).toFixed(3)),
    speakers: talk.map(({ row, seconds, share }) => ({
      name: row.name,
      seconds: Number(seconds.toFixed(3)),
      share: Number(share.toFixed(4)),
      turns: row.turns.length,
    })),
    turns: turns.map(({ speaker, start, end, sure: own }) => ({ speaker, start, end, confidence: own })), // undefined: left out
  };
  return `${JSON.stringify(content, null, 1)}\n`;
};

// By the name on the button: ending, media type, and the function that returns the text.
const FORMATS = {
  RTTM: [".rttm", "text/plain", rttmText],
  CSV: [".csv", "text/csv", csvText],
  JSON: [".json", "application/json", jsonText],
  SRT: [".srt", "application/x-subrip", srtText],
  VTT: [".vtt", "text/vtt", vttText],
  TextGrid: [".TextGrid", "text/plain", textGridText],
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
