// What a model file of kws says about itself (kws/metadata/): JSON in the metadata of its .onnx, which
// onnxruntime-web does not hand out. An .onnx file is a protocol buffer, and its wire format is simple:
// https://protobuf.dev/programming-guides/encoding/; field numbers: onnx/onnx.proto of ONNX.

import { RATE } from "./resample.js";

const METADATA_PROPS = 14; // of ModelProto
const KEY = 1; // of StringStringEntryProto
const VALUE = 2;
const SCHEMAS = [1, 2]; // of one pass, of two
const STRESS = /\d/g; // of dictionaries: EY1 is EY

/**
 * The manifest of a model file (Uint8Array) and the .onnx of its verifier, null where it has one pass. Throws an Error
 * with one sentence for any other file.
 */
export function readManifest(bytes) {
  let text, verifier;
  try {
    ({ "kws.manifest": text, "kws.verifier": verifier } = metadata(bytes));
  } catch {
    throw new Error("this is not an .onnx file, or it is damaged");
  }
  if (text === undefined) throw new Error("this .onnx file is not a model of kws: it has no manifest");
  const manifest = JSON.parse(text);
  if (!SCHEMAS.includes(manifest.schema) || manifest.sample_rate !== RATE) {
    throw new Error(
      `this page reads models of schema ${SCHEMAS.join(" or ")} at ${RATE} Hz: make the page anew with this model's kws`,
    );
  }
  if (manifest.verifier && verifier === undefined) throw new Error("this .onnx file has lost its verifier");
  return { manifest, verifier: manifest.verifier ? fromBase64(verifier) : null };
}

const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/**
 * The manifest with a further keyword, as `kws detect --keyword "PHRASE=PHONES"` adds it: phones of the model, | between
 * several spellings and - between words, the model's default threshold. Replaces one that was added under the same name. Throws an Error
 * with one sentence for a keyword of the model's own, and for what the model's tokens cannot spell.
 */
export function withPhrase(manifest, phrase, phones) {
  const words = (text) => text.split(/\s+/).filter(Boolean);
  const name = words(phrase.toLowerCase()).join(" ");
  if (!name) throw new Error("The phrase has no name: write what is to be said.");
  const known = manifest.tokens.slice(1);
  const spelled = phones.split("|").map((spelling) => {
    const sounds = words(spelling.toUpperCase().replace(STRESS, "")).join(" ");
    return sounds.split(" - ").map(words);
  });
  const spellings = spelled.map((spelling) => spelling.flat());
  const borders = spelled.map((spelling) => spelling.slice(0, -1).map((_, n) => spelling.slice(0, n + 1).flat().length));
  if (!spelled.every((spelling) => spelling.every((word) => word.length))) throw new Error(`“${name}” has no phones: write how it sounds.`);
  const strange = spellings.flat().filter((phone) => !known.includes(phone));
  if (strange.length)
    throw new Error(`The model has no phone ${[...new Set(strange)].join(", ")}. It has ${known.join(" ")}.`);
  const others = manifest.keywords.filter((keyword) => !(keyword.added && keyword.name === name));
  if (others.some((keyword) => keyword.name === name)) throw new Error(`The model hears “${name}” already.`);
  const { default_threshold: threshold } = manifest.scoring;
  return { ...manifest, keywords: [...others, { name, spellings, borders, threshold, added: true }] };
}

function metadata(bytes) {
  const decode = (piece) => new TextDecoder("utf-8", { fatal: true }).decode(piece);
  const found = {};
  for (const [number, entry] of fields(bytes)) {
    if (number !== METADATA_PROPS) continue;
    const pair = Object.fromEntries(fields(entry));
    found[decode(pair[KEY])] = decode(pair[VALUE]);
  }
  return found;
}

/** [number, bytes] of each length-delimited field of a message; the others are passed over. */
function* fields(bytes) {
  let place = 0;
  const varint = () => {
    for (let value = 0, scale = 1; place < bytes.length; scale *= 128) {
      const byte = bytes[place++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError("the message ends too early");
  };
  while (place < bytes.length) {
    const tag = varint();
    const [number, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind === 0) varint();
    else if (kind === 1) place += 8;
    else if (kind === 5) place += 4;
    else if (kind === 2) {
      const length = varint();
      if (place + length > bytes.length) throw new RangeError("the message ends too early");
      yield [number, bytes.subarray(place, (place += length))];
    } else throw new RangeError(`no wire type ${kind}`);
  }
}
