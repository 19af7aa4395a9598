#include "graft/train/inputs/text/text_input.h"

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/io/texts/unicode.h"

namespace graft::train {
namespace {

class TextMaker final : public SampleMaker {
 public:
  explicit TextMaker(const io::Preprocess& preprocess)
      : numbers_(io::text_numbers(preprocess.settings)),
        made_(static_cast<size_t>(numbers_->steps().length)) {}

  Kept make(const io::Dataset& dataset, int64_t sample, CountedRandom*) override {
    const std::string_view text = sample_text(dataset, sample, bytes_);
    GRAFT_CHECK(!numbers_->numbers(text, made_.data()).words.empty(), dataset.name(sample),
                ": has no words");
    return {made_.data(), false};
  }
  void finish(const Kept& kept, float* out) const override {
    std::copy_n(static_cast<const float*>(kept.data), made_.size(), out);
  }
  void let_go() override { bytes_ = {}; }

 private:
  std::shared_ptr<const io::TextNumbers> numbers_;
  std::vector<std::byte> bytes_{};
  std::vector<float> made_;
};

}  // namespace

std::string_view sample_text(const io::Dataset& dataset, int64_t sample,
                             std::vector<std::byte>& bytes) {
  GRAFT_CHECK(dataset.encoded(sample, bytes), dataset.name(sample),
              ": has no text, which input text reads");
  return io::text_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                     dataset.name(sample));
}

io::FileKind TextInput::files() const {
  return {.one = "text", .many = "texts", .extensions = {".txt"}};
}

io::ImageFacts TextInput::facts(const io::Dataset& dataset, int64_t sample) const {
  io::ImageFacts facts;
  try {
    std::vector<std::byte> bytes;
    const std::string_view text = sample_text(dataset, sample, bytes);
    GRAFT_CHECK(!io::words_of(text, 1).words.empty(), dataset.name(sample), ": has no words");
    facts.digest = io::file_digest(bytes);
    if (io::count_broken(text) > 0)
      facts.remark = "bytes that are no UTF-8 are read as marks between words";
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    facts.fault = error.what();
  }
  return facts;
}

void TextInput::enter(io::Preprocess& preprocess, const std::string& settings) const {
  GRAFT_CHECK(settings.empty(), "--sound is for sounds, these samples are texts");
  GRAFT_CHECK(preprocess.input == name(),
              preprocess.input.empty() ? std::string("the network takes images")
                                       : "the network was trained on input " + preprocess.input,
              ", these samples are texts, which a network of words takes (docs/text.md)");
}

void TextInput::check(const io::Preprocess& preprocess) const {
  const int64_t length = io::text_numbers(preprocess.settings)->steps().length;
  GRAFT_CHECK(
      preprocess.size == 1 && preprocess.input_width() == length && preprocess.channels == 1,
      "the model's card says inputs of ", preprocess.sides(), " and ", preprocess.channels,
      " channels, and texts of ", length, " words");
}

std::unique_ptr<SampleMaker> TextInput::maker(const io::Preprocess& preprocess,
                                              const io::Augment&) const {
  check(preprocess);
  return std::make_unique<TextMaker>(preprocess);
}

io::Augment TextInput::augment(const std::string& name) const {
  return name == "light" ? io::Augment{} : Input::augment(name);
}

}  // namespace graft::train
