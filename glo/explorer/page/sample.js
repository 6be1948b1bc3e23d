// The panel "Sample": new codes from the sampler.

import { content } from "./content.js";
import { decode, latest } from "./model.js";
import { picture } from "./pixels.js";
import { nearest, thumbnail } from "./points.js";
import { draw, hasTemperature, isStock, stockSize } from "./sampler.js";
import { current, onCondition, take } from "./state.js";

const COUNT = 64;
const SHOWN = 8; // nearest training images beside a sample

const seed = document.getElementById("seed");
const temperature = document.getElementById("temperature");
const grid = document.getElementById("samples");
const neighbors = document.getElementById("neighbors");
const note = document.getElementById("sample-note");

export function start() {
  temperature.value = content.temperature;
  temperature.disabled = !hasTemperature;
  const share = isStock ? `, chosen from ${stockSize} codes that it drew before` : "";
  const fixed = hasTemperature ? "" : ` at temperature ${content.sampler.temperature}, which is fixed`;
  note.textContent = `Codes come from the sampler ${content.sampler.name}${share}${fixed}.`;
  document.getElementById("draw").addEventListener("click", refresh);
  document.getElementById("next-seed").addEventListener("click", () => {
    seed.value = (Number(seed.value) + 1) % 2 ** 32;
    seed.dispatchEvent(new Event("change"));
  });
  seed.addEventListener("change", refresh);
  temperature.addEventListener("input", () => {
    if (grid.childElementCount) refresh();
  });
  temperature.addEventListener("input", display);
  temperature.addEventListener("change", display);
  onCondition(() => {
    if (grid.childElementCount) refresh();
  });
  display();
}

function display() {
  document.getElementById("temperature-value").textContent = Number(temperature.value).toFixed(2);
}

// Draw and decode the grid of the chosen seed and temperature.
export const refresh = latest(async () => {
  const chosen = `sample of seed ${seed.value}`;
  const codes = await draw(COUNT, Number(seed.value), Number(temperature.value));
  const images = await decode(codes, current.condition);
  grid.replaceChildren(...images.map((image, i) => {
    const button = document.createElement("button");
    button.append(picture(image, `Sample ${i + 1}`));
    button.addEventListener("click", () => {
      take(codes[i], `${chosen}, number ${i + 1}`);
      neighbors.replaceChildren(...nearest(image, SHOWN).map(thumbnail));
    });
    return button;
  }));
});
