#include "graft/models/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "graft/core/autograd/record.h"
#include "graft/core/base/printable.h"
#include "graft/core/runtime/random.h"
#include "graft/core/tensor/device_backend.h"

namespace graft::models {
namespace {

// Differences that are not numbers count as infinite, so that a NaN on one side is never taken for
// agreement.
TensorDifference difference_of(const std::string& name, const Tensor& a, const Tensor& b) {
  TensorDifference d{name};
  const std::vector<double> x = a.to_doubles(), y = b.to_doubles();
  double scale = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) {
      scale = std::max(scale, std::isnan(x[i]) ? 0 : std::abs(x[i]));
      continue;
    }
    const double distance = std::abs(x[i] - y[i]);
    d.largest = std::isfinite(distance) ? std::max(d.largest, distance)
                                        : std::numeric_limits<double>::infinity();
    if (std::isfinite(x[i])) scale = std::max(scale, std::abs(x[i]));
  }
  d.relative = d.largest == 0 ? 0
               : scale == 0   ? std::numeric_limits<double>::infinity()
                              : d.largest / scale;
  return d;
}

void compare_tensors(const StateDict& a, const StateDict& b, Comparison& c) {
  for (const auto& [name, tensor] : a) {
    if (name.ends_with("num_batches_tracked")) continue;  // optional everywhere
    const Tensor other = b.find(name);
    if (!other.defined())
      c.only_in_a.push_back(name);
    else if (other.shape() != tensor.shape())
      c.other_shape.push_back(str(name, " ", tensor.shape(), " ", other.shape()));
    else if (const TensorDifference d = difference_of(name, tensor, other); d.largest > 0)
      c.tensors.push_back(d);
    else
      ++c.equal_tensors;
  }
  for (const auto& [name, tensor] : b)
    if (!name.ends_with("num_batches_tracked") && !a.find(name).defined())
      c.only_in_b.push_back(name);
  std::stable_sort(c.tensors.begin(), c.tensors.end(),
                   [](const auto& x, const auto& y) { return x.relative > y.relative; });
}

Tensor answer_of(Model& model, const Tensor& images) {
  model.network->train(false);
  const NoGradGuard no_grad;
  return model.network->forward(to_device(images, model.network->device()));
}

// The same with every value in between.
struct TracedAnswer {
  Tensor result;
  Trace trace;
  TracedAnswer(Model& model, const Tensor& images) {
    const ScopedTrace scope(trace);
    result = answer_of(model, images);
  }
};

// Normally distributed, from a fixed seed; what both take, or undefined and said in `c`.
Tensor images_for(const Model& a, const Model& b, Comparison& c) {
  const io::Preprocess &pa = a.card.preprocess, &pb = b.card.preprocess;
  c.same_preprocess = pa == pb;
  if (pa.channels != pb.channels) {
    c.answer_shapes = str("images of ", pa.channels, " and of ", pb.channels, " channels");
    return {};
  }
  Tensor images = pa.zeros(2);
  CountedRandom random(0, RandomPurpose::synthetic);
  fill_normal(images, 0, 1, random);
  return images;
}

void compare_results(const Tensor& a, const Tensor& b, Comparison& c) {
  c.comparable = a.shape() == b.shape();
  c.answer_shapes = c.comparable ? a.shape().to_string() : str(a.shape(), " and ", b.shape());
  if (c.comparable) c.answer = difference_of("", a, b).relative;
}

bool same_steps(const Trace& a, const Trace& b) {
  return a.steps.size() == b.steps.size() &&
         std::equal(a.steps.begin(), a.steps.end(), b.steps.begin(),
                    [](const TraceStep& x, const TraceStep& y) {
                      return x.op == y.op && x.outputs.size() == y.outputs.size() &&
                             x.outputs[0].shape() == y.outputs[0].shape();
                    });
}

// "layer1.0.conv1" for the convolution that takes layer1.0.conv1.weight; the operation's number for
// one without tensors.
std::string layer_of(const TraceStep& step, size_t number,
                     const std::map<uint64_t, std::string>& owners) {
  for (const Tensor& input : step.inputs) {
    if (!input.defined()) continue;
    const auto owner = owners.find(input.storage_id());
    if (owner != owners.end()) return owner->second;
  }
  return str(step.op, ", operation ", number + 1);
}

