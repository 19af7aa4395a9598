// The emulator's tensor cores beside what the PTX ISA says of each lane, and the index maths of
// tiles, windows and phases.
#include <gtest/gtest.h>

#include <set>

#include "graft/core/runtime/random.h"
#include "graft/kernels/cuda/custom/tensor_operands.h"
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/tensor_product.h"
#include "graft/tests/kernels/cuda/emulated_device.h"

namespace graft {
namespace {

using cuda::Span;
using test::kCuda;

struct Registers {
  Span<const uint32_t> a, b;  // [lanes][4], [lanes][2]
  Span<const float> c;        // [lanes][4]
  Span<float> d;
};
// One product: every lane brings its registers.
template <class T>
struct OneProduct {
  static constexpr const char* name = "one product";
  static constexpr bool cooperates = true;
  using Args = Registers;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& args) {
    cuda::FragmentA a;
    cuda::FragmentB b;
    cuda::FragmentC c;
    for (int i = 0; i < 4; ++i)
      a.v[i] = args.a.load(t.lane() * 4 + i), c.v[i] = args.c.load(t.lane() * 4 + i);
    for (int i = 0; i < 2; ++i) b.v[i] = args.b.load(t.lane() * 2 + i);
    cuda::multiply<T>(t, a, b, c);
    for (int i = 0; i < 4; ++i) args.d.store(t.lane() * 4 + i, c.v[i]);
  }
};

template <class T>
Tensor on_device(const std::vector<T>& values) {
  Tensor host = Tensor::empty(
      {static_cast<int64_t>(values.size() * sizeof(T) / 4)},
      {.dtype = sizeof(T) == 4 && std::is_same_v<T, float> ? DType::f32 : DType::i32});
  std::memcpy(host.mutable_raw(), values.data(), values.size() * sizeof(T));
  return to_device(host, kCuda);
}
template <class T>
Span<const T> span_of(const Tensor& tensor) {
  return {static_cast<const T*>(tensor.raw()), tensor.bytes() / static_cast<int64_t>(sizeof(T))};
}
template <class T>
Span<T> span_of(Tensor& tensor) {
  return {static_cast<T*>(tensor.mutable_raw()), tensor.bytes() / static_cast<int64_t>(sizeof(T))};
}

// PTX ISA, mma.m16n8k16: where element i of a lane's registers stands in A, B and C.
struct Position {
  int row, column;
};
Position in_a(int lane, int i) {
  return {i < 2 || (i >= 4 && i < 6) ? lane >> 2 : (lane >> 2) + 8,
          (lane % 4) * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
}
Position in_b(int lane, int i) { return {(lane % 4) * 2 + (i & 1) + (i >= 2 ? 8 : 0), lane >> 2}; }
Position in_c(int lane, int i) {
  return {i < 2 ? lane >> 2 : (lane >> 2) + 8, (lane % 4) * 2 + (i & 1)};
}

template <class T>
void expect_product() {
  CountedRandom random(1, RandomPurpose::synthetic);
  // Small whole numbers: every sum is exact, and a wrong lane gives a wrong number.
  T a[16][16], b[16][8];
  float c[16][8];
  const auto whole = [&] { return static_cast<float>(random.below(31)) - 15.f; };
  for (auto& row : a)
    for (T& v : row) v = T(whole());
  for (auto& row : b)
    for (T& v : row) v = T(whole());
  for (auto& row : c)
    for (float& v : row) v = whole();
  std::vector<uint32_t> a_registers(128), b_registers(64);
  std::vector<float> c_registers(128);
  for (size_t lane = 0; lane < 32; ++lane) {
    for (size_t i = 0; i < 8; ++i) {
      const Position p = in_a(static_cast<int>(lane), static_cast<int>(i));
      a_registers[lane * 4 + i / 2] |= uint32_t{a[p.row][p.column].bits} << (16 * (i % 2));
    }
    for (size_t i = 0; i < 4; ++i) {
      const Position p = in_b(static_cast<int>(lane), static_cast<int>(i)),
                     q = in_c(static_cast<int>(lane), static_cast<int>(i));
      b_registers[lane * 2 + i / 2] |= uint32_t{b[p.row][p.column].bits} << (16 * (i % 2));
      c_registers[lane * 4 + i] = c[q.row][q.column];
    }
  }
  test::EmulatedDevice emulated;
  const Tensor a_there = on_device(a_registers), b_there = on_device(b_registers),
               c_there = on_device(c_registers);
  Tensor d = Tensor::empty({128}, {.device = kCuda});
  cuda::launch<OneProduct<T>>(emulated.device(), 1, 32,
                              {span_of<uint32_t>(a_there), span_of<uint32_t>(b_there),
                               span_of<float>(c_there), span_of<float>(d)});
  const std::vector<double> result = d.to_doubles();
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const Position p = in_c(lane, i);
      double expected = static_cast<double>(c[p.row][p.column]);
      for (int k = 0; k < 16; ++k)
        expected += static_cast<double>(static_cast<float>(a[p.row][k])) *
                    static_cast<double>(static_cast<float>(b[k][p.column]));
      ASSERT_EQ(result[static_cast<size_t>(lane * 4 + i)], expected)
          << "lane " << lane << ", element " << i;
    }
}
TEST(TensorCore, ProductsAreThoseOfTheIsa) {
  expect_product<bfloat16>();
  expect_product<float16>();
}

struct Loaded {
  Span<uint32_t> y;  // [lanes][4]
};
// Four matrices whose element (i, j) of matrix m is 64 m + 8 i + j.
template <bool transposed>
struct LoadFour {
  static constexpr const char* name = "load four";
  static constexpr bool cooperates = true;
  using Args = Loaded;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& args) {
    const auto shared = t.template shared<cuda::MatrixRow<float16>>(32);
    cuda::MatrixRow<float16> row;
    for (int j = 0; j < 8; ++j) row.v[j].bits = static_cast<uint16_t>(t.lane() * 8 + j);
    const int place = (t.lane() * 5 + 3) % 32;  // rows lie anywhere
    shared.set(place, row);
    t.sync_warp();
    const cuda::Matrices m = cuda::load_matrices<transposed, float16>(t, shared, place);
    for (int i = 0; i < 4; ++i) args.y.store(t.lane() * 4 + i, m.v[i]);
  }
};
template <bool transposed>
void expect_loads() {
  test::EmulatedDevice emulated;
  Tensor y = Tensor::empty({128}, {.dtype = DType::i32, .device = kCuda});
  cuda::launch<LoadFour<transposed>>(emulated.device(), 1, 32, {span_of<uint32_t>(y)}, 32 * 16);
  const std::vector<double> result = y.to_doubles();
  for (int lane = 0; lane < 32; ++lane)
    for (int m = 0; m < 4; ++m) {
      // PTX ISA, ldmatrix: lane l receives elements 2 * (l % 4) and the next of row l / 4; with
      // .trans, of that column.
      const int low = transposed ? 64 * m + 8 * (lane % 4 * 2) + lane / 4
                                 : 64 * m + 8 * (lane / 4) + lane % 4 * 2;
      const int high = low + (transposed ? 8 : 1);
      ASSERT_EQ(result[static_cast<size_t>(lane * 4 + m)], low + 65536 * high)
          << "lane " << lane << ", matrix " << m;
    }
}
TEST(TensorCore, LoadsAreThoseOfTheIsa) {
  expect_loads<false>();
  expect_loads<true>();
}

