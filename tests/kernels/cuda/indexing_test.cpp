// Gather and scatter on the device, and the sort under their sums.
#include "graft/layers/functional/indexing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "graft/kernels/cuda/custom/indexed_places.h"
#include "graft/kernels/cuda/custom/sorted_targets.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using ops::Indexing;
using ops::ScatterReduction;
using test::matched;
using test::OpCase;
using test::OpInput;
using Inputs = std::span<const Tensor>;

OpInput places(const Shape& shape, double extent) {
  return {shape, test::Role::labels, false, 0, extent};
}

OpCase gather_case(std::string name, const Shape& x, const Shape& indices, int axis,
                   double classes) {
  return {std::move(name), {matched(x), places(indices, classes)}, [axis](Inputs in) {
            return std::vector<Tensor>{functional::gather(in[0], in[1], axis)};
          }};
}
std::vector<OpCase> gather_cases() {
  return {
      gather_case("embedding", {7, 4}, {2, 3}, 0, 7),
      gather_case("embedding_in_groups", {5, 16}, {9}, 0, 5),
      gather_case("rows_often_named", {3, 5}, {300}, 0, 3),
      gather_case("long_rows", {4, 300}, {6}, 0, 4),
      gather_case("more_than_a_tile", {50, 2}, {700}, 0, 50),
      gather_case("middle_axis", {2, 5, 3}, {4}, 1, 5),
      gather_case("scalar_index", {3, 4}, Shape{}, 0, 3),
      {"elements",
       {matched({3, 5, 2}), places({3, 4, 2}, 5)},
       [](Inputs in) { return std::vector<Tensor>{functional::gather_elements(in[0], in[1], 1)}; }},
      {"elements_first_axis",
       {matched({4, 3}), places({6, 2}, 4)},
       [](Inputs in) { return std::vector<Tensor>{functional::gather_elements(in[0], in[1], 0)}; }},
      {"tuples",
       {matched({3, 3, 2}), places({4, 2}, 3)},
       [](Inputs in) { return std::vector<Tensor>{functional::gather_nd(in[0], in[1], 0)}; }},
      {"tuples_in_batches", {matched({2, 3, 4}), places({2, 5, 1}, 3)}, [](Inputs in) {
         return std::vector<Tensor>{functional::gather_nd(in[0], in[1], 1)};
       }}};
}

std::vector<OpCase> scatter_cases() {
  std::vector<OpCase> cases;
  const std::pair<const char*, ScatterReduction> reductions[] = {{"none", ScatterReduction::none},
                                                                 {"add", ScatterReduction::add},
                                                                 {"mul", ScatterReduction::mul},
                                                                 {"max", ScatterReduction::max},
                                                                 {"min", ScatterReduction::min}};
  for (const auto& [name, reduction] : reductions) {
    const ScatterReduction how = reduction;
    cases.push_back({str("elements_", name),
                     {matched({4, 5}, 0.3, 1.5), places({3, 5}, 4), matched({3, 5}, 0.5, 1.4)},
                     [how](Inputs in) {
                       return std::vector<Tensor>{
                           functional::scatter_elements(in[0], in[1], in[2], 0, how)};
                     }});
    cases.push_back({str("tuples_", name),
                     {matched({3, 2, 4}, 0.3, 1.5), places({5, 2}, 2), matched({5, 4}, 0.5, 1.4)},
                     [how](Inputs in) {
                       return std::vector<Tensor>{functional::scatter_nd(in[0], in[1], in[2], how)};
                     }});
  }
  return cases;
}

// Where every index leads is what the CPU's lists say.
TEST(CudaIndexing, PlacesAreTheHosts) {
  const auto random = [](const Shape& shape, int64_t extent) {
    Tensor t = Tensor::empty(shape, {.dtype = DType::i64});
    for (int64_t i = 0; i < t.numel(); ++i)
      t.mutable_data<int64_t>()[i] = i * 7 % (2 * extent) - extent;
    return t;
  };
  struct Case {
    Shape x, indices;
    ops::GatherAttributes attributes;
    int64_t extent;
  };
  const Case cases[] = {{{3, 4, 5}, {2, 3}, {Indexing::slices, 1}, 4},
                        {{6}, {4}, {Indexing::slices, 0}, 6},
                        {{3, 4, 5}, {3, 6, 2}, {Indexing::elements, 1}, 4},
                        {{3, 4}, {2, 4}, {Indexing::elements, 0}, 3},
                        {{2, 3, 4, 2}, {5, 2}, {Indexing::tuples, 0, 0}, 2},
                        {{2, 3, 4}, {2, 5, 2}, {Indexing::tuples, 0, 1}, 3},
                        {{2, 3, 4}, {2, 3, 4, 1}, {Indexing::tuples, 0, 2}, 4},
                        {{4, 3}, {3, 0}, {Indexing::tuples, 0, 0}, 1}};
  for (const Case& c : cases) {
    const Tensor indices = random(c.indices, c.extent);
    const ops::IndexedBlocks expected = ops::indexed_blocks(c.x, indices, c.attributes);
    const auto found = cuda::IndexedPlaces::of(c.x, c.indices, c.attributes.indexing,
                                               c.attributes.axis, c.attributes.batch_axes);
    ASSERT_EQ(found.count, static_cast<int64_t>(expected.starts.size())) << c.x.to_string();
    EXPECT_EQ(found.block, expected.block) << c.x.to_string();
    const auto index = [&](int64_t i) {
      return indices.elements<int64_t>()[static_cast<size_t>(i)];
    };
    for (int64_t k = 0; k < found.count; ++k)
      ASSERT_EQ(found.start(k, index), expected.starts[static_cast<size_t>(k)])
          << c.x.to_string() << " entry " << k;
    if (indices.numel() == 0) continue;
    EXPECT_EQ(found.start(0, [](int64_t) { return int64_t{99}; }), -1);
  }
}

