// The timeline of a recording: overview, waveform and lanes of turns over a window of time that zooms and moves, bound to
// the player and to the keyboard. The page holds only the turns inside the window, so that an hour is as fast as a minute.

const MIN_WINDOW = 2; // seconds
const MAX_UNSURE = 8; // turns in the list

class Timeline {
  constructor(section) {
    this.id = section.dataset.id;
    this.section = section;
    this.seconds = Math.max(data.recordings[this.id].seconds, 0.001);
    this.position = 0;
    this.from = 0;
    this.to = this.seconds;
    this.audio = section.querySelector("audio");
    this.build();
    this.listen();
    this.showLanes();
    if (corrections.has(this.id)) this.correct();
  }

  build() {
    this.legend = make("span", "legend");
    this.playButton = makeButton("Play", "Play or pause", () => this.toggle());
    this.markButtons = [makeButton("‹", "", () => this.step(-1)), makeButton("›", "", () => this.step(1))];
    this.correctButton = makeButton("Correct", "Correct speakers and turns", () => this.correct());
    const tools = make(
      "div", "tools",
      ...(this.audio ? [this.playButton] : []),
      ...this.markButtons,
      makeButton("−", "Zoom out", () => this.zoom(0.5)),
      makeButton("+", "Zoom in", () => this.zoom(2)),
      makeButton("Whole", "Show the whole recording", () => this.show(0, this.seconds)),
      this.correctButton,
      this.legend,
    );
    this.overviewCanvas = make("canvas");
    this.frame = make("div", "frame");
    this.overviewCursor = make("div", "cursor");
    this.overview = make("div", "overview", this.overviewCanvas, this.frame, this.overviewCursor);
    this.labels = make("div", "labels");
    this.strip = make("div", "strip");
    this.axis = make("div", "axis");
    this.cursor = make("div", "cursor");
    this.readout = make("div", "readout");
    this.box = make("div", "timeline", this.overview, make("div", "lanes", this.labels, this.strip), this.readout);
    this.box.tabIndex = 0;
    const attributes = { role: "slider", "aria-label": `Position in ${this.id}`, "aria-valuemin": 0, "aria-valuemax": this.seconds };
    for (const [name, value] of Object.entries(attributes)) this.box.setAttribute(name, value);
    this.section.querySelector(".timeline-place").append(tools, this.box);
  }

  // The visible lanes: all, or the reference and the two systems that are compared; corrections last.
  lanes() {
    const all = data.recordings[this.id].lanes;
    const pair = [null, chosen.system, chosen.compare]; // null: the reference
    const shown = chosen.compare === null ? all : all.filter((lane) => pair.includes(lane.system));
    return this.corrections ? [...shown, this.corrections.lane()] : shown;
  }

  marks() {
    const lane = laneOf(this.id, chosen.system);
    const found = chosen.compare === null
      ? marksOf(this.id, this.corrections?.lane() ?? lane)
      : differences(lane, laneOf(this.id, chosen.compare)).map((one) => [...one, "--accent"]);
    return found.sort((a, b) => a[0] - b[0]);
  }

  showLanes() {
    this.rows = []; // [element, function that returns its blocks]
    this.labels.replaceChildren(make("div"));
    this.strip.replaceChildren(this.axis);
    const addRow = (className, label, labelClass, paint, title = label) => {
      const name = make("div", labelClass, label);
      name.title = title;
      this.labels.append(name);
      const row = make("div", className);
      this.strip.append(row);
      if (paint) this.rows.push([row, paint]);
      return row;
    };
    if (peaksOf(this.id).length) {
      this.wave = make("canvas");
      addRow("wave", "waveform", "quiet wave").append(this.wave);
    }
    for (const lane of this.lanes()) {
      addRow("", lane.name, "head");
      for (const row of lane.rows) {
        addRow(lane.edited ? "row edited" : "row", rowName(row), "", () => this.turnBlocks(lane, row));
      }
      if (scoreOfLane(this.id, lane)) addRow("errors", "errors", "quiet", () => this.errorBlocks(lane));
    }
    if (chosen.compare !== null) {
      const found = this.marks();
      const label = `differ ${clock(total(found), 1)}`;
      const blocks = () => found.map(([start, end]) => this.block(start, end, "different speakers", "difference"));
      addRow("differ", label, "quiet", blocks, `where both differ, ${label}`);
    }
    this.strip.append(this.cursor);
    this.showLegend();
    this.showTalk();
    this.showDoubt();
    this.showUnsure();
    this.redraw();
    this.move(this.position);
  }

