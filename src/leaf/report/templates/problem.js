// One problem as elements: its heat map, what was tried on it, the answers. `leaf explain` and the
// report share it. Text from outside only ever becomes text nodes and attributes, never markup.
const COLOUR_STEPS = 6; // on either side, as leaf.report.formats.level
const REMOVED = 1, FREED = 2; // marks of a unit, as leaf.report.inert writes them

const find = (name) => document.getElementById(name);
const settings = JSON.parse(find("settings").textContent);
const stored = document.getElementsByClassName("problem-data");
const problemAt = (at) => JSON.parse(stored[at].textContent);

// Small pieces.

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const whole = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const number = (value) => (value === null ? "–" : String(value).replace("-", "−"));
const plural = (count, one) => `${whole(count)} ${one}${count === 1 ? "" : "s"}`;
const chip = (kind, text) => make("span", { class: `chip ${kind}` }, text);
const heading = (text) => make(settings.single ? "h3" : "h4", { class: "part" }, text);

function outcome(value, why) {
  if (value === null) return chip("none", "– not asked");
  const said = { right: ["right", "✓ right"], wrong: ["wrong", "✗ wrong"] };
  return chip(...(said[value] || ["none", why ? `? not gradable: ${why}` : "? not gradable"]));
}

function omitted(count) {
  return count ? make("span", { class: "cut" }, `… ${whole(count)} more characters are in the store`) : null;
}

// Spaces in front of a removed word are not struck through: the line would read as a minus sign.
// Those in front of a highlighted one are not highlighted: at the end of a line they would be a blot.
function marked(name, text) {
  const word = text.trimStart();
  const space = text.slice(0, text.length - word.length);
  if (!word || !space) return make(name, { dir: "auto" }, text);
  if (name === "mark") return make("span", {}, space, make(name, { dir: "auto" }, word));
  return make(name, { dir: "auto" }, make("span", { class: "gap" }, space), word);
}

function excerpt(pieces, names = { removed: "del", inserted: "ins" }) {
  const shown = pieces.map((piece, at) => {
    if (piece.text === null) return make("span", { class: "muted" }, at ? " … " : "… ");
    const name = piece.removed ? names.removed : piece.inserted ? names.inserted : null;
    return name ? marked(name, piece.text) : piece.text;
  });
  return make("p", { class: "excerpt", dir: "auto" }, ...shown);
}

// What each reads in a training row of two contexts, as leaf.distill.rows.contexts has it.
function contexts(pieces) {
  const without = pieces.filter((piece) => !piece.removed && !piece.inserted);
  const changed = pieces.some((piece) => piece.inserted);
  const student = pieces.filter((piece) => !(changed && piece.removed));
  const reads = (who, read) => make("div", {}, make("h5", {}, who), excerpt(read, { removed: "mark", inserted: "mark" }));
  const teacher = settings.alone ? "Itself, as its teacher, reads" : "The teacher reads";
  return make("div", { class: "two contexts" }, reads("The student reads", student), reads(teacher, without));
}

// The heat map: one tab stop, arrow keys from word to word, the word's numbers in a line below.

const level = (value) => Math.round(Math.max(-1, Math.min(1, value)) * COLOUR_STEPS);

// A scored unit has three numbers, a ranked one a single score.
function colours([student, teacher, gap]) {
  if (gap === undefined) return `ranked n${level(student)}`;
  const step = level(teacher - student);
  return `${step < 0 ? `n${-step}` : `d${step}`} t${level(teacher)} s${level(student)}`;
}

function unit(piece) {
  const text = piece[0], marks = piece.at(-1);
  const cut = (marks & REMOVED ? " cut-here" : "") + (marks & FREED ? " freed" : "");
  return make("span", { class: `u ${colours(piece.slice(1, -1))}${cut}`, tabindex: "-1" }, text);
}

function reading(piece) {
  const text = piece[0], marks = piece.at(-1);
  const [student, teacher, gap] = piece.slice(1, -1).map(number);
  const numbers = gap === undefined ? ` score ${student}` : ` student ${student} · teacher ${teacher} · gap ${gap}`;
  const cut = marks & FREED ? " · taken out, verified" : marks & REMOVED ? " · taken out" : "";
  return [make("strong", {}, make("bdi", {}, text.trim() || "(space)")), numbers + cut];
}

