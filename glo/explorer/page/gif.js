// Animated GIFs (GIF89a) of frames of one size.

// frames: ImageData. milliseconds: of each. Returns a Blob. All frames share a palette of at most 256 colours.
export function gif(frames, milliseconds) {
  const { width, height } = frames[0];
  const palette = makePalette(frames);
  const bytes = [...text("GIF89a"), ...word(width), ...word(height), 0xf7, 0, 0];
  for (let i = 0; i < 256; i++) bytes.push(...(palette.colors[i] ?? [0, 0, 0]));
  bytes.push(0x21, 0xff, 11, ...text("NETSCAPE2.0"), 3, 1, 0, 0, 0); // endless
  const parts = [new Uint8Array(bytes)];
  for (const frame of frames) {
    const indices = new Uint8Array(width * height);
    for (let i = 0; i < indices.length; i++) indices[i] = palette.index.get(key(frame.data, 4 * i));
    const header = [0x21, 0xf9, 4, 0, ...word(Math.round(milliseconds / 10)), 0, 0, 0x2c, 0, 0, 0, 0];
    parts.push(new Uint8Array([...header, ...word(width), ...word(height), 0, 8]), blocks(compress(indices)));
  }
  parts.push(new Uint8Array([0x3b]));
  return new Blob(parts, { type: "image/gif" });
}

function text(value) {
  return Array.from(value, (character) => character.charCodeAt(0));
}

function word(value) {
  return [value & 255, value >> 8];
}

function key(data, at) {
  return (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
}

// Up to 256 colours by median cut, and the index of the colour of each colour that occurs.
function makePalette(frames) {
  const counts = new Map();
  for (const { data } of frames) {
    for (let at = 0; at < data.length; at += 4) counts.set(key(data, at), (counts.get(key(data, at)) ?? 0) + 1);
  }
  const all = Array.from(counts, ([rgb, count]) => ({ rgb, count, channels: [rgb >> 16, (rgb >> 8) & 255, rgb & 255] }));
  const boxes = [all];
  while (boxes.length < 256) {
    const ranges = boxes.map((box) => widest(box));
    const chosen = ranges.reduce((best, { range }, i) => (range > ranges[best].range ? i : best), 0);
    if (ranges[chosen].range === 0) break;
    const box = boxes[chosen].sort((a, b) => a.channels[ranges[chosen].channel] - b.channels[ranges[chosen].channel]);
    const middle = halfway(box);
    boxes.splice(chosen, 1, box.slice(0, middle), box.slice(middle));
  }
  const index = new Map();
  const colors = boxes.map((box, i) => {
    const total = box.reduce((sum, { count }) => sum + count, 0);
    box.forEach(({ rgb }) => index.set(rgb, i));
    return [0, 1, 2].map((c) => Math.round(box.reduce((sum, color) => sum + color.count * color.channels[c], 0) / total));
  });
  return { colors, index };
}

// The channel in which the colours of a box differ most, and by how much.
function widest(box) {
  const ranges = [0, 1, 2].map((c) => {
    let [low, high] = [255, 0];
    for (const { channels } of box) {
      low = Math.min(low, channels[c]);
      high = Math.max(high, channels[c]);
    }
    return high - low;
  });
  const channel = ranges.indexOf(Math.max(...ranges));
  return { channel, range: ranges[channel] };
}

// The position that halves the pixels of a sorted box of at least two colours.
function halfway(box) {
  const total = box.reduce((sum, { count }) => sum + count, 0);
  let seen = 0;
  const position = box.findIndex(({ count }) => (seen += count) >= total / 2);
  return Math.min(Math.max(position, 1), box.length - 1);
}

// LZW with codes of 9 to 12 bits.
function compress(indices) {
  const [clear, end] = [256, 257];
  const output = [];
  let [buffer, bits, size] = [0, 0, 9];
  const emit = (code) => {
    buffer |= code << bits;
    bits += size;
    while (bits >= 8) {
      output.push(buffer & 255);
      buffer >>>= 8;
      bits -= 8;
    }
  };
  let table = new Map();
  let next = end + 1;
  emit(clear);
  let prefix = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const pair = (prefix << 8) | indices[i];
    if (table.has(pair)) {
      prefix = table.get(pair);
      continue;
    }
    emit(prefix);
    if (next < 4096) {
      table.set(pair, next);
      if (next === 1 << size) size++;
      next++;
    } else {
      emit(clear);
      table = new Map();
      [next, size] = [end + 1, 9];
    }
    prefix = indices[i];
  }
  emit(prefix);
  emit(end);
  if (bits) output.push(buffer & 255);
  return output;
}

// Data in blocks of at most 255 bytes, each after its length.
function blocks(data) {
  const output = [];
  for (let start = 0; start < data.length; start += 255) {
    const block = data.slice(start, start + 255);
    output.push(block.length, ...block);
  }
  return new Uint8Array([...output, 0]);
}