struct Copied {
  Span<const bfloat16> x;
  Span<float> y;
};
// Each thread copies eight numbers, thread 1 zeros, in two groups; what is read after waiting for
// all but `left`.
template <int left, bool barrier>
struct CopyBeside {
  static constexpr const char* name = "copy beside";
  static constexpr bool cooperates = true;
  using Args = Copied;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& args) {
    const auto shared = t.template shared<cuda::MatrixRow<bfloat16>>(64);
    cuda::copy_async<bfloat16>(t, shared, t.thread(), args.x,
                               t.thread() == 1 ? -1 : t.thread() * 8);
    cuda::end_copy_group(t);
    cuda::end_copy_group(t);
    cuda::wait_for_copies<left>(t);
    if (barrier) t.sync();
    args.y.store(t.thread(), cuda::to_float(shared.get(63 - t.thread()).v[3]));
  }
};
template <class Body>
std::vector<double> copied(std::string& error) {
  test::EmulatedDevice emulated;
  std::vector<bfloat16> numbers(512);
  for (size_t i = 0; i < 512; ++i) numbers[i] = bfloat16(static_cast<float>(i / 8));
  Tensor x = on_device(numbers), y = Tensor::empty({64}, {.device = kCuda});
  try {
    cuda::launch<Body>(emulated.device(), 1, 64,
                       {span_of<bfloat16>(std::as_const(x)), span_of<float>(y)}, 64 * 16);
    return y.to_doubles();
  } catch (const Error& caught) {
    error = caught.what();
  }
  return {};
}
TEST(TensorCore, CopiesAreThereOnceWaitedFor) {
  std::string error;
  for (const std::vector<double>& values :
       {copied<CopyBeside<0, true>>(error), copied<CopyBeside<1, true>>(error)}) {
    ASSERT_EQ(error, "");
    for (size_t i = 0; i < 64; ++i)
      ASSERT_EQ(values[i], 63 - i == 1 ? 0 : static_cast<double>(63 - i));
  }
  const std::vector<double> early = copied<CopyBeside<2, true>>(error);
  ASSERT_EQ(error, "");
  EXPECT_TRUE(std::isnan(early[5])) << "read before it was waited for";
  copied<CopyBeside<0, false>>(error);
  EXPECT_NE(error.find("reads shared memory that"), std::string::npos) << error;
}

