// Texts by the library's calls: finetune_texts(), a Predictor of what it made, the words that
// decided.
#include <gtest/gtest.h>

#include "graft/api/deciding_words.h"
#include "graft/api/finetune.h"
#include "graft/api/predictor.h"
#include "graft/core/base/error.h"
#include "graft/io/texts/text_steps.h"
#include "graft/tests/support/command.h"

namespace graft {
namespace {

class TextCalls : public testing::Test {
 protected:
  void SetUp() override {
    std::string table = "text,label\n";
    for (int i = 0; i < 40; ++i)
      table += str(i % 2 == 0 ? "a fine" : "a dull", i % 3 == 0 ? " film" : " story indeed", ",",
                   i % 2 == 0 ? "good" : "bad", "\n");
    write_text(folder / "data.csv", table);
    write_text(folder / "vectors.txt",
               "a 0.1 0.2 0.3\nfine 1 0 0.5\ndull -1 0 0.5\nfilm 0.3 0.2 0.1\ngrand 1 0.1 0.4\n");
    network.vectors = folder / "vectors.txt";
    network.maps = 6;
    network.dropout = 0;
    options.recipe = default_text_recipe(network);
    options.recipe.lr = 0.02;
    options.recipe.batch = 8;
    options.fit.on_note = [this](const std::string& note) { notes += note + "\n"; };
  }
  TemporaryFolder folder;
  TextNetworkOptions network;
  FinetuneOptions options;
  std::string notes;
};

TEST_F(TextCalls, LearnAndPredict) {
  Finetuned made = finetune_texts(network, folder / "data.csv", options);
  EXPECT_EQ(made.result.best_score, 1.0);
  EXPECT_NE(notes.find("input: text, as asked for"), std::string::npos) << notes;
  EXPECT_NE(notes.find("(GloVe text, 5 words of 3 numbers)"), std::string::npos) << notes;
  EXPECT_EQ(made.model.card.preprocess.input, "text");
  models::save_model(folder / "model.safetensors", *made.model.network, made.model.card);
  const Predictor predictor(folder / "model.safetensors");
  EXPECT_EQ(predictor.preprocess(), made.model.card.preprocess);
  write_text(folder / "a.txt", "a grand film");
  write_text(folder / "b.txt", " -- ");
  const std::vector<ImageSource> texts{folder / "a.txt", folder / "b.txt"};
  const std::vector<Answer> answers = predictor.predict(texts);
  EXPECT_EQ(answers[0].said()[0].name, "good") << "a word of the vectors alone";
  EXPECT_NE(answers[1].error().find("has no words"), std::string::npos) << answers[1].error();
}

TEST_F(TextCalls, RunsAreTheSameWhateverTheWorkers) {
  options.recipe.epochs = 2;
  const Finetuned first = finetune_texts(network, folder / "data.csv", options);
  options.fit.workers = 2;
  const Finetuned second = finetune_texts(network, folder / "data.csv", options);
  const StateDict a = first.model.network->state_dict(), b = second.model.network->state_dict();
  for (const auto& [name, tensor] : a)
    EXPECT_EQ(tensor.to_doubles(), b.at(name).to_doubles()) << name;
}

// What the words add, the head's bias and nothing else make the output of the mean.
TEST_F(TextCalls, DecidingWordsSumToTheOutput) {
  for (const char* name : {"word_mean", "kim_cnn"}) {
    network.architecture = name;
    options.recipe.epochs = 3;
    const Finetuned made = finetune_texts(network, folder / "data.csv", options);
    const std::string text = "A dull film, fine?";
    std::vector<float> numbers(static_cast<size_t>(made.model.card.preprocess.input_width()));
    io::text_numbers(made.model.card.preprocess.settings)->numbers(text, numbers.data());
    const auto length = std::ssize(numbers);
    const std::vector<double> outputs =
        (*made.model.network)(Tensor::of({1, 1, 1, length}, numbers)).to_doubles();
    const std::vector<DecidingWord> words = deciding_words(made.model, text, 0, 100);
    ASSERT_EQ(words.size(), 6u) << "with the comma and the question mark";
    EXPECT_GE(words[0].weight, words[1].weight);
    double sum = made.model.network->state_dict().at("head.bias").to_doubles()[0];
    for (const DecidingWord& word : words) sum += word.weight;
    if (std::string(name) == "word_mean") {
      EXPECT_NEAR(sum, outputs[0], 1e-5);
      EXPECT_EQ(words[0].word, "dull") << "classes are bad, good";
    }
    EXPECT_EQ(deciding_words(made.model, text, 0, 2).size(), 2u);
    EXPECT_THROW(deciding_words(made.model, text, 2, 2), Error);
  }
}

TEST_F(TextCalls, SettingsAreChecked) {
  const auto refused = [&](const std::string& settings) {
    TextNetworkOptions other;
    try {
      other.set(settings);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    ADD_FAILURE() << settings;
    return std::string();
  };
  TextNetworkOptions set;
  set.set("mode=static,length=12,windows=2/4,dropout=0.25,unknown=mean");
  EXPECT_EQ(set.windows, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(set.length, 12);
  EXPECT_EQ(set.frozen(), "embedding");
  EXPECT_EQ(refused("mode=loud"), "how texts are read: mode=loud cannot be read");
  EXPECT_EQ(refused("length=1"), "how texts are read: length=1 cannot be read");
  EXPECT_EQ(refused("windows=3//4"), "how texts are read: windows=3//4 cannot be read");
  EXPECT_EQ(refused("length"), "how texts are read: 'length' is not KEY=VALUE");
  network.vectors.clear();
  EXPECT_THROW(finetune_texts(network, folder / "data.csv", options), Error);
}

}  // namespace
}  // namespace graft
