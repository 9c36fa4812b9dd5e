// Corrections of a recording: a copy of a system's turns that is changed by buttons, by the pointer and by the keyboard,
// with undo, and saved as files. Every change makes a new list of turns, so that undo is the list before.

class Corrections {
  constructor(timeline) {
    this.timeline = timeline;
    this.id = timeline.id;
    this.source = laneOf(this.id, chosen.system) ?? data.recordings[this.id].lanes.at(-1);
    this.count = 0;
    this.turns = turnsOf(this.source).map((turn) => ({ ...turn, key: this.count++ }));
    this.names = new Map(this.source.rows.map((row) => [row.name, row.number])); // number, and so colour, by name
    this.past = [];
    this.future = [];
    this.saved = true;
    this.selected = null; // key of a turn
    this.build();
  }

  // ---- What the timeline shows ----

  lane() {
    this.made ??= {
      name: `Corrected ${this.source.name}`,
      edited: true,
      system: null,
      errors: {},
      rows: [...this.names].map(([name, number]) => ({
        name,
        number,
        match: "",
        turns: this.turns
          .filter((turn) => turn.speaker === name)
          .map((turn) => Object.assign([turn.start, turn.end, turn.sure], { turn })),
      })),
    };
    return this.made;
  }

  // Make a block of the timeline selectable, and its edges movable if it is selected.
  bind(block, { turn }) {
    block.dataset.turn = turn.key;
    block.addEventListener("click", (event) => {
      this.select(turn.key);
      this.timeline.seek(this.timeline.timeAt(event.clientX));
    });
    if (turn.key !== this.selected) return;
    block.classList.add("selected");
    for (const side of ["start", "end"]) {
      const edge = make("b", side);
      edge.addEventListener("pointerdown", (event) => this.drag(event, block, turn, side));
      edge.addEventListener("click", (event) => event.stopPropagation());
      block.append(edge);
    }
  }

