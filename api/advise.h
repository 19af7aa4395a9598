// advise(): which of several weight files, cut where, suits a data set best, from one pass of each
// over its images; and whether transfer pays there at all.
#pragma once
#include <atomic>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "graft/io/datasets/dataset.h"
#include "graft/models/import.h"
#include "graft/train/tasks/classification/transferability/linear_probe.h"

namespace graft {

struct AdviseOptions {
  models::ImportOptions import{};  // of each weight file; a cut other than "auto": this one alone
  io::DataOptions data{.train_limit = 1000};  // the training part alone is looked at
  double broken_share = io::kToleratedBrokenShare;
  std::string image_size{}, resize{};  // as --image-size and --resize have them; "": the network's
  int64_t folds = 5;
  double budget_seconds = 0;  // weights whose pass would go beyond it are left out; 0: none are
  uint64_t seed = 0;          // of the random weights
  std::function<void(const std::string&)> on_note{};  // guesses, what is left out; may be empty
  // May be empty.
  std::function<void(const std::string& what, int64_t done, int64_t total)> progress{};
  const std::atomic<bool>* stop = nullptr;  // leaves with Stopped
};

// Features of one kind, and what they are worth. Scores but the first say less (higher is better);
// NaN: there is none.
struct AdvisedFeatures {
  std::string weights{};     // the file; "": a baseline
  std::string cut = "auto";  // behind which stage; auto: what the import chooses; "": of none
  std::string what{};        // "resnet18, 512 features"; "raw pixels, 16x16"; "random weights: ..."
  int64_t features = 0;
  int64_t parameters = 0;     // of the network in front of them
  train::ProbeScore probe{};  // the main score: a linear classifier's on images not seen
  double log_evidence = std::numeric_limits<double>::quiet_NaN();         // LogME
  double separation = std::numeric_limits<double>::quiet_NaN();           // H-score, shrunk
  double neighbors = std::numeric_limits<double>::quiet_NaN();            // k-NN, leave one out
  double expected_prediction = std::numeric_limits<double>::quiet_NaN();  // LEEP
  double seconds = 0;  // the scores', and a share of the pass
};

struct Advice {
  std::string data{};
  int64_t images = 0, classes = 0, folds = 0;
  std::vector<AdvisedFeatures> candidates{};  // the best first
  std::vector<AdvisedFeatures> baselines{};   // raw pixels, random weights; the best first
  std::vector<std::string> left_out{};        // sentences: weights that were not measured, and why

  // What conclude() says of these.
  std::vector<std::string> by_size{};  // the weight files, most parameters first: the fixed order
  bool is_sure = false;                // the first one's interval lies above the next ones'
  enum class Transfer : unsigned char { pays, not_sure, does_not_pay };
  Transfer transfer = Transfer::not_sure;  // of features as they are, beside the baselines
  std::vector<std::string> sentences{};    // the choice and how sure it is, in words
  std::vector<std::string> flags{};        // of graft finetune, but for the data: "--weights" ...
};

// Puts candidates and baselines in order and says what follows from them; at least one candidate.
GRAFT_API void conclude(Advice& advice);

// bad_input for weights and data that do not fit, data that are not of one class an image, and
// where no weights could be measured; Stopped when options.stop is set.
GRAFT_API Advice advise(const std::vector<std::string>& weights, const std::string& data,
                        const AdviseOptions& options = {});

}  // namespace graft