function heat(problem, view, ranking = null) {
  const what = ranking && ranking.unit !== "token" ? ranking.unit : "word";
  const all = (ranking || problem).units;
  const scored = all.filter((piece) => typeof piece !== "string");
  const words = new Map();
  const pieces = all.flatMap((piece) => {
    if (typeof piece === "string") return piece;
    // A sentence begins at its first letter, not at the space before it.
    const space = ranking ? piece[0].length - piece[0].trimStart().length : 0;
    const word = unit([piece[0].slice(space), ...piece.slice(1)]);
    words.set(word, piece);
    return [piece[0].slice(0, space), word];
  });
  const named = { class: `question${view ? ` by-${view}` : ""}`, dir: "auto" };
  if (scored.length) Object.assign(named, { role: "group", "aria-label": `Question by ${what}, arrow keys move` });
  const map = make("div", named, ...pieces, omitted(problem.omitted));
  if (!scored.length) return [map];
  const line = make("p", { class: "reading", "aria-live": "polite" },
    `Point at a ${what} for its numbers, or reach it with Tab and the arrow keys.`);
  const order = [...words.keys()];
  order[0].tabIndex = 0;
  const show = (word) => line.replaceChildren(...reading(words.get(word)));
  map.addEventListener("mouseover", (event) => words.has(event.target) && show(event.target));
  map.addEventListener("focusin", (event) => {
    order.forEach((word) => { word.tabIndex = word === event.target ? 0 : -1; });
    show(event.target);
  });
  map.addEventListener("keydown", (event) => {
    const at = order.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: order.length - 1 }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    (order[to] || event.target).focus();
  });
  return [map, line];
}

// What was ranked; the gradient's tokens are shown for both models.
function heats(problem) {
  const maps = problem.by_gradient || !problem.rankings.length ? heat(problem, "") : [];
  const ranked = problem.rankings.flatMap((ranking) => [heading(rankedBy(ranking)), ...heat(problem, "", ranking)]);
  return [...maps, ...ranked];
}

const rankedBy = ({ detector, unit }) => `Ranked by ${detector}, ${unit} by ${unit}`;

// What a problem stands in: turns before it, and at response level the message and the response.
function context(problem) {
  const turns = (problem.turns || []).map(({ role, said }) => make("p", { class: "asked muted", dir: "auto" },
    make("span", { class: "small" }, `${role}:`), " ", said.text, omitted(said.omitted)));
  if (!problem.prompt) return turns;
  const asked = make("p", { class: "asked muted", dir: "auto" },
    make("span", { class: "small" }, "Asked:"), " ", problem.prompt.text, omitted(problem.prompt.omitted));
  const rest = `what is scored and cut; its rest is what the ${settings.alone ? "student" : "models"} must still say:`;
  const place = make("p", { class: "muted small" });
  if (problem.earlier) {
    place.append("The response went on, after ", make("q", { dir: "auto" }, problem.earlier.text), `, with ${rest}`);
  } else {
    place.append("The response begins with ", rest);
  }
  return [...turns, asked, place];
}

// What was tried.

// Nothing is said of a teacher where there is none.
const ofTeacher = (build) => (settings.alone ? [] : [build()]);

const fact = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));

// `change` says on which question: without what was cut, or with what was put in.
function judged({ verdict, judgement }, change) {
  const outcomes = verdict ? [fact(`Student ${change}`, outcome(verdict.student)), ...ofTeacher(() => fact(`Teacher ${change}`, outcome(verdict.teacher)))] : [];
  return [...outcomes, fact(...judgement)];
}

function change(found, facts) {
  const kept = found.verdict && found.verdict.kept && !found.verdict.right_before;
  const read = kept && settings.two_contexts ? contexts(found.pieces) : excerpt(found.pieces);
  return make("li", { class: kept ? "kept" : null }, read, make("dl", {}, ...facts));
}

// What a cut was held against.
function held(control) {
  if (!control) return [];
  const each = control.placebos.flatMap(({ text, reason }, at) => [at ? ", " : ": ", make("q", { dir: "auto" }, text.trim()), ` ${reason}`]);
  return [make("div", {}, make("dt", {}, "Under control"), make("dd", {}, control.said, ...each))];
}

