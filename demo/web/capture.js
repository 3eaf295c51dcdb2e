// Where sound comes from: the microphone, or a file. What stands in the way is an Error with one sentence for a person.

const RATE = 16000;

// Speech as it is: what makes a call pleasant (echo, noise, level) changes what the model was trained on.
const CONSTRAINTS = { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } };

const REFUSALS = {
  NotAllowedError:
    "The microphone is blocked for this page. Allow it beside the address bar (or in the system’s privacy settings), then listen again.",
  NotFoundError: "There is no microphone here. Plug one in, then listen again; a sound file can be opened meanwhile.",
  NotReadableError: "The microphone cannot be opened. Another program may be using it: close that, then listen again.",
};

/**
 * Opens the microphone at its own rate. onSamples(Float32Array): each block of mono samples; onLost(sentence): it has
 * gone. Resolves to {rate, name, close}.
 */
export async function openMicrophone(onSamples, onLost) {
  if (!window.isSecureContext || !navigator.mediaDevices) {
    throw new Error(
      `Browsers give the microphone to pages from https:// or from localhost alone, and this page comes from ${location.origin}. Open it from one of those; a sound file can be opened meanwhile.`,
    );
  }
  const media = await navigator.mediaDevices.getUserMedia(CONSTRAINTS).catch((error) => {
    throw new Error(REFUSALS[error.name] ?? `The microphone cannot be opened (${error.message || error.name}).`);
  });
  const context = new AudioContext();
  const [track] = media.getAudioTracks();
  const close = () => {
    track.onended = context.onstatechange = null;
    track.stop();
    return context.close();
  };
  try {
    await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
    await context.resume();
  } catch (error) {
    close();
    throw new Error(`This browser cannot listen (${error.message}): a current Firefox, Chrome, Edge or Safari can.`);
  }
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  capture.port.onmessage = ({ data }) => onSamples(data);
  context.createMediaStreamSource(media).connect(capture);
  track.onended = () => onLost("The microphone has gone. Was it unplugged, or its permission taken back?");
  context.onstatechange = () => {
    if (context.state !== "running")
      onLost("The browser has taken the microphone away, perhaps for a call. Listen again when it is free.");
  };
  return { rate: context.sampleRate, name: track.label || "the microphone", close };
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
