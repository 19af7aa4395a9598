// The emulator's sm_90a beside what the PTX ISA says of products of a warpgroup, of copies by
// tensor maps and of mbarriers; and what it must notice, one mistake a test.
#include "graft/kernels/cuda/device/warpgroup.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/runtime/random.h"
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/emulator/tensor_map.h"
#include "graft/tests/kernels/cuda/emulated_device.h"

namespace graft {
namespace {

using cuda::Span;
using test::EmulatedDevice;
using test::kCuda;
using test::Libraries;

const Libraries kHopper{nullptr, nullptr, Libraries::Capability::hopper};

// What is done wrong.
enum class Mistake : unsigned char {
  none,
  no_proxy_fence,
  no_product_fence,
  no_commit,
  no_wait,
  overwrite,
  swizzle,
  other_descriptor,
  not_published,
  no_barrier,
  too_few_bytes,
  too_many_bytes,
  no_phase_wait,
  no_empty_wait,
  early_release
};

template <class T>
Tensor bits_on_device(const std::vector<T>& values) {
  Tensor host = Tensor::empty({static_cast<int64_t>(values.size())},
                              {.dtype = std::is_same_v<T, bfloat16> ? DType::bf16 : DType::f16});
  std::memcpy(host.mutable_raw(), values.data(), values.size() * sizeof(T));
  return to_device(host, kCuda);
}
template <class T>
Span<const T> span_of(const Tensor& tensor) {
  return {static_cast<const T*>(tensor.raw()), tensor.numel()};
}
Span<float> floats_of(Tensor& tensor) {
  return {static_cast<float*>(tensor.mutable_raw()), tensor.numel()};
}
// What a launch is stopped for; "" when it is not.
template <class F>
std::string fault_of(F&& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// One warpgroup: A [64, 64] * B [64, columns], each thread's sums to y [128][columns / 2].
template <class T>
struct ProductData {
  Span<const T> a, b;  // a[line][step], b[line][step]
  Span<float> y;
};
template <class T, bool a_by_steps, bool b_by_steps, int columns, Mistake mistake = Mistake::none>
struct WarpgroupOnce {
  static constexpr const char* name = "warpgroup once";
  static constexpr bool cooperates = true, only_sm_90a = true;
  static constexpr int boxes = 1 + columns / 64, shared_bytes = boxes * 8192;
  using Args = ProductData<T>;

  // The place of a group of eight, as the ISA's figures of the 128-byte swizzle have it: rows of
  // eight groups, eight rows in turn.
  template <class Thread, class Array>
  GRAFT_HD static void put(Thread& t, const Array& shared, int first, const Span<const T>& matrix,
                           int lines, bool by_steps) {
    for (int i = t.thread(); i < lines * 8; i += 128) {
      cuda::MatrixRow<T> group;
      const int block = i / 512, row = i % 512 / 8, column = i % 8 * 8;
      for (int j = 0; j < 8; ++j)
        group.v[j] = by_steps ? matrix.load((block * 64 + column + j) * 64 + row)
                              : matrix.load((block * 64 + row) * 64 + column + j);
      shared.set(first + block * 512 + row * 8 +
                     (mistake == Mistake::swizzle ? i % 8 : (i % 8) ^ (row % 8)),
                 group);
    }
  }
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& args) {
    const auto shared = t.template shared<cuda::MatrixRow<T>>(boxes * 512);
    put(t, shared, 0, args.a, 64, a_by_steps);
    put(t, shared, 512, args.b, columns, b_by_steps);
    if (mistake != Mistake::no_proxy_fence) fence_proxy(t);
    t.sync();
    cuda::WarpgroupSums<columns> sums;
    for (int i = 0; i < columns / 2; ++i) sums.v[i] = static_cast<float>(i);
    if (mistake != Mistake::no_product_fence) fence_products(t, sums);
    for (int k = 0; k < 4; ++k) {
      const uint32_t a = shared.address(0), b = shared.address(512);
      const uint64_t a_place = a_by_steps ? cuda::OperandPlace::steps(a + 2048 * k, 8192)
                                          : cuda::OperandPlace::lines(a + 32 * k);
      const uint64_t b_place = b_by_steps ? cuda::OperandPlace::steps(b + 2048 * k, 8192)
                                          : cuda::OperandPlace::lines(b + 32 * k);
      cuda::begin_product<T, a_by_steps, b_by_steps>(
          t, mistake == Mistake::other_descriptor && t.thread() == 77 ? a_place + 2 : a_place,
          b_place, sums);
    }
    if (mistake != Mistake::no_commit) end_product_group(t);
    if (mistake == Mistake::overwrite && t.thread() == 0) shared.set(600, {});
    if (mistake != Mistake::no_wait) cuda::wait_for_products<0>(t, sums);
    for (int i = 0; i < columns / 2; ++i) args.y.store(t.thread() * (columns / 2) + i, sums.v[i]);
    if (mistake == Mistake::no_wait) cuda::wait_for_products<0>(t, sums);
  }
};

template <class T, int columns>
struct Matrices {
  std::vector<T> a = whole(64 * 64),
                 b = whole(columns *
                           64);  // whole numbers: sums are exact, a wrong place gives a wrong one
  static std::vector<T> whole(int count) {
    CountedRandom random(static_cast<uint64_t>(count), RandomPurpose::synthetic);
    std::vector<T> values;
    for (int i = 0; i < count; ++i) values.push_back(T(static_cast<float>(random.below(15)) - 7.f));
    return values;
  }
  // PTX ISA, "Register fragments for wgmma.m64nNk16", D: element i of a thread.
  double expected(int thread, int i) const {
    const int row = 16 * (thread / 32) + thread % 32 / 4 + (i % 4 >= 2 ? 8 : 0),
              column = i / 4 * 8 + thread % 4 * 2 + i % 2;
    double sum = i;
    for (int k = 0; k < 64; ++k)
      sum += static_cast<double>(static_cast<float>(a[static_cast<size_t>(row * 64 + k)])) *
             static_cast<double>(static_cast<float>(b[static_cast<size_t>(column * 64 + k)]));
    return sum;
  }
};
template <class Body, class T, int columns>
std::vector<double> run_once(const Matrices<T, columns>& m) {
  EmulatedDevice emulated(kHopper);
  const Tensor a = bits_on_device(m.a), b = bits_on_device(m.b);
  Tensor y = Tensor::empty({128 * columns / 2}, {.device = kCuda});
  cuda::launch<Body>(emulated.device(), 1, 128, {span_of<T>(a), span_of<T>(b), floats_of(y)},
                     Body::shared_bytes);
  return y.to_doubles();
}
template <class T, bool a_by_steps, bool b_by_steps, int columns>
void expect_products() {
  const Matrices<T, columns> m;
  const std::vector<double> y = run_once<WarpgroupOnce<T, a_by_steps, b_by_steps, columns>>(m);
  for (int thread = 0; thread < 128; ++thread)
    for (int i = 0; i < columns / 2; ++i)
      ASSERT_EQ(y[static_cast<size_t>(thread * (columns / 2) + i)], m.expected(thread, i))
          << "thread " << thread << ", register " << i;
}
TEST(Warpgroup, ProductsAreThoseOfTheIsa) {
  expect_products<bfloat16, false, false, 64>();
  expect_products<float16, false, false, 128>();
  expect_products<bfloat16, false, true, 128>();
  expect_products<bfloat16, true, false, 64>();
  expect_products<float16, true, true, 128>();
}

template <Mistake mistake>
std::string product_fault() {
  const Matrices<bfloat16, 64> m;
  return fault_of([&] { run_once<WarpgroupOnce<bfloat16, false, false, 64, mistake>>(m); });
}
TEST(Warpgroup, ProductsWithoutWhatTheyNeedAreFound) {
  EXPECT_NE(product_fault<Mistake::no_proxy_fence>().find("without a proxy fence"),
            std::string::npos);
  EXPECT_NE(product_fault<Mistake::no_product_fence>().find("without a fence for its registers"),
            std::string::npos);
  EXPECT_NE(product_fault<Mistake::no_commit>().find("ends while a product of it is under way"),
            std::string::npos);
  EXPECT_NE(product_fault<Mistake::overwrite>().find("writes over what a product still reads"),
            std::string::npos);
  EXPECT_NE(product_fault<Mistake::other_descriptor>().find("thread 77 brings another descriptor"),
            std::string::npos);
  const Matrices<bfloat16, 64> m;
  const std::vector<double> early =
      run_once<WarpgroupOnce<bfloat16, false, false, 64, Mistake::no_wait>>(m);
  EXPECT_TRUE(std::isnan(early[0]) && std::isnan(early.back()))
      << "sums were looked at before they were waited for";
  const std::vector<double> unswizzled =
      run_once<WarpgroupOnce<bfloat16, false, false, 64, Mistake::swizzle>>(m);
  EXPECT_NE(unswizzled[1], m.expected(0, 1));
}

TEST(Warpgroup, DescriptorsHaveTheirFieldsWhereTheIsaHasThem) {
  const uint64_t lines = cuda::OperandPlace::lines(0x1c460),
                 steps = cuda::OperandPlace::steps(0x2400, 8192);
  EXPECT_EQ(lines & 0x3fff, 0x1c46u);  // bits 0-13: start address / 16
  EXPECT_EQ(steps & 0x3fff, 0x240u);
  EXPECT_EQ(steps >> 16 & 0x3fff, 512u);  // 16-29: leading dimension byte offset / 16
  EXPECT_TRUE((lines >> 32 & 0x3fff) == 64 &&
              (steps >> 32 & 0x3fff) == 64);  // 32-45: stride dimension byte offset / 16
  EXPECT_TRUE((lines >> 49 & 7) == 0 && lines >> 62 == 1 &&
              steps >> 62 == 1);  // 49-51: base offset; 62-63: 1 is the 128-byte swizzle
}

// Two boxes of images or of a tensor through one stage of shared memory, each read by all threads:
// y [2][rows][64].
struct CopyData {
  gpu::TensorMap map;
  Span<float> y;
  cuda::PixelPlace pixels;
  int x, row, plane;  // of a box; the second is a row further
};
template <bool is_pixels, int rows, Mistake mistake = Mistake::none>
struct CopyTwice {
  static constexpr const char* name = "copy twice";
  static constexpr bool cooperates = true, only_sm_90a = true;
  static constexpr int threads = 64, bytes = rows * 128, shared_bytes = bytes + 16;
  using Args = CopyData;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& args) {
    const auto shared = t.template shared<cuda::MatrixRow<bfloat16>>(rows * 8);
    const auto barriers = t.template shared<uint64_t>(2);  // full, empty
    if (t.thread() == 0) {
      init_barrier(t, barriers, 0, 1);
      init_barrier(t, barriers, 1, 1);
      if (mistake != Mistake::not_published) publish_barriers(t);
    }
    if (mistake != Mistake::no_barrier) t.sync();
    if (t.thread() == 0) copy(t, args, shared, barriers);
    if (t.thread() >= 32) read(t, args, shared, barriers);
  }

