// The errors of turns against the reference of a recording, by the rules of scoring/der.py.

// The score of a lane by the chosen protocol, or else the first one; undefined for the reference and without one.
const scoreOfLane = (id, lane) => {
  const reference = laneOf(id, null);
  if (!reference || lane === reference) return undefined;
  const name = chosen.protocol || Object.keys(data.protocols)[0];
  const pairs = lane.edited ? undefined : new Map(lane.rows.map((row) => [row.name, row.match]));
  lane.scores ??= {};
  lane.scores[name] ??= scoreOf(turnsOf(reference), turnsOf(lane), data.recordings[id].regions, data.protocols[name], pairs);
  return lane.scores[name];
};

// Return one-to-one pairs with the most common seconds, given by reference speaker and speaker, as a map from speaker to
// reference speaker. It is exact for up to ten speakers; with more, only the best ways to go on are followed.
const matched = (common) => {
  let ways = [[0, new Map()]];
  for (const [name, others] of common) {
    const best = new Map(); // by the speakers that are taken
    for (const [seconds, pairs] of ways) {
      const free = [...others].filter(([other]) => !pairs.has(other));
      for (const way of [[seconds, pairs], ...free.map(([other, own]) => [seconds + own, new Map(pairs).set(other, name)])]) {
        const taken = [...way[1].keys()].sort().join(" ");
        if (way[0] > (best.get(taken)?.[0] ?? -1)) best.set(taken, way);
      }
    }
    ways = [...best.values()].sort((a, b) => b[0] - a[0]).slice(0, 1024);
  }
  return ways[0][1];
};

// Return errors by kind as [start, end, number of speakers], the DER (undefined if nothing is scored), and the pairs of
// speakers, which may be given.
const scoreOf = (reference, turns, regions, [collar, ignoreOverlap], pairs) => {
  const spans = [
    ...regions.map(([start, end]) => [start, end, "region"]),
    ...reference.flatMap(({ start, end }) => [start, end].map((edge) => [edge - collar, edge + collar, "collar"])),
    ...reference.flatMap(({ speaker, start, end }) => [[start, end, "turn"], [start, end, `R${speaker}`]]),
    ...turns.map(({ speaker, start, end }) => [start, end, `S${speaker}`]),
  ];
  const edges = spans.flatMap(([start, end, key]) => [[start, key, 1], [end, key, -1]]).sort((a, b) => a[0] - b[0]);
  const depth = new Map();
  const talking = (letter) => [...depth].filter(([key, count]) => count && key[0] === letter).map(([key]) => key.slice(1));
  const cells = []; // evaluated time; within a cell, the same speakers talk
  const common = new Map();
  let start = 0;
  for (const [end, key, step] of edges) {
    if (end - start > 1e-6 && depth.get("region")) { // else edges that differ by rounding
      const scored = !depth.get("collar") && !(ignoreOverlap && depth.get("turn") > 1);
      const [truth, found] = [talking("R"), talking("S")];
      cells.push({ start, end, scored, truth, found });
      for (const name of truth) {
        const others = common.get(name) ?? new Map();
        common.set(name, others);
        for (const other of found) others.set(other, (others.get(other) ?? 0) + end - start);
      }
    }
    start = end;
    depth.set(key, (depth.get(key) ?? 0) + step);
  }
  const matches = pairs ?? matched(common);
  const errors = { miss: [], false_alarm: [], confusion: [] };
  let [all, wrong] = [0, 0];
  for (const cell of cells.filter(({ scored }) => scored)) {
    const [spoken, found] = [cell.truth.length, cell.found.length];
    const right = cell.found.filter((name) => cell.truth.includes(matches.get(name))).length;
    const counts = [Math.max(spoken - found, 0), Math.max(found - spoken, 0), Math.min(spoken, found) - right];
    all += spoken * (cell.end - cell.start);
    KINDS.forEach((kind, at) => {
      wrong += counts[at] * (cell.end - cell.start);
      const last = errors[kind].at(-1);
      if (counts[at] && last?.[1] === cell.start && last[2] === counts[at]) last[1] = cell.end;
      else if (counts[at]) errors[kind].push([cell.start, cell.end, counts[at]]);
    });
  }
  return { errors, matches, der: all ? wrong / all : undefined };
};
