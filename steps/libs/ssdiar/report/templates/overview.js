// Drawings of a whole recording on a canvas: the strip of a recording in the list, and the overview above a timeline.

const peaksOf = (id) => {
  const recording = data.recordings[id];
  if (typeof recording.peaks === "string") {
    recording.peaks = Uint8Array.from(atob(recording.peaks), (letter) => letter.charCodeAt(0));
  }
  return recording.peaks;
};

// Clear a canvas and return its context, with one unit per CSS pixel and sharp on dense screens.
const cleared = (canvas) => {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return [context, width, height];
};

// Draw the waveform from one time to another.
const drawWave = (canvas, id, from, to) => {
  const [context, width, height] = cleared(canvas);
  const peaks = peaksOf(id);
  const perPeak = data.recordings[id].seconds / Math.max(1, peaks.length);
  context.fillStyle = styleOf("--wave");
  for (let x = 0; x < width; x++) {
    const first = Math.floor((from + ((to - from) * x) / width) / perPeak);
    const last = Math.max(first + 1, Math.ceil((from + ((to - from) * (x + 1)) / width) / perPeak));
    const loudest = peaks.subarray(Math.max(0, first), last).reduce((a, b) => Math.max(a, b), 0);
    const tall = Math.max(1, (loudest / 255) * height);
    context.fillRect(x, (height - tall) / 2, 1, tall);
  }
};

// Draw the turns of a lane, a band per speaker, and marks below it, at least 3 pixels wide to be visible in an hour.
const drawTurns = (canvas, id, lane, marks) => {
  const [context, width, height] = cleared(canvas);
  const perSecond = width / Math.max(data.recordings[id].seconds, 0.001);
  const below = marks.length ? 7 : 0;
  const band = (height - below) / Math.max(1, lane.rows.length);
  lane.rows.forEach((row, place) => {
    context.fillStyle = styleOf(speakerVariable(row.number));
    for (const [start, end] of row.turns) {
      const wide = Math.max(1, (end - start) * perSecond);
      context.fillRect(start * perSecond, place * band, wide, Math.max(1, band - (band > 4 ? 1 : 0)));
    }
  });
  for (const [start, end, variable] of marks) {
    context.fillStyle = styleOf(variable);
    context.fillRect(start * perSecond, height - 5, Math.max(3, (end - start) * perSecond), 5);
  }
};

// Places that need a look: errors, or without a reference, unsure turns. [start, end, variable of the colour]
const marksOf = (id, lane) => {
  const errors = scoreOfLane(id, lane)?.errors;
  if (errors) return KINDS.flatMap((kind) => errors[kind].map(([start, end]) => [start, end, errorVariable(kind)]));
  return turnsOf(lane)
    .filter((turn) => turn.sure < data.unsure)
    .map((turn) => [turn.start, turn.end, "--unsure"]);
};

// The strips of the list are drawn when they come into view, and again when they change.
const visibleStrips = new Set();
const drawStrip = (canvas) => {
  const id = canvas.dataset.strip;
  const lane = currentLane(id);
  if (lane) drawTurns(canvas, id, lane, marksOf(id, lane));
};
const stripObserver = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    visibleStrips[isIntersecting ? "add" : "delete"](target);
    if (isIntersecting) drawStrip(target);
  }
});
const redrawStrips = () => visibleStrips.forEach(drawStrip);
