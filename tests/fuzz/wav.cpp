// WAV: chunks, formats and samples; and what a spectrogram makes of them.
#include "graft/io/sounds/wav.h"

#include "graft/io/sounds/spectrogram.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(wav, 64, 4 << 20, [](graft::fuzz::Bytes bytes) {
  const graft::io::Sound sound = graft::io::decode_wav(bytes, "input");
  graft::io::SoundSteps steps;
  steps.set("rate=8000,fft=64,window=64,hop=32,mels=8,frames=8,trim=40");
  graft::io::Spectrogram spectrogram(steps);
  spectrogram.picture(spectrogram.features(spectrogram.waveform(sound)));
})