// Eight lanes that move 16 bytes at once meet eight different groups of banks.
void expect_no_conflict(const std::vector<int>& places, const char* what) {
  for (size_t first = 0; first < places.size(); first += 8) {
    std::set<int> banks;
    for (size_t i = first; i < std::min(first + 8, places.size()); ++i) banks.insert(places[i] % 8);
    ASSERT_EQ(banks.size(), std::min<size_t>(8, places.size() - first))
        << what << " from lane " << first;
  }
}
template <int lines, bool along_depth>
void expect_tile() {
  using Tile = cuda::OperandTile<lines, along_depth>;
  std::vector<int> fills;
  for (int i = 0; i < Tile::groups; ++i)
    fills.push_back(Tile::place(i / Tile::across, i % Tile::across));
  expect_no_conflict(fills, "filling");
  const std::set<int> all(fills.begin(), fills.end());
  ASSERT_EQ(static_cast<int>(all.size()), Tile::groups);
  ASSERT_TRUE(*all.begin() == 0 && *all.rbegin() == Tile::groups - 1);
  for (int line = 0; line < lines; line += 16)
    for (int step = 0; step < Tile::depth; step += 16) {
      std::vector<int> reads;
      for (int lane = 0; lane < 32; ++lane) {
        reads.push_back(Tile::lane_row(lane, line, step));
        const int l = line + lane / 8 % 2 * 8, d = step + lane / 16 * 8;  // of its matrix
        ASSERT_EQ(reads.back(), along_depth ? Tile::place(l + lane % 8, d / 8)
                                            : Tile::place(d + lane % 8, l / 8));
      }
      expect_no_conflict(reads, "reading");
    }
}
TEST(TensorTile, GroupsHaveAPlaceEachAndNoBankConflicts) {
  expect_tile<128, true>();
  expect_tile<128, false>();
  expect_tile<64, true>();
  expect_tile<64, false>();
}
TEST(TensorTile, StagedSumsAreReadWhereTheyWereWritten) {
  using Staged = cuda::StagedSums;
  std::map<int, int> written;  // place -> 32 * row + column
  for (int j = 0; j < 4; ++j)
    for (int half = 0; half < 2; ++half)
      for (int lane = 0; lane < 32; ++lane) {
        std::set<int> banks;  // 16 lanes move 8 bytes at once
        for (int other = lane / 16 * 16; other < lane / 16 * 16 + 16; ++other)
          banks.insert(Staged::pair(other, j, half) % 16);
        ASSERT_EQ(banks.size(), 16u);
        for (int k = 0; k < 2; ++k) {
          const Position p = in_c(lane, 2 * half + k);
          ASSERT_TRUE(
              written.insert({2 * Staged::pair(lane, j, half) + k, 32 * p.row + 8 * j + p.column})
                  .second);
        }
      }
  ASSERT_LT(written.rbegin()->first, Staged::floats);
  for (int half = 0; half < 2; ++half) {
    std::vector<int> first, second;
    for (int lane = 0; lane < 32; ++lane) {
      const int quad = Staged::quad(lane, half), other = Staged::first_quad(lane);
      first.push_back(quad + other), second.push_back(quad + 1 - other);
      for (int j = 0; j < 8; ++j)
        ASSERT_EQ(written.at(4 * quad + j), 32 * (lane / 4 + 8 * half) + lane % 4 * 8 + j);
    }
    expect_no_conflict(first, "reading sums");
    expect_no_conflict(second, "reading sums");
  }
}

TEST(TensorProduct, TilesCoverTheResultOnce) {
  for (const int columns : {64, 128})
    for (const auto& [m, n, k, part] : {std::tuple<int64_t, int64_t, int64_t, int64_t>{1, 1, 1, 1},
                                        {128, 128, 32, 32},
                                        {129, 127, 65, 64},
                                        {300, 257, 1000, 96},
                                        {5, 5, 0, 1}}) {
      const cuda::TensorTiles s{m, n, k, part, columns};
      std::set<std::tuple<int, int, int>> seen;
      int64_t steps = 0;
      for (int64_t block = 0; block < s.blocks(); ++block) {
        const auto t = s.tile(block);
        ASSERT_TRUE(t.row < m && t.column < n && t.row % 128 == 0 && t.column % columns == 0 &&
                    t.begin <= t.end && t.end <= k);
        ASSERT_TRUE(seen.insert({t.part, t.row, t.column}).second);
        if (t.row == 0 && t.column == 0) steps += t.end - t.begin;
      }
      ASSERT_EQ(steps, k);
      ASSERT_EQ(static_cast<int64_t>(seen.size()), ceil_div(m, int64_t{128}) *
                                                       ceil_div(n, int64_t{columns}) *
                                                       std::max<int64_t>(1, ceil_div(k, part)));
    }
}

