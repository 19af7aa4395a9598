#include "graft/models/naming/reparametrised.h"

#include <cmath>
#include <optional>
#include <set>

#include "graft/core/base/error.h"

namespace graft::models {
namespace {

// The parts that a weight is kept in, and how they make it.
struct Parts {
  const char* end;  // of the first part's name; what stands before it is the weight's own
  std::vector<const char*> others;  // behind base
  Tensor (*fold)(const std::vector<Tensor>& parts);
  const char* kind;
};

Tensor tensor_like(const Tensor& weight, const std::vector<double>& values) {
  return Tensor::of(weight.shape(), values).to(DType::f32);
}

Tensor masked(const std::vector<Tensor>& parts) {
  GRAFT_CHECK(parts[0].shape() == parts[1].shape(), "a mask ", parts[1].shape(), " for a weight ",
              parts[0].shape());
  std::vector<double> w = parts[0].to_doubles();
  const std::vector<double> mask = parts[1].to_doubles();
  for (size_t i = 0; i < w.size(); ++i) w[i] *= mask[i];
  return tensor_like(parts[0], w);
}

// g * v / |v|, the norm over all axes but the first, or over all where g is one number.
Tensor weight_norm(const std::vector<Tensor>& parts) {
  const std::vector<double> g = parts[0].to_doubles();
  std::vector<double> v = parts[1].to_doubles();
  GRAFT_CHECK(
      !g.empty() && parts[1].rank() > 0 && (g.size() == 1 || parts[0].numel() == parts[1].size(0)),
      "weight norm's sizes ", parts[0].shape(), " for a weight ", parts[1].shape());
  const size_t each = v.size() / g.size();
  for (size_t k = 0; k < g.size(); ++k) {
    double squares = 0;
    for (size_t i = 0; i < each; ++i) squares += v[k * each + i] * v[k * each + i];
    for (size_t i = 0; i < each; ++i) v[k * each + i] *= g[k] / std::sqrt(squares);
  }
  return tensor_like(parts[1], v);
}

// w / (u . W v), W being w as a matrix of its first axis.
Tensor spectral_norm(const std::vector<Tensor>& parts) {
  std::vector<double> w = parts[0].to_doubles();
  const std::vector<double> u = parts[1].to_doubles(), v = parts[2].to_doubles();
  GRAFT_CHECK(!u.empty() && w.size() == u.size() * v.size(), "spectral norm's vectors of ",
              u.size(), " and ", v.size(), " for a weight ", parts[0].shape());
  double sigma = 0;
  for (size_t k = 0; k < u.size(); ++k)
    for (size_t i = 0; i < v.size(); ++i) sigma += u[k] * w[k * v.size() + i] * v[i];
  GRAFT_CHECK(sigma != 0, "spectral norm's vectors give a norm of 0");
  for (double& x : w) x /= sigma;
  return tensor_like(parts[0], w);
}

const std::vector<Parts>& forms() {
  static const std::vector<Parts> list = {
      {"_orig", {"_mask"}, masked, "pruned: times their masks"},
      {"_orig", {"_u", "_v"}, spectral_norm, "under spectral norm: divided by it"},
      {"_g", {"_v"}, weight_norm, "under weight norm: length times direction"},
      {".original0", {".original1"}, weight_norm, "under weight norm: length times direction"},
      {".original", {".0._u", ".0._v"}, spectral_norm, "under spectral norm: divided by it"},
  };
  return list;
}

// "a.parametrizations.weight" -> "a.weight".
std::string plain_name(std::string base) {
  constexpr std::string_view word = "parametrizations.";
  if (const size_t at = base.rfind(word); at != std::string::npos) base.erase(at, word.size());
  return base;
}

}  // namespace

StateDict fold_reparametrised(const StateDict& tensors, std::vector<std::string>& notes) {
  StateDict out;
  std::set<std::string, std::less<>> used;
  std::vector<std::pair<std::string, int64_t>> counts;
  std::vector<std::pair<std::string, std::pair<std::string, Tensor>>> folded;
  for (const auto& [name, tensor] : tensors)
    for (const Parts& form : forms()) {
      if (!name.ends_with(form.end) || used.contains(name)) continue;
      const std::string base = name.substr(0, name.size() - std::string_view(form.end).size());
      std::vector<Tensor> parts{tensor};
      std::vector<std::string> names{name};
      for (const char* other : form.others) {
        names.push_back(base + other);
        parts.push_back(tensors.find(names.back()));
      }
      bool whole = !tensors.contains(plain_name(base));
      for (const Tensor& part : parts) whole = whole && part.defined() && is_floating(part.dtype());
      if (!whole) continue;
      try {
        folded.push_back({name, {plain_name(base), form.fold(parts)}});
      } catch (const Error& error) {
        throw error.with_context(plain_name(base));
      }
      used.insert(names.begin(), names.end());
      if (counts.empty() || counts.back().first != form.kind) counts.emplace_back(form.kind, 0);
      ++counts.back().second;
    }
  if (folded.empty()) return tensors;
  size_t next = 0;
  for (const auto& [name, tensor] : tensors) {
    if (next < folded.size() && folded[next].first == name) {
      out.add(folded[next].second.first, folded[next].second.second);
      ++next;
    } else if (!used.contains(name)) {
      out.add(name, tensor);
    }
  }
  for (const auto& [kind, count] : counts) notes.push_back(str(count, " weights were kept ", kind));
  return out;
}

}  // namespace graft::models
