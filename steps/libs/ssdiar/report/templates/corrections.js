// Corrections of a recording: a copy of a system's turns that buttons, the pointer and the keyboard change, with undo and
// files to save. Every change makes a new list of turns and a new map of names, so that undo restores the ones before.
// The browser keeps the last state under the key of the system's turns, a digest of these and of the recording.

class Corrections {
  constructor(id, system = chosen.system) {
    this.id = id;
    this.seconds = data.recordings[id].seconds;
    this.source = laneOf(id, system);
    this.count = 0; // keys given to turns
    this.turns = turnsOf(this.source).map((turn) => this.keyed(turn));
    this.names = new Map(this.source.rows.map((row) => [row.name, row.number])); // number, and so colour, by name
    this.past = [];
    this.future = [];
    this.saved = true;
    this.selected = null; // key of a turn
  }

  keyed(turn) {
    return { ...turn, key: this.count++ };
  }

  get cursor() {
    return Math.round(this.timeline.position * 1000) / 1000;
  }

  // ---- Lane of the timeline ----

  lane() {
    if (this.made) return this.made;
    const turns = (name) => this.turns.filter((turn) => turn.speaker === name);
    this.made = {
      name: `Corrected ${this.source.name}`,
      edited: true,
      system: null,
      count_sure: null, // a person decides
      rows: [...this.names].map(([name, number]) => ({
        name,
        number,
        turns: turns(name).map((turn) => Object.assign([turn.start, turn.end, turn.sure], { turn })),
      })),
    };
    for (const row of this.made.rows) row.match = scoreOfLane(this.id, this.made)?.matches.get(row.name) ?? "";
    return this.made;
  }

  // Make a block of the timeline selectable, and the edges of the selected one movable.
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
    let times = { start: turn.start, end: turn.end };
    const move = ({ clientX }) => {
      times = this.bounded({ ...times, [side]: this.timeline.timeAt(clientX) }, side);
      this.timeline.place(block, times.start, times.end);
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      this.replace(turn, times, `moved the ${side}`);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  }

  // Return times inside the recording, in whole milliseconds; the side that moves stops short of the other.
  bounded({ start, end }, side) {
    const whole = (seconds) => Math.round(Math.min(Math.max(seconds, 0), this.seconds) * 1000) / 1000;
    if (side === "start") return { start: whole(Math.min(start, end - 0.01)), end };
    return { start, end: whole(Math.max(end, start + 0.01)) };
  }

  // ---- Changes ----

  change(action, turns, names = this.names) {
    this.past.push([this.turns, this.names, action]);
    this.future = [];
    this.take(this.joined(turns), names, action);
  }

  take(turns, names, message) {
    this.turns = turns;
    this.names = names;
    this.made = undefined;
    if (!this.current()) this.selected = null;
    if (this.past.length) corrections.set(this.id, this);
    else corrections.delete(this.id);
    this.keep();
    document.dispatchEvent(new CustomEvent("corrected", { detail: this.id }));
    this.refresh();
    this.report(message);
  }

  // Keep the state in the browser; if that does not work, as in private windows, the page asks before it is left.
  keep() {
    try {
      if (!this.past.length) localStorage.removeItem(this.source.key);
      else localStorage.setItem(this.source.key, JSON.stringify({ names: [...this.names], turns: this.turns }));
      this.safe = true;
    } catch {
      this.safe = !this.past.length;
    }
  }

  // Take all turns from a file; names that have blanks here have none there.
  load(turns, file) {
    const known = new Map([...tokensOf(this.names.keys())].map(([name, token]) => [token, name]));
    const own = turns.map((turn) => ({ ...turn, speaker: known.get(turn.speaker) ?? turn.speaker }));
    const names = new Map();
    let free = Math.max(-1, ...this.names.values()) + 1;
    for (const { speaker } of own) names.set(speaker, names.get(speaker) ?? this.names.get(speaker) ?? free++);
    this.putBack(own, names, `loaded ${file}`);
  }

  putBack(turns, names, action) {
    this.change(action, turns.map((turn) => this.keyed({ ...turn, number: names.get(turn.speaker) })), names);
  }

