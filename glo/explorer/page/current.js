// The panel "Image": the current code, its image, and sliders that move it.

import { rows, unpack } from "./arrays.js";
import { content } from "./content.js";
import { json, npy, save, saveCanvas } from "./files.js";
import { decode, latest, project, speed } from "./model.js";
import { sheet, show } from "./pixels.js";
import { current, mean, move, onChange, take } from "./state.js";
import { setWaypoints, waypoints } from "./waypoints.js";

const RANGE = 4; // standard deviations on either side of the mean

const canvas = document.getElementById("image");
const caption = document.getElementById("image-caption");
const time = document.getElementById("image-time");
const sliders = document.getElementById("sliders");
const axes = rows(content.directions.axes);
const deviations = unpack(content.directions.deviations);

// The latest image of the panel.
export const shown = { image: null };

export function start() {
  axes.forEach((axis, i) => addSlider(`Direction ${i + 1}`, axis, deviations[i]));
  onChange(update);
  for (const [id, act] of Object.entries({
    "take-mean": () => take(mean, "the mean code"),
    "add-to-path": () => setWaypoints([...waypoints, current.code]),
    "save-png": () => saveCanvas(sheet([shown.image], 1, 4), "image.png"),
    "save-json": () => save(json([project(current.code)]), "code.json"),
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
function addSlider(name, axis, deviation) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  const output = document.createElement("output");
  Object.assign(input, { type: "range", min: -RANGE, max: RANGE, step: 0.05 });
  const coordinate = () => axis.reduce((sum, u, i) => sum + u * (current.code[i] - mean[i]), 0) / deviation;
  const display = () => {
    output.textContent = coordinate().toFixed(1);
  };
  input.addEventListener("input", () => {
    const change = (Number(input.value) - coordinate()) * deviation;
    move(current.code.map((value, i) => value + change * axis[i]));
  });
  onChange(() => {
    if (document.activeElement !== input) input.value = coordinate();
    display();
  });
  input.value = coordinate();
  display();
  label.append(name, input, output);
  sliders.append(label);
}
