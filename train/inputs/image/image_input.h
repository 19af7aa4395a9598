// ImageInput: samples are images; io/input.h decodes, crops and resizes them.
#pragma once
#include "graft/train/inputs/input.h"

namespace graft::train {

class GRAFT_API ImageInput final : public Input {
 public:
  std::string name() const override { return "image"; }
  bool has_places() const override { return true; }
  void enter(io::Preprocess& preprocess, const std::string& settings) const override;
  std::unique_ptr<SampleMaker> maker(const io::Preprocess& preprocess,
                                     const io::Augment& augment) const override;
  int64_t kept_bytes(const io::Preprocess& preprocess) const override;
  bool keeps_pixels() const override { return true; }
  io::Augment augment(const std::string& name) const override;
  io::Image picture(const io::Dataset& dataset, int64_t sample,
                    const io::Preprocess& preprocess) const override;
};

}  // namespace graft::train