// The network sorts whatever comes, as its comparisons say; each step touches each entry once.
TEST(CudaIndexing, SortingNetworkSorts) {
  for (const int64_t n : {2, 8, 64, 256}) {
    std::vector<std::pair<int64_t, int32_t>> list;
    for (int64_t i = 0; i < n; ++i) list.emplace_back(i * 37 % 11, static_cast<int32_t>(i));
    for (int64_t size = 2; size <= n; size *= 2)
      for (int64_t stride = size / 2; stride > 0; stride /= 2) {
        std::set<int64_t> touched;
        for (int64_t i = 0; i < n / 2; ++i) {
          const cuda::SortPair pair = cuda::sort_pair(i, size, stride);
          ASSERT_TRUE(touched.insert(pair.low).second && touched.insert(pair.high).second &&
                      pair.high < n);
          auto &low = list[static_cast<size_t>(pair.low)],
               &high = list[static_cast<size_t>(pair.high)];
          if (cuda::out_of_order(pair, low.first, low.second, high.first, high.second))
            std::swap(low, high);
        }
      }
    EXPECT_TRUE(std::is_sorted(list.begin(), list.end())) << n;
  }
}

TEST(CudaGather, AnIndexOutsideGivesNaN) {
  test::TestDevice opened;
  const Tensor x = to_device(Tensor::of<float>({2, 2}, {1, 2, 3, 4}), test::kCuda),
               i = to_device(Tensor::of<int32_t>({3}, {-1, 2, 0}), test::kCuda);
  const std::vector<double> y = functional::gather(x, i).to_doubles();
  EXPECT_EQ(y[0], 3);
  EXPECT_TRUE(std::isnan(y[2]) && std::isnan(y[3]));
  EXPECT_EQ(y[5], 2);
  const Tensor scattered =
      functional::scatter_elements(x, to_device(Tensor::of<int64_t>({1, 2}, {5, -1}), test::kCuda),
                                   to_device(Tensor::of<float>({1, 2}, {8, 9}), test::kCuda));
  EXPECT_EQ(scattered.to_doubles(), (std::vector<double>{1, 2, 3, 9}));
}

// Of any dtype; one-hot and the places that are not 0 as the host's.
TEST(CudaGather, MovesAnyDtype) {
  test::TestDevice opened;
  const Tensor i = Tensor::of<int64_t>({3}, {2, 0, 1});
  for (const DType dtype : {DType::i64, DType::i32, DType::u8, DType::boolean, DType::f64}) {
    const Tensor x = Tensor::of<int64_t>({3, 2}, {0, 1, 2, 3, 4, 5}).to(dtype);
    EXPECT_EQ(functional::gather(to_device(x, test::kCuda), i).to_doubles(),
              functional::gather(x, i).to_doubles());
    if (dtype == DType::f64) continue;
    const auto add = [&](const Tensor& t) {
      return functional::scatter_nd(t, i.reshape({3, 1}), x, ScatterReduction::add).to_doubles();
    };
    EXPECT_EQ(add(to_device(x, test::kCuda)), add(x));
  }
  const auto hot = [](const Tensor& t) {
    return functional::one_hot(t, 4, Tensor::scalar(0), Tensor::scalar(2)).to_doubles();
  };
  EXPECT_EQ(hot(to_device(i, test::kCuda)), hot(i));
  EXPECT_EQ(functional::nonzero(to_device(i, test::kCuda)).to_doubles(),
            functional::nonzero(i).to_doubles());
}

}  // namespace

GRAFT_DEVICE_CASES(Gather, gather_cases());
GRAFT_DEVICE_CASES(Scatter, scatter_cases());

}  // namespace graft