  // Join a speaker's turns that overlap.
  joined(turns) {
    const last = new Map();
    const result = [];
    for (const turn of inOrder(turns)) {
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
    return inOrder(result);
  }

  // Undo the last change, or redo the next one.
  undo(redo = false) {
    const [from, to, verb] = redo ? [this.future, this.past, "redid"] : [this.past, this.future, "undid"];
    if (!from.length) return;
    const [turns, names, action] = from.pop();
    to.push([this.turns, this.names, action]);
    this.take(turns, names, `${verb}: ${action}`);
  }

  current() {
    return this.turns.find((turn) => turn.key === this.selected);
  }

  // Change one turn. Its confidence, which belongs to the system, is dropped.
  replace(turn, values, action, names = this.names) {
    const changed = { ...turn, ...values, sure: undefined };
    if (["speaker", "start", "end"].every((key) => changed[key] === turn[key])) return;
    this.change(action, this.turns.map((one) => (one.key === turn.key ? changed : one)), names);
  }

  // Return a name and a number for another speaker.
  newSpeaker() {
    const plain = [...this.names.keys()].every((name) => /^\d+$/.test(name));
    let number = this.names.size + 1;
    const name = () => (plain ? String(number) : `speaker${number}`);
    while (this.names.has(name())) number++;
    return [name(), Math.max(-1, ...this.names.values()) + 1];
  }

  // Give a turn to a speaker; null: to a new one.
  assign(turn, name) {
    const [speaker, number] = name === null ? this.newSpeaker() : [name, this.names.get(name)];
    const action = `gave the turn at ${clock(turn.start, 1)} to ${shownName(speaker)}`;
    this.replace(turn, { speaker, number }, action, new Map(this.names).set(speaker, number));
  }

  rename(name, wanted) {
    const to = wanted.trim();
    if (!to || to === name) this.refresh();
    else if (this.names.has(to)) this.merge(name, to);
    else {
      const names = new Map([...this.names].map(([key, number]) => [key === name ? to : key, number]));
      const turns = this.turns.map((turn) => (turn.speaker === name ? { ...turn, speaker: to } : turn));
      this.change(`renamed ${shownName(name)} to ${to}`, turns, names);
    }
  }

  merge(name, into) {
    const number = this.names.get(into);
    const names = new Map([...this.names].filter(([key]) => key !== name));
    const turns = this.turns.map((turn) => (turn.speaker === name ? { ...turn, speaker: into, number } : turn));
    this.change(`merged ${shownName(name)} into ${shownName(into)}`, turns, names);
  }

  // Give all turns of a speaker after the cursor to a new speaker; a turn at the cursor is split.
  splitSpeaker(name) {
    const at = this.cursor;
    const [speaker, number] = this.newSpeaker();
    const turns = this.turns.flatMap((turn) => {
      if (turn.speaker !== name || turn.end <= at) return [turn];
      const later = this.keyed({ ...turn, speaker, number, start: Math.max(at, turn.start) });
      return turn.start < at ? [{ ...turn, end: at }, later] : [later];
    });
    if (turns.every((turn) => turn.speaker !== speaker)) this.report(`${shownName(name)} does not talk after ${clock(at, 1)}`);
    else this.change(`split ${shownName(name)} at ${clock(at, 1)}`, turns, new Map(this.names).set(speaker, number));
  }

  splitTurn() {
    const turn = this.current();
    const at = this.cursor;
    if (!turn || at <= turn.start || at >= turn.end) {
      this.report("to split a turn, select it and put the cursor into it");
      return;
    }
    const parts = [{ ...turn, end: at }, this.keyed({ ...turn, start: at })];
    this.change(`split the turn at ${clock(at, 1)}`, this.turns.flatMap((one) => (one.key === turn.key ? parts : [one])));
  }

  // Add a second at the cursor, for the speaker of the selected turn or else the first one.
  addTurn() {
    const start = Math.min(this.cursor, this.seconds - 0.01);
    const { speaker, number } = this.current() ?? {};
    const [name, own] = speaker === undefined ? [...this.names][0] ?? this.newSpeaker() : [speaker, number];
    const end = Math.min(start + 1, this.seconds);
    const turn = this.keyed({ speaker: name, number: own, start, end, sure: undefined });
    this.selected = turn.key;
    this.change(`added a turn at ${clock(start, 1)}`, [...this.turns, turn], new Map(this.names).set(name, own));
  }

  removeTurn() {
    const turn = this.current();
    if (turn) this.change(`deleted the turn at ${clock(turn.start, 1)}`, this.turns.filter((one) => one.key !== turn.key));
  }

  // ---- Selection ----

  select(key) {
    this.selected = key;
    this.refresh();
    this.timeline.draw();
  }

  // Select the next or previous turn, counted from the selected one or from the cursor.
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
    this.report(`${shownName(next.speaker)}, ${clock(next.start, 1)} to ${clock(next.end, 1)}`);
  }