  drag(event, block, turn, side) {
    event.preventDefault();
    const { timeline } = this;
    let times = { start: turn.start, end: turn.end };
    const move = ({ clientX }) => {
      times = this.bounded({ ...times, [side]: timeline.timeAt(clientX) }, side);
      const span = timeline.to - timeline.from;
      block.style.left = `${(100 * (times.start - timeline.from)) / span}%`;
      block.style.width = `${(100 * (times.end - times.start)) / span}%`;
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      this.replace(turn, times, `moved the ${side}`);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }

  // Times within the recording and in whole milliseconds; the side that moves stops short of the other.
  bounded({ start, end }, side) {
    const whole = (seconds) => Math.round(Math.min(Math.max(seconds, 0), this.timeline.seconds) * 1000) / 1000;
    if (side === "start") return { start: whole(Math.min(start, end - 0.01)), end };
    return { start, end: whole(Math.max(end, start + 0.01)) };
  }

  // ---- Changes ----

  change(what, turns, names = this.names) {
    this.past.push([this.turns, this.names, what]);
    this.future = [];
    this.take(this.joined(turns), names);
    this.saved = false;
    this.say(what);
  }

  take(turns, names) {
    this.turns = turns;
    this.names = names;
    this.made = undefined;
    if (!turns.some((turn) => turn.key === this.selected)) this.selected = null;
    if (this.past.length) corrections.set(this.id, this);
    else corrections.delete(this.id);
    document.dispatchEvent(new Event("corrected"));
    this.refresh();
    this.timeline.showLanes();
  }

  // A speaker's turns that overlap are one.
  joined(turns) {
    const last = new Map();
    const result = [];
    for (const turn of [...turns].sort((a, b) => a.start - b.start || a.end - b.end)) {
      const before = last.get(turn.speaker);
      if (before && turn.start < before.end) {
        before.end = Math.max(before.end, turn.end);
        if (turn.key === this.selected) before.key = turn.key;
        continue;
      }
      const own = { ...turn };
      last.set(turn.speaker, own);
      result.push(own);
    }
    return result;
  }

  undo() {
    this.step(this.past, this.future, "undid: ");
  }

  redo() {
    this.step(this.future, this.past, "redid: ");
  }

  step(from, to, word) {
    const entry = from.pop();
    if (!entry) return;
    const [turns, names, what] = entry;
    to.push([this.turns, this.names, what]);
    this.saved = false;
    this.take(turns, names);
    this.say(word + what);
  }

  current() {
    return this.turns.find((turn) => turn.key === this.selected);
  }

  // Change one turn. What a person set is no longer the system's guess, so its confidence goes.
  replace(turn, values, what) {
    const changed = { ...turn, ...values, sure: undefined };
    if (["speaker", "start", "end"].every((key) => changed[key] === turn[key])) return;
    this.change(what, this.turns.map((one) => (one.key === turn.key ? changed : one)));
  }

  newSpeaker() {
    const plain = [...this.names.keys()].every((name) => /^\d+$/.test(name));
    let number = this.names.size + 1;
    const name = () => (plain ? String(number) : `speaker${number}`);
    while (this.names.has(name())) number++;
    return [name(), Math.max(-1, ...this.names.values()) + 1];
  }

  assign(turn, speaker) {
    let names = this.names;
    let target = speaker;
    if (target === null) {
      const [name, number] = this.newSpeaker();
      names = new Map(names).set(name, number);
      target = name;
    }
    if (target === turn.speaker) return;
    const changed = { ...turn, speaker: target, number: names.get(target), sure: undefined };
    const turns = this.turns.map((one) => (one.key === turn.key ? changed : one));
    this.change(`gave the turn at ${clock(turn.start, 1)} to ${shownName(target)}`, turns, names);
  }

  rename(name, wanted) {
    const to = wanted.trim();
    if (!to || to === name) return this.refresh();
    if (this.names.has(to)) return this.merge(name, to);
    const names = new Map([...this.names].map(([key, number]) => [key === name ? to : key, number]));
    const turns = this.turns.map((turn) => (turn.speaker === name ? { ...turn, speaker: to } : turn));
    return this.change(`renamed ${shownName(name)} to ${to}`, turns, names);
  }

  merge(name, into) {
    const number = this.names.get(into);
    const names = new Map([...this.names].filter(([key]) => key !== name));
    const turns = this.turns.map((turn) => (turn.speaker === name ? { ...turn, speaker: into, number } : turn));
    this.change(`merged ${shownName(name)} into ${shownName(into)}`, turns, names);
  }

  // From the cursor on, a speaker is somebody else; a turn that lasts then is cut.
  splitSpeaker(name) {
    const at = Math.round(this.timeline.position * 1000) / 1000;
    const [other, number] = this.newSpeaker();
    const names = new Map(this.names).set(other, number);
    const turns = this.turns.flatMap((turn) => {
      if (turn.speaker !== name || turn.end <= at) return [turn];
      const later = { ...turn, speaker: other, number, start: Math.max(at, turn.start), key: this.count++ };
      return turn.start < at ? [{ ...turn, end: at }, later] : [later];
    });
    if (!turns.some((turn) => turn.speaker === other)) {
      this.say(`${shownName(name)} does not talk after ${clock(at, 1)}`);
      return;
    }
    this.change(`split ${shownName(name)} at ${clock(at, 1)}`, turns, names);
  }

  splitTurn() {
    const turn = this.current();
    const at = Math.round(this.timeline.position * 1000) / 1000;
    if (!turn || at <= turn.start || at >= turn.end) return this.say("to split a turn, select it and put the cursor into it");
    const second = { ...turn, start: at, key: this.count++ };
    const turns = this.turns.flatMap((one) => (one.key === turn.key ? [{ ...turn, end: at }, second] : [one]));
    return this.change(`split the turn at ${clock(at, 1)}`, turns);
  }

  addTurn() {
    const start = Math.round(Math.min(this.timeline.position, this.timeline.seconds - 0.01) * 1000) / 1000;
    const [fresh, freshNumber] = this.newSpeaker();
    const [speaker, number] = this.current() ? [this.current().speaker, this.current().number] : [...this.names][0] ?? [fresh, freshNumber];
    const turn = { speaker, number, start, end: Math.min(start + 1, this.timeline.seconds), sure: undefined, key: this.count++ };
    this.selected = turn.key;
    this.change(`added a turn at ${clock(start, 1)}`, [...this.turns, turn], new Map(this.names).set(speaker, number));
  }

  removeTurn() {
    const turn = this.current();
    if (!turn) return;
    this.change(`deleted the turn at ${clock(turn.start, 1)}`, this.turns.filter((one) => one.key !== turn.key));
  }

  // ---- Selection ----

  select(key) {
    this.selected = key;
    this.refresh();
    this.timeline.draw();
  }

  // The next or previous turn in time, from the selected one or from the cursor.
  go(direction) {
    const at = this.turns.findIndex((turn) => turn.key === this.selected);
    const { position } = this.timeline;
    const next = at >= 0
      ? this.turns[at + direction]
      : direction > 0
        ? this.turns.find((turn) => turn.end > position)
        : this.turns.findLast((turn) => turn.start < position);
    if (!next) return;
    this.timeline.seek(next.start);
    this.select(next.key);
    this.say(`${shownName(next.speaker)}, ${clock(next.start, 1)} to ${clock(next.end, 1)}`);
  }

  playTurn() {
    const turn = this.current();
    if (!turn) return;
    this.timeline.seek(turn.start);
    this.timeline.play(turn.end);
  }

  setEdge(side) {
    const turn = this.current();
    if (turn) this.replace(turn, this.bounded({ ...turn, [side]: this.timeline.position }, side), `set the ${side}`);
  }

  // ---- The panel ----

  build() {
    this.panel = make("div", "fix");
    this.panel.hidden = true;
    this.panel.setAttribute("role", "group");
    this.panel.setAttribute("aria-label", `Corrections of ${this.id}`);
    this.turnRow = make("div", "fix-row");
    this.speakerRow = make("div", "fix-speakers");
    this.saveRow = make("div", "fix-row");
    this.status = make("span", "fix-status");
    this.status.setAttribute("role", "status");
    this.undoButton = makeButton("Undo", "Undo (Ctrl+Z)", () => this.undo());
    this.redoButton = makeButton("Redo", "Redo (Ctrl+Y)", () => this.redo());
    this.saveRow.append(this.undoButton, this.redoButton, make("span", "name", "Save"));
    for (const format of Object.keys(FORMATS)) {
      this.saveRow.append(makeButton(format, `Save as ${format}`, () => this.save(format)));
    }
    this.saveRow.append(this.status);
    this.panel.append(this.turnRow, this.speakerRow, this.saveRow);
    this.panel.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.target.tagName !== "INPUT" && this.key(event)) event.preventDefault();
    });
    this.buildTurnRow();
    this.timeline.section.querySelector(".timeline-place").append(this.panel);
  }

  buildTurnRow() {
    const number = (label, side) => {
      const input = make("input");
      input.type = "number";
      input.step = "0.05";
      input.min = "0";
      input.max = String(this.timeline.seconds);
      input.addEventListener("change", () => {
        const turn = this.current();
        if (turn && input.value !== "") {
          this.replace(turn, this.bounded({ ...turn, [side]: Number(input.value) }, side), `set the ${side}`);
        }
      });
      const box = make("label", "", `${label} `);
      box.append(input);
      return [box, input];
    };
    const [startLabel, start] = number("Start", "start");
    const [endLabel, end] = number("End", "end");
    const speaker = make("select");
    speaker.addEventListener("change", () => {
      const turn = this.current();
      if (turn) this.assign(turn, speaker.value === "" ? null : speaker.value);
    });
    const speakerLabel = make("label", "", "Speaker ");
    speakerLabel.append(speaker);
    this.fields = { start, end, speaker };
    this.turnButtons = [
      makeButton("Play", "Play the turn (Enter)", () => this.playTurn()),
      makeButton("Split", "Split the turn at the cursor (S)", () => this.splitTurn()),
      makeButton("Delete", "Delete the turn (Delete)", () => this.removeTurn()),
    ];
    this.turnRow.append(
      make("span", "name", "Turn"),
      makeButton("‹", "Previous turn (,)", () => this.go(-1)),
      makeButton("›", "Next turn (.)", () => this.go(1)),
      speakerLabel, startLabel, endLabel,
      ...this.turnButtons,
      makeButton("New", "New turn at the cursor (A)", () => this.addTurn()),
    );
  }

  // Show the state. The field with the keyboard focus keeps it, although rows are made anew.
  refresh() {
    const focus = document.activeElement?.dataset?.key;
    const turn = this.current();
    const { start, end, speaker } = this.fields;
    for (const field of [start, end, speaker, ...this.turnButtons]) field.disabled = !turn;
    start.value = turn ? turn.start.toFixed(2) : "";
    end.value = turn ? turn.end.toFixed(2) : "";
    speaker.replaceChildren(
      ...[...this.names.keys()].map((name) => makeOption(name, shownName(name))),
      makeOption("", "a new speaker"),
    );
    speaker.value = turn?.speaker ?? this.names.keys().next().value ?? "";
    this.undoButton.disabled = !this.past.length;
    this.redoButton.disabled = !this.future.length;
    this.speakerRow.replaceChildren(...[...this.names].map(([name, number], place) => this.speakerEntry(name, number, place)));
    if (focus) this.panel.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  }

  speakerEntry(name, number, place) {
    const entry = make("div", "fix-row");
    const dot = make("span", "dot");
    dot.style.setProperty("--c", `var(${speakerVariable(number)})`);
    const field = make("input");
    field.value = name;
    field.setAttribute("aria-label", `Name of ${shownName(name)}`);
    field.dataset.key = `name ${number}`;
    field.addEventListener("change", () => this.rename(name, field.value));
    const seconds = total(this.turns.filter((turn) => turn.speaker === name).map((turn) => [turn.start, turn.end]));
    const merge = make("select");
    merge.setAttribute("aria-label", `Merge ${shownName(name)} into`);
    merge.dataset.key = `merge ${number}`;
    merge.append(makeOption("", "merge into …"));
    for (const other of this.names.keys()) if (other !== name) merge.append(makeOption(other, shownName(other)));
    merge.addEventListener("change", () => { if (merge.value !== "") this.merge(name, merge.value); });
    const split = makeButton("Split from cursor", `Split from cursor: ${shownName(name)} is another speaker after it`, () => this.splitSpeaker(name));
    split.dataset.key = `split ${number}`;
    entry.append(make("kbd", "", String(place + 1)), dot, field, make("span", "length", clock(seconds)), merge, split);
    return entry;
  }

  say(text) {
    const changes = this.past.length;
    this.status.textContent = `${text} · ${changes} ${changes === 1 ? "change" : "changes"}`;
  }

  open() {
    this.panel.hidden = false;
    this.refresh();
    this.timeline.correctButton.setAttribute("aria-expanded", "true");
  }

  close() {
    this.panel.hidden = true;
    if (!this.past.length) this.panel.remove(); // opened again, corrections begin with the system that is chosen then
    this.timeline.corrections = undefined;
    this.timeline.correctButton.setAttribute("aria-expanded", "false");
  }

  save(format) {
    const [ending, type, text] = FORMATS[format];
    saveFile(`${this.id}${ending}`, type, text(this.id, this.turns));
    this.saved = true;
    this.say(`saved ${this.id}${ending}`);
  }

  // Return whether the key belongs to the corrections.
  key(event) {
    const letter = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (letter === "z" && !event.shiftKey) this.undo();
      else if (letter === "y" || letter === "z") this.redo();
      else return false;
      return true;
    }
    if (event.altKey) return false;
    const actions = {
      ",": () => this.go(-1),
      ".": () => this.go(1),
      "[": () => this.setEdge("start"),
      "]": () => this.setEdge("end"),
      s: () => this.splitTurn(),
      a: () => this.addTurn(),
      Delete: () => this.removeTurn(),
      Backspace: () => this.removeTurn(),
      Enter: () => this.playTurn(),
      Escape: () => this.select(null),
    };
    const speaker = /^[1-9]$/.test(event.key) ? [...this.names.keys()][Number(event.key) - 1] : undefined;
    if (speaker !== undefined && this.current()) this.assign(this.current(), speaker);
    else if (actions[event.key] ?? actions[letter]) (actions[event.key] ?? actions[letter])();
    else return false;
    return true;
  }
}

addEventListener("beforeunload", (event) => {
  if ([...corrections.values()].some((one) => !one.saved)) event.preventDefault();
});
