#include "graft/models/tensorflow/norm_pattern.h"

#include <array>

namespace graft::models::tensorflow {
namespace {

struct Norm {
  const Item* scale = nullptr;
  const Item* shift = nullptr;
  const Item* mean = nullptr;
  const Item* variance = nullptr;
  double epsilon = 0;
};

bool is_made_by(const Item& item, std::string_view op) {
  return item.made_by == op || (op == "Add" && item.made_by == "AddV2");
}

// rsqrt(variance + epsilon)
bool read_deviation(const Translation& t, const Item& item, Norm& norm) {
  if (!is_made_by(item, "Rsqrt")) return false;
  const Item& sum = t.at(item.made_of[0]);
  if (!is_made_by(sum, "Add")) return false;
  for (const size_t epsilon : {size_t{1}, size_t{0}}) {
    const Item &number = t.at(sum.made_of[epsilon]), &other = t.at(sum.made_of[1 - epsilon]);
    if (number.constant.numel() != 1 || other.constant.rank() != 1) continue;
    norm.epsilon = number.constant.to_doubles()[0];
    norm.variance = &other;
    return true;
  }
  return false;
}

// The factor of the values: the deviation, times the scale where there is one.
bool read_factor(const Translation& t, const Item& item, Norm& norm) {
  if (read_deviation(t, item, norm)) return true;
  if (!is_made_by(item, "Mul")) return false;
  for (const size_t scale : {size_t{1}, size_t{0}}) {
    if (!read_deviation(t, t.at(item.made_of[1 - scale]), norm)) continue;
    norm.scale = &t.at(item.made_of[scale]);
    return true;
  }
  return false;
}

const Item* other_factor(const Translation& t, const Item& product, const Item& factor) {
  if (!is_made_by(product, "Mul")) return nullptr;
  for (const size_t i : {size_t{0}, size_t{1}})
    if (t.at(product.made_of[i]).constant.is_same(factor.constant))
      return &t.at(product.made_of[1 - i]);
  return nullptr;
}

// shift - mean * factor, or -mean * factor.
bool read_shift(const Translation& t, const Item& item, const Item& factor, Norm& norm) {
  if (is_made_by(item, "Sub")) {
    norm.shift = &t.at(item.made_of[0]);
    norm.mean = other_factor(t, t.at(item.made_of[1]), factor);
  } else if (const Item* negative = other_factor(t, item, factor);
             negative && is_made_by(*negative, "Neg")) {
    norm.mean = &t.at(negative->made_of[0]);
  }
  return norm.mean != nullptr;
}

std::string parameter_of(Call& call, const Item* item, int64_t channels, double otherwise) {
  if (!item) return call.writer().constant(Tensor::full({channels}, otherwise));
  return call.t.stored(*item, item->constant.to(DType::f32).reshape(Shape{channels}), "norm");
}

bool has_channels(const Item* item, int64_t channels) {
  return !item || (item->is_constant() && item->constant.numel() == channels);
}

}  // namespace

bool give_batch_norm(Call& call) {
  for (const size_t product : {size_t{0}, size_t{1}}) {
    const Item &made = call.item(product), &shift = call.item(1 - product);
    if (!made.is_computed() || made.made_by != "Mul" || !shift.is_constant()) continue;
    for (const size_t x : {size_t{0}, size_t{1}}) {
      const Item &value = call.t.at(made.made_of[x]), &factor = call.t.at(made.made_of[1 - x]);
      Norm norm;
      if (!value.is_computed() || !factor.is_constant() || value.value.rank() != 4 ||
          !read_factor(call.t, factor, norm) || !read_shift(call.t, shift, factor, norm))
        continue;
      const int64_t channels = value.value.dims.back();
      if (!has_channels(norm.scale, channels) || !has_channels(norm.shift, channels) ||
          !has_channels(norm.mean, channels) || !has_channels(norm.variance, channels))
        continue;
      Value out = call.writer().channels_first(value.value);
      out.of_image = false;
      const std::string inputs[] = {parameter_of(call, norm.scale, channels, 1),
                                    parameter_of(call, norm.shift, channels, 0),
                                    parameter_of(call, norm.mean, channels, 0),
                                    parameter_of(call, norm.variance, channels, 1)};
      out.name = call.writer().node("BatchNormalization",
                                    {out.name, inputs[0], inputs[1], inputs[2], inputs[3]},
                                    {keras::real("epsilon", norm.epsilon)});
      if (!norm.scale || !norm.shift) ++call.t.filled_norms;
      call.give(out);
      return true;
    }
  }
  return false;
}

}  // namespace graft::models::tensorflow
