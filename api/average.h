// average(): one model whose weights are the mean of several models' (a "soup").
// Sources: M. Wortsman et al., "Model soups", ICML 2022; P. Izmailov et al., "Averaging Weights
// Leads to Wider Optima and Better Generalization" (SWA), UAI 2018.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graft/models/model_file.h"
#include "graft/train/tasks/task.h"

namespace graft {

// A model of graft with the name that errors give it: its path.
struct NamedModel {
  std::string name{};
  models::Model model{};
};

// The mean of every floating tensor, summed in double; what counts (num_batches_tracked) is the
// first model's. The card is the first one's, without its ranges for int8 and a classifier's
// temperature and thresholds (they are of other weights; those of several labels stay the first
// one's), and with a recipe that says what was averaged. bad_input, naming the two
// models and what differs, unless all are one network with one preprocessing, for one task with the
// same names; for fewer than two.
GRAFT_API models::Model average(const std::vector<NamedModel>& parts);
// The paths of the batch norms whose running statistics are not the same in all of them: their mean
// is no statistic of the averaged network, which wants them re-estimated
// (train::reestimate_statistics()).
GRAFT_API std::vector<std::string> norms_that_differ(const std::vector<NamedModel>& parts);

// How good a network is: higher is better.
using SoupScore = std::function<double(models::Model& model)>;
// The greedy soup: the models in falling order of their scores; each is kept where the mean with it
// is at least as good as without. `prepare` (may be empty) sees each mean before it is judged.
// Gives the places of those that are kept in `parts`, the best one's first.
struct GreedySoup {
  models::Model model{};
  std::vector<size_t> kept{};
  std::vector<double> scores{};  // of each part alone
  double score = 0;              // of the mean
};
GRAFT_API GreedySoup greedy_average(const std::vector<NamedModel>& parts, const SoupScore& score,
                                    const std::function<void(models::Model&)>& prepare = {});

}  // namespace graft
