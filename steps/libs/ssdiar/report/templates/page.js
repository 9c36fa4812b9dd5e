// The moving parts of the report page: sorting, choice of system and protocol, and the timelines, which are made when a
// recording is opened. Plain JavaScript: the libraries that draw charts in a page are as heavy as the page may be at
// most, and none of them binds a zoomed timeline of turns to an audio element and to the keyboard.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const KINDS = ["miss", "false_alarm", "confusion"];
  const MAX_STRIP = 60000; // pixels; browsers lay out no wider element well
  const timelines = new Map();
  const chosen = { system: 0, protocol: "" };

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const clock = (seconds, digits = 0) => {
    const unit = 10 ** digits;
    const whole = Math.round(seconds * unit);
    const minutes = Math.floor(whole / unit / 60);
    const rest = ((whole - minutes * 60 * unit) / unit).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
    return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
  };

  // ---- Tables ----

  const cellKey = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text);
    return text !== "" && !Number.isNaN(number) ? number : text;
  };

  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, "en", { numeric: true });
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    // Heads that can be sorted by are in the order of the columns, whatever rows of the head they stand in.
    const top = [...table.tHead.rows[0].querySelectorAll("[data-sort]")];
    const heads = [...top, ...(table.tHead.rows[1]?.querySelectorAll("[data-sort]") ?? [])];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const firstWay = head.classList.contains("word") ? "ascending" : "descending";
        const other = firstWay === "ascending" ? "descending" : "ascending";
        const way = before === firstWay ? other : firstWay;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", way);
        const body = table.tBodies[0];
        const sign = way === "ascending" ? 1 : -1;
        const rows = [...body.rows].map((row) => [cellKey(row, column), row]);
        rows.sort((a, b) => sign * compare(a[0], b[0]));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  // ---- Choice of system and protocol ----

  const list = document.getElementById("list");
  const systemSelect = document.getElementById("system");

  const choose = () => {
    const key = `${chosen.system} ${chosen.protocol}`;
    for (const view of document.querySelectorAll("[data-view]")) view.hidden = view.dataset.view !== key;
    for (const ders of document.querySelectorAll("[data-protocol]")) ders.hidden = ders.dataset.protocol !== chosen.protocol;
    const order = data.orders[key];
    document.getElementById("no-view").hidden = order !== undefined;
    if (order) {
      const rank = new Map(order.map((id, place) => [id, place]));
      const sections = [...list.children];
      const place = (section) => rank.get(section.dataset.id) ?? sections.length;
      const sorted = [...sections].sort((a, b) => place(a) - place(b));
      if (sorted.some((section, at) => section !== sections[at])) list.append(...sorted);
    }
    for (const timeline of timelines.values()) timeline.showErrors();
  };

  if (systemSelect) {
    const space = data.first.indexOf(" ");
    chosen.system = Number(data.first.slice(0, space));
    chosen.protocol = data.first.slice(space + 1);
    systemSelect.value = String(chosen.system);
    for (const radio of document.querySelectorAll("input[name=protocol]")) {
      radio.checked = radio.value === chosen.protocol;
      radio.addEventListener("change", () => { chosen.protocol = radio.value; choose(); });
    }
    systemSelect.addEventListener("change", () => { chosen.system = Number(systemSelect.value); choose(); });
  }

  // ---- Timelines ----

  class Timeline {
    constructor(section) {
      const { seconds, lanes } = data.recordings[section.dataset.id];
      this.seconds = Math.max(seconds, 0.001);
      this.lanes = lanes;
      this.position = 0;
      this.zoom = 1;
      this.audio = section.querySelector("audio");
      this.build(section);
      this.listen(section);
      this.showErrors();
      this.setZoom(1);
      this.move(0);
    }

    build(section) {
      const place = section.querySelector(".timeline-place");
      this.tools = make("div", "tools");
      const button = (text, label, action) => {
        const one = make("button", "", text);
        one.type = "button";
        one.title = label;
        one.setAttribute("aria-label", label);
        one.addEventListener("click", action);
        this.tools.append(one);
        return one;
      };
      if (this.audio) this.playButton = button("Play", "Play or pause", () => this.toggle());
      if (this.lanes.some((lane) => Object.keys(lane.errors).length)) {
        button("‹ Error", "Previous error", () => this.step(-1));
        button("Error ›", "Next error", () => this.step(1));
      }
      button("−", "Zoom out", () => this.setZoom(this.zoom / 2));
      button("+", "Zoom in", () => this.setZoom(this.zoom * 2));
      button("Whole", "Show the whole recording", () => this.setZoom(1));
      this.box = make("div", "timeline");
      this.box.tabIndex = 0;
      this.box.setAttribute("role", "slider");
      this.box.setAttribute("aria-label", `Position in ${section.dataset.id}`);
      this.box.setAttribute("aria-valuemin", "0");
      this.box.setAttribute("aria-valuemax", String(this.seconds));
      const grid = make("div", "lanes");
      this.labels = make("div", "labels");
      this.scroll = make("div", "scroll");
      this.strip = make("div", "strip");
      this.axis = make("div", "axis");
      this.strip.append(this.axis);
      this.labels.append(make("div"));
      this.errorRows = [];
      for (const lane of this.lanes) this.addLane(lane);
      this.cursor = make("div", "cursor");
      this.strip.append(this.cursor);
      this.scroll.append(this.strip);
      grid.append(this.labels, this.scroll);
      this.readout = make("div", "readout");
      this.box.append(grid, this.readout);
      if (this.errorRows.length) {
        const legend = make("span", "legend");
        legend.append(...KINDS.map((kind) => make("span", `key ${kind}`, kind.replace("_", " "))));
        this.tools.append(legend);
      }
      place.append(this.tools, this.box);
    }

    addLane(lane) {
      const head = make("div", "head", lane.name);
      head.title = lane.name;
      this.labels.append(head);
      this.strip.append(make("div"));
      for (const row of lane.rows) {
        const name = row.match ? `${row.name} = ${row.match}` : row.name;
        const label = make("div", "", name);
        label.title = name;
        this.labels.append(label);
        const strip = make("div", "row");
        for (const turn of row.turns) strip.append(this.block(turn, `${lane.name}: ${name}`, "", row.colour));
        this.strip.append(strip);
      }
      if (Object.keys(lane.errors).length) {
        this.labels.append(make("div", "head", "errors"));
        const strip = make("div", "errors");
        this.errorRows.push([lane, strip]);
        this.strip.append(strip);
      }
    }

    block([start, end], title, className, colour) {
      const one = make("i", className);
      one.style.left = `${(100 * start) / this.seconds}%`;
      one.style.width = `${(100 * (end - start)) / this.seconds}%`;
      if (colour !== undefined) one.style.setProperty("--c", `var(--speaker-${colour})`);
      one.title = `${title}, ${clock(start, 2)} to ${clock(end, 2)}`;
      return one;
    }

    // Errors are those that the chosen protocol counts; a lane that was not scored under it shows those of its first.
    showErrors() {
      for (const [lane, strip] of this.errorRows) {
        const errors = this.errorsOf(lane);
        const blocks = KINDS.flatMap((kind) => errors[kind].map((turn) => this.block(turn, kind.replace("_", " "), kind)));
        strip.replaceChildren(...blocks);
      }
    }

    errorsOf(lane) {
      return lane.errors[chosen.protocol] ?? Object.values(lane.errors)[0];
    }

    listen(section) {
      this.strip.addEventListener("click", (event) => {
        const box = this.strip.getBoundingClientRect();
        this.seek(((event.clientX - box.left) / box.width) * this.seconds, true);
      });
      this.box.addEventListener("keydown", (event) => this.key(event));
      this.scroll.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.setZoom(this.zoom * (event.deltaY < 0 ? 1.5 : 1 / 1.5), event.clientX);
      }, { passive: false });
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
      this.audio.addEventListener("error", () => { section.querySelector("[data-audio-error]").hidden = false; });
      this.audio.preload = "metadata";
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const far = event.shiftKey ? 5 : 1;
      const actions = {
        " ": () => this.toggle(),
        ArrowLeft: () => this.seek(this.position - far),
        ArrowRight: () => this.seek(this.position + far),
        Home: () => this.seek(0),
        End: () => this.seek(this.seconds),
        n: () => this.step(1),
        p: () => this.step(-1),
        "+": () => this.setZoom(this.zoom * 2),
        "=": () => this.setZoom(this.zoom * 2),
        "-": () => this.setZoom(this.zoom / 2),
        0: () => this.setZoom(1),
      };
      const action = actions[event.key] ?? actions[event.key.toLowerCase()];
      if (!action) return;
      event.preventDefault();
      action();
    }

    toggle() {
      if (!this.audio) return;
      if (this.audio.paused) this.play();
      else this.audio.pause();
    }

    play() {
      this.audio.play().catch(() => {}); // what went wrong, the error event tells
    }

    seek(seconds, play = false) {
      const time = Math.min(Math.max(seconds, 0), this.seconds);
      if (this.audio) {
        this.audio.currentTime = time;
        if (play) this.play();
      }
      this.move(time);
    }

    // Go half a second before the next or previous error of the chosen system.
    step(direction) {
      const lane = this.lanes.find((one) => one.system === chosen.system && Object.keys(one.errors).length);
      if (!lane) return;
      const errors = this.errorsOf(lane);
      const starts = KINDS.flatMap((kind) => errors[kind].map(([start]) => Math.max(0, start - 0.5))).sort((a, b) => a - b);
      const next = direction > 0
        ? starts.find((start) => start > this.position + 0.01)
        : starts.findLast((start) => start < this.position - 0.01);
      if (next !== undefined) this.seek(next);
    }

    // Zoom so that the point under the pointer, else the cursor, stays where it is.
    setZoom(zoom, clientX) {
      const width = this.scroll.clientWidth || 1;
      const fraction = clientX === undefined
        ? this.position / this.seconds
        : (clientX - this.strip.getBoundingClientRect().left) / this.strip.offsetWidth;
      const before = fraction * this.strip.offsetWidth - this.scroll.scrollLeft;
      this.zoom = Math.min(Math.max(zoom, 1), Math.max(1, MAX_STRIP / width), Math.max(1, (200 * this.seconds) / width));
      this.strip.style.width = `${100 * this.zoom}%`;
      const anchor = before >= 0 && before <= width ? before : width / 2;
      this.scroll.scrollLeft = fraction * this.strip.offsetWidth - anchor;
      this.drawAxis();
    }

    drawAxis() {
      const perSecond = this.strip.offsetWidth / this.seconds;
      const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];
      const step = steps.find((one) => one * perSecond >= 64) ?? 7200;
      const ticks = [];
      const last = this.seconds - 36 / perSecond; // room for its text
      for (let time = 0; time === 0 || time < last; time += step) {
        const tick = make("span", "", clock(time, step < 1 ? 1 : 0));
        tick.style.left = `${(100 * time) / this.seconds}%`;
        ticks.push(tick);
      }
      this.axis.replaceChildren(...ticks);
    }

    move(seconds) {
      this.position = seconds;
      const fraction = seconds / this.seconds;
      this.cursor.style.left = `${100 * fraction}%`;
      const text = this.describe(seconds);
      if (this.readout.textContent !== text) this.readout.textContent = text;
      this.box.setAttribute("aria-valuenow", seconds.toFixed(1));
      this.box.setAttribute("aria-valuetext", text);
      const x = fraction * this.strip.offsetWidth;
      const left = this.scroll.scrollLeft;
      const width = this.scroll.clientWidth;
      if (x < left || x > left + 0.95 * width) this.scroll.scrollLeft = x - 0.1 * width;
    }

    describe(seconds) {
      const talks = (row) => row.turns.some(([start, end]) => start <= seconds && seconds < end);
      const lanes = this.lanes.map((lane) => {
        const names = lane.rows.filter(talks).map((row) => (row.match ? `${row.name} = ${row.match}` : row.name));
        return `${lane.name}: ${names.join(" and ") || "–"}`;
      });
      return [clock(seconds, 1), ...lanes].join("  ·  ");
    }
  }

  const open = (section) => {
    section.open = true;
    if (!timelines.has(section)) timelines.set(section, new Timeline(section));
  };

  for (const section of list.children) section.addEventListener("toggle", () => { if (section.open) open(section); });
  addEventListener("resize", () => { for (const [section, one] of timelines) if (section.open) one.setZoom(one.zoom); });

  // A link to a recording opens it, also when it is followed a second time.
  const follow = (hash) => {
    const section = document.getElementById(decodeURIComponent(hash.slice(1)));
    if (!section?.classList.contains("recording")) return false;
    open(section);
    section.scrollIntoView();
    return true;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#r-']");
    if (link) follow(link.getAttribute("href"));
  });
  addEventListener("hashchange", () => follow(location.hash));

  if (systemSelect) choose();
  if (!follow(location.hash) && list.firstElementChild) open(list.firstElementChild);
})();
