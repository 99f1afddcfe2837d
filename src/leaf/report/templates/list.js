// The list of a report's problems: filtered, sorted, some rows at a time. What a problem holds is
// parsed when it is opened, or when a text is searched for.

const BATCH = 25; // rows that one press of the button adds
const OPEN_FIRST = 3;
const STATUSES = {
  verified: "a cut verified", transplant: "a distractor put in and kept", unverified: "nothing verified",
  pending: "nothing judged yet", uncut: "nothing to cut", unscored: "not scored",
};

const index = JSON.parse(find("index").textContent);
const list = find("list"), form = find("filters"), more = find("more");
const anchor = (id) => `#problem-${encodeURIComponent(id)}`;
const rows = new Map(); // place in the index -> its row
let shown = []; // places in the index that pass the filters, in order
let reach = BATCH; // how many of them are rows
let first = null; // a linked problem, put on top when it is far down
const texts = new Map(); // place in the index -> all that a search looks at

const PASSES = {
  "": () => true,
  verified: (one) => one.kept > 0,
  transplant: (one) => one.transplants_kept > 0,
};
for (const status of Object.keys(STATUSES)) PASSES[status] ||= (one) => one.status === status;

const ORDERS = {
  id: (a, b) => a.id.localeCompare(b.id, "en", { numeric: true }),
  longest: (a, b) => (b.lengths.at(-1) || 0) - (a.lengths.at(-1) || 0),
  lean: (a, b) => a.lean - b.lean,
};

function counted(kept, tried, one, what) {
  const text = kept === null ? plural(tried, one) : `${whole(kept)} of ${plural(tried, one)} ${what}`;
  return chip(kept ? "right" : "none", text);
}

function build(details, at) {
  if (details.childElementCount > 1) return;
  const problem = problemAt(at);
  const said = make("details", { class: "answers" }, make("summary", {}, "Answers before and after"), ...answers(problem));
  const link = make("a", { class: "small", href: anchor(problem.id) }, "Link to this problem");
  details.append(...[...context(problem), ...heats(problem), ...changes(problem), said, link].filter((part) => part !== null));
}

function row(at) {
  const one = index[at];
  const summary = make("summary", {}, make("h3", {}, make("code", {}, one.id)),
    one.level === "response" ? chip("none", "in the response") : null,
    one.tried ? counted(one.kept, one.tried, "cut", "verified") : null,
    one.transplanted ? counted(one.transplants_kept, one.transplanted, one.put_in, "kept") : null,
    one.tried || one.transplanted ? null : chip("none", STATUSES[one.status]),
    make("span", { class: "teaser", "aria-hidden": "true" }, one.teaser));
  const details = make("details", { class: "problem", id: `problem-${one.id}` }, summary);
  details.addEventListener("toggle", () => details.open && build(details, at));
  return details;
}

function textOf(at) {
  if (!texts.has(at)) {
    const problem = problemAt(at);
    const said = [problem.before, ...[...problem.removals, ...problem.transplants].map((one) => one.verdict || {})]
      .flatMap((one) => [one.student, one.teacher, one.student_text, one.teacher_text]);
    const question = problem.units.map((piece) => (typeof piece === "string" ? piece : piece[0])).join("");
    const parts = [problem.id, question, problem.answer, ...[problem.prompt, problem.earlier, ...said].map((part) => part && part.text)];
    texts.set(at, parts.filter((part) => part).join("\n").toLowerCase());
  }
  return texts.get(at);
}

function choose() {
  const { text, status, level: part, source, from, to, order } = form.elements;
  const low = from.value === "" ? -Infinity : Number(from.value);
  const high = to.value === "" ? Infinity : Number(to.value);
  const anyLength = low === -Infinity && high === Infinity;
  const sought = text.value.trim().toLowerCase();
  shown = [...index.keys()].filter((at) => {
    const one = index[at];
    return PASSES[status.value](one) && (!part.value || one.level === part.value)
      && (!source.value || one.source === source.value)
      && (anyLength || one.lengths.some((length) => low <= length && length <= high))
      && (!sought || textOf(at).includes(sought));
  });
  if (ORDERS[order.value]) shown.sort((a, b) => ORDERS[order.value](index[a], index[b]));
  if (first !== null) shown = [first, ...shown.filter((at) => at !== first)];
  show();
}

function show() {
  const wanted = shown.slice(0, reach);
  for (const at of wanted) if (!rows.has(at)) rows.set(at, row(at));
  list.replaceChildren(...wanted.map((at) => rows.get(at)));
  find("count").textContent = `${whole(shown.length)} of ${plural(index.length, "problem")}`;
  const left = shown.length - wanted.length;
  more.hidden = left === 0;
  more.textContent = `Show ${Math.min(left, BATCH)} more (${whole(left)} left)`;
}

function restart() {
  reach = BATCH;
  first = null;
  choose();
}

// Opens and shows the problem that the address names, whatever is filtered away.
function follow() {
  let id;
  try {
    id = decodeURIComponent(location.hash.slice(1));
  } catch {
    return; // a hand-written address
  }
  const at = index.findIndex((one) => `problem-${one.id}` === id);
  if (at < 0) return;
  if (!shown.slice(0, reach).includes(at)) {
    form.reset();
    reach = BATCH;
    first = at;
    choose();
  }
  const details = rows.get(at);
  details.open = true;
  build(details, at);
  details.scrollIntoView();
  details.querySelector("summary").focus({ preventScroll: true });
}

function fill(select, choices) {
  const some = choices.filter(([, , count]) => count);
  select.append(...some.map(([value, name, count]) => make("option", { value }, `${name} (${whole(count)})`)));
  select.closest("label").hidden = some.length < 2;
}

const tally = (passes) => index.filter(passes).length;
fill(form.elements.status, Object.entries(STATUSES).map(([key, name]) => [key, name, tally(PASSES[key])]));
fill(form.elements.level, [["instruction", "the question"], ["response", "the response"]]
  .map(([key, name]) => [key, name, tally((one) => one.level === key)]));
fill(form.elements.source, [...new Set(index.map((one) => one.source))].sort()
  .map((name) => [name, name, tally((one) => one.source === name)]));

let waiting;
form.addEventListener("input", (event) => {
  clearTimeout(waiting); // a search waits until typing pauses
  waiting = setTimeout(restart, event.target.type === "search" ? 150 : 0);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.querySelector("[type=reset]").addEventListener("click", () => setTimeout(restart)); // once it is empty
more.addEventListener("click", () => {
  const next = shown[reach];
  reach += BATCH;
  show();
  rows.get(next).querySelector("summary").focus();
});
addEventListener("hashchange", follow);

form.hidden = false;
choose();
shown.slice(0, OPEN_FIRST).forEach((at) => {
  rows.get(at).open = true;
  build(rows.get(at), at);
});
follow();
