"use strict";
// Trainings side by side: what their folders say, asked again every few seconds.

const $ = (id) => document.getElementById(id);
const WIDTH = 320, HEIGHT = 110, EVERY = 3000;
const state = { shown: "figures", trainings: [] };

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((one) => one !== null && one !== undefined));
  return node;
}

function draw(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function span(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes < 1 ? "less than a minute" : minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function short(value) {
  return Math.abs(value) >= 1000 || (value !== 0 && Math.abs(value) < 0.001) ? value.toExponential(1) : Number(value.toPrecision(3)).toString();
}

// One scale for a figure in all columns, or they could not be compared.
function limits(name) {
  const values = [], steps = [1];
  for (const one of state.trainings) {
    for (const [step, value] of (one[state.shown][name] || [])) { values.push(value); steps.push(step); }
    if (state.shown === "figures") values.push(...Object.values(one.floors[name] || {}));
  }
  const low = Math.min(...values), high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - room, high + room, Math.max(...steps)];
}

function chart(one, name) {
  const points = one[state.shown][name];
  const [low, high, last] = limits(name);
  const x = (step) => (step / last) * WIDTH, y = (value) => HEIGHT - ((value - low) / (high - low)) * HEIGHT;
  const now = points[points.length - 1][1];
  const floors = state.shown === "figures" ? one.floors[name] || {} : {};
  const words = Object.entries(floors).map(([kind, value]) => `${kind} ${short(value)}`).join(", ");
  const label = `${name.replaceAll("_", " ")} ${short(now)}`;
  const picture = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": `${label}${words ? `; ${words}` : ""}` });
  for (const [kind, value] of Object.entries(floors)) picture.append(draw("line", { class: `floor ${kind}`, x1: 0, x2: WIDTH, y1: y(value), y2: y(value) }));
  if (state.shown === "figures" && one.best_step) picture.append(draw("line", { class: "best", x1: x(one.best_step), x2: x(one.best_step), y1: 0, y2: HEIGHT }));
  for (const [value, place] of [[high, 10], [low, HEIGHT - 3]]) picture.append(draw("text", { x: 3, y: place, class: "bound" }, short(value)));
  picture.append(draw("polyline", { class: "curve", points: points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }));
  picture.append(draw("circle", { class: "now", cx: x(points[points.length - 1][0]), cy: y(now), r: 3 }));
  return make("figure", {}, make("figcaption", {}, make("strong", { textContent: label }), words ? make("span", { className: "soft", textContent: ` (${words})` }) : ""), picture);
}

function column(one) {
  const words = { training: "training", silent: "silent for more than two minutes: stopped, or at something long", complete: "complete" };
  const facts = [`step ${one.step} of ${one.total}`, one.epoch ? `epoch ${one.epoch}` : "", one.seconds ? `${span(one.seconds)} so far` : "",
    one.left === null ? "" : `${span(one.left)} left`, one.best_step ? `best at step ${one.best_step}` : ""].filter(Boolean).join(" · ");
  const names = Object.keys(one[state.shown]);
  return make("section", { "aria-label": one.name }, make("h2", { textContent: one.name }),
    make("p", { className: "soft", textContent: `${words[one.state]} · ${facts}` }), make("progress", { max: Math.max(1, one.total), value: one.step }),
    one.grid ? make("figure", {}, make("img", { className: "overlay", alt: `Newest samples of ${one.name}`,
      src: `/api/trainings/${encodeURIComponent(one.name)}/grid?of=${encodeURIComponent(one.grid)}` }), make("figcaption", { textContent: `${one.grid}, synthetic` })) : "",
    names.length ? make("div", { className: "charts" }, ...names.map((name) => chart(one, name)))
      : make("p", { className: "soft", textContent: state.shown === "figures" ? "no validation yet" : "nothing logged yet" }));
}

function show() {
  $("choice").replaceChildren(...[["figures", "Validation"], ["losses", "Losses"]].map(([key, text]) => make("button", { type: "button", textContent: text,
    "aria-pressed": String(state.shown === key), onclick: () => { state.shown = key; show(); } })));
  $("trainings").replaceChildren(...state.trainings.map(column));
}

async function refresh() {
  try {
    const answer = await fetch("/api/trainings");
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const found = await answer.json();
    const changed = JSON.stringify(found) !== JSON.stringify(state.trainings);
    state.trainings = found;
    $("said").textContent = found.length ? "" : "No training is watched: python serve.py --watch runs";
    if (changed || !$("choice").firstChild) show();
  } catch (error) {
    $("said").textContent = error instanceof TypeError ? "serve.py does not answer; is it still running?" : error.message;
  }
  setTimeout(refresh, EVERY);
}

refresh();
