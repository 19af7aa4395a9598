#include "graft/api/text_model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/printable.h"
#include "graft/core/runtime/random.h"
#include "graft/io/texts/text_steps.h"
#include "graft/io/texts/vectors.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/text/word_graph.h"
#include "graft/train/inputs/text/text_input.h"

namespace graft {
namespace {

constexpr int64_t kMostLength = 256, kMostLengthAsked = 8192;

// What the training texts hold.
struct TextCounts {
  std::unordered_map<std::string, int64_t> words{};
  std::vector<int64_t> lengths{};  // of each text, up to kMostLengthAsked
  int64_t all = 0;
};

TextCounts count_words(const io::Dataset& dataset) {
  TextCounts counts;
  std::vector<std::byte> bytes;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const io::Words read =
        io::words_of(train::sample_text(dataset, i, bytes), static_cast<size_t>(kMostLengthAsked));
    for (const io::Word& word : read.words) ++counts.words[word.text];
    counts.all += std::ssize(read.words);
    counts.lengths.push_back(std::ssize(read.words));
  }
  GRAFT_CHECK(counts.all > 0, "the training texts have no words");
  return counts;
}

int64_t length_for(const TextCounts& counts, int64_t asked) {
  if (asked > 0) return asked;
  std::vector<int64_t> sorted = counts.lengths;
  std::sort(sorted.begin(), sorted.end());
  const int64_t most = sorted[static_cast<size_t>((std::ssize(sorted) * 99 - 1) / 100)];
  return std::clamp<int64_t>(most, 8, kMostLength);
}

// The training words that have a vector or come often enough, the most frequent first; then the
// file's first words.
std::vector<std::string> vocabulary_of(const TextCounts& counts, const io::WordVectors& vectors,
                                       const TextNetworkOptions& options) {
  const std::unordered_set<std::string> with_vector(vectors.words.begin(), vectors.words.end());
  std::vector<std::string> words;
  for (const auto& [word, count] : counts.words)
    if (count >= options.least || with_vector.contains(word)) words.push_back(word);
  std::sort(words.begin(), words.end(), [&](const std::string& a, const std::string& b) {
    const int64_t in_a = counts.words.at(a), in_b = counts.words.at(b);
    return in_a != in_b ? in_a > in_b : a < b;
  });
  for (const std::string& word : vectors.words)
    if (!counts.words.contains(word) && is_utf8(word)) words.push_back(word);
  return words;
}

std::string share(int64_t part, int64_t of) {
  return str(std::round(1000.0 * static_cast<double>(part) / static_cast<double>(of)) / 10, " %");
}

std::string coverage(const TextCounts& counts, const io::WordVectors& vectors,
                     const std::string& file) {
  int64_t different = 0, all = 0;
  for (const std::string& word : vectors.words)
    if (const auto found = counts.words.find(word); found != counts.words.end())
      ++different, all += found->second;
  return str("vectors: ", share(all, counts.all), " of the training texts' words, ", different,
             " of ", counts.words.size(), " different ones, have one in ", file, " (",
             vectors.format, ", ", vectors.words_in_file, " words of ", vectors.width, " numbers)");
}

struct VectorMoments {
  std::vector<float> mean{};
  double deviation = 0;  // of all numbers
};

VectorMoments moments_of(const io::WordVectors& vectors) {
  const auto width = static_cast<size_t>(vectors.width);
  std::vector<double> sums(width);
  double sum = 0, squares = 0;
  for (size_t i = 0; i < vectors.values.size(); ++i) {
    const auto value = static_cast<double>(vectors.values[i]);
    sums[i % width] += value;
    sum += value;
    squares += value * value;
  }
  VectorMoments moments{std::vector<float>(width)};
  if (vectors.words.empty()) return moments;
  const auto count = static_cast<double>(vectors.values.size());
  const auto rows = static_cast<double>(vectors.words.size());
  for (size_t d = 0; d < width; ++d) moments.mean[d] = static_cast<float>(sums[d] / rows);
  moments.deviation = std::sqrt(std::max(0.0, squares / count - sum / count * (sum / count)));
  return moments;
}

// [words,D]: row 0 is zeros, known words have their vectors, the others what `unknown` says.
Tensor table_of(const std::vector<std::string>& words, const io::WordVectors& vectors,
                const std::string& unknown, uint64_t seed) {
  const auto rows = static_cast<int64_t>(words.size()) + io::kFirstWord;
  const auto width = static_cast<size_t>(vectors.width);
  Tensor table = Tensor::zeros({rows, vectors.width});
  const VectorMoments moments = moments_of(vectors);
  const double bound = vectors.words.empty() ? 0.25 : std::sqrt(3.0) * moments.deviation;
  CountedRandom random(seed, RandomPurpose::initialization, 0, 0x776f726473);
  if (unknown == "random" && bound > 0) fill_uniform(table, -bound, bound, random);
  auto* values = table.mutable_data<float>();
  if (unknown == "mean")
    for (int64_t row = 0; row < rows; ++row)
      std::copy_n(moments.mean.begin(), width, values + row * vectors.width);
  std::fill_n(values, width, 0.0f);
  std::unordered_map<std::string, size_t> places;
  for (size_t i = 0; i < vectors.words.size(); ++i) places.emplace(vectors.words[i], i);
  for (size_t i = 0; i < words.size(); ++i)
    if (const auto found = places.find(words[i]); found != places.end())
      std::copy_n(vectors.row(found->second), width,
                  values + (static_cast<int64_t>(i) + io::kFirstWord) * vectors.width);
  return table;
}

void take_steps(io::Preprocess& preprocess, const io::TextSteps& steps) {
  preprocess = {};
  preprocess.size = 1;
  preprocess.width = steps.length;
  preprocess.resize_to = 0;
  preprocess.channels = 1;
  preprocess.scale = 1;
  preprocess.mean = {0};
  preprocess.deviation = {1};
  preprocess.input = train::TextInput().name();
  preprocess.settings = steps.to_json();
  preprocess.validate();
}

template <class Number>
bool read_all(const std::string& text, Number& number) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

bool read_windows(const std::string& text, std::vector<int64_t>& windows) {
  windows.clear();
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    if (!read_all(text.substr(begin, end - begin), windows.emplace_back())) return false;
    begin = end + 1;
  }
  return true;
}

