// The panel "Image": the current code, its image, and sliders that move it.

import { rows, unpack } from "./arrays.js";
import { content } from "./content.js";
import { json, npy, save, saveCanvas } from "./files.js";
import { decode, latest, project, speed } from "./model.js";
import { sheet, show } from "./pixels.js";
import { current, mean, move, onChange, take } from "./state.js";
import { setWaypoints, waypoints } from "./waypoints.js";

const RANGE = 4; // standard deviations on either side of the mean
const STRENGTH = 3; // of attributes, in differences between images with and without them

const canvas = document.getElementById("image");
const caption = document.getElementById("image-caption");
const time = document.getElementById("image-time");
const sliders = document.getElementById("sliders");
const attributes = document.getElementById("attributes");
const classes = document.getElementById("classes");
const axes = rows(content.directions.axes);
const deviations = unpack(content.directions.deviations);

// The latest image of the panel.
export const shown = { image: null };

export function start() {
  axes.forEach((axis, i) => addDirection(`Direction ${i + 1}`, axis, deviations[i]));
  content.attributes.forEach(({ name, step }) => addAttribute(name, unpack(step)));
  attributes.parentElement.hidden = !content.attributes.length;
  content.condition?.names.forEach(addClass);
  classes.hidden = !content.condition;
  onChange(update);
  for (const [id, act] of Object.entries({
    "take-mean": () => take(mean, "the mean code"),
    "add-to-path": () => setWaypoints([...waypoints, current.code]),
    "save-png": () => saveCanvas(sheet([shown.image], 1, 4), "image.png"),
    "save-json": () => save(json([project(current.code)], current.condition), "code.json"),
    "save-npy": () => save(npy([project(current.code)]), "code.npy"),
  })) {
    document.getElementById(id).addEventListener("click", act);
  }
}

// Show the image of the current code; of several calls while one is computed, only the last counts.
export const update = latest(async () => {
  const [image] = await decode([project(current.code)], current.condition);
  shown.image = image;
  show(canvas, image);
  canvas.setAttribute("aria-label", `Image of the current code, from ${current.source}`);
  caption.textContent = `From ${current.source}`;
  time.textContent = `${speed.milliseconds.toFixed(speed.milliseconds < 10 ? 1 : 0)} ms on ${tf.getBackend()}`;
});

// A slider along a unit axis: the coordinate of the code, in standard deviations from the mean.
function addDirection(name, axis, deviation) {
  const coordinate = () => axis.reduce((sum, u, i) => sum + u * (current.code[i] - mean[i]), 0) / deviation;
  const input = addSlider(sliders, name, RANGE, (value) => {
    const change = (value - coordinate()) * deviation;
    move(current.code.map((each, i) => each + change * axis[i]));
  });
  onChange(() => input.set(coordinate()));
}

// A slider that adds a step to the code. It starts at 0 with every code that is taken.
function addAttribute(name, step) {
  let strength = 0;
  const input = addSlider(attributes, name, STRENGTH, (value) => {
    const change = value - strength;
    strength = value;
    move(current.code.map((each, i) => each + change * step[i]));
  });
  onChange((moved) => {
    if (!moved) strength = 0;
    input.set(strength);
  });
}

// A labelled slider from -range to range. act(value) is called when the user moves it, and the returned `set` moves it.
function addSlider(parent, name, range, act) {
  const [label, input, output] = ["label", "input", "output"].map((tag) => document.createElement(tag));
  Object.assign(input, { type: "range", min: -range, max: range, step: 0.05 });
  input.addEventListener("input", () => act(Number(input.value)));
  label.append(name, input, output);
  parent.append(label);
  const set = (value) => {
    if (document.activeElement !== input) input.value = value;
    output.textContent = (Math.round(10 * value) / 10 || 0).toFixed(1); // never -0.0
  };
  set(0);
  return { set };
}

// A button of a conditional model: a class, of which one is chosen, or an attribute, which is switched on or off.
function addClass(name, i) {
  const button = document.createElement("button");
  button.textContent = name;
  button.addEventListener("click", () => {
    const { exclusive } = content.condition;
    const chosen = current.condition.map((value, j) => (exclusive ? Number(i === j) : i === j ? 1 - value : value));
    take(current.code, current.source, chosen);
  });
  onChange(() => button.setAttribute("aria-pressed", current.condition[i] === 1));
  classes.append(button);
}
