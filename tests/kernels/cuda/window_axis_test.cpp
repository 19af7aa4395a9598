// Index maths of sliding windows and of tiles, for every small shape.
#include "graft/kernels/cuda/custom/window_axis.h"

#include <gtest/gtest.h>

namespace graft::cuda {
namespace {

using ops::square_window;

// Calls f(axis) for every window over extents 1 to 9.
template <class F>
void for_each_axis(F&& f) {
  for (const int64_t stride : {1, 2, 3})
    for (const int64_t kernel : {1, 2, 3, 5})
      for (const int64_t pad : {0, 1, 2})
        for (const int64_t dilation : {1, 2})
          for (int64_t in = 1; in < 10; ++in) {
            const ops::Window window = square_window(kernel, stride, pad, dilation);
            if (pad * 2 > kernel || in + 2 * pad < (kernel - 1) * dilation + 1) continue;
            for (const bool ceil : {false, true})
              f(WindowAxis::of(in, ops::window_output_extent("pool", window, 0, in, ceil), window,
                               0));
          }
}

TEST(CudaWindowAxis, OutputIsTheInverseOfInput) {
  for_each_axis([](const WindowAxis& axis) {
    for (int tap = 0; tap < axis.taps; ++tap) {
      int found = 0, expected = 0;
      for (int at = 0; at < axis.in; ++at) {
        const int out = axis.output(at, tap);
        found += out >= 0;
        ASSERT_TRUE(out < 0 || (out < axis.out && axis.input(out, tap) == at));
      }
      for (int out = 0; out < axis.out; ++out) {
        const int at = out * axis.stride + tap * axis.dilation - axis.pad;
        ASSERT_EQ(axis.input(out, tap), at >= 0 && at < axis.in ? at : -1);
        expected += at >= 0 && at < axis.in;
      }
      ASSERT_EQ(found, expected);
    }
  });
}

TEST(CudaWindowAxis, RangesAreTheWindowsThatHoldAnElement) {
  for_each_axis([](const WindowAxis& axis) {
    for (int at = 0; at < axis.in; ++at) {
      const int first = axis.first(at), last = axis.last(at);
      ASSERT_GE(first, 0);
      ASSERT_LT(last, axis.out);
      for (int out = 0; out < axis.out; ++out) {
        bool has = false;
        for (int tap = 0; tap < axis.taps; ++tap) has = has || axis.input(out, tap) == at;
        ASSERT_EQ(out >= first && out <= last && axis.holds(out, at), has) << at << " in " << out;
      }
    }
  });
}

TEST(CudaWindowAxis, AdaptiveCellsAndTheirInverse) {
  for (int in = 1; in < 14; ++in)
    for (int out = 1; out < 14; ++out) {
      const AdaptiveAxis axis = AdaptiveAxis::of(in, out);
      for (int at = 0; at < in; ++at)
        for (int cell = 0; cell < out; ++cell) {
          ASSERT_EQ(axis.begin(cell), cell * in / out);
          ASSERT_EQ(axis.end(cell), ((cell + 1) * in + out - 1) / out);
          ASSERT_EQ(axis.begin(cell) <= at && at < axis.end(cell),
                    axis.first(at) <= cell && cell <= axis.last(at))
              << in << " to " << out;
        }
    }
}

TEST(CudaWindowAxis, PixelsAreCountedInTheirOrder) {
  for (const int rows : {1, 2, 5, 7})
    for (const int columns : {1, 3, 8}) {
      const PixelGrid grid = PixelGrid::of(rows, columns);
      for (int i = 0; i < 3 * rows * columns; ++i) {
        const PixelGrid::Pixel p = grid.pixel(i);
        ASSERT_EQ(p.image, i / columns / rows);
        ASSERT_EQ(p.row, i / columns % rows);
        ASSERT_EQ(p.column, i % columns);
        ASSERT_EQ(grid.index(p), i);
      }
    }
}

TEST(CudaDivisor, DividesAsDivisionDoes) {
  constexpr uint32_t most = 0x7fffffffu;
  for (uint32_t divisor = 1; divisor < 3000; ++divisor) {
    const Divisor d = Divisor::of(divisor);
    for (uint32_t i = 0; i < 200; ++i) ASSERT_EQ(d.quotient(i), i / divisor);
    for (uint32_t multiple = 1; multiple < most / divisor; multiple += most / divisor / 40 + 1)
      for (const uint32_t value :
           {multiple * divisor - 1, multiple * divisor, multiple * divisor + 1})
        ASSERT_EQ(d.quotient(value), value / divisor) << value;
    ASSERT_EQ(d.quotient(most), most / divisor);
    ASSERT_EQ(d.rest(most), most % divisor);
  }
  for (const uint32_t divisor : {65535u, 65536u, 65537u, 1u << 30, (1u << 30) + 1, most}) {
    const Divisor d = Divisor::of(divisor);
    for (const uint32_t value : {0u, 1u, divisor - 1, divisor, most - 1, most})
      ASSERT_EQ(d.quotient(value), value / divisor) << value << " / " << divisor;
  }
}

}  // namespace
}  // namespace graft::cuda
