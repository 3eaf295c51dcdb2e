// On the audio thread: channels averaged, blocks of some 20 ms handed to the page.

const BLOCK = 1024;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.fill = 0;
  }

  process([channels]) {
    if (!channels.length) return true; // nothing is connected at this moment
    for (let i = 0; i < channels[0].length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.block[this.fill++] = sum / channels.length;
      if (this.fill === BLOCK) {
        this.port.postMessage(this.block, [this.block.buffer]);
        this.block = new Float32Array(BLOCK);
        this.fill = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
