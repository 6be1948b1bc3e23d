// Start the page.

import { onBackend } from "./backend.js";
import { content } from "./content.js";
import { start as startImage, update as updateImage } from "./current.js";
import { fit } from "./fit.js";
import { keepHash, link } from "./hash.js";
import { start as startMap } from "./map.js";
import { decode, project } from "./model.js";
import { start as startPath } from "./path.js";
import { start as startPicture } from "./picture.js";
import { codes } from "./points.js";
import { prepare } from "./resize.js";
import { start as startSample } from "./sample.js";
import { draw, transform } from "./sampler.js";
import { announce, current, take, takeRow } from "./state.js";

document.title = `${content.name}: explorer`;
document.getElementById("name").textContent = content.name;
document.getElementById("about").textContent =
  `${content.image.slice(0, 2).join("×")} images from codes of ${content.dimension} numbers. ` +
  `${codes.length} of ${content.training} training images are on the map. Run ${content.run}, step ${content.step}.`;

for (const start of [startImage, startMap, startSample, startPicture, startPath]) start();
onBackend(updateImage);
document.getElementById("share").addEventListener("click", async () => {
  history.replaceState(null, "", link());
  await navigator.clipboard?.writeText(link()).catch(() => {});
  announce("The address of this page now holds its state, and is on the clipboard where the browser allows it.");
});
if (!keepHash()) takeRow(0);
await updateImage();
document.body.dataset.ready = "";

// For the browser's console: what the page computes, of codes Float32Array [d] and images Float32Array in [-1, 1].
globalThis.explorer = {
  codes, content, current, decode, draw, fit, prepare, project, take, takeRow, transform,
};