void compare_layers(Model& a, const Trace& traced_a, const Trace& traced_b, Comparison& c) {
  std::map<uint64_t, std::string> owners;
  for (const auto& [name, tensor] : a.network->state_dict()) {
    const size_t dot = name.rfind('.');
    owners[tensor.storage_id()] = dot == std::string::npos ? name : name.substr(0, dot);
  }
  for (size_t i = 0; i < traced_a.steps.size(); ++i) {
    const TensorDifference d =
        difference_of("", traced_a.steps[i].outputs[0], traced_b.steps[i].outputs[0]);
    const std::string layer = layer_of(traced_a.steps[i], i, owners);
    if (d.relative > Comparison::kTolerance && c.first_layer.empty()) c.first_layer = layer;
    if (d.relative > c.largest_layer_difference) {
      c.largest_layer_difference = d.relative;
      c.largest_layer = layer;
    }
  }
}

std::string scientific(double value) {
  if (!std::isfinite(value)) return "infinite";
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return text;
}

std::string shortened(const std::vector<std::string>& names) {
  constexpr size_t shown = 8;
  if (names.size() <= shown) return str(names.size(), ": ", join(names));
  return str(names.size(), ": ", join(std::vector(names.begin(), names.begin() + shown)), " ...");
}

nlohmann::ordered_json number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json("infinite");
}

}  // namespace

Comparison compare(Model& a, Model& b) {
  Comparison c;
  if (const Tensor images = images_for(a, b, c); images.defined()) {
    const TracedAnswer from_a(a, images), from_b(b, images);
    compare_results(from_a.result, from_b.result, c);
    c.same_operations = same_steps(from_a.trace, from_b.trace);
    if (c.same_operations) compare_layers(a, from_a.trace, from_b.trace, c);
  }
  compare_tensors(a.network->state_dict(), b.network->state_dict(), c);
  return c;
}

Comparison compare_answers(Model& a, Model& b) {
  Comparison c;
  if (const Tensor images = images_for(a, b, c); images.defined())
    compare_results(answer_of(a, images), answer_of(b, images), c);
  return c;
}

std::string Comparison::answer_text() const {
  return str(answer_shapes, ", largest difference ", scientific(answer), " relative");
}

std::string Comparison::to_text() const {
  std::string out;
  const auto line = [&](std::string name, const std::string& value) {
    name.resize(12, ' ');
    out += name + printable(value) + "\n";
  };
  line("tensors", str(equal_tensors, " the same, ", tensors.size(), " different, ",
                      only_in_a.size() + only_in_b.size(), " in one only, ", other_shape.size(),
                      " of another shape"));
  if (!only_in_a.empty()) line("only in A", shortened(only_in_a));
  if (!only_in_b.empty()) line("only in B", shortened(only_in_b));
  if (!other_shape.empty()) line("shapes", shortened(other_shape));
  for (size_t i = 0; i < std::min<size_t>(tensors.size(), 5); ++i)
    line(i == 0 ? "largest" : "", str(tensors[i].name, "  ", scientific(tensors[i].relative),
                                      " relative, ", scientific(tensors[i].largest), " absolute"));
  if (!comparable)
    line("answers", str("not comparable: ", answer_shapes));
  else
    line("answers",
         str(answer_text(), same_answers() ? "" : str(", more than ", scientific(kTolerance))));
  if (!first_layer.empty())
    line("first layer", str(first_layer, " is the first whose result differs by more than ",
                            scientific(kTolerance)));
  if (!largest_layer.empty())
    line("worst layer", str(largest_layer, "  ", scientific(largest_layer_difference)));
  if (!same_preprocess)
    line("images",
         "A and B prepare their images differently; the same prepared ones went through both");
  line("verdict", str(same_weights() ? "the same weights" : "other weights", ", ",
                      same_answers() ? "the same answers" : "other answers"));
  return out;
}

std::string Comparison::to_json() const {
  nlohmann::ordered_json different = nlohmann::ordered_json::array();
  for (const TensorDifference& d : tensors)
    different.push_back(
        {{"name", d.name}, {"largest", number(d.largest)}, {"relative", number(d.relative)}});
  nlohmann::ordered_json j = {{"same_weights", same_weights()}, {"same_answers", same_answers()},
                              {"tolerance", kTolerance},        {"equal_tensors", equal_tensors},
                              {"different", different},         {"only_in_a", only_in_a},
                              {"only_in_b", only_in_b},         {"other_shape", other_shape}};
  j["same_preprocess"] = same_preprocess;
  j["answer_shapes"] = answer_shapes;
  j["answer_difference"] = comparable ? number(answer) : nlohmann::ordered_json();
  j["first_layer"] = first_layer;
  j["worst_layer"] = largest_layer;
  j["worst_layer_difference"] =
      same_operations ? number(largest_layer_difference) : nlohmann::ordered_json();
  return j.dump(2);
}

}  // namespace graft::models
