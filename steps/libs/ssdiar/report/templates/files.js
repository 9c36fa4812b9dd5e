// Files to save, as the library writes them (io/rttm.py, exports.py).

const thousandths = (seconds) => (Math.round(seconds * 1000) / 1000).toFixed(3);
const duration = (turn) => ((Math.round(turn.end * 1000) - Math.round(turn.start * 1000)) / 1000).toFixed(3);
const token = (text) => text.trim().replace(/\s+/g, "_") || "unknown"; // fields of RTTM have no blanks
const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const rttmText = (id, turns) =>
  turns
    .map((turn) => {
      const sure = turn.sure?.toFixed(3) ?? "<NA>";
      return `SPEAKER ${id} 1 ${thousandths(turn.start)} ${duration(turn)} <NA> <NA> ${token(turn.speaker)} ${sure} <NA>\n`;
    })
    .join("");

const audacityText = (id, turns) =>
  turns.map((turn) => `${thousandths(turn.start)}\t${thousandths(turn.end)}\t${turn.speaker}\n`).join("");

const csvText = (id, turns) => {
  const rows = turns.map((turn) => {
    const times = `${thousandths(turn.start)},${duration(turn)},${thousandths(turn.end)}`;
    return `${id},1,${times},${quoted(turn.speaker)},${turn.sure?.toFixed(3) ?? ""}\n`;
  });
  return `recording,channel,start,duration,end,speaker,confidence\n${rows.join("")}`;
};

// "file" is null, since pages are given away; the probability of the number is null, since a person may have changed it.
const jsonText = (id, turns) => {
  const names = [...new Set(turns.map((turn) => turn.speaker))];
  const own = new Map(names.map((name) => [name, turns.filter((turn) => turn.speaker === name)]));
  const talk = names.map((name) => [name, total(regionsOf(own.get(name)))]);
  talk.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const all = talk.reduce((sum, [, seconds]) => sum + seconds, 0);
  const content = {
    recording: id,
    file: null,
    duration: data.recordings[id].seconds,
    num_spk: names.length,
    num_spk_probability: null,
    confidence: meanSure(turns) === undefined ? null : Number(meanSure(turns).toFixed(4)),
    overlap: Number(overlapOf(names.flatMap((name) => union(regionsOf(own.get(name))))).toFixed(3)),
    speakers: talk.map(([name, seconds]) => ({
      name,
      seconds: Number(seconds.toFixed(3)),
      share: all ? Number((seconds / all).toFixed(4)) : 0,
      turns: own.get(name).length,
    })),
    turns: turns.map(({ speaker, start, end, sure }) => ({ speaker, start, end, confidence: sure })), // undefined: left out
  };
  return `${JSON.stringify(content, null, 1)}\n`;
};

// By the name on the button: ending, media type, and the function that returns the text.
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
