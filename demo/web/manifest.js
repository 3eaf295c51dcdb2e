// What a model file of kws says about itself (kws/bundle.py): JSON in the metadata of its .onnx, which
// onnxruntime-web does not hand out. An .onnx file is a protocol buffer, and its wire format is simple:
// https://protobuf.dev/programming-guides/encoding/; field numbers: onnx/onnx.proto of ONNX.

const METADATA_PROPS = 14; // of ModelProto
const KEY = 1; // of StringStringEntryProto
const VALUE = 2;
const SCHEMA = 1;
const RATE = 16000;

/** The manifest of a model file (Uint8Array). Throws an Error with one sentence for any other file. */
export function readManifest(bytes) {
  let text;
  try {
    text = metadata(bytes)["kws.manifest"];
  } catch {
    throw new Error("this is not an .onnx file, or it is damaged");
  }
  if (text === undefined) throw new Error("this .onnx file is not a model of kws: it has no manifest");
  const manifest = JSON.parse(text);
  if (manifest.schema !== SCHEMA || manifest.sample_rate !== RATE) {
    throw new Error(
      `this page reads models of schema ${SCHEMA} at ${RATE} Hz: make the page anew with this model's kws`,
    );
  }
  if (!manifest.keywords.length) throw new Error(`the model ${manifest.name} has no keyword of its own`);
  return manifest;
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