 private:
  template <class Thread, class Array, class Barriers>
  GRAFT_HD static void copy(Thread& t, const Args& args, const Array& shared,
                            const Barriers& barriers) {
    for (int i = 0; i < 2; ++i) {
      if (i == 1 && mistake != Mistake::no_empty_wait) wait_for_phase(t, barriers, 1, 0);
      arrive_expecting(t, barriers, 0,
                       mistake == Mistake::too_few_bytes    ? bytes - 128
                       : mistake == Mistake::too_many_bytes ? bytes + 128
                                                            : bytes);
      cuda::PixelPlace place = args.pixels;
      place.offset_w += i;
      if constexpr (is_pixels)
        cuda::copy_pixels<bfloat16>(t, args.map, barriers, 0, shared, 0, place);
      else
        cuda::copy_box<bfloat16>(t, args.map, barriers, 0, shared, 0, args.x, args.row + i,
                                 args.plane);
    }
  }
  template <class Thread, class Array, class Barriers>
  GRAFT_HD static void read(Thread& t, const Args& args, const Array& shared,
                            const Barriers& barriers) {
    for (int i = 0; i < 2; ++i) {
      if (mistake != Mistake::no_phase_wait) wait_for_phase(t, barriers, 0, i);
      if (mistake == Mistake::early_release && t.lane() == 0) arrive(t, barriers, 1);
      for (int group = t.lane(); group < rows * 8; group += 32) {
        const cuda::MatrixRow<bfloat16> row =
            shared.get(group / 8 * 8 + (group % 8 ^ group / 8 % 8));
        for (int j = 0; j < 8; ++j)
          args.y.store((i * rows * 8 + group) * 8 + j, cuda::to_float(row.v[j]));
      }
      t.sync_warp();
      if (mistake != Mistake::early_release && t.lane() == 0) arrive(t, barriers, 1);
    }
  }
};

Tensor numbered(int64_t count) {
  std::vector<bfloat16> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(bfloat16(static_cast<float>(i % 251 + 1)));  // exact, no zeros
  return bits_on_device(values);
}
double number(int64_t at) { return static_cast<double>(at % 251 + 1); }

template <Mistake mistake>
std::vector<double> copied_boxes(std::string& fault, int x, int row, int plane) {
  using Body = CopyTwice<false, 16, mistake>;
  EmulatedDevice emulated(kHopper);
  const Tensor data = numbered(2 * 10 * 72);  // [2, 10, 72]
  Tensor y = Tensor::empty({2 * 16 * 64}, {.device = kCuda});
  CopyData args{{}, floats_of(y), {}, x, row, plane};
  emulated.device().check(
      emulated.driver.encode(gpu::BoxMap{data.raw(), {72, 10, 2}, {64, 8, 2}}, args.map),
      "encoding");
  std::vector<double> values;
  fault = fault_of([&] {
    cuda::launch<Body>(emulated.device(), 1, Body::threads, args, Body::shared_bytes);
    values = y.to_doubles();
  });
  return values;
}
TEST(TensorMaps, BoxesComeWithTheSwizzleAndZerosOutside) {
  for (const auto& [x, row, plane] :
       {std::tuple{0, 0, 0}, {8, 2, 0}, {64, 5, 1}, {-16, -3, -1}, {72, 0, 0}}) {
    std::string fault;
    const std::vector<double> y = copied_boxes<Mistake::none>(fault, x, row, plane);
    ASSERT_EQ(fault, "");
    for (int i = 0; i < 2; ++i)
      for (int r = 0; r < 16; ++r)
        for (int j = 0; j < 64; ++j) {
          const int a = x + j, b = row + i + r % 8, c = plane + r / 8;
          const bool inside = a >= 0 && a < 72 && b >= 0 && b < 10 && c >= 0 && c < 2;
          ASSERT_EQ(y[static_cast<size_t>((i * 16 + r) * 64 + j)],
                    inside ? number((c * 10 + b) * 72 + a) : 0)
              << x << ", row " << r << ", element " << j;
        }
  }
}
template <Mistake mistake>
std::string copy_fault() {
  std::string fault;
  copied_boxes<mistake>(fault, 0, 0, 0);
  return fault;
}
TEST(TensorMaps, CopiesThatNothingOrdersAreFound) {
  EXPECT_NE(copy_fault<Mistake::not_published>().find("that the copy engine was not told of"),
            std::string::npos);
  EXPECT_NE(copy_fault<Mistake::no_barrier>().find("uses an mbarrier that may not be made yet"),
            std::string::npos);
  EXPECT_NE(
      copy_fault<Mistake::too_few_bytes>().find("gets 2048 bytes for a barrier that expects 1920"),
      std::string::npos);
  EXPECT_NE(
      copy_fault<Mistake::too_many_bytes>().find("waits for a phase that never ends: the mbarrier "
                                                 "at 2048 misses 0 arrivals and 128 bytes;"),
      std::string::npos);
  EXPECT_NE(
      copy_fault<Mistake::no_phase_wait>().find("uses a box for whose barrier it did not wait"),
      std::string::npos);
  EXPECT_NE(copy_fault<Mistake::no_empty_wait>().find(
                "copies a box over a box that may still be on its way"),
            std::string::npos);
  EXPECT_NE(copy_fault<Mistake::early_release>().find("reads, and nothing orders the two"),
            std::string::npos);
}

// PTX ISA, "im2col mode": the list begins at (w, h, n) and walks the box between the corners;
// offsets are added to each pixel.
TEST(TensorMaps, PixelsWalkTheBoxBetweenItsCorners) {
  using Body = CopyTwice<true, 40>;
  EmulatedDevice emulated(kHopper);
  const int64_t n = 2, h = 5, w = 7, c = 24;
  const Tensor data = numbered(n * h * w * c);
  Tensor y = Tensor::empty({2 * 40 * 64}, {.device = kCuda});
  // Rows -1, 1, 3 and columns -2, 0, 2, 4 as starts.
  CopyData args{{}, floats_of(y), {8, 2, 1, 0, 1, 2}, 0, 0, 0};
  emulated.device().check(
      emulated.driver.encode(gpu::PixelMap{data.raw(), c, w, h, n, 40, -2, -1, -2, -1, 2, 2},
                             args.map),
      "encoding");
  cuda::launch<Body>(emulated.device(), 1, Body::threads, args, Body::shared_bytes);
  const std::vector<double> values = y.to_doubles();
  std::vector<std::array<int64_t, 3>> starts;
  for (int64_t image = 0; image < 4; ++image)
    for (const int64_t row : {-1, 1, 3})
      for (const int64_t column : {-2, 0, 2, 4}) starts.push_back({image, row, column});
  const size_t first = 4 + 2;  // (0, 1, 2)
  for (int64_t i = 0; i < 2; ++i)
    for (size_t pixel = 0; pixel < 40; ++pixel)
      for (int64_t j = 0; j < 64; ++j) {
        const auto& [image, start_row, start_column] = starts.at(first + pixel);
        const int64_t row = start_row + 2, column = start_column + 1 + i, channel = 8 + j;
        const bool inside =
            image < n && row >= 0 && row < h && column >= 0 && column < w && channel < c;
        ASSERT_EQ(values[(static_cast<size_t>(i) * 40 + pixel) * 64 + static_cast<size_t>(j)],
                  inside ? number(((image * h + row) * w + column) * c + channel) : 0)
            << "pixel " << pixel << ", channel " << j;
      }
}

TEST(TensorMaps, TheDriverRefusesWhatTheCopyEngineCannot) {
  alignas(16) static std::byte data[16];
  const gpu::BoxMap boxes{data, {8, 3, 3}, {64, 1, 64}};
  const gpu::PixelMap pixels{data, 8, 3, 3, 1, 128, -1, -1, -1, -1, 1, 1};
  EXPECT_EQ(cuda::emulator::refuses(boxes), "");
  EXPECT_EQ(cuda::emulator::refuses(pixels), "");
  const auto refuses_box = [&](auto change) {
    gpu::BoxMap map = boxes;
    change(map);
    return !cuda::emulator::refuses(map).empty();
  };
  EXPECT_TRUE(refuses_box([](auto& m) { m.data = data + 8; }));
  EXPECT_TRUE(refuses_box([](auto& m) { m.sizes[0] = 12; }));
  EXPECT_TRUE(refuses_box([](auto& m) { m.sizes[2] = 0; }));
  EXPECT_TRUE(refuses_box([](auto& m) { m.box[2] = 257; }));
  EXPECT_TRUE(
      refuses_box([](auto& m) { m.sizes[0] = int64_t{1} << 30, m.sizes[1] = int64_t{1} << 30; }));
  const auto refuses_pixels = [&](auto change) {
    gpu::PixelMap map = pixels;
    change(map);
    return !cuda::emulator::refuses(map).empty();
  };
  EXPECT_TRUE(refuses_pixels([](auto& m) { m.lower_w = -129; }));
  EXPECT_TRUE(refuses_pixels([](auto& m) { m.upper_h = 128; }));
  EXPECT_TRUE(refuses_pixels([](auto& m) { m.step_w = 9; }));
  EXPECT_TRUE(refuses_pixels([](auto& m) { m.upper_w = -5; }));
  EXPECT_TRUE(refuses_pixels([](auto& m) { m.pixels = 1025; }));
  gpu::TensorMap map;
  gpu::BoxMap odd = boxes;
  odd.sizes[0] = 12;
  EmulatedDevice emulated(kHopper);
  EXPECT_EQ(emulated.driver.encode(odd, map).code, gpu::Status::Code::failed);
}

}  // namespace
}  // namespace graft
