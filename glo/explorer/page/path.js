// The panel "Path": images between chosen codes.

import { height, width } from "./content.js";
import { json, npy, save, saveCanvas } from "./files.js";
import { gif } from "./gif.js";
import { along, arc, linear, parallelogram } from "./interpolation.js";
import { decode, latest, project } from "./model.js";
import { picture, sheet, show } from "./pixels.js";
import { announce, current, onCondition, take } from "./state.js";
import { onWaypoints, setWaypoints, waypoints } from "./waypoints.js";

const MILLISECONDS = 80; // of a frame
const SAVED_SIDE = 128; // pixels of a saved frame, about

const kind = document.getElementById("path-kind");
const steps = document.getElementById("path-steps");
const list = document.getElementById("waypoints");
const strip = document.getElementById("strip");
const player = document.getElementById("player");
const play = document.getElementById("play");
const hint = document.getElementById("path-hint");
const needed = document.querySelectorAll("[data-path]"); // buttons that need a path

const path = { codes: [], images: [] };
let frame = 0;
let timer = null;

export function start() {
  onWaypoints(update);
  onCondition(update);
  kind.addEventListener("change", update);
  steps.addEventListener("change", update);
  play.addEventListener("click", () => (timer ? stop() : begin()));
  const scale = Math.max(1, Math.round(SAVED_SIDE / Math.max(height, width)));
  for (const [id, act] of Object.entries({
    "path-clear": () => setWaypoints([]),
    "save-gif": () => save(gif(frames(scale), MILLISECONDS), "path.gif"),
    "save-strip": () => saveCanvas(sheet(path.images, columns(), scale), "path.png"),
    "path-json": () => save(json(path.codes, current.condition), "path.json"),
    "path-npy": () => save(npy(path.codes), "path.npy"),
  })) {
    document.getElementById(id).addEventListener("click", act);
  }
  update();
}

function columns() {
  return kind.value === "analogy" ? Number(steps.value) : path.images.length;
}

// There and back again.
function frames(scale) {
  const there = path.images.map((image) => {
    const canvas = sheet([image], 1, scale);
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  });
  return [...there, ...there.slice(1, -1).reverse()];
}

const update = latest(async () => {
  const chosen = Array.from(waypoints);
  const images = await decode(chosen.map(project), current.condition);
  list.replaceChildren(...images.map((image, i) => waypoint(image, i)));
  const analogy = kind.value === "analogy";
  const enough = analogy ? chosen.length === 3 : chosen.length > 1;
  const count = Number(steps.value);
  const codes = !enough ? [] : analogy ? parallelogram(chosen.map(project), count)
    : along(chosen.map(project), { line: linear, arc }[kind.value], count);
  Object.assign(path, { codes: codes.map(project), images: await decode(codes.map(project), current.condition) });
  strip.style.gridTemplateColumns = analogy ? `repeat(${count}, minmax(0, 1fr))` : "";
  strip.replaceChildren(...path.images.map((image, i) => step(image, path.codes[i], i)));
  hint.textContent = enough ? "" : analogy
    ? "Add three images A, B and C: D completes “A is to B as C is to D”." : "Add two images or more.";
  needed.forEach((button) => (button.disabled = !enough));
  player.hidden = !enough;
  if (enough) show(player, path.images[0]);
  else stop();
});

function waypoint(image, i) {
  const button = document.createElement("button");
  button.append(picture(image, `Waypoint ${i + 1}`), "×");
  button.setAttribute("aria-label", `Remove waypoint ${i + 1}`);
  button.addEventListener("click", () => setWaypoints(waypoints.filter((_, j) => j !== i)));
  return button;
}

function step(image, code, i) {
  const button = document.createElement("button");
  button.append(picture(image, `Image ${i + 1} of the path`));
  button.addEventListener("click", () => take(code, `image ${i + 1} of the path`));
  return button;
}

function begin() {
  play.textContent = "Pause";
  frame = 0;
  timer = setInterval(() => {
    const period = Math.max(2 * path.images.length - 2, 1);
    frame = (frame + 1) % period;
    show(player, path.images[frame < path.images.length ? frame : period - frame]);
  }, MILLISECONDS);
  announce("The path is playing.");
}

function stop() {
  clearInterval(timer);
  timer = null;
  play.textContent = "Play";
}
