#include "graft/train/tasks/transcription/transcription.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/class_names.h"
#include "graft/layers/functional/ctc.h"
#include "graft/train/tasks/transcription/text_evaluation.h"
#include "graft/train/tasks/transcription/text_presentation.h"

namespace graft::train {
namespace {

constexpr size_t kMostNamed = 5;  // samples in one sentence

// Of the samples of a part, those that need most steps first.
std::vector<TextLength> lengths_of(const io::Dataset& dataset, const Alphabet& alphabet) {
  std::vector<TextLength> lengths;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const std::vector<int64_t> labels = alphabet.labels_of(dataset.text(i));
    const int64_t count = std::ssize(labels);
    lengths.push_back({dataset.name(i), count, ops::ctc_steps_needed(labels.data(), count)});
  }
  std::stable_sort(lengths.begin(), lengths.end(),
                   [](const TextLength& a, const TextLength& b) { return a.steps > b.steps; });
  return lengths;
}

// "a.wav (9 characters, 10 steps), ..." of those that need more than `steps`; "": none does.
std::string too_long_texts(const std::vector<TextLength>& lengths, int64_t steps) {
  std::vector<std::string> named;
  size_t count = 0;
  for (; count < lengths.size() && lengths[count].steps > steps; ++count)
    if (named.size() < kMostNamed)
      named.push_back(str(lengths[count].name, " (", lengths[count].characters, " characters, ",
                          lengths[count].steps, " steps)"));
  if (count == 0) return "";
  return str(count, count == 1 ? " training text needs" : " training texts need",
             " more: ", join(named), count > named.size() ? " and others" : "");
}

int64_t beam_named(const std::string& search) {
  GRAFT_CHECK(search.empty() || search == "greedy" || search == "beam", "decoder: '", search,
              "' is not for task transcribe, which has greedy and beam");
  return search == "beam" ? kBeam : 1;
}

}  // namespace

Transcription::Transcription(TranscriptionOptions options)
    : options_(std::move(options)), alphabet_(options_.characters) {
  GRAFT_CHECK(options_.beam >= 1, "transcribe: a beam of ", options_.beam);
}

std::string Transcription::what() const {
  const int64_t count = outputs() - 1;
  return str("texts of ", count, count == 1 ? " character" : " characters");
}

HeadPlan Transcription::head() const { return {outputs(), HeadPlan::kSequence, {}}; }

std::shared_ptr<const io::Dataset> Transcription::to_judge(
    const io::OpenedData& data, const std::string& path,
    const std::function<void(const std::string&)>& note) const {
  GRAFT_CHECK(data.answers == io::AnswerKind::text, path,
              ": holds no texts, which the model is judged by");
  std::vector<std::string> unknown;
  for (const std::string& character : data.classes)
    if (alphabet_.labels_of(character).front() == kUnknownCharacter) unknown.push_back(character);
  if (!unknown.empty())
    note(str("characters that the model does not know count as mistakes: ",
             io::short_list(unknown)));
  return data.val;
}

Targets Transcription::targets(const io::Dataset& dataset, std::span<const int64_t> samples) const {
  std::vector<std::vector<int64_t>> rows;
  size_t most = 1;
  for (const int64_t sample : samples) {
    rows.push_back(alphabet_.labels_of(dataset.text(sample)));
    most = std::max(most, rows.back().size());
  }
  Tensor meant =
      Tensor::empty({std::ssize(samples), static_cast<int64_t>(most)}, {.dtype = DType::i64});
  int64_t* to = meant.mutable_data<int64_t>();
  std::fill_n(to, meant.numel(), ops::kNoCtcLabel);
  for (const std::vector<int64_t>& row : rows) {
    std::copy(row.begin(), row.end(), to);
    to += most;
  }
  return meant;
}

Targets Transcription::made_up_targets(int64_t samples, const io::Preprocess&) const {
  Tensor meant = Tensor::empty({samples, 1}, {.dtype = DType::i64});
  std::fill_n(meant.mutable_data<int64_t>(), samples, int64_t{1});
  return meant;
}

void Transcription::check(const Targets& targets, const Shape& outputs) const {
  const Tensor& meant = targets.one();
  GRAFT_CHECK(outputs.rank() == 3 && outputs[2] == this->outputs() && meant.rank() == 2 &&
                  meant.size(0) == outputs[0],
              "transcribe: targets ", meant.shape(), " for outputs ", outputs);
  const std::string too_long = too_long_texts(options_.lengths, outputs[1]);
  GRAFT_CHECK(too_long.empty(), "transcribe: the network has ", outputs[1],
              " steps for a sample, and ", too_long,
              "; a wider input has more steps (--sound frames=N or a smaller hop, --image-size "
              "HxW), or leave these samples out");
  for (int64_t n = 0; n < meant.size(0); ++n) {
    const int64_t* row = meant.data<int64_t>() + n * meant.size(1);
    const int64_t needs = ops::ctc_steps_needed(row, ops::ctc_labels(row, meant.size(1)));
    GRAFT_CHECK(needs <= outputs[1], "transcribe: the text of sample ", n, " of a batch needs ",
                needs, " steps, the network has ", outputs[1]);
  }
}