  showTalk() {
    const rows = (lane) => talkOf(lane).map(({ row, seconds, share }) => {
      const name = make("th", "word", ...speakerLabel(row));
      name.scope = "row";
      return make("tr", "", name, make("td", "", seconds.toFixed(1)), make("td", "", (100 * share).toFixed(1)));
    });
    const corrected = corrections.has(this.id) ? [corrections.get(this.id).lane()] : [];
    const parts = [...data.recordings[this.id].lanes, ...corrected].map((lane) => {
      const head = Object.assign(make("th", "word lane", lane.name), { colSpan: 3, scope: "rowgroup" });
      const silent = Object.assign(make("td", "word", "no speech"), { colSpan: 3 });
      return make("tbody", "", make("tr", "", head), ...(lane.rows.length ? rows(lane) : [make("tr", "", silent)]));
    });
    const table = this.section.querySelector("[data-talk]");
    table.replaceChildren(table.tHead, ...parts);
  }

  listenButton(title, start, ...content) {
    const button = Object.assign(make("button", "link", ...content), { type: "button", title });
    button.addEventListener("click", () => this.seek(start, true));
    return button;
  }

  showUnsure() {
    const turns = turnsOf(currentLane(this.id)).filter((turn) => turn.sure < data.unsure).sort((a, b) => a.sure - b.sure);
    const place = this.section.querySelector("[data-unsure]");
    place.hidden = !turns.length;
    place.querySelector("tbody").replaceChildren(...turns.slice(0, MAX_UNSURE).map(({ speaker, start, end, sure }) => {
      const cell = make("td", "word", this.listenButton("Play from here", start, `${clock(start)} to ${clock(end)}`));
      return make("tr", "", cell, make("td", "word", shownName(speaker)), make("td", "", (100 * sure).toFixed(0)));
    }));
  }

  // If the number of speakers is doubtful, offer the longest turn of each, to compare the voices.
  showDoubt() {
    const lane = currentLane(this.id);
    const place = this.section.querySelector("[data-doubt]");
    place.hidden = (lane.count_sure ?? 1) >= data.doubtful;
    if (place.hidden) return;
    const samples = lane.rows.map((row) => {
      const [start] = row.turns.reduce((longest, turn) => (turn[1] - turn[0] > longest[1] - longest[0] ? turn : longest));
      const text = `${shownName(row.name)} at ${clock(start)}`;
      return this.listenButton("Play the longest turn", start, dotOf(row.number), text);
    });
    place.querySelector("span").replaceChildren(...samples);
  }

  showLegend() {
    const variables = new Set(this.marks().map((mark) => mark[2]));
    const keys = KINDS.filter((kind) => variables.has(errorVariable(kind))).map((kind) => make("span", `key ${kind}`, inWords(kind)));
    const unsure = variables.has("--unsure");
    if (unsure) keys.push(make("span", "key unsure", `less than ${Math.round(100 * data.unsure)} % sure`));
    const mark = chosen.compare !== null ? "difference" : unsure ? "unsure turn" : "error";
    const [previous, next] = this.markButtons;
    labelled(previous, `Previous ${mark}`).textContent = `‹ ${mark}`;
    labelled(next, `Next ${mark}`).textContent = `${mark} ›`;
    for (const button of this.markButtons) button.hidden = !variables.size;
    this.legend.replaceChildren(...keys);
  }

  // ---- Drawing ----

  // Place an element at a span of time in the window.
  place(element, start, end) {
    const span = this.to - this.from;
    element.style.left = `${(100 * (start - this.from)) / span}%`;
    element.style.width = `${(100 * (end - start)) / span}%`;
  }

  block(start, end, title, className) {
    const one = make("i", className);
    this.place(one, start, end);
    one.title = `${title}, ${clock(start, 2)} to ${clock(end, 2)}`;
    return one;
  }

  inside([start, end]) {
    return end > this.from && start < this.to;
  }

