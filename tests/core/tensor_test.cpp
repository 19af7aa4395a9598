#include "graft/core/tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>

#include "graft/core/tensor/sum.h"

namespace graft {
namespace {

TEST(Tensor, RoundTripsBetweenLayouts) {
  std::vector<float> values(2 * 3 * 5 * 7);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Tensor x = Tensor::of({2, 3, 5, 7}, values);
  const Tensor last = x.to(MemoryFormat::channels_last);
  EXPECT_EQ(last.data<float>()[1], 35.0f);  // second channel of the first pixel
  EXPECT_EQ(last.to_doubles(), x.to_doubles());
}

TEST(Tensor, WritingBumpsTheVersionOfEveryHandleOfTheStorage) {
  Tensor x = Tensor::zeros({4, 2});
  const Tensor part = x.narrow_batch(1, 2);
  const uint64_t before = part.version();
  x.mutable_data<float>()[2] = 5.0f;
  EXPECT_GT(part.version(), before);
  EXPECT_EQ(part.data<float>()[0], 5.0f);
}

TEST(Tensor, NumbersBeyondAnIntegerBecomeTheNearestOne) {
  const Tensor x = Tensor::of<double>({5}, {1e300, -1e300, std::nan(""), 9.3e18, -2.5});
  EXPECT_EQ(x.to(DType::i8).to_doubles(), (std::vector<double>{127, -128, 0, 127, -2}));
  EXPECT_EQ(x.to(DType::u8).to_doubles(), (std::vector<double>{255, 0, 0, 255, 0}));
  const Tensor wide = x.to(DType::i64);
  EXPECT_EQ(wide.data<int64_t>()[0], INT64_MAX);
  EXPECT_EQ(wide.data<int64_t>()[1], INT64_MIN);
  EXPECT_EQ(wide.data<int64_t>()[3], INT64_MAX);
  EXPECT_EQ(Tensor::full({1}, HUGE_VAL, {.dtype = DType::i32}).to_doubles(),
            std::vector<double>{2147483647});
}

TEST(Tensor, RefusesWrongTypesAndShapes) {
  const Tensor x = Tensor::zeros({2, 2});
  EXPECT_THROW(x.data<double>(), Error);
  EXPECT_THROW(x.reshape({5}), Error);
  EXPECT_THROW((Shape{int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW((Shape{-1}), Error);
  EXPECT_THROW(Tensor().shape(), Error);
}

TEST(Tensor, SumsTakeTheMemoryThatNobodyElseSees) {
  const auto values = [](double first) {
    return Tensor::of<float>({2}, {static_cast<float>(first), 2});
  };
  Tensor a = values(1), b = values(10);
  const uint64_t of_a = a.storage_id(), of_b = b.storage_id();
  const Tensor kept_a = a, view_of_b = b.reshape({1, 2});
  const Tensor fresh = sum_of(a, b);  // both are seen by others
  EXPECT_EQ(fresh.to_doubles(), (std::vector<double>{11, 4}));
  EXPECT_TRUE(fresh.storage_id() != of_a && fresh.storage_id() != of_b);
  EXPECT_EQ(a.to_doubles(), (std::vector<double>{1, 2}));
  EXPECT_EQ(b.to_doubles(), (std::vector<double>{10, 2}));
  Tensor c = values(100);
  const uint64_t of_c = c.storage_id();
  const Tensor into_c = sum_of(a, std::move(c));
  EXPECT_EQ(into_c.storage_id(), of_c);
  EXPECT_EQ(into_c.to_doubles(), (std::vector<double>{101, 4}));
  EXPECT_EQ(a.to_doubles(), (std::vector<double>{1, 2}));
  EXPECT_THROW(sum_of(a, Tensor::zeros({3})), Error);
  EXPECT_THROW(sum_of(a, Tensor::zeros({2}, {.dtype = DType::f64})), Error);
}

TEST(Tensor, SumsKeepTheFirstOnesLayout) {
  const Tensor a = Tensor::of<float>({1, 2, 1, 2}, {1, 2, 3, 4}),
               b = a.to(MemoryFormat::channels_last);
  const Tensor y = sum_of(b, a);
  EXPECT_EQ(y.format(), MemoryFormat::channels_last);
  EXPECT_EQ(y.to_doubles(), (std::vector<double>{2, 4, 6, 8}));
}

TEST(Tensor, BracesGiveTheShape) {
  EXPECT_EQ(Tensor::of<float>({1, 2, 3}).shape(), (Shape{3}));
  const Tensor rows = Tensor::of<int64_t>({{1, 2, 3}, {4, 5, 6}});
  EXPECT_EQ(rows.shape(), (Shape{2, 3}));
  EXPECT_EQ(rows.dtype(), DType::i64);
  EXPECT_EQ(rows.to_doubles(), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  const Tensor planes = Tensor::of({{{1.0, 2.0}}, {{3.0, 4.0}}});
  EXPECT_EQ(planes.shape(), (Shape{2, 1, 2}));
  EXPECT_EQ(planes.to_doubles(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_THROW(Tensor::of<float>({{1, 2}, {3, 4, 5}}), Error);
  EXPECT_THROW(Tensor::of<float>({{}, {3, 4}}), Error);
}

TEST(Tensor, BorrowsMemoryAndKeepsItsOwner) {
  float numbers[] = {1, 2, 3, 4, 5, 6};
  Tensor x = Tensor::from_blob(numbers, {2, 3});
  EXPECT_EQ(x.raw(), numbers);
  numbers[5] = 9;  // nothing was copied
  EXPECT_EQ(x.to_doubles(), (std::vector<double>{1, 2, 3, 4, 5, 9}));
  x.copy_from(Tensor::zeros({2, 3}));
  EXPECT_EQ(numbers[0], 0);

  int freed = 0;
  {
    Tensor part;
    {
      std::shared_ptr<void> owner(new int64_t[4]{1, 2, 3, 4}, [&](void* memory) {
        delete[] static_cast<int64_t*>(memory);
        ++freed;
      });
      void* data = owner.get();
      const Tensor all = Tensor::from_blob(data, {4}, {.dtype = DType::i64}, std::move(owner));
      part = all.narrow_batch(2, 2);
    }
    EXPECT_EQ(freed, 0);
    EXPECT_EQ(part.to_doubles(), (std::vector<double>{3, 4}));
  }
  EXPECT_EQ(freed, 1);
}

TEST(Tensor, BorrowedMemoryIsNotTakenForASum) {
  float numbers[] = {1, 2};
  const Tensor y = sum_of(Tensor::from_blob(numbers, {2}), Tensor::of<float>({10, 20}));
  EXPECT_EQ(y.to_doubles(), (std::vector<double>{11, 22}));
  EXPECT_EQ(numbers[0], 1);
  float more[] = {1, 2};
  const Tensor z = sum_of(Tensor::from_blob(numbers, {2}), Tensor::from_blob(more, {2}));
  EXPECT_EQ(z.to_doubles(), (std::vector<double>{2, 4}));
  EXPECT_EQ(more[0], 1);
}

TEST(Tensor, RefusesMemoryThatCannotHoldIt) {
  float numbers[2] = {};
  EXPECT_THROW(Tensor::from_blob(nullptr, {2}), Error);
  EXPECT_EQ(Tensor::from_blob(nullptr, {0}).numel(), 0);
  EXPECT_THROW(Tensor::from_blob(reinterpret_cast<char*>(numbers) + 1, {1}), Error);
  EXPECT_THROW(Tensor::from_blob(numbers, {2}, {.device = {DeviceType::cuda, 0}}), Error);
}

}  // namespace
}  // namespace graft
