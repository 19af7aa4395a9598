#include "graft/train/inputs/audio/audio_input.h"

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/io/sounds/spectrogram.h"
#include "graft/train/inputs/audio/sound_augment.h"

namespace graft::train {
namespace {

io::Sound read_sound(const io::Dataset& dataset, int64_t sample, std::vector<std::byte>& bytes) {
  GRAFT_CHECK(dataset.encoded(sample, bytes), dataset.name(sample),
              ": has no sound file, which input audio reads");
  return io::decode_wav(bytes, dataset.name(sample));
}

// What a channel of the network is given of a value of the picture.
struct ChannelScale {
  float factor, offset;
};

class SoundMaker final : public SampleMaker {
 public:
  SoundMaker(const io::Preprocess& preprocess, const io::Augment& augment)
      : spectrogram_(sound_steps_of(preprocess)),
        augment_(sound_augment_named(augment.other.empty() ? "none" : augment.other)),
        changes_(!augment.other.empty()) {
    // In 0..1 the picture stands for pixels of 0..255.
    const bool as_pixels = spectrogram_.steps().normalize == "range";
    const double scale = as_pixels ? 255 * preprocess.scale : 1;
    for (size_t c = 0; c < static_cast<size_t>(preprocess.channels); ++c)
      channels_.push_back({static_cast<float>(scale / preprocess.deviation[c]),
                           static_cast<float>(-preprocess.mean[c] / preprocess.deviation[c])});
  }

  Kept make(const io::Dataset& dataset, int64_t sample, CountedRandom* random) override {
    const io::Sound sound = read_sound(dataset, sample, file_);
    if (!changes_) random = nullptr;
    const io::SoundSteps& steps = spectrogram_.steps();
    const int64_t shift = random ? random_shift(augment_, steps.samples(), *random) : 0;
    std::vector<float> samples = spectrogram_.waveform(sound, shift);
    if (random) change_samples(samples, augment_, *random);
    std::vector<float> picture = spectrogram_.picture(spectrogram_.features(samples));
    if (random) {
      const float silence = steps.normalize == "none" ? *std::ranges::min_element(picture) : 0;
      change_picture(picture, steps.picture_height(), steps.picture_width(), silence, augment_,
                     *random);
    }
    made_.clear();
    made_.reserve(picture.size() * channels_.size());
    for (const float value : picture)
      for (const ChannelScale& channel : channels_)
        made_.push_back(value * channel.factor + channel.offset);
    return {made_.data(), false};
  }

  void finish(const Kept& kept, float* out) const override {
    std::copy_n(static_cast<const float*>(kept.data),
                spectrogram_.steps().picture_height() * spectrogram_.steps().picture_width() *
                    std::ssize(channels_),
                out);
  }

  void let_go() override { file_ = {}; }

 private:
  io::Spectrogram spectrogram_;
  SoundAugment augment_;
  bool changes_;
  std::vector<ChannelScale> channels_{};
  std::vector<std::byte> file_{};
  std::vector<float> made_{};  // [height,width,channels]
};

}  // namespace

io::SoundSteps sound_steps_of(const io::Preprocess& preprocess) {
  GRAFT_CHECK(!preprocess.settings.empty(),
              "the model's card does not say how its sounds are read");
  return io::SoundSteps::from_json(preprocess.settings);
}

io::FileKind AudioInput::files() const {
  return {"sound", "sounds", {".wav", ".wave"}, io::wav_decode_bytes};
}

io::ImageFacts AudioInput::facts(const io::Dataset& dataset, int64_t sample) const {
  io::ImageFacts facts;
  try {
    std::vector<std::byte> bytes;
    const io::Sound sound = read_sound(dataset, sample, bytes);
    facts.digest = io::file_digest(bytes);
    facts.channels = sound.channels;
    facts.remark = str(sound.rate, " Hz, ",
                       sound.channels == 1 ? "one channel"
                                           : str(sound.channels, " channels, their mean is taken"));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    facts.fault = error.what();
  }
  return facts;
}

void AudioInput::enter(io::Preprocess& preprocess, const std::string& settings) const {
  GRAFT_CHECK(preprocess.input.empty() || preprocess.input == name(),
              "the network was trained on input ", preprocess.input, ", these samples are sounds");
  io::SoundSteps steps;
  if (!preprocess.input.empty()) steps = sound_steps_of(preprocess);
  steps.set(settings);
  preprocess.input = name();
  preprocess.settings = steps.to_json();
  preprocess.size = steps.picture_height();
  preprocess.width = steps.picture_width() == preprocess.size ? 0 : steps.picture_width();
  preprocess.resize_to = 0;
  preprocess.pad = preprocess.own_scale = false;
  if (steps.normalize != "range") {  // its own, in place of that of photos
    std::ranges::fill(preprocess.mean, 0.0);
    std::ranges::fill(preprocess.deviation, 1.0);
  }
  preprocess.validate();
}

void AudioInput::check(const io::Preprocess& preprocess) const {
  const io::SoundSteps steps = sound_steps_of(preprocess);
  GRAFT_CHECK(preprocess.size == steps.picture_height() &&
                  preprocess.input_width() == steps.picture_width(),
              "the model's card says inputs of ", preprocess.sides(), " and pictures of sounds of ",
              steps.picture_height(), "x", steps.picture_width());
}

std::unique_ptr<SampleMaker> AudioInput::maker(const io::Preprocess& preprocess,
                                               const io::Augment& augment) const {
  check(preprocess);
  return std::make_unique<SoundMaker>(preprocess, augment);
}

io::Augment AudioInput::augment(const std::string& name) const {
  sound_augment_named(name);
  io::Augment augment;
  if (name != "none") augment.other = name;
  return augment;
}

}  // namespace graft::train
