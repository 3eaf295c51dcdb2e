// The source of the sound: the microphone, or a file. Each failure is an Error with one sentence for a person.

import { RATE } from "./resample.js";

const BEGIN_MS = 5000; // for the browser's audio to start
const LATE_S = 10; // of sound that waits to be heard: then this machine cannot keep up

// Speech as it is: the corrections of a call (echo, noise, level) make it unlike the speech of the training.
const CONSTRAINTS = { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } };

const REFUSALS = {
  NotAllowedError:
    "The microphone is blocked for this page. Allow it beside the address bar (or in the system’s privacy settings), then listen again.",
  NotFoundError: "There is no microphone here. Plug one in, then listen again; a sound file can be opened meanwhile.",
  NotReadableError: "The microphone cannot be opened. Another program may be using it: close that, then listen again.",
};

/**
 * Opens the microphone at its own rate. Resolves to {rate, name, blocks}: a ReadableStream of mono samples
 * (Float32Array). Cancelling it closes the microphone; it fails with a sentence when the microphone has gone.
 */
export async function openMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices) {
    throw new Error(
      `Browsers give the microphone to pages from https:// or from localhost alone, and this page comes from ${location.origin}. Open it from one of those; a sound file can be opened meanwhile.`,
    );
  }
  const media = await navigator.mediaDevices.getUserMedia(CONSTRAINTS).catch((error) => {
    throw new Error(REFUSALS[error.name] ?? `The microphone cannot be opened (${error.message || error.name}).`);
  });
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
    await begun(context);
  } catch (error) {
    media.getTracks().forEach((track) => track.stop());
    context.close();
    throw new Error(`This browser cannot listen: ${error.message}`);
  }
  return {
    rate: context.sampleRate,
    name: media.getAudioTracks()[0].label || "the microphone",
    blocks: blocksOf(media, context),
  };
}

/** Firefox waits for an output device for ever, and runs nothing without one. */
async function begun(context) {
  const late = new Promise((resume) => setTimeout(resume, BEGIN_MS));
  await Promise.race([context.resume(), late]);
  if (context.state !== "running")
    throw new Error("its audio does not start. Some need a loudspeaker or headphones for that: plug one in, then listen again.");
}

function blocksOf(media, context) {
  const [track] = media.getAudioTracks();
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  const close = () => {
    track.onended = context.onstatechange = capture.port.onmessage = null;
    track.stop();
    return context.close();
  };
  const start = (controller) => {
    const lose = (sentence) => {
      close();
      controller.error(new Error(sentence));
    };
    capture.port.onmessage = ({ data }) => {
      if (controller.desiredSize > 0) controller.enqueue(data);
      else lose("This machine cannot keep up with the sound: close what else it does, then listen again.");
    };
    track.onended = () => lose("The microphone has gone. Was it unplugged, or its permission taken back?");
    context.onstatechange = () => {
      if (context.state !== "running")
        lose("The browser has taken the microphone away, perhaps for a call. Listen again when it is free.");
    };
  };
  context.createMediaStreamSource(media).connect(capture);
  return new ReadableStream(
    { start, cancel: close },
    { highWaterMark: LATE_S * context.sampleRate, size: (block) => block.length },
  );
}

/** A sound file (Blob) as mono samples at 16 kHz; the browser decodes and resamples it. */
export async function readSound(file, name) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${name} is not a sound file that this browser can read.`);
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, index) => sound.getChannelData(index));
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}
