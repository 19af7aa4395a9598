#include "graft/tests/support/network_formula.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace graft::test {
namespace {

float formula(const std::string& name, const Shape& s, double c) {
  if (s.rank() == 4)
    c *= std::sqrt(6.0 / static_cast<double>(s[0] * s[2] * s[3]));
  else if (s.rank() == 2)
    c *= std::sqrt(3.0 / static_cast<double>(s[1]));
  else if (name.ends_with("running_var"))
    c = 1 + 0.5 * c;
  else if (name.ends_with("weight"))
    c = 0.75 + 0.25 * c;
  else
    c = 0.1 * c;
  return static_cast<float>(c);
}

}  // namespace

NameHash::NameHash(std::string_view name) : start_(0xcbf29ce484222325u) {
  for (const char c : name) start_ = (start_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
}

uint64_t NameHash::operator()(int64_t index) const {
  uint64_t z = start_ + (static_cast<uint64_t>(index) + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double NameHash::centred(int64_t index) const {
  return 2 * (static_cast<double>((*this)(index) >> 40) / 16777216.0) - 1;
}

void fill_by_formula(const Module& module) {
  for (const auto& [name, tensor] : module.state_dict()) {
    if (!is_floating(tensor.dtype())) continue;
    const NameHash hash(name);
    Tensor values = Tensor::empty(tensor.shape());
    float* out = values.mutable_data<float>();
    for (int64_t i = 0; i < values.numel(); ++i)
      out[i] = formula(name, tensor.shape(), hash.centred(i));
    Tensor(tensor).copy_from(values);
  }
}

Tensor formula_image(std::string_view name, const Shape& shape) {
  const NameHash hash(name);
  Tensor image = Tensor::empty(shape);
  float* out = image.mutable_data<float>();
  for (int64_t i = 0; i < image.numel(); ++i) out[i] = static_cast<float>(2 * hash.centred(i));
  return image;
}

Tensor formula_labels(int64_t count, int64_t classes) {
  Tensor labels = Tensor::empty({count}, {.dtype = DType::i64});
  int64_t* out = labels.mutable_data<int64_t>();
  for (int64_t i = 0; i < count; ++i) out[i] = (7 * i + 3) % classes;
  return labels;
}

Summary Summary::of(std::string_view name, const Tensor& tensor) {
  const std::vector<double> values = tensor.to_doubles();
  const NameHash hash("projection " + std::string(name));
  Summary result;
  double squares = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    squares += values[i] * values[i];
    const uint64_t bits = hash(static_cast<int64_t>(i));
    for (size_t j = 0; j < 8; ++j) result.values[1 + j] += (bits >> j) & 1 ? values[i] : -values[i];
  }
  result.values[0] = std::sqrt(squares);
  result.values[9] = values.front();
  result.values[10] = values[values.size() / 2];
  result.values[11] = values.back();
  return result;
}

double relative_distance(const Summary& a, const Summary& b) {
  double squares = 0;
  for (size_t j = 1; j <= 8; ++j)
    squares += (a.values[j] - b.values[j]) * (a.values[j] - b.values[j]) / 8;
  return std::sqrt(squares) / std::max(b.norm(), 1e-30);
}

void expect_summaries(const std::vector<NamedTensor>& tensors, const Tensor& rows, double tolerance,
                      const std::string& what) {
  ASSERT_EQ(rows.shape(), (Shape{static_cast<int64_t>(tensors.size()), Summary::size})) << what;
  double worst = 0;
  std::string worst_name;
  for (size_t i = 0; i < tensors.size(); ++i) {
    ASSERT_TRUE(tensors[i].tensor.defined()) << what << " of " << tensors[i].name;
    Summary expected;
    std::copy_n(rows.data<double>() + i * Summary::size, Summary::size, expected.values.begin());
    const Summary actual = Summary::of(tensors[i].name, tensors[i].tensor);
    const double distance = relative_distance(actual, expected);
    EXPECT_LE(distance, tolerance) << what << " of " << tensors[i].name;
    EXPECT_NEAR(actual.norm(), expected.norm(), tolerance * expected.norm())
        << what << " of " << tensors[i].name;
    // One element may be off by more than the whole: some deviations of the typical element.
    const double typical =
        expected.norm() / std::sqrt(static_cast<double>(tensors[i].tensor.numel()));
    for (size_t j = 9; j < Summary::size; ++j)
      EXPECT_NEAR(actual.values[j], expected.values[j], 10 * tolerance * typical)
          << what << " of " << tensors[i].name << ", sample " << j - 9;
    if (distance > worst) worst = distance, worst_name = tensors[i].name;
  }
  ::testing::Test::RecordProperty(what + ", largest relative distance",
                                  worst_name + " " + std::to_string(worst * 1e6) + "e-6");
}

}  // namespace graft::test
