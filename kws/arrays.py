"""Types of numpy arrays, by what they hold."""

import numpy as np
import numpy.typing as npt

Float16Array = npt.NDArray[np.float16]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]  # sound of one channel, shape (S,), full scale 1
