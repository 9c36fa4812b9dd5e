// The errors of turns against the reference of a recording, by the rules of scoring/der.py.

// Return the column of each row so that the sum of gains is largest, for a square matrix (Hungarian method).
const assigned = (gain) => {
  const size = gain.length;
  const [ofRow, ofColumn] = [new Array(size + 1).fill(0), new Array(size + 1).fill(0)]; // potentials; 0 is no column
  const owner = new Array(size + 1).fill(0); // row of each column, from 1
  for (let row = 1; row <= size; row++) {
    const slack = new Array(size + 1).fill(Infinity);
    const before = new Array(size + 1).fill(0);
    const seen = new Set();
    let column = 0;
    owner[0] = row;
    while (owner[column]) {
      seen.add(column);
      let next = 0;
      for (let other = 1; other <= size; other++) {
        if (seen.has(other)) continue;
        const cost = -gain[owner[column] - 1][other - 1] - ofRow[owner[column]] - ofColumn[other];
        if (cost < slack[other]) [slack[other], before[other]] = [cost, column];
        if (!next || slack[other] < slack[next]) next = other;
      }
      const step = slack[next];
      for (let other = 0; other <= size; other++) {
        if (!seen.has(other)) slack[other] -= step;
        else {
          ofRow[owner[other]] += step;
          ofColumn[other] -= step;
        }
      }
      column = next;
    }
    for (; column; column = before[column]) owner[column] = owner[before[column]];
  }
  const columns = [];
  for (let column = 1; column <= size; column++) columns[owner[column] - 1] = column - 1;
  return columns;
};

// Return the evaluated time in cells, in each of which the same speakers talk.
const cellsOf = (reference, turns, regions, [collar, ignoreOverlap]) => {
  const [places, ofReference, ofSystem] = [new Map(), new Map(), new Map()]; // depths by key
  const edges = [];
  const add = (depths, key, start, end) => edges.push([start, depths, key, 1], [end, depths, key, -1]);
  for (const [start, end] of regions) add(places, "region", start, end);
  for (const { speaker, start, end } of turns) add(ofSystem, speaker, start, end);
  for (const { speaker, start, end } of reference) {
    add(ofReference, speaker, start, end);
    add(places, "turn", start, end);
    for (const edge of [start, end]) add(places, "collar", edge - collar, edge + collar);
  }
  const talking = (depths) => [...depths].filter(([, depth]) => depth > 0).map(([key]) => key);
  const cells = [];
  let start = 0;
  for (const [end, depths, key, step] of edges.sort((a, b) => a[0] - b[0])) {
    if (end > start && places.get("region") > 0) {
      const left = places.get("collar") > 0 || (ignoreOverlap && places.get("turn") > 1);
      cells.push({ start, end, scored: !left, reference: talking(ofReference), system: talking(ofSystem) });
    }
    start = end;
    depths.set(key, (depths.get(key) ?? 0) + step);
  }
  return cells;
};

// Return errors by kind as [start, end, number of speakers], the DER (undefined if nothing is scored), and the reference
// speaker of each speaker who has one.
const scoreOf = (reference, turns, regions, terms) => {
  const cells = cellsOf(reference, turns, regions, terms);
  const [trueNames, names] = [reference, turns].map((own) => [...new Set(own.map(({ speaker }) => speaker))]);
  const size = Math.max(trueNames.length, names.length);
  const common = Array.from({ length: size }, () => new Array(size).fill(0));
  for (const { start, end, reference: talk, system } of cells) {
    for (const one of talk) for (const other of system) common[trueNames.indexOf(one)][names.indexOf(other)] += end - start;
  }
  const pairs = assigned(common).map((column, row) => [names[column], trueNames[row], common[row][column]]);
  const matches = new Map(pairs.filter(([, , seconds]) => seconds > 0));
  const errors = Object.fromEntries(KINDS.map((kind) => [kind, []]));
  let [scored, wrong] = [0, 0];
  for (const { start, end, reference: talk, system } of cells.filter((cell) => cell.scored)) {
    const right = system.filter((name) => talk.includes(matches.get(name))).length;
    const counts = {
      miss: Math.max(talk.length - system.length, 0),
      false_alarm: Math.max(system.length - talk.length, 0),
      confusion: Math.min(talk.length, system.length) - right,
    };
    scored += talk.length * (end - start);
    for (const kind of KINDS.filter((one) => counts[one])) {
      wrong += counts[kind] * (end - start);
      const last = errors[kind].at(-1);
      if (last?.[1] === start && last[2] === counts[kind]) last[1] = end;
      else errors[kind].push([start, end, counts[kind]]);
    }
  }
  return { errors, matches, der: scored ? wrong / scored : undefined };
};