  turnBlocks(lane, row) {
    return row.turns.filter((turn) => this.inside(turn)).map((turn) => {
      const [start, end, sure] = turn;
      const how = sure === undefined ? "" : `, ${Math.round(100 * sure)} % sure`;
      const one = this.block(start, end, `${lane.name}: ${rowName(row)}${how}`, sure < data.unsure ? "unsure" : "");
      one.style.setProperty("--c", `var(${speakerVariable(row.number)})`);
      if (lane.edited) this.corrections.bind(one, turn);
      return one;
    });
  }

  errorBlocks(lane) {
    const { errors } = scoreOfLane(this.id, lane);
    const blocks = (kind) =>
      errors[kind].filter((mark) => this.inside(mark)).map(([start, end]) => this.block(start, end, inWords(kind), kind));
    return KINDS.flatMap(blocks);
  }

  // Draw everything, as after a change of size or colours.
  redraw() {
    const lane = this.corrections?.lane() ?? laneOf(this.id, chosen.system);
    drawTurns(this.overviewCanvas, this.id, lane, this.marks());
    this.draw();
  }

  // Draw the window.
  draw() {
    for (const [row, paint] of this.rows) row.replaceChildren(...paint());
    if (this.wave) drawWave(this.wave, this.id, this.from, this.to);
    this.frame.style.left = `${(100 * this.from) / this.seconds}%`;
    this.frame.style.width = `${(100 * (this.to - this.from)) / this.seconds}%`;
    this.frame.hidden = this.from <= 0 && this.to >= this.seconds;
    this.drawAxis();
    this.drawCursor();
  }

