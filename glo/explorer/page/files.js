// Files that the page saves. `evaler.py --decode FILE` reads those of codes.

import { content } from "./content.js";

// Offer a Blob as a download.
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => save(blob, name), "image/png");
}

// Codes as NumPy's format, float32 [n, d].
export function npy(codes) {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${codes.length}, ${codes[0].length}), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n";
  const start = new Uint8Array([0x93, ...Array.from("NUMPY", (c) => c.charCodeAt(0)), 1, 0, padded.length, padded.length >> 8]);
  return new Blob([start, padded, ...codes.map((code) => Float32Array.from(code))]);
}

// condition: of all codes; null for an unconditional model.
export function json(codes, condition) {
  const saved = { run: content.run, step: content.step, codes: codes.map((code) => Array.from(code)) };
  if (condition) saved.conditions = codes.map(() => Array.from(condition));
  return new Blob([JSON.stringify(saved)], { type: "application/json" });
}
