"""SpecAugment: bands and times of a spectrogram hidden from the model in training (Park
et al. 2019).

Shapes: B rows, F hops of 10 ms, M mel bands.
"""

from torch import Tensor, nn

from kws.data.torchaudio_import import load_torchaudio

_HOPS_PER_TIME = 200


class SpecAugment(nn.Module):
    """(B, F, M) with zeros, the mean of normalised bands, in a band of up to `bands` of
    each row, and in times of up to `hops`, one for every two seconds. With 0 nothing is
    hidden, and nothing is drawn.
    """

    def __init__(self, bands: int, hops: int) -> None:
        super().__init__()
        transforms = load_torchaudio().transforms
        self.band = transforms.FrequencyMasking(bands, iid_masks=True)
        self.time = transforms.TimeMasking(hops, iid_masks=True)

    def forward(self, mel: Tensor) -> Tensor:
        masked = self.band(mel.transpose(1, 2)[:, None])
        for _ in range(max(1, mel.shape[1] // _HOPS_PER_TIME)):
            masked = self.time(masked)
        return masked[:, 0].transpose(1, 2)
