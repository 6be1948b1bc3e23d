// The training images of the page: their codes, names, thumbnails and columns (label, attributes).

import { bytes, rows, unpack } from "./arrays.js";
import { content, height, width } from "./content.js";
import { imageData } from "./pixels.js";

const thumbnails = content.points.thumbnails;

export const side = thumbnails.side;
export const codes = rows(content.points.codes);
export const positions = rows(content.points.map);
export const columns = content.points.columns.map(({ name, values, index }) => ({ name, values, index: unpack(index) }));

// All thumbnails in one picture, `across` in a row, each of `side` pixels.
const across = thumbnails.across;
const sprite = await createImageBitmap(new Blob([bytes(thumbnails.base64)], { type: thumbnails.type }));

// A training image in words: its id and its first column.
export function describe(row) {
  const [column] = columns;
  const value = column ? `, ${column.name} ${column.values[column.index[row]]}` : "";
  return `training image ${content.points.ids[row]}${value}`;
}

// Draw the thumbnail of a row into a square of a context.
export function drawThumbnail(context, row, x, y, size) {
  const [left, top] = [(row % across) * side, Math.floor(row / across) * side];
  context.drawImage(sprite, left, top, side, side, x, y, size, size);
}

export function thumbnail(row) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", describe(row));
  drawThumbnail(canvas.getContext("2d"), row, 0, 0, side);
  return canvas;
}

// The rows of the k training images nearest to an image in pixels, nearest first; at the size of the thumbnails.
export function nearest(image, k) {
  const all = spritePixels();
  const query = shrink(image);
  const distances = codes.map((_, row) => {
    const [left, top] = [(row % across) * side, Math.floor(row / across) * side];
    let sum = 0;
    for (let y = 0; y < side; y++) {
      const from = 4 * ((top + y) * all.width + left);
      for (let x = 0; x < 4 * side; x++) sum += (all.data[from + x] - query[4 * y * side + x]) ** 2;
    }
    return { row, sum };
  });
  return distances.sort((a, b) => a.sum - b.sum).slice(0, k).map(({ row }) => row);
}

let pixels = null;

function spritePixels() {
  if (!pixels) {
    const context = new OffscreenCanvas(sprite.width, sprite.height).getContext("2d", { willReadFrequently: true });
    context.drawImage(sprite, 0, 0);
    pixels = context.getImageData(0, 0, sprite.width, sprite.height);
  }
  return pixels;
}

// An image as a thumbnail: scaled to fit, with black margins.
function shrink(image) {
  const whole = new OffscreenCanvas(width, height);
  whole.getContext("2d").putImageData(imageData(image), 0, 0);
  const context = new OffscreenCanvas(side, side).getContext("2d");
  const scale = side / Math.max(width, height);
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, Math.round((side - w) / 2), Math.round((side - h) / 2), w, h);
  return context.getImageData(0, 0, side, side).data;
}
