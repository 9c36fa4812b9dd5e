// The timeline of a recording: overview, waveform and lanes of turns over a window of time that can be zoomed and moved,
// bound to the player and to the keyboard. Only what the window shows is in the page, so that an hour is as fast as a minute.

const SHORTEST_WINDOW = 2; // seconds

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
    this.move(0);
  }

  build() {
    this.tools = make("div", "tools");
    const add = (...args) => {
      const button = makeButton(...args);
      this.tools.append(button);
      return button;
    };
    if (this.audio) this.playButton = add("Play", "Play or pause", () => this.toggle());
    this.markButtons = [
      add("‹", "Previous mark", () => this.step(-1)),
      add("›", "Next mark", () => this.step(1)),
    ];
    add("−", "Zoom out", () => this.zoom(0.5));
    add("+", "Zoom in", () => this.zoom(2));
    add("Whole", "Show the whole recording", () => this.show(0, this.seconds));
    this.correctButton = add("Correct", "Correct speakers and turns", () => this.correct());
    this.legend = make("span", "legend");
    this.tools.append(this.legend);

    this.box = make("div", "timeline");
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "slider");
    this.box.setAttribute("aria-label", `Position in ${this.id}`);
    this.box.setAttribute("aria-valuemin", "0");
    this.box.setAttribute("aria-valuemax", String(this.seconds));
    this.overview = make("div", "overview");
    this.overviewCanvas = make("canvas");
    this.frame = make("div", "frame");
    this.overviewCursor = make("div", "cursor");
    this.overview.append(this.overviewCanvas, this.frame, this.overviewCursor);
    const grid = make("div", "lanes");
    this.labels = make("div", "labels");
    this.strip = make("div", "strip");
    this.axis = make("div", "axis");
    this.cursor = make("div", "cursor");
    grid.append(this.labels, this.strip);
    this.readout = make("div", "readout");
    this.box.append(this.overview, grid, this.readout);
    this.section.querySelector(".timeline-place").append(this.tools, this.box);
  }

  // The lanes that are shown: all, or when two systems are compared, those two (and the reference); corrections last.
  lanes() {
    const all = data.recordings[this.id].lanes;
    const pair = [chosen.system, chosen.compare];
    const shown = chosen.compare === null ? all : all.filter((lane) => lane.system === null || pair.includes(lane.system));
    return this.corrections ? [...shown, this.corrections.lane()] : shown;
  }

  // The lane that marks are of, and that the overview shows.
  mainLane() {
    return this.corrections?.lane() ?? laneOf(this.id, chosen.system) ?? data.recordings[this.id].lanes.at(-1);
  }

  marks() {
    const found = chosen.compare === null
      ? marksOf(this.id, laneOf(this.id, chosen.system) ?? this.mainLane())
      : differences(laneOf(this.id, chosen.system), laneOf(this.id, chosen.compare)).map((one) => [...one, "--accent"]);
    return found.sort((a, b) => a[0] - b[0]);
  }

  showLanes() {
    this.rows = [];
    this.labels.replaceChildren(make("div"));
    this.strip.replaceChildren(this.axis);
    const addRow = (className, label, title, paint, labelClass = "quiet") => {
      const name = make("div", labelClass, label);
      name.title = title;
      this.labels.append(name);
      const row = make("div", className);
      this.strip.append(row);
      if (paint) this.rows.push([row, paint]);
      return row;
    };
    if (peaksOf(this.id).length) {
      const canvas = make("canvas");
      addRow("wave", "waveform", "waveform", null, "quiet wave").append(canvas);
      this.wave = canvas;
    }
    for (const lane of this.lanes()) {
      addRow("", lane.name, lane.name, null, "head");
      for (const row of lane.rows) {
        const name = row.match ? `${shownName(row.name)} = ${row.match}` : shownName(row.name);
        addRow(lane.edited ? "row edited" : "row", name, name, () => this.turnBlocks(lane, row, name), "");
      }
      if (Object.keys(lane.errors).length) addRow("errors", "errors", "errors", () => this.errorBlocks(lane));
    }
    if (chosen.compare !== null) {
      const found = this.marks();
      const label = `differ ${clock(found.reduce((sum, [start, end]) => sum + end - start, 0), 1)}`;
      addRow("differ", label, `where both differ, ${label}`, () =>
        found.map(([start, end]) => this.block(start, end, "different speakers", "difference")),
      );
    }
    this.strip.append(this.cursor);
    this.showLegend();
    this.drawOverview();
    this.draw();
  }

  showLegend() {
    const found = this.marks();
    const kinds = new Set(found.map((mark) => mark[2]));
    const keys = KINDS.filter((kind) => kinds.has(`--${kind.replace("_", "-")}`)).map((kind) =>
      make("span", `key ${kind}`, kind.replace("_", " ")),
    );
    if (kinds.has("--unsure")) keys.push(make("span", "key unsure", `less than ${Math.round(100 * data.unsure)} % sure`));
    const what = chosen.compare !== null ? "difference" : kinds.has("--unsure") ? "unsure turn" : "error";
    const [previous, next] = this.markButtons;
    previous.setAttribute("aria-label", `Previous ${what}`);
    next.setAttribute("aria-label", `Next ${what}`);
    for (const button of this.markButtons) button.title = button.getAttribute("aria-label");
    previous.textContent = `‹ ${what}`;
    next.textContent = `${what} ›`;
    for (const button of this.markButtons) button.hidden = !found.length;
    this.legend.replaceChildren(...keys);
  }

  // ---- Drawing ----

  block(start, end, title, className, number) {
    const one = make("i", className);
    const span = this.to - this.from;
    one.style.left = `${(100 * (start - this.from)) / span}%`;
    one.style.width = `${(100 * (end - start)) / span}%`;
    if (number !== undefined) one.style.setProperty("--c", `var(${speakerVariable(number)})`);
    one.title = `${title}, ${clock(start, 2)} to ${clock(end, 2)}`;
    return one;
  }

  seen(start, end) {
    return end > this.from && start < this.to;
  }

  turnBlocks(lane, row, name) {
    return row.turns.filter(([start, end]) => this.seen(start, end)).map((turn) => {
      const [start, end, sure] = turn;
      const unsure = sure !== undefined && sure < data.unsure;
      const how = sure === undefined ? "" : `, ${Math.round(100 * sure)} % sure`;
      const one = this.block(start, end, `${lane.name}: ${name}${how}`, unsure ? "unsure" : "", row.number);
      if (lane.edited) this.corrections.bind(one, turn);
      return one;
    });
  }

  // Errors are those that the chosen protocol counts; a lane that was not scored under it shows those of its first.
  errorBlocks(lane) {
    const errors = lane.errors[chosen.protocol] ?? Object.values(lane.errors)[0];
    return KINDS.flatMap((kind) =>
      errors[kind]
        .filter(([start, end]) => this.seen(start, end))
        .map(([start, end]) => this.block(start, end, kind.replace("_", " "), kind)),
    );
  }

  drawOverview() {
    drawTurns(this.overviewCanvas, this.id, this.mainLane(), this.marks());
  }

  draw() {
    for (const [row, paint] of this.rows) row.replaceChildren(...paint());
    if (this.wave) drawWave(this.wave, this.id, this.from, this.to);
    const place = (seconds) => (100 * seconds) / this.seconds;
    this.frame.style.left = `${place(this.from)}%`;
    this.frame.style.width = `${place(this.to - this.from)}%`;
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
    const inside = this.position >= this.from && this.position <= this.to;
    this.cursor.hidden = !inside;
    this.cursor.style.left = `${(100 * (this.position - this.from)) / (this.to - this.from)}%`;
    this.overviewCursor.style.left = `${(100 * this.position) / this.seconds}%`;
  }

  redraw() {
    this.drawOverview();
    this.draw();
  }

  // ---- The window ----

  show(from, to) {
    const span = Math.min(this.seconds, Math.max(to - from, Math.min(SHORTEST_WINDOW, this.seconds)));
    this.from = Math.min(Math.max(0, from), this.seconds - span);
    this.to = this.from + span;
    this.draw();
  }

  // Zoom so that the time under the pointer, else the cursor if it is seen, else the middle, stays where it is.
  zoom(factor, at) {
    const seen = this.position >= this.from && this.position <= this.to;
    const still = at ?? (seen ? this.position : (this.from + this.to) / 2);
    const from = still - (still - this.from) / factor;
    this.show(from, from + (this.to - this.from) / factor);
  }

  timeAt(clientX, element = this.strip, from = this.from, to = this.to) {
    const box = element.getBoundingClientRect();
    return from + ((clientX - box.left) / box.width) * (to - from);
  }

  // ---- Player ----

  toggle() {
    if (!this.audio) return;
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  play(until) {
    this.until = until;
    this.audio?.play().catch(() => {}); // the error event says what went wrong
  }

  seek(seconds, play = false) {
    const time = Math.min(Math.max(seconds, 0), this.seconds);
    if (this.audio) {
      this.audio.currentTime = time;
      if (play) this.play();
    }
    this.move(time);
  }

  // Go half a second before the next or previous mark.
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
    if (seconds < this.from || seconds > this.from + 0.97 * span) {
      if (span < this.seconds) this.show(seconds - 0.1 * span, seconds + 0.9 * span);
    }
    this.drawCursor();
  }

  describe(seconds) {
    const talks = (row) => row.turns.some(([start, end]) => start <= seconds && seconds < end);
    const lanes = this.lanes().map((lane) => {
      const names = lane.rows.filter(talks).map((row) => (row.match ? `${shownName(row.name)} = ${row.match}` : shownName(row.name)));
      return `${lane.name}: ${names.join(" and ") || "–"}`;
    });
    return [clock(seconds, 1), ...lanes].join("  ·  ");
  }

  // ---- Corrections ----

  correct() {
    if (this.corrections) this.corrections.close();
    else this.corrections = corrections.get(this.id) ?? new Corrections(this);
    if (this.corrections) this.corrections.open();
    this.showLanes();
  }

  // ---- Pointer and keyboard ----

  listen() {
    this.strip.addEventListener("click", (event) => {
      if (event.target.closest("[data-turn]")) return;
      this.seek(this.timeAt(event.clientX), true);
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
    this.strip.addEventListener("wheel", (event) => {
      const sideways = event.shiftKey ? event.deltaY : event.deltaX;
      if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY < 0 ? 1.5 : 1 / 1.5, this.timeAt(event.clientX));
      else if (sideways && this.to - this.from < this.seconds) {
        const by = (sideways / this.strip.clientWidth) * (this.to - this.from);
        this.show(this.from + by, this.to + by);
      } else return;
      event.preventDefault();
    }, { passive: false });
    this.box.addEventListener("keydown", (event) => this.key(event));
    if (!this.audio) return;
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

  key(event) {
    if (this.corrections?.key(event)) {
      event.preventDefault();
      return;
    }
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
    event.preventDefault();
    action();
  }
}