function removal(found) {
  const size = plural(found.units, settings.unit);
  const cut = settings.ranked ? fact("Gap", `${number(found.gap)} over ${size}`) : fact("Cut", size);
  return change(found, [...judged(found, "without it"), ...held(found.control), cut]);
}

function transplant(found) {
  return change(found, [...judged(found, "with it"), fact("Taken from", make("code", {}, found.donor))]);
}

const PUT_IN = { transplant: "Transplants", injection: "Injections" };

const furtherOnes = (more, name) => (more
  ? [make("p", { class: "muted small" }, `${plural(more, `more ${name}`)} of this problem in `, make("code", {}, "ledger.parquet"), ".")]
  : []);

function listed(title, name, found, build) {
  return found.length ? [heading(title), make("ol", { class: `changes ${name}s` }, ...found.map(build))] : [];
}

// A report of an earlier version does not say of each what it is.
function putIn(problem) {
  const kind = (one) => one.kind || (problem.put_in === "injection" ? "injection" : "transplant");
  return Object.entries(PUT_IN).flatMap(([name, title]) =>
    listed(title, name, problem.transplants.filter((one) => kind(one) === name), transplant));
}

function changes(problem) {
  const refused = problem.refused.map((one) => make("li", {}, `${one.reason}${one.count > 1 ? ` (${whole(one.count)} times)` : ""}`));
  return [
    make("p", { class: "gold" }, make("span", { class: "muted" }, "Right answer "), make("bdi", {}, problem.answer)),
    ...listed("Cuts tried", "removal", problem.removals, removal),
    ...furtherOnes(problem.tried - problem.removals.length, "cut"),
    ...putIn(problem),
    ...furtherOnes(problem.transplanted - problem.transplants.length, problem.put_in || "transplant"),
    ...(refused.length ? [heading("Not tried"), make("ul", { class: "plain" }, ...refused)] : []),
  ];
}

// Answers before and after.

function answer(model, found, said) {
  const name = make("h5", {}, model, " ", found && said ? outcome(said, found.why) : "");
  const text = found
    ? make("div", { class: "text", dir: "auto" }, found.text, omitted(found.omitted))
    : make("p", { class: "muted" }, "not asked");
  return make("div", {}, name, text);
}

function pair(title, student, build) {
  return [make("h5", { class: "row" }, ...title), make("div", { class: "two" }, student, ...ofTeacher(build))];
}

function answersTo({ pieces, verdict }) {
  const gone = pieces.filter((piece) => piece.removed).flatMap((piece, at) => [at ? ", " : "", marked("del", piece.text)]);
  const come = pieces.filter((piece) => piece.inserted).map((piece) => marked("ins", piece.text));
  const title = come.length ? ["With ", ...come, gone.length ? " instead of " : "", ...gone] : ["Without ", ...gone];
  return pair(title, answer("Student", verdict.student_text, verdict.student),
    () => answer("Teacher", verdict.teacher_text, verdict.teacher));
}

function answers(problem) {
  const [student, teacher] = ["student", "teacher"].map((role) => problem.before[role]);
  const judgedOnes = [...problem.removals, ...problem.transplants].filter((one) => one.verdict);
  const kept = judgedOnes.filter((one) => one.verdict.kept);
  const others = judgedOnes.filter((one) => !one.verdict.kept);
  return [
    ...pair(["The whole question"], answer("Student", student, student && student.outcome),
      () => answer("Teacher", teacher, teacher && teacher.outcome)),
    ...kept.flatMap(answersTo),
    others.length
      ? make("details", { class: "others" }, make("summary", {}, "Answers to the changed questions that did not pass"), ...others.flatMap(answersTo))
      : null,
  ].filter((part) => part !== null);
}

// A page of one problem has places for its parts.
const PARTS = { context, changes, answers, heat: heats };
for (const view of ["student", "teacher", "gap"]) PARTS[`heat-${view}`] = (problem) => heat(problem, view);
PARTS.ranking = (problem, at) => heat(problem, "", problem.rankings[at]);
for (const place of document.querySelectorAll("[data-part]")) {
  place.replaceChildren(...PARTS[place.dataset.part](problemAt(0), place.dataset.at).filter((part) => part !== null));
}
