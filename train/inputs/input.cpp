#include "graft/train/inputs/input.h"

#include <algorithm>

#include "graft/core/base/error.h"

namespace graft::train {

io::FileKind Input::files() const { return {}; }

io::ImageFacts Input::facts(const io::Dataset& dataset, int64_t sample) const {
  io::ImageFacts facts;
  try {
    std::vector<std::byte> bytes;
    if (dataset.encoded(sample, bytes)) facts.digest = io::file_digest(bytes);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    facts.fault = error.what();
  }
  return facts;
}

bool Input::has_places() const { return false; }

void Input::enter(io::Preprocess& preprocess, const std::string& settings) const {
  GRAFT_CHECK(settings.empty(), "input ", name(), " has no settings, '", settings, "' is given");
  preprocess.input = name();
}

void Input::check(const io::Preprocess&) const {}

int64_t Input::kept_bytes(const io::Preprocess& preprocess) const {
  return preprocess.pixels() * preprocess.channels * int64_t{sizeof(float)};
}

bool Input::keeps_pixels() const { return false; }

io::Augment Input::augment(const std::string& name) const {
  GRAFT_CHECK(name == "none", "input ", this->name(), " has no augmentation '", name, "'");
  return {};
}

io::Image Input::picture(const io::Dataset& dataset, int64_t sample,
                         const io::Preprocess& preprocess) const {
  const int64_t height = preprocess.size, width = preprocess.input_width();
  std::vector<float> numbers(static_cast<size_t>(preprocess.pixels() * preprocess.channels));
  maker(preprocess, {})->input(dataset, sample, nullptr, numbers.data());
  io::Image image{width, height, 1, Tensor::empty({height, width, 1}, {.dtype = DType::u8})};
  uint8_t* to = image.pixels.mutable_data<uint8_t>();
  const auto step = static_cast<size_t>(preprocess.channels);
  float low = numbers[0], high = numbers[0];
  for (size_t i = 0; i < numbers.size(); i += step) {
    low = std::min(low, numbers[i]);
    high = std::max(high, numbers[i]);
  }
  const float range = high > low ? high - low : 1;
  for (int64_t i = 0; i < preprocess.pixels(); ++i)
    to[i] = static_cast<uint8_t>(255 * (numbers[static_cast<size_t>(i) * step] - low) / range);
  return image;
}

std::vector<io::ImageFacts> census_of(const Input& input, const io::Dataset& dataset,
                                      io::CensusOptions options) {
  if (!input.files().is_images())
    options.look_at = [&input](const io::Dataset& of, int64_t i) { return input.facts(of, i); };
  return io::take_census(dataset, options);
}

}  // namespace graft::train
