// Puts PNG pictures into one Windows icon: node ico.mjs OUTPUT.ico PICTURE.png...
// The format: a header of 6 bytes, 16 bytes for each picture, the pictures (Windows Vista and later read PNG there).

import { readFileSync, writeFileSync } from "node:fs";

const [output, ...files] = process.argv.slice(2);
const pictures = files.map((file) => readFileSync(file));
const head = Buffer.alloc(6 + 16 * pictures.length);
head.writeUInt16LE(1, 2);
head.writeUInt16LE(pictures.length, 4);
let place = head.length;
pictures.forEach((picture, number) => {
  const entry = 6 + 16 * number;
  // A PNG's width and height stand at these places; 256 is written as 0.
  head.writeUInt8(picture.readUInt32BE(16) % 256, entry);
  head.writeUInt8(picture.readUInt32BE(20) % 256, entry + 1);
  head.writeUInt16LE(1, entry + 4);
  head.writeUInt16LE(32, entry + 6);
  head.writeUInt32LE(picture.length, entry + 8);
  head.writeUInt32LE(place, entry + 12);
  place += picture.length;
});
writeFileSync(output, Buffer.concat([head, ...pictures]));