bool is_one_of(const std::string& word, std::initializer_list<const char*> choices) {
  return std::find(choices.begin(), choices.end(), word) != choices.end();
}

bool set_one(TextNetworkOptions& o, const std::string& key, const std::string& value) {
  if (key == "mode")
    return o.mode = value, is_one_of(value, {"static", "non-static", "random", "multichannel"});
  if (key == "unknown") return o.unknown = value, is_one_of(value, {"zero", "random", "mean"});
  if (key == "length") return read_all(value, o.length) && o.length >= 2 && o.length <= 8192;
  if (key == "least") return read_all(value, o.least) && o.least >= 1;
  if (key == "first") return read_all(value, o.first) && o.first >= 0;
  if (key == "width") return read_all(value, o.width) && o.width >= 1 && o.width <= 4096;
  if (key == "maps") return read_all(value, o.maps) && o.maps >= 1 && o.maps <= 4096;
  if (key == "windows") return read_windows(value, o.windows);
  if (key == "dropout") return read_all(value, o.dropout) && o.dropout >= 0 && o.dropout < 1;
  bad_input("how texts are read: there is no '", key,
            "'; there are mode, unknown, length, least, first, width, maps, windows, dropout");
}

}  // namespace

void TextNetworkOptions::set(const std::string& settings) {
  for (size_t begin = 0; begin < settings.size();) {
    const size_t end = std::min(settings.find(',', begin), settings.size());
    const std::string one = settings.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = one.find('=');
    GRAFT_CHECK(equals != std::string::npos, "how texts are read: '", one, "' is not KEY=VALUE");
    GRAFT_CHECK(set_one(*this, one.substr(0, equals), one.substr(equals + 1)),
                "how texts are read: ", one, " cannot be read");
  }
}

std::string TextNetworkOptions::frozen() const { return mode == "static" ? "embedding" : "none"; }

models::Model make_text_model(const io::OpenedData& data, const TextNetworkOptions& options,
                              uint64_t seed, const std::function<void(const std::string&)>& note) {
  const auto tell = [&](const std::string& sentence) {
    if (note) note(sentence);
  };
  const bool is_random = options.mode == "random";
  GRAFT_CHECK(data.train, "a network of words is made for training texts");
  GRAFT_CHECK(!options.vectors.empty() || is_random, "mode ", options.mode,
              " is for word vectors (--vectors FILE); without them it is mode=random");
  const TextCounts counts = count_words(*data.train);
  io::WordVectors vectors;
  vectors.width = options.width;
  if (!options.vectors.empty()) {
    const auto is_at_hand = [&](std::string_view word) {
      return counts.words.contains(std::string(word));
    };
    vectors = io::read_vectors(options.vectors, {is_at_hand, options.first});
    tell(coverage(counts, vectors, options.vectors));
  }
  io::TextSteps steps;
  steps.length = length_for(counts, options.length);
  steps.words = vocabulary_of(counts, vectors, options);
  if (!options.vectors.empty())
    steps.vectors = str(printable(file_name(options.vectors)), ", ", vectors.format);
  const auto longer = std::count_if(counts.lengths.begin(), counts.lengths.end(),
                                    [&](int64_t length) { return length > steps.length; });
  tell(str("words: ", steps.words.size(), " are known; of a text ", steps.length, " are read, ",
           longer, " of ", counts.lengths.size(), " training texts are longer"));
  if (is_random) vectors.words.clear(), vectors.values.clear();

  const std::string unknown = is_random                  ? "random"
                              : !options.unknown.empty() ? options.unknown
                              : options.mode == "static" ? "zero"
                                                         : "random";
  models::WordNetwork network{.name = options.architecture, .length = steps.length};
  network.vectors = table_of(steps.words, vectors, unknown, seed);
  if (options.mode == "multichannel") network.fixed = network.vectors.clone();
  network.windows = options.windows;
  network.maps = options.maps;
  network.dropout = options.dropout;
  network.seed = seed;
  models::GraphConfig config = models::word_graph(network);
  models::Model model;
  model.network = std::make_shared<models::GraphModule>(config);
  model.network->train(false);
  config.source = std::make_shared<models::GraphSource>(models::without_values(*config.source));
  model.card.architecture = std::move(config);
  take_steps(model.card.preprocess, steps);
  model.card.preprocess_known = true;
  return model;
}

train::Recipe default_text_recipe(const TextNetworkOptions& options) {
  train::Recipe recipe = train::default_recipe("none");
  recipe.optimizer = {};
  recipe.optimizer.name = "adam";
  recipe.lr = 1e-3;
  recipe.batch = 50;
  recipe.augment = "none";
  recipe.freeze = options.frozen();
  return recipe;
}

}  // namespace graft
