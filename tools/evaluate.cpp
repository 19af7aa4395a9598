// graft evaluate: accuracy, recall and precision per class and the confusion matrix of a model on a data set.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/progress.h"
#include "graft/tools/verbs.h"
#include "graft/train/fit.h"

namespace graft::tools {
namespace {

// A data set whose labels count as the model's do.
class Relabelled final : public io::Dataset {
 public:
  Relabelled(std::shared_ptr<const io::Dataset> dataset, std::vector<int64_t> labels) : dataset_(std::move(dataset)), labels_(std::move(labels)) {}
  int64_t size() const override { return dataset_->size(); }
  int64_t label(int64_t index) const override { return labels_.at(static_cast<size_t>(dataset_->label(index))); }
  io::Image image(int64_t index) const override { return dataset_->image(index); }
  std::string name(int64_t index) const override { return dataset_->name(index); }
  std::string fingerprint() const override { return dataset_->fingerprint(); }

 private:
  std::shared_ptr<const io::Dataset> dataset_;
  std::vector<int64_t> labels_;
};

// The model's index of each of the data set's classes, by name; without names in the model, by count.
std::vector<int64_t> match_labels(const models::ModelCard& card, const std::vector<std::string>& classes, const std::string& path) {
  std::vector<int64_t> found;
  if (card.labels.empty()) {
    const int64_t count = models::classes_of(card.architecture);
    GRAFT_CHECK(std::ssize(classes) <= count, path, ": has ", classes.size(), " classes, the model ", count);
    for (size_t i = 0; i < classes.size(); ++i) found.push_back(static_cast<int64_t>(i));
    return found;
  }
  for (const std::string& name : classes) {
    const auto at = std::find(card.labels.begin(), card.labels.end(), name);
    GRAFT_CHECK(at != card.labels.end(), path, ": its class '", name, "' is none of the model's: ", join(card.labels));
    found.push_back(at - card.labels.begin());
  }
  return found;
}

nlohmann::ordered_json document(const train::Evaluation& e, const std::vector<std::string>& labels) {
  nlohmann::ordered_json j = {{"accuracy", e.accuracy()}, {"correct", e.correct()}, {"images", e.samples()}};
  nlohmann::ordered_json classes = nlohmann::ordered_json::array(), confusion = nlohmann::ordered_json::array();
  for (int64_t label = 0; label < e.classes(); ++label) {
    int64_t images = 0;
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (int64_t p = 0; p < e.classes(); ++p) {
      images += e.confusion(label, p);
      row.push_back(e.confusion(label, p));
    }
    confusion.push_back(row);
    classes.push_back({{"label", labels[static_cast<size_t>(label)]}, {"images", images}, {"recall", e.recall(label)}, {"precision", e.precision(label)}});
  }
  j["classes"] = classes;
  j["confusion"] = confusion;  // [true][predicted]
  return j;
}

std::string padded(std::string text, size_t width, bool right = false) {
  if (text.size() < width) text.insert(right ? 0 : text.size(), width - text.size(), ' ');
  return text;
}

std::string text_of(const train::Evaluation& e, const std::vector<std::string>& labels) {
  constexpr int64_t kMatrix = 20;
  std::string out = str("accuracy ", fixed(e.accuracy(), 4), " (", e.correct(), " of ", e.samples(), " images)\n\n");
  size_t width = 5;
  for (const std::string& label : labels) width = std::max(width, label.size());
  out += padded("class", width) + "  images  recall  precision\n";
  for (int64_t l = 0; l < e.classes(); ++l) {
    int64_t images = 0;
    for (int64_t p = 0; p < e.classes(); ++p) images += e.confusion(l, p);
    out += str(padded(labels[static_cast<size_t>(l)], width), "  ", padded(std::to_string(images), 6, true), "  ", fixed(e.recall(l), 4), "  ", fixed(e.precision(l), 4), "\n");
  }
  if (e.classes() > kMatrix) return out + str("\nthe confusion matrix of ", e.classes(), " classes is in --json\n");
  out += "\nconfusion matrix (a row a true class, a column a predicted one)\n";
  for (int64_t l = 0; l < e.classes(); ++l) {
    out += padded(labels[static_cast<size_t>(l)], width);
    for (int64_t p = 0; p < e.classes(); ++p) out += padded(std::to_string(e.confusion(l, p)), 7, true);
    out += "\n";
  }
  return out;
}

int evaluate(const std::string& path, const std::string& data_path, bool json, int threads) {
  ExecContext context(threads);
  const ScopedExecContext scope(context);
  models::Model model = std::move(load_any(path).model);
  const int64_t classes = models::classes_of(model.card.architecture);
  GRAFT_CHECK(classes > 0, path, ": has no classifier; graft finetune gives it one");
  io::OpenedData data = io::open_data(data_path, {.need_train = false});
  data.val = io::without_broken_images(data.val, io::kToleratedBrokenShare, data.notes);
  for (const std::string& note : data.notes) say("note: ", note);
  const auto relabelled = std::make_shared<Relabelled>(data.val, match_labels(model.card, data.classes, data_path));
  ProgressBar bar;
  const train::Evaluation e = train::evaluate(*model.network, relabelled, model.card.preprocess, classes, 32,
                                              [&](int64_t done, int64_t total) { bar.update("evaluating", done, total); });
  bar.clear();
  std::vector<std::string> labels = model.card.labels;
  for (int64_t i = std::ssize(labels); i < classes; ++i) labels.push_back(str("class ", i));
  if (json) result(document(e, labels));
  else result(text_of(e, labels));
  return 0;
}

}  // namespace

void add_evaluate(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("evaluate", "Accuracy, per class and confusion matrix, of a model on a data set");
  struct Flags {
    std::string model, data;
    bool json = false;
    int threads = 0;
  };
  auto f = std::make_shared<Flags>();
  verb->add_option("MODEL", f->model, "A model of graft, or any weight file with a classifier")->required();
  verb->add_option("--data", f->data, "The images: their val or test part when there is one, else all")->required()->type_name("PATH");
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")->check(CLI::Range(0, 1024))->type_name("N");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer("Example:\n  graft evaluate run/model.safetensors --data photos");
  verb->callback([&action, f] { action = [f] { return evaluate(f->model, f->data, f->json, f->threads); }; });
}

}  // namespace graft::tools
