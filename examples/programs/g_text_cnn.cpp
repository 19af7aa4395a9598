// A convolutional network over words (Kim 2014) tells two files of sentences apart, a sentence a
// line. Usage: g_text_cnn FIRST SECOND EPOCHS
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "graft/graft.hpp"
namespace fn = graft::functional;
using namespace graft;

constexpr int64_t kLength = 16;

class TextCnn final : public Module {
 public:
  explicit TextCnn(int64_t words) {
    table_ = register_module("table", std::make_shared<Embedding>(words, 24));
    for (const int64_t kernel : {2, 3})
      convs_.push_back(register_module(
          "conv" + std::to_string(kernel),
          std::make_shared<Conv1d>(Conv1dOptions{
              .in_channels = 24, .out_channels = 16, .kernel = kernel, .bias = true})));
    fc_ = register_module("fc", std::make_shared<Linear>(32, 2));
  }
  Tensor forward(const Tensor& words) override {                  // i64 [N,L] -> [N,2]
    const Tensor x = fn::transpose((*table_)(words), {0, 2, 1});  // [N,24,L]
    std::vector<Tensor> parts;
    for (const auto& conv : convs_)
      parts.push_back(fn::flatten(fn::global_max_pool(fn::relu((*conv)(x)))));
    return (*fc_)(fn::concat(parts));
  }

 private:
  std::shared_ptr<Embedding> table_;
  std::vector<std::shared_ptr<Conv1d>> convs_;
  std::shared_ptr<Linear> fc_;
};

int main(int, char** argv) {
  std::map<std::string, int64_t> numbers;  // of the words; 0 fills up
  std::vector<int64_t> words, labels;
  for (int64_t label = 0; label < 2; ++label) {
    std::ifstream file(argv[1 + label]);
    for (std::string line; std::getline(file, line); labels.push_back(label)) {
      std::istringstream in(line);
      int64_t length = 0;
      for (std::string word; length < kLength && in >> word; ++length)
        words.push_back(numbers.emplace(word, std::ssize(numbers) + 1).first->second);
      words.resize(words.size() + static_cast<size_t>(kLength - length));
    }
  }
  const Tensor x = Tensor::of({std::ssize(labels), kLength}, words),
               y = Tensor::of({std::ssize(labels)}, labels);
  TextCnn network(std::ssize(numbers) + 1);
  const auto adam = train::make_optimizer(network.parameters(), {.name = "adam"});
  for (int epoch = 0; epoch < std::atoi(argv[3]); ++epoch)
    adam->backward_and_step(fn::cross_entropy(network(x), y), 1e-2);
  const std::vector<double> said = fn::argmax(network(x), 1, false).to_doubles();
  int64_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += static_cast<int64_t>(said[i]) == labels[i];
  std::printf("%d of %d sentences are told apart\n", static_cast<int>(right),
              static_cast<int>(labels.size()));
  return right == std::ssize(labels) ? 0 : 1;
}