Tensor Transcription::loss(const Tensor& outputs, const Targets& targets) const {
  GRAFT_CHECK(is_cpu(outputs.device()),
              "task transcribe is trained on the CPU (--device cpu): CTC has no kernel for ",
              outputs.device());
  check(targets, outputs.shape());  // else the loss is infinite, which says less
  return functional::ctc_loss(outputs, targets.one(), {.blank = kBlank});
}

const std::vector<ScoreKind>& Transcription::scores() const {
  constexpr double huge = std::numeric_limits<double>::max();
  static const std::vector<ScoreKind> kinds{{"character_error_rate", 0, huge, false},
                                            {"word_error_rate", 0, huge, false},
                                            {"loss", 0, huge, false}};
  return kinds;
}

std::unique_ptr<Metric> Transcription::metric() const {
  return std::make_unique<TextEvaluation>(alphabet_, options_.beam);
}

const ScoreKind& Transcription::running_score() const { return scores()[0]; }

double Transcription::running_sum(const Tensor& outputs, const Targets& targets) const {
  const std::vector<std::string> said = alphabet_.spelled(outputs, 1);
  const Tensor& meant = targets.one();
  double sum = 0;
  for (int64_t n = 0; n < meant.size(0); ++n) {
    ErrorRates own;
    own.add(alphabet_.text_of(
                {meant.data<int64_t>() + n * meant.size(1), static_cast<size_t>(meant.size(1))}),
            said[static_cast<size_t>(n)]);
    sum += own.character_error_rate();
  }
  return sum;
}

TaskCard Transcription::card() const {
  nlohmann::json j = nlohmann::json::object();
  j["name"] = name();
  j["characters"] = alphabet_.characters();
  j["beam"] = options_.beam;
  std::vector<std::string> names{"(blank)"};
  names.insert(names.end(), alphabet_.characters().begin(), alphabet_.characters().end());
  return {.json = j.dump(), .names = std::move(names), .outputs = outputs(), .sigmoid = false};
}

std::unique_ptr<Presentation> Transcription::presentation() const {
  return std::make_unique<TextPresentation>(*this, alphabet_, options_.beam);
}

std::shared_ptr<Task> make_transcription(const Recipe& recipe, const io::OpenedData& data) {
  GRAFT_CHECK(data.answers == io::AnswerKind::text,
              "task: transcribe takes data of texts, these have none");
  GRAFT_CHECK(recipe.balance == "none", "balance: is for labels, these data have texts");
  GRAFT_CHECK(recipe.label_smoothing == 0, "label smoothing: is for task classify");
  GRAFT_CHECK(recipe.loss.empty(), "loss: '", recipe.loss,
              "' is not for task transcribe, which has one of its own");
  GRAFT_CHECK(!data.classes.empty(), "transcribe: every training text is empty");
  TranscriptionOptions options{.characters = data.classes, .beam = beam_named(recipe.decoder)};
  if (data.train) options.lengths = lengths_of(*data.train, Alphabet(data.classes));
  return std::make_shared<Transcription>(std::move(options));
}

std::shared_ptr<Task> transcription_of(const TaskCard& card) {
  const auto j = nlohmann::json::parse(card.json, nullptr, false);
  const bool is_there = j.is_object() && j.contains("characters") &&
                        j.at("characters").is_array() && j.contains("beam") &&
                        j.at("beam").is_number_integer();
  GRAFT_CHECK(is_there, "the model card does not say which characters its texts have");
  TranscriptionOptions options;
  for (const auto& own : j.at("characters")) {
    GRAFT_CHECK(own.is_string(), "the model card's characters hold what is no text");
    options.characters.push_back(own.get<std::string>());
  }
  GRAFT_CHECK(std::ssize(options.characters) + 1 == card.outputs, "the model card has ",
              options.characters.size(), " characters for ", card.outputs, " outputs");
  options.beam = j.at("beam").get<int64_t>();
  GRAFT_CHECK(options.beam >= 1 && options.beam <= 1000, "the model card's beam, ", options.beam,
              ", is not between 1 and 1000");
  return std::make_shared<Transcription>(std::move(options));
}

}  // namespace graft::train
