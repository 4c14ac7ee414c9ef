"use strict";
// The page of serve.py. Everything that comes from files is set as text, never as HTML.

const $ = (id) => document.getElementById(id);
const POLL = 400;
const PRESETS = { "brain": [0, 80], "subdural": [-20, 180], "soft tissue": [-160, 240], "bone": [-400, 1600], "whole": [-1000, 2000] };
const MODES = [["beside", "Side by side"], ["slider", "Slider"], ["difference", "Difference"]];
const state = { runs: [], jobs: [], chosen: null, item: 0, mode: "beside", drawn: "", viewers: [], plane: "axial", slice: 0, windows: {}, three: true };

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((one) => one !== null && one !== undefined));
  return node;
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("serve.py does not answer; is it still running?");
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (!answer.ok) throw new Error(typeof body.detail === "string" ? body.detail : `refused (${answer.status})`);
  return body;
}

// Draws anew and leaves the focus on the button that was pressed.
function keepingFocus(place, drawn) {
  const before = place.contains(document.activeElement) ? document.activeElement : null;
  const name = (node) => [node.tagName, node.getAttribute("aria-label") || node.textContent, (node.dataset || {}).key || ""].join("|");
  const key = before && name(before);
  drawn();
  if (key === null || document.contains(before)) return;
  const same = [...place.querySelectorAll("button, input, select, canvas")].find((node) => name(node) === key);
  if (same) same.focus({ preventScroll: true });
}

function say(text, bad = false) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", bad);
}

// What can be asked for ---------------------------------------------------------------------------------------------

async function loadRuns() {
  const known = await ask("/api/runs");
  $("version").textContent = `ct-mri-cyclegan ${known.version}`;
  $("banner").textContent = known.banner;
  $("kept").textContent = `Jobs stay on this machine and are deleted after ${known.keep_hours} hours.`;
  if (known.problem) say(known.problem, true);
  if (!known.ready) {
    if (!known.problem) say("The worker is starting …");
    setTimeout(watchRuns, known.problem ? 5000 : 500);
    return;
  }
  if ($("said").textContent === "The worker is starting …") say("");
  setTimeout(watchRuns, 10000);
  if (JSON.stringify(state.runs) === JSON.stringify(known.runs)) return;
  state.runs = known.runs;
  const of = (kind) => known.runs.filter((one) => one.kind === kind);
  const option = (one) => make("option", { value: one.name, textContent: one.name });
  $("translator").replaceChildren(...of("translator").map(option), make("option", { value: "", textContent: "none" }));
  $("detector").replaceChildren(make("option", { value: "", textContent: "none" }), ...of("detector").map(option));
  showDirections();
}

function watchRuns() {
  loadRuns().catch((error) => { say(error.message, true); setTimeout(watchRuns, 3000); });
}

function run(kind) {
  return state.runs.find((one) => one.kind === kind && one.name === $(kind).value);
}

function showDirections() {
  const translator = run("translator");
  const before = $("direction").value;
  const known = translator ? translator.directions : [];
  const words = (one) => one.replace("2", " to ");
  $("direction").replaceChildren(...known.map((one) => make("option", { value: one, textContent: words(one) })));
  if (known.includes(before)) $("direction").value = before;
  $("direction").disabled = !translator;
  showHint();
}

function showHint() {
  const translator = run("translator"), detector = run("detector");
  const parts = [];
  if (!translator && !detector) parts.push("Choose a translator, a detector, or both.");
  if (detector && detector.classes) {
    parts.push(`Says ${detector.classes.join(", ")}; ${detector.calibration}` +
      (detector.threshold === undefined ? "." : `; threshold ${detector.threshold.toFixed(2)}.`));
  }
  if (translator && detector && $("direction").value.startsWith(translator.reads)) {
    parts.push(`Verdicts on the ${translator.reads} and on its way there and back.`);
  }
  $("hint").textContent = parts.join(" ");
}

// Dropping ----------------------------------------------------------------------------------------------------------

