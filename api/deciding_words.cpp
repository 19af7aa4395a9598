#include "graft/api/deciding_words.h"

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/io/texts/text_steps.h"
#include "graft/layers/modules/staged_network.h"

namespace graft {
namespace {

// What the features' weights in the head make of the words; all [rows,columns] in memory order.
class WordShares {
 public:
  WordShares(const StateDict& tensors, std::vector<int64_t> numbers, int64_t output)
      : tensors_(tensors),
        numbers_(std::move(numbers)),
        vectors_(tensors.at("embedding.weight").to_doubles()),
        width_(tensors.at("embedding.weight").size(1)),
        weights_(static_cast<size_t>(std::ssize(numbers_))) {
    const Tensor& head = tensors.at("head.weight");
    GRAFT_CHECK(output >= 0 && output < head.size(0), "output ", output, " of ", head.size(0));
    const std::vector<double> all = head.to_doubles();
    const auto begin = all.begin() + output * head.size(1);
    head_.assign(begin, begin + head.size(1));
    if (tensors.contains("fixed.weight")) {
      const std::vector<double> fixed = tensors.at("fixed.weight").to_doubles();
      for (size_t i = 0; i < vectors_.size(); ++i) vectors_[i] += fixed[i];
    }
  }

  std::vector<double> shares() {
    if (!tensors_.contains("filters.0.weight")) {
      for (size_t l = 0; l < numbers_.size(); ++l)
        for (int64_t d = 0; d < width_; ++d)
          weights_[l] += head_[static_cast<size_t>(d)] * vector(static_cast<int64_t>(l))[d] /
                         static_cast<double>(numbers_.size());
      return weights_;
    }
    size_t feature = 0;
    for (int bank = 0; tensors_.contains(str("filters.", bank, ".weight")); ++bank) {
      const Tensor& weight = tensors_.at(str("filters.", bank, ".weight"));
      const std::vector<double> filters = weight.to_doubles(),
                                biases = tensors_.at(str("filters.", bank, ".bias")).to_doubles();
      const int64_t window = weight.size(2);
      for (int64_t map = 0; map < weight.size(0); ++map, ++feature)
        add_filter(filters.data() + map * window * width_, window, biases[static_cast<size_t>(map)],
                   head_.at(feature));
    }
    return weights_;
  }

 private:
  const double* vector(int64_t place) const {
    return vectors_.data() + numbers_[static_cast<size_t>(place)] * width_;
  }

  // Where the filter is largest over the text, what it adds goes to the words under it.
  void add_filter(const double* filter, int64_t window, double bias, double factor) {
    const auto words = static_cast<int64_t>(numbers_.size());
    double largest = std::max(bias, 0.0);  // over padding alone
    int64_t at = words;
    for (int64_t first = 1 - window; first < words; ++first) {
      double sum = bias;
      for (int64_t k = std::max<int64_t>(0, -first); k < window && first + k < words; ++k)
        for (int64_t d = 0; d < width_; ++d) sum += filter[k * width_ + d] * vector(first + k)[d];
      if (sum > largest) largest = sum, at = first;
    }
    if (at == words) return;
    const int64_t begin = std::max<int64_t>(at, 0), end = std::min(at + window, words);
    for (int64_t l = begin; l < end; ++l)
      weights_[static_cast<size_t>(l)] += factor * largest / static_cast<double>(end - begin);
  }

  const StateDict& tensors_;
  std::vector<int64_t> numbers_;
  std::vector<double> vectors_, head_;
  int64_t width_;
  std::vector<double> weights_;
};

}  // namespace

std::vector<DecidingWord> deciding_words(const models::Model& model, std::string_view text,
                                         int64_t output, int64_t most) {
  const StateDict tensors = model.network->state_dict();
  if (model.card.preprocess.input != "text" || !tensors.contains("embedding.weight") ||
      !tensors.contains("head.weight"))
    return {};
  const auto numbers = io::text_numbers(model.card.preprocess.settings);
  std::vector<float> padded(static_cast<size_t>(numbers->steps().length));
  const io::Words read = numbers->numbers(text, padded.data());
  std::vector<int64_t> of_words;
  for (size_t i = 0; i < read.words.size(); ++i)
    of_words.push_back(static_cast<int64_t>(padded[i]));
  const std::vector<double> shares = WordShares(tensors, std::move(of_words), output).shares();
  std::vector<DecidingWord> words;
  for (size_t i = 0; i < read.words.size(); ++i) {
    const io::Word& word = read.words[i];
    words.push_back({word.text, word.begin, word.end, shares[i]});
  }
  std::stable_sort(words.begin(), words.end(), [](const DecidingWord& a, const DecidingWord& b) {
    return a.weight > b.weight;
  });
  if (std::ssize(words) > most) words.resize(static_cast<size_t>(most));
  return words;
}

}  // namespace graft