  playTurn() {
    const turn = this.current();
    if (!turn) return;
    this.timeline.seek(turn.start);
    this.timeline.play(turn.end);
  }

  // Set an edge of the selected turn, by default to the cursor.
  setEdge(side, seconds = this.timeline.position) {
    const turn = this.current();
    if (turn) this.replace(turn, this.bounded({ ...turn, [side]: seconds }, side), `set the ${side}`);
  }

  // ---- The panel ----

  build() {
    this.speakerRow = make("div", "fix-speakers");
    this.status = make("span", "fix-status");
    this.status.setAttribute("role", "status");
    this.undoButton = makeButton("Undo", "Undo (Ctrl+Z)", () => this.undo());
    this.redoButton = makeButton("Redo", "Redo (Ctrl+Y)", () => this.undo(true));
    const save = Object.keys(FORMATS).map((format) => makeButton(format, `Save as ${format}`, () => this.save(format)));
    const saveRow = make("div", "fix-row", this.undoButton, this.redoButton, make("span", "name", "Save"), ...save, this.status);
    this.panel = make("div", "fix", this.turnRow(), this.speakerRow, saveRow);
    this.panel.hidden = true;
    this.panel.setAttribute("role", "group");
    this.panel.setAttribute("aria-label", `Corrections of ${this.id}`);
    this.panel.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.target.tagName !== "INPUT" && this.key(event)) event.preventDefault();
    });
    this.timeline.section.querySelector(".timeline-place").append(this.panel);
  }

  turnRow() {
    const number = (side) => {
      const input = Object.assign(make("input"), { type: "number", step: "0.05", min: "0", max: String(this.seconds) });
      input.addEventListener("change", () => { if (input.value !== "") this.setEdge(side, Number(input.value)); });
      return input;
    };
    const speaker = make("select");
    speaker.addEventListener("change", () => {
      if (this.current()) this.assign(this.current(), speaker.value === "" ? null : speaker.value);
    });
    this.fields = { speaker, start: number("start"), end: number("end") };
    this.turnButtons = [
      makeButton("Play", "Play the turn (Enter)", () => this.playTurn()),
      makeButton("Split", "Split the turn at the cursor (S)", () => this.splitTurn()),
      makeButton("Delete", "Delete the turn (Delete)", () => this.removeTurn()),
    ];
    return make(
      "div", "fix-row",
      make("span", "name", "Turn"),
      makeButton("‹", "Previous turn (,)", () => this.go(-1)),
      makeButton("›", "Next turn (.)", () => this.go(1)),
      make("label", "", "Speaker ", speaker),
      make("label", "", "Start ", this.fields.start),
      make("label", "", "End ", this.fields.end),
      ...this.turnButtons,
      makeButton("New", "New turn at the cursor (A)", () => this.addTurn()),
    );
  }

  // Show the state. Rows are made again, and the focused field keeps the focus.
  refresh() {
    if (!this.panel) return;
    const focus = document.activeElement?.dataset?.key;
    const turn = this.current();
    const { start, end, speaker } = this.fields;
    for (const field of [start, end, speaker, ...this.turnButtons]) field.disabled = !turn;
    start.value = turn?.start.toFixed(2) ?? "";
    end.value = turn?.end.toFixed(2) ?? "";
    const names = [...this.names.keys()];
    speaker.replaceChildren(...names.map((name) => new Option(shownName(name), name)), new Option("a new speaker", ""));
    speaker.value = turn?.speaker ?? names[0] ?? "";
    this.undoButton.disabled = !this.past.length;
    this.redoButton.disabled = !this.future.length;
    this.speakerRow.replaceChildren(...[...this.names].map(([name, number], place) => this.speakerEntry(name, number, place)));
    if (focus) this.panel.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  }

  speakerEntry(name, number, place) {
    const tagged = (element, key) => {
      element.dataset.key = `${key} ${number}`;
      return element;
    };
    const field = tagged(make("input"), "name");
    field.value = name;
    field.setAttribute("aria-label", `Name of ${shownName(name)}`);
    field.addEventListener("change", () => this.rename(name, field.value));
    const others = [...this.names.keys()].filter((other) => other !== name);
    const options = others.map((other) => new Option(shownName(other), other));
    const merge = tagged(make("select", "", new Option("merge into …", ""), ...options), "merge");
    merge.setAttribute("aria-label", `Merge ${shownName(name)} into`);
    merge.addEventListener("change", () => { if (merge.value !== "") this.merge(name, merge.value); });
    const label = `Split from cursor: ${shownName(name)} is another speaker after it`;
    const split = tagged(makeButton("Split from cursor", label, () => this.splitSpeaker(name)), "split");
    const seconds = total(regionsOf(this.turns.filter((turn) => turn.speaker === name)));
    const length = make("span", "length", clock(seconds));
    return make("div", "fix-row", make("kbd", "", String(place + 1)), dotOf(number), field, length, merge, split);
  }

  report(text) {
    if (!this.panel) return;
    const changes = this.past.length;
    const kept = this.safe === false ? "; this browser does not keep them, so save them" : "";
    this.status.textContent = `${text} · ${changes} ${changes === 1 ? "change" : "changes"}${kept}`;
  }

  open(timeline) {
    if (!this.panel) {
      this.timeline = timeline;
      this.build();
    }
    this.panel.hidden = false;
    this.refresh();
    this.timeline.correctButton.setAttribute("aria-expanded", "true");
  }

  close() {
    this.panel.hidden = true;
    if (!corrections.has(this.id)) this.panel.remove(); // the next ones begin with the system that is chosen then
    this.timeline.corrections = undefined;
    this.timeline.correctButton.setAttribute("aria-expanded", "false");
  }

  save(format) {
    const [ending, type, text] = FORMATS[format];
    saveFile(`${this.id}${ending}`, type, text(this.id, this.turns));
    this.safe = true;
    const changed = [...tokensOf(this.names.keys())].find(([name, token]) => name !== token);
    const said = changed && format === "RTTM" ? ` (RTTM has no blanks: ${changed[0]} is ${changed[1]})` : "";
    this.report(`saved ${this.id}${ending}${said}`);
  }

  // Handle a key; return whether it belongs to the corrections.
  key(event) {
    const letter = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (letter === "z" && !event.shiftKey) this.undo();
      else if (letter === "y" || letter === "z") this.undo(true);
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
    const action = speaker !== undefined && this.current()
      ? () => this.assign(this.current(), speaker)
      : actions[event.key] ?? actions[letter];
    action?.();
    return action !== undefined;
  }
}

// Take up the corrections that the browser kept, of the first system that has some.
const restore = (id) => {
  for (const { system, key } of data.recordings[id].lanes) {
    let kept;
    try {
      kept = JSON.parse(localStorage.getItem(key));
    } catch {} // the browser keeps nothing
    if (!kept) continue;
    new Corrections(id, system).putBack(kept.turns, new Map(kept.names), "took up the corrections kept in this browser");
    return;
  }
};

addEventListener("beforeunload", (event) => {
  if ([...corrections.values()].some((one) => !one.safe)) event.preventDefault();
});