async function filesOf(transfer) {
  const entries = [...transfer.items].map((one) => one.webkitGetAsEntry && one.webkitGetAsEntry()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => [file, file.name]);
  const found = [];
  const walk = async (entry, place) => {
    if (entry.isFile) {
      const file = await new Promise((done, failed) => entry.file(done, failed));
      if (!file.name.startsWith(".")) found.push([file, place + file.name]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) return;
      for (const one of some) await walk(one, `${place}${entry.name}/`);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return found;
}

async function send(files) {
  if (!files.length) { say("no files in that", true); return; }
  const form = new FormData();
  for (const name of ["translator", "direction", "detector", "window"]) form.append(name, $(name).value.trim());
  for (const [file, name] of files) form.append("files", file, name);
  say(files.length > 1 ? `Sending ${files.length} files …` : `Sending ${files[0][1]} …`);
  try {
    const job = await ask("/api/jobs", { method: "POST", body: form });
    say("");
    state.drawn = "";
    choose(job.id);
    await refresh();
    toResult();
  } catch (error) {
    say(error.message, true);
  }
}

// Jobs --------------------------------------------------------------------------------------------------------------

function words(job) {
  if (job.state === "queued") return job.place > 1 ? `waits, ${job.place - 1} before it` : "waits";
  if (job.state === "running") {
    if (!job.progress) return "begins";
    return `${job.progress[0]}: ${job.progress[1]} of ${job.progress[2]}`;
  }
  if (job.state === "failed") return "refused";
  return `done in ${job.seconds.toFixed(1)} s`;
}

function title(job) {
  const more = job.names.length > 1 ? ` and ${job.names.length === 100 ? "many" : job.names.length - 1} more` : "";
  return (job.names[0] || "?") + more;
}

async function refresh() {
  clearTimeout(refresh.timer);
  try {
    state.jobs = await ask("/api/jobs");
    if ($("said").textContent.startsWith("serve.py does not answer")) say("");
    const chosen = state.jobs.find((one) => one.id === state.chosen);
    // The list has no results: that of the chosen job is asked for once.
    if (chosen && chosen.state === "done") {
      if (!state.whole || state.whole.id !== chosen.id) state.whole = await ask(`/api/jobs/${chosen.id}`);
      Object.assign(chosen, state.whole);
    }
    showJobs();
    showResult();
  } catch (error) {
    say(error.message, true);
  }
  const busy = state.jobs.some((job) => job.state === "queued" || job.state === "running");
  refresh.timer = setTimeout(refresh, busy ? POLL : 5 * POLL);
}

// On a narrow screen the result stands below.
function toResult() {
  if (window.innerWidth <= 800) $("result").scrollIntoView({ block: "start" });
}

function showJobs() {
  if ($("jobs").matches(":active")) return; // a button is held down: drawn anew it would lose the click
  keepingFocus($("jobs"), drawJobs);
}

function drawJobs() {
  $("jobs").replaceChildren(...state.jobs.map((job) => {
    const what = [job.direction && job.direction.replace("2", " to "), job.detector].filter(Boolean).join(", ");
    const open = make("button", { type: "button", className: "open", onclick: () => { choose(job.id); refresh().then(toResult); } },
      make("strong", { textContent: title(job) }), make("span", { className: "soft", textContent: `${what} · ${words(job)}` }));
    open.dataset.key = `open ${job.id}`;
    if (job.state === "running" && job.progress) open.append(make("progress", { max: job.progress[2], value: job.progress[1] }));
    const drop = make("button", { type: "button", className: "delete", textContent: "×", title: "Delete this job and its files",
      "aria-label": `Delete ${title(job)}`, onclick: () => remove(job.id) });
    drop.dataset.key = `delete ${job.id}`;
    return make("li", { className: job.id === state.chosen ? "chosen" : "" }, open, drop);
  }));
  if (!state.jobs.length) $("jobs").append(make("li", {}, make("span", { className: "open soft", textContent: "none yet" })));
}

function choose(id) {
  if (state.chosen !== id) Object.assign(state, { chosen: id, item: 0, slice: null, windows: {}, drawn: "" });
}

async function remove(id) {
  try {
    await ask(`/api/jobs/${id}`, { method: "DELETE" });
  } catch (error) {
    say(error.message, true);
  }
  if (state.chosen === id) choose(null);
  await refresh();
}

// The result --------------------------------------------------------------------------------------------------------

const file = (job, path) => `/api/jobs/${job.id}/files/${path.split("/").map(encodeURIComponent).join("/")}`;

function showResult() {
  const job = state.jobs.find((one) => one.id === state.chosen);
  $("empty").hidden = Boolean(job);
  $("shown").hidden = !job;
  if (!job) { endViewers(); state.drawn = ""; return; }
  // What stands there is left alone until it changes: a viewer keeps its place while the page asks again.
  const key = JSON.stringify([job.id, job.state, job.state === "done" ? "" : words(job), state.item, state.three]);
  if (key === state.drawn || (job.state === "done" && !(state.whole && state.whole.id === job.id))) return;
  state.drawn = key;
  state.redraw = null;
  keepingFocus($("result"), () => drawResult(job));
}

function drawResult(job) {
  endViewers();
  const parts = [make("h2", { textContent: title(job) })];
  if (job.state === "failed") parts.push(make("div", { className: "failed", role: "alert" }, make("strong", { textContent: "Refused: " }), job.message));
  else if (job.state !== "done") {
    parts.push(make("p", { textContent: words(job) }),
      make("progress", job.progress ? { max: job.progress[2], value: job.progress[1] } : {}));
  } else parts.push(...doneParts(job));
  $("shown").replaceChildren(...parts);
  if (job.state === "done" && job.items.length) (job.items[state.item].kind === "volume" ? showVolume : showPicture)(job, job.items[state.item]);
}

function doneParts(job) {
  const parts = [];
  const item = job.items[state.item];
  if (job.items.length > 1) {
    const pick = make("select", { id: "item", "aria-label": "Picture or volume", onchange: (event) => go(Number(event.target.value)) },
      ...job.items.map((one, index) => make("option", { value: index, textContent: one.name, selected: index === state.item })));
    parts.push(make("div", { className: "bar" },
      make("button", { type: "button", textContent: "←", "aria-label": "Previous", onclick: () => go(state.item - 1) }),
      make("span", { className: "grow" }, pick), make("output", { textContent: `${state.item + 1} of ${job.items.length}` }),
      make("button", { type: "button", textContent: "→", "aria-label": "Next", onclick: () => go(state.item + 1) })));
  }
  if (item) parts.push(make("div", { id: "viewer" }));
  const links = [];
  if (item && item.output && item.kind === "picture") {
    links.push(make("a", { href: file(job, item.output), download: item.output.split("/").pop(), textContent: "this picture (PNG)" }));
  }
  if (job.translator || job.verdicts.length) {
    links.push(make("a", { href: `/api/jobs/${job.id}/result.zip`, textContent: job.items.some((one) => one.kind === "volume")
      ? `all results (zip: ${item.dicom ? "DICOM" : "NIfTI"})` : "all results (zip)" }));
  }
  if (links.length) parts.push(make("p", {}, "Download: ", ...links.flatMap((one, index) => index ? [" · ", one] : [one])));
  for (const one of job.verdicts) parts.push(...verdictParts(job, one));
  if (job.notes.length) parts.push(make("h2", { textContent: "Notes" }), make("ul", { className: "notes" }, ...job.notes.map((note) => make("li", { textContent: note }))));
  return parts;
}

function verdictParts(job, verdict) {
  const hidden = new Set(["notice", "mask", "threshold"]);
  const says = (name) => !hidden.has(name) && verdict.rows.some((row) => row[name] !== "");
  const columns = verdict.rows.length ? Object.keys(verdict.rows[0]).filter(says) : [];
  const text = (value) => (/^-?\d+\.\d{4,}$/.test(value) ? Number(value).toFixed(3) : value);
  const run = state.runs.find((one) => one.kind === "detector" && one.name === job.detector);
  const notes = [job.detector];
  if (verdict.threshold !== undefined) notes.push(`threshold ${verdict.threshold.toFixed(2)}`);
  if (run && run.calibration) notes.push(run.calibration);
  const parts = [make("h2", { textContent: `Detector on: ${verdict.what}` }), make("p", { className: "soft", textContent: notes.join("; ") }),
    make("div", { className: "wide" }, make("table", {}, make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col", textContent: name.replaceAll("_", " ") })))),
      make("tbody", {}, ...verdict.rows.slice(0, 200).map((row) => make("tr", {}, ...columns.map((name) => make("td", { textContent: text(row[name]) })))))))];
  if (verdict.figure) {
    parts.push(make("details", { open: verdict.rows.length <= 12 }, make("summary", { textContent: "What the verdict looked at" }),
      make("img", { className: "overlay", loading: "lazy", src: file(job, verdict.figure), alt: `Slices beside what the detector looked at: ${verdict.what}` })));
  }
  return parts;
}

function go(index) {
  const job = state.jobs.find((one) => one.id === state.chosen);
  if (!job || job.state !== "done" || !job.items.length) return;
  state.item = Math.min(job.items.length - 1, Math.max(0, index));
  state.slice = null;
  showResult();
}

function modeButtons(redraw) {
  return MODES.map(([mode, text], index) => make("button", { type: "button", textContent: text, title: `Key ${index + 1}`,
    "aria-pressed": String(state.mode === mode), onclick: () => { state.mode = mode; redraw(); } }));
}

// Two pictures beside each other, one over the other with a slider, or their difference.
function compared(first, second, names) {
  const tagged = (name, tag) => make("figcaption", {}, name, tag ? " " : "", tag ? make("span", { className: "tag", textContent: "synthetic" }) : "");
  if (!second) return make("div", { className: "pair" }, make("figure", {}, make("img", { src: first, alt: names[0] }), tagged(names[0], false)));
  if (state.mode === "beside") {
    return make("div", { className: "pair" },
      make("figure", {}, make("img", { src: first, alt: names[0] }), tagged(names[0], false)),
      make("figure", {}, make("img", { src: second, alt: names[1] }), tagged(names[1], true)));
  }
  const stack = make("div", { className: `stack ${state.mode}` }, make("img", { src: first, alt: names[0] }), make("img", { src: second, alt: names[1], className: "above" }));
  const parts = [stack];
  if (state.mode === "slider") {
    parts.push(make("div", { className: "bar cutting" }, make("input", { type: "range", min: 0, max: 100, value: 50, className: "grow cut", "aria-label": `How much of ${names[1]}`,
      oninput: (event) => stack.style.setProperty("--cut", `${event.target.value}%`) })));
    parts.push(make("p", { className: "soft", textContent: `Left of the line ${names[0]}, right of it ${names[1]} (synthetic).` }));
  } else parts.push(make("p", { className: "soft", textContent: "Where both are equally gray it is black. CT and MRI differ by nature; this is no error." }));
  return make("div", {}, ...parts);
}

function sides(job) {
  const [source, target] = job.direction ? job.direction.split("2") : ["input", ""];
  return [`${source}, input`, `${target}, translated`];
}

function showPicture(job, item) {
  const draw = () => keepingFocus($("viewer"), () => $("viewer").replaceChildren(
    ...(item.output ? [make("div", { className: "bar", id: "modes" }, ...modeButtons(draw))] : []),
    compared(file(job, item.input), item.output && file(job, item.output), sides(job))));
  draw();
  state.redraw = draw;
}

// Volumes -----------------------------------------------------------------------------------------------------------

function hasWebGL2() {
  try { return Boolean(document.createElement("canvas").getContext("webgl2")); } catch { return false; }
}

function release(viewer) {
  viewer.broadcastTo([]);
  const lost = viewer.gl && viewer.gl.getExtension("WEBGL_lose_context");
  if (lost) lost.loseContext();
}

function endViewers() {
  for (const one of state.viewers) release(one);
  state.viewers = [];
}

function windowOf(item, side) {
  return state.windows[side] || item[`${side}_window`];
}

function windowBars(item, redraw) {
  return ["input", "output"].filter((side) => item[side]).map((side) => {
    const [low, high] = windowOf(item, side);
    const set = (values) => { if (values[0] < values[1]) { state.windows[side] = values; redraw(side); } };
    const field = (index, label) => make("input", { type: "number", step: "any", value: index ? high : low, size: 6, "aria-label": `${side}: ${label}`,
      onchange: (event) => { const both = [...windowOf(item, side)]; both[index] = Number(event.target.value); set(both); } });
    const fields = [field(0, "black"), field(1, "white")];
    for (const one of fields) one.classList.add("number");
    const presets = item[`${side}_unit`] === "HU" ? Object.entries(PRESETS).map(([name, values]) =>
      make("button", { type: "button", textContent: name, onclick: () => { fields[0].value = values[0]; fields[1].value = values[1]; set(values); } })) : [];
    return make("div", { className: "bar" }, make("strong", { textContent: side }), ...presets, make("span", { className: "bounds" }, ...fields),
      make("span", { className: "soft", textContent: item[`${side}_unit`] || "" }));
  });
}

async function showVolume(job, item) {
  const can = hasWebGL2();
  const three = can && state.three;
  const choice = make("div", { className: "bar" },
    make("button", { type: "button", textContent: "Three planes", disabled: !can, "aria-pressed": String(three), title: can ? "" : "This browser has no WebGL2",
      onclick: () => { state.three = true; state.drawn = ""; showResult(); } }),
    make("button", { type: "button", textContent: "Slices", "aria-pressed": String(!three), onclick: () => { state.three = false; state.drawn = ""; showResult(); } }));
  if (!can) choice.append(make("span", { className: "soft", textContent: "This browser has no WebGL2; slices are drawn by the server." }));
  const place = make("div", {});
  $("viewer").replaceChildren(choice, place);
  if (three) await threePlanes(job, item, place); else slices(job, item, place);
}

function loadNiivue() {
  if (!loadNiivue.promise) {
    loadNiivue.promise = new Promise((done, failed) => {
      document.head.append(make("script", { src: "niivue-0.69.0.umd.js", onload: () => done(window.niivue), onerror: () => failed(new Error("the volume viewer did not load")) }));
    });
  }
  return loadNiivue.promise;
}

async function threePlanes(job, item, place) {
  const present = ["input", "output"].filter((side) => item[side]);
  const names = sides(job);
  const canvases = present.map((side) => make("canvas", { tabIndex: 0, "aria-label": `${side}, three planes with a crosshair` }));
  const viewers = [];
  const redraw = (side) => {
    const one = viewers[present.indexOf(side)];
    if (!one || !one.volumes.length) return;
    [one.volumes[0].cal_min, one.volumes[0].cal_max] = windowOf(item, side);
    one.updateGLVolume();
  };
  place.replaceChildren(...windowBars(item, redraw), make("div", { className: "pair" }, ...present.map((side, index) =>
    make("figure", {}, make("div", { className: "volume" }, canvases[index]),
      make("figcaption", {}, `${names[index]} `, index ? make("span", { className: "tag", textContent: "synthetic" }) : "")))),
    make("p", { className: "soft", textContent: "The crosshair is the same place in both. Left is the patient's right. Wheel: slices; right mouse button: window." }));
  try {
    const { Niivue } = await loadNiivue();
    for (const [index, side] of present.entries()) {
      const viewer = new Niivue({ backColor: [0, 0, 0, 1], show3Dcrosshair: false, isRadiologicalConvention: true, loadingText: "", dragAndDropEnabled: false, multiplanarShowRender: 0 });
      await viewer.attachToCanvas(canvases[index]);
      if (!place.isConnected) { release(viewer); return; } // another job was chosen meanwhile
      state.viewers.push(viewer);
      const [low, high] = windowOf(item, side);
      await viewer.loadVolumes([{ url: file(job, item[side]), name: item[side].split("/").pop(), colormap: "gray", cal_min: low, cal_max: high }]);
      if (!place.isConnected) return;
      viewer.setSliceType(viewer.sliceTypeMultiplanar);
      viewers.push(viewer);
    }
    if (viewers.length > 1) {
      viewers[0].broadcastTo([viewers[1]], { "2d": true, "3d": true });
      viewers[1].broadcastTo([viewers[0]], { "2d": true, "3d": true });
    }
    place.dataset.ready = "yes";
  } catch (error) {
    place.append(make("p", { className: "bad", textContent: `The volume viewer cannot draw here (${error.message}); "Slices" shows them all the same.` }));
  }
}

function slices(job, item, place) {
  const axis = { axial: 2, coronal: 1, sagittal: 0 };
  const draw = () => {
    const count = item.shape[axis[state.plane]];
    if (state.slice === null) state.slice = Math.floor(count / 2);
    state.slice = Math.min(count - 1, Math.max(0, state.slice));
    const url = (side) => {
      const [low, high] = windowOf(item, side);
      return `/api/jobs/${job.id}/slice?${new URLSearchParams({ item: state.item, side, plane: state.plane, number: state.slice, low, high })}`;
    };
    const number = make("output", { textContent: `${state.slice + 1} of ${count}` });
    const range = make("input", { type: "range", min: 0, max: count - 1, value: state.slice, className: "grow scroll", "aria-label": "Slice" });
    const pictures = make("div", {}, compared(url("input"), item.output && url("output"), sides(job)));
    const turn = () => {
      number.textContent = `${state.slice + 1} of ${count}`;
      range.value = state.slice;
      const images = pictures.querySelectorAll("img");
      images[0].src = url("input");
      if (images[1]) images[1].src = url("output");
    };
    range.addEventListener("input", () => { state.slice = Number(range.value); turn(); });
    pictures.addEventListener("wheel", (event) => {
      event.preventDefault();
      state.slice = Math.min(count - 1, Math.max(0, state.slice - Math.sign(event.deltaY)));
      turn();
    }, { passive: false });
    const planes = Object.keys(axis).map((plane) => make("button", { type: "button", textContent: plane, "aria-pressed": String(plane === state.plane),
      onclick: () => { state.plane = plane; state.slice = null; draw(); } }));
    keepingFocus(place, () => place.replaceChildren(...windowBars(item, turn), make("div", { className: "bar" }, ...planes, ...(item.output ? modeButtons(draw) : [])),
      make("div", { className: "bar" }, range, number), pictures));
    place.dataset.ready = "yes";
  };
  draw();
  state.redraw = draw;
}

// Beginning ---------------------------------------------------------------------------------------------------------

$("translator").addEventListener("change", showDirections);
for (const name of ["direction", "detector"]) $(name).addEventListener("change", showHint);
$("form").addEventListener("submit", (event) => event.preventDefault());
$("choose-files").addEventListener("click", () => $("files").click());
$("choose-folder").addEventListener("click", () => $("folder").click());
for (const name of ["files", "folder"]) {
  $(name).addEventListener("change", (event) => {
    const shown = [...event.target.files].filter((one) => !one.name.startsWith("."));
    send(shown.map((one) => [one, one.webkitRelativePath || one.name]));
    event.target.value = "";
  });
}
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  try {
    send(await filesOf(event.dataTransfer));
  } catch (error) {
    say(`the drop cannot be read (${error.message})`, true);
  }
});
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, canvas") || event.ctrlKey || event.metaKey || event.altKey) return;
  const mode = MODES[Number(event.key) - 1];
  if (event.key === "ArrowLeft") go(state.item - 1);
  else if (event.key === "ArrowRight") go(state.item + 1);
  else if (event.key === "Delete" && state.chosen && event.target.closest("#jobs")) remove(state.chosen);
  else if (mode && state.redraw && $("viewer")) { state.mode = mode[0]; state.redraw(); }
});
watchRuns();
refresh();
