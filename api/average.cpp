#include "graft/api/average.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/api/trained_model.h"
#include "graft/core/base/error.h"
#include "graft/core/tensor/device_backend.h"

namespace graft {
namespace {

constexpr std::string_view kMean = ".running_mean", kVariance = ".running_var";

bool is_floating_kind(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16;
}

void check_same_network(const NamedModel& first, const NamedModel& other) {
  const auto refuse = [&](const std::string& what) {
    bad_input("average: ", first.name, " and ", other.name, " differ in ", what);
  };
  const models::ModelCard &a = first.model.card, &b = other.model.card;
  if (models::to_json(a.architecture) != models::to_json(b.architecture))
    refuse(str("their networks: ", models::describe(a.architecture), ", ",
               models::describe(b.architecture)));
  if (!(a.preprocess == b.preprocess)) refuse("how images become their input");
  if (task_card_of(a).name() != task_card_of(b).name() || a.labels != b.labels ||
      a.activation != b.activation)
    refuse("what their outputs mean");
  const StateDict left = first.model.network->state_dict(),
                  right = other.model.network->state_dict();
  for (const auto& [name, tensor] : left) {
    const Tensor same = right.find(name);
    if (!same.defined() || same.shape() != tensor.shape() || same.dtype() != tensor.dtype())
      refuse("the tensor " + name);
  }
  if (left.size() != right.size()) refuse("the number of their tensors");
}

Tensor mean_of(const std::vector<Tensor>& tensors) {
  if (!is_floating_kind(tensors[0].dtype())) return tensors[0].clone();
  std::vector<double> sum(static_cast<size_t>(tensors[0].numel()));
  for (const Tensor& tensor : tensors) {
    const std::vector<double> values = to_device(tensor, {}).to_doubles();
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
  }
  for (double& value : sum) value /= static_cast<double>(tensors.size());
  return Tensor::of<double>(tensors[0].shape(), sum).to(tensors[0].dtype());
}

models::ModelCard card_of_mean(const std::vector<NamedModel>& parts) {
  models::ModelCard card = parts[0].model.card;
  card.int8 = {};
  if (task_card_of(card).name() == "classify") card.task.clear();
  nlohmann::json of = nlohmann::json::array();
  for (const NamedModel& part : parts) {
    const std::string& recipe = part.model.card.lineage.recipe;
    of.push_back(recipe.empty() ? nlohmann::json() : nlohmann::json::parse(recipe));
  }
  nlohmann::json averaged = nlohmann::json::object();
  averaged["average_of"] = std::move(of);
  card.lineage.recipe = averaged.dump();
  card.lineage.graft_version = GRAFT_VERSION;
  return card;
}

}  // namespace

models::Model average(const std::vector<NamedModel>& parts) {
  GRAFT_CHECK(parts.size() >= 2, "average: ", parts.size(), " model", parts.size() == 1 ? "" : "s",
              "; at least two are needed");
  for (const NamedModel& part : parts) {
    GRAFT_CHECK(part.model.network, "average: ", part.name, " has no network");
    check_same_network(parts[0], part);
  }
  std::vector<StateDict> states;
  for (const NamedModel& part : parts) states.push_back(part.model.network->state_dict());
  StateDict mean;
  for (const auto& [name, tensor] : states[0]) {
    std::vector<Tensor> tensors;
    for (const StateDict& state : states) tensors.push_back(state.at(name));
    mean.add(name, mean_of(tensors));
  }
  models::Model made;
  made.card = card_of_mean(parts);
  made.network = models::make_network(made.card.architecture);
  made.network->load_state_dict(mean);
  made.network->train(false);
  return made;
}

std::vector<std::string> norms_that_differ(const std::vector<NamedModel>& parts) {
  std::vector<std::string> paths;
  std::vector<StateDict> states;
  for (const NamedModel& part : parts) states.push_back(part.model.network->state_dict());
  const auto differs = [&](const std::string& name) {
    const std::vector<double> first = states[0].at(name).to_doubles();
    return std::any_of(states.begin() + 1, states.end(), [&](const StateDict& state) {
      return state.at(name).to_doubles() != first;
    });
  };
  for (const auto& [name, tensor] : states.at(0)) {
    if (!name.ends_with(kMean)) continue;
    const std::string path = name.substr(0, name.size() - kMean.size());
    if (differs(name) || differs(path + std::string(kVariance))) paths.push_back(path);
  }
  return paths;
}

GreedySoup greedy_average(const std::vector<NamedModel>& parts, const SoupScore& score,
                          const std::function<void(models::Model&)>& prepare) {
  GreedySoup soup;
  soup.model = average(parts);  // refuses what does not fit
  for (const NamedModel& part : parts) {
    models::Model alone = part.model;
    soup.scores.push_back(score(alone));
  }
  std::vector<size_t> order(parts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return soup.scores[a] > soup.scores[b]; });
  soup.kept = {order[0]};
  soup.model = parts[order[0]].model;
  soup.score = soup.scores[order[0]];
  std::vector<NamedModel> inside = {parts[order[0]]};
  for (size_t i = 1; i < order.size(); ++i) {
    inside.push_back(parts[order[i]]);
    models::Model mean = average(inside);
    if (prepare) prepare(mean);
    const double reached = score(mean);
    if (reached >= soup.score) {
      soup.score = reached;
      soup.model = std::move(mean);
      soup.kept.push_back(order[i]);
    } else {
      inside.pop_back();
    }
  }
  return soup;
}

}  // namespace graft