  drawAxis() {
    const perSecond = (this.strip.clientWidth || 1) / (this.to - this.from);
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];
    const step = steps.find((one) => one * perSecond >= 64) ?? 7200;
    const ticks = [];
    const last = this.to - 36 / perSecond; // room for its text
    for (let count = Math.ceil(this.from / step); count * step < last || (count === 0 && !ticks.length); count++) {
      const tick = make("span", "", clock(count * step, step < 1 ? 1 : 0));
      tick.style.left = `${(100 * (count * step - this.from)) / (this.to - this.from)}%`;
      ticks.push(tick);
    }
    this.axis.replaceChildren(...ticks);
  }

  drawCursor() {
    this.cursor.hidden = this.position < this.from || this.position > this.to;
    this.cursor.style.left = `${(100 * (this.position - this.from)) / (this.to - this.from)}%`;
    this.overviewCursor.style.left = `${(100 * this.position) / this.seconds}%`;
  }

  // ---- The window ----

  show(from, to) {
    const span = Math.min(this.seconds, Math.max(to - from, Math.min(MIN_WINDOW, this.seconds)));
    this.from = Math.min(Math.max(0, from), this.seconds - span);
    this.to = this.from + span;
    this.draw();
  }

  // Zoom around a time: that under the pointer, else the visible cursor, else the middle.
  zoom(factor, at) {
    const visible = this.position >= this.from && this.position <= this.to;
    const still = at ?? (visible ? this.position : (this.from + this.to) / 2);
    const from = still - (still - this.from) / factor;
    this.show(from, from + (this.to - this.from) / factor);
  }

  timeAt(clientX, element = this.strip, from = this.from, to = this.to) {
    const box = element.getBoundingClientRect();
    return from + ((clientX - box.left) / box.width) * (to - from);
  }

  // ---- Player ----

  toggle() {
    if (this.audio?.paused) this.play();
    else this.audio?.pause();
  }

  play(until) {
    this.until = until;
    this.audio?.play().catch(() => {}); // the error event shows a message
  }

  seek(seconds, play = false) {
    const time = Math.min(Math.max(seconds, 0), this.seconds);
    if (this.audio) {
      this.audio.currentTime = time;
      if (play) this.play();
    }
    this.move(time);
  }

  // Seek to half a second before the next or previous mark.
  step(direction) {
    const starts = this.marks().map(([start]) => Math.max(0, start - 0.5));
    const next = direction > 0
      ? starts.find((start) => start > this.position + 0.01)
      : starts.findLast((start) => start < this.position - 0.01);
    if (next !== undefined) this.seek(next);
  }

  move(seconds) {
    this.position = seconds;
    if (this.until !== undefined && seconds >= this.until) {
      this.until = undefined;
      this.audio?.pause();
    }
    const text = this.describe(seconds);
    if (this.readout.textContent !== text) this.readout.textContent = text;
    this.box.setAttribute("aria-valuenow", seconds.toFixed(1));
    this.box.setAttribute("aria-valuetext", text);
    const span = this.to - this.from;
    // Turn the page when the cursor leaves it.
    if (span < this.seconds && (seconds < this.from || seconds > this.from + 0.97 * span)) {
      this.show(seconds - 0.1 * span, seconds + 0.9 * span);
    }
    this.drawCursor();
  }

  describe(seconds) {
    const talks = (row) => row.turns.some(([start, end]) => start <= seconds && seconds < end);
    const lanes = this.lanes().map((lane) => `${lane.name}: ${lane.rows.filter(talks).map(rowName).join(" and ") || "–"}`);
    return [clock(seconds, 1), ...lanes].join("  ·  ");
  }

  // ---- Corrections ----

  correct() {
    if (this.corrections) this.corrections.close();
    else {
      this.corrections = corrections.get(this.id) ?? new Corrections(this.id);
      this.corrections.open(this);
    }
    this.showLanes();
  }

  // ---- Pointer and keyboard ----

  listen() {
    this.strip.addEventListener("click", (event) => {
      if (!event.target.closest("[data-turn]")) this.seek(this.timeAt(event.clientX), true);
    });
    const pan = (event) => {
      const time = this.timeAt(event.clientX, this.overview, 0, this.seconds);
      const span = this.to - this.from;
      if (span < this.seconds) this.show(time - span / 2, time + span / 2);
    };
    this.overview.addEventListener("pointerdown", (event) => {
      this.overview.setPointerCapture(event.pointerId);
      pan(event);
      this.seek(this.timeAt(event.clientX, this.overview, 0, this.seconds));
    });
    this.overview.addEventListener("pointermove", (event) => { if (event.buttons) pan(event); });
    this.strip.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.box.addEventListener("keydown", (event) => this.key(event));
    if (this.audio) this.listenToAudio();
  }

  listenToAudio() {
    const follow = () => {
      this.move(this.audio.currentTime);
      if (!this.audio.paused) requestAnimationFrame(follow);
    };
    this.audio.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) if (other !== this.audio) other.pause();
      this.playButton.textContent = "Pause";
      follow();
    });
    this.audio.addEventListener("pause", () => { this.playButton.textContent = "Play"; });
    for (const name of ["seeking", "timeupdate"]) this.audio.addEventListener(name, () => this.move(this.audio.currentTime));
    this.audio.addEventListener("error", () => { this.section.querySelector("[data-audio-error]").hidden = false; });
    this.audio.preload = "metadata";
  }

  // Ctrl: zoom; Shift or sideways: move the window.
  wheel(event) {
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY < 0 ? 1.5 : 1 / 1.5, this.timeAt(event.clientX));
    else if (sideways && this.to - this.from < this.seconds) {
      const by = (sideways / this.strip.clientWidth) * (this.to - this.from);
      this.show(this.from + by, this.to + by);
    } else return;
    event.preventDefault();
  }

  key(event) {
    if (!this.corrections?.key(event)) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const far = event.shiftKey ? 5 : 1;
      const span = this.to - this.from;
      const actions = {
        " ": () => this.toggle(),
        ArrowLeft: () => this.seek(this.position - far),
        ArrowRight: () => this.seek(this.position + far),
        PageUp: () => this.seek(this.position - 0.9 * span),
        PageDown: () => this.seek(this.position + 0.9 * span),
        Home: () => this.seek(0),
        End: () => this.seek(this.seconds),
        n: () => this.step(1),
        p: () => this.step(-1),
        c: () => this.correct(),
        "+": () => this.zoom(2),
        "=": () => this.zoom(2),
        "-": () => this.zoom(0.5),
        0: () => this.show(0, this.seconds),
      };
      const action = actions[event.key] ?? actions[event.key.toLowerCase()];
      if (!action) return;
      action();
    }
    event.preventDefault();
  }
}