TEST(TensorOperands, TapsAdvanceAsTheyAreNumbered) {
  for (const int channels : {1, 3, 8, 40})
    for (const int across : {1, 3})
      for (const int steps : {1, 32}) {
        cuda::Tap tap = cuda::Tap::at(0, channels, across);
        for (int step = 0; step < 300; step += steps, tap.advance(steps, channels, across)) {
          const cuda::Tap expected = cuda::Tap::at(step, channels, across);
          ASSERT_TRUE(tap.r == expected.r && tap.s == expected.s && tap.c == expected.c);
        }
      }
}

// Of many shapes, each product of the convolution once: x under the window, and dy through the
// phases of dx, as ConvGeometry, which follows the definition, has them.
TEST(TensorOperands, WindowsAndPhasesAgreeWithTheDefinition) {
  for (const int64_t stride : {1, 2, 3})
    for (const int64_t pad : {0, 1, 3})
      for (const int64_t dilation : {1, 2, 3})
        for (const int64_t kernel : {1, 2, 3}) {
          const Shape x{2, 3, 9, 11}, filters{5, 3, kernel, kernel};
          const ops::ConvAttributes attributes{ops::square_window(kernel, stride, pad, dilation)};
          const Shape y = ops::conv_output_shape(x, filters, attributes);
          const auto g = cuda::ConvGeometry::of(
              x, y, Tensor::empty(filters, {.format = MemoryFormat::channels_last}), attributes);
          const cuda::WindowMap forward{cuda::forward_axis(g.p, g.r, stride, pad, dilation),
                                        cuda::forward_axis(g.q, g.s, stride, pad, dilation), 9, 11,
                                        3};
          ASSERT_EQ(forward.steps(), g.taps());
          for (int m = 0; m < g.pixels(); ++m)
            for (int t = 0; t < g.taps(); ++t)
              ASSERT_EQ(forward.at(forward.pixel(m), forward.tap(t)), g.x_at(0, m, g.tap(t)));
          std::set<std::pair<int64_t, int64_t>>
              seen;  // pixel of dx, element of the weight and of dy
          int64_t pixels = 0, expected = 0;
          for (int64_t phase_h = 0; phase_h < stride; ++phase_h)
            for (int64_t phase_w = 0; phase_w < stride; ++phase_w) {
              const auto rows = cuda::PhaseAxis::of(9, phase_h, g.r, stride, pad, dilation),
                         columns = cuda::PhaseAxis::of(11, phase_w, g.s, stride, pad, dilation);
              const cuda::WindowMap map{rows.axis, columns.axis, static_cast<int>(g.p),
                                        static_cast<int>(g.q), 5};
              pixels += rows.axis.positions * columns.axis.positions;
              for (int i = 0; i < 2 * rows.axis.positions * columns.axis.positions; ++i) {
                const int64_t row = i / columns.axis.positions % rows.axis.positions * stride +
                                    phase_h,
                              column = i % columns.axis.positions * stride + phase_w;
                const int64_t pixel =
                    (i / columns.axis.positions / rows.axis.positions * 9 + row) * 11 + column;
                for (int step = 0; step < map.steps(); ++step) {
                  const cuda::Tap tap = map.tap(step);
                  const int64_t r = rows.first + tap.r * rows.apart,
                                s = columns.first + tap.s * columns.apart,
                                m = g.pixel_under(pixel, r, s);
                  ASSERT_TRUE(r < kernel && s < kernel);
                  ASSERT_EQ(map.at(map.pixel(i), tap), m < 0 ? -1 : g.y_at(0, m, tap.c));
                  if (m >= 0 && tap.c == 0) {
                    ASSERT_TRUE(seen.insert({pixel, r * kernel + s}).second);
                  }
                }
              }
            }
          ASSERT_EQ(pixels, 9 * 11);
          for (int64_t i = 0; i < 2 * 9 * 11; ++i)
            for (int64_t r = 0; r < kernel; ++r)
              for (int64_t s = 0; s < kernel; ++s) expected += g.pixel_under(i, r, s) >= 0;
          ASSERT_EQ(static_cast<int64_t>(seen.size()), expected);
        }
}

}  // namespace
}  // namespace graft
