// TextInput: samples are texts (UTF-8), which enter a network of words as numbers; io/texts makes
// those.
#pragma once
#include "graft/io/texts/text_steps.h"
#include "graft/train/inputs/input.h"

namespace graft::train {

class GRAFT_API TextInput final : public Input {
 public:
  std::string name() const override { return "text"; }
  io::FileKind files() const override;
  io::ImageFacts facts(const io::Dataset& dataset, int64_t sample) const override;
  // A network of words has its vocabulary already (api/text_model.h): nothing is changed.
  void enter(io::Preprocess& preprocess, const std::string& settings) const override;
  void check(const io::Preprocess& preprocess) const override;
  std::unique_ptr<SampleMaker> maker(const io::Preprocess& preprocess,
                                     const io::Augment& augment) const override;
  // Texts are not changed at random: "light", as by default, is "none".
  io::Augment augment(const std::string& name) const override;
};

// The text of a sample, whose bytes are `bytes`. bad_input naming it where it has none.
GRAFT_API std::string_view sample_text(const io::Dataset& dataset, int64_t sample,
                                       std::vector<std::byte>& bytes);

}  // namespace graft::train
