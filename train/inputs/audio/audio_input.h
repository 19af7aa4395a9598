// AudioInput: samples are sounds (WAV), which enter an image network as pictures of their
// frequencies over time; io/sounds makes those.
#pragma once
#include "graft/io/sounds/sound_steps.h"
#include "graft/train/inputs/input.h"

namespace graft::train {

class GRAFT_API AudioInput final : public Input {
 public:
  std::string name() const override { return "audio"; }
  io::FileKind files() const override;
  io::ImageFacts facts(const io::Dataset& dataset, int64_t sample) const override;
  void enter(io::Preprocess& preprocess, const std::string& settings) const override;
  void check(const io::Preprocess& preprocess) const override;
  std::unique_ptr<SampleMaker> maker(const io::Preprocess& preprocess,
                                     const io::Augment& augment) const override;
  io::Augment augment(const std::string& name) const override;
};

// Of a preprocessing of sounds.
GRAFT_API io::SoundSteps sound_steps_of(const io::Preprocess& preprocess);

}  // namespace graft::train
