// Map: the frame of every element-wise kernel: each thread works on one 16-byte group, the last one
// element by element.
#pragma once
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

// F: a plain struct with `name`, `group` (elements of a thread) and a template at<N>(i) that does
// elements [i, i + N).
template <class F>
struct Map {
  static constexpr const char* name = F::name;
  static constexpr bool cooperates = false;
  struct Args {
    F f;
    int64_t count;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const int64_t begin = (t.block() * t.threads() + t.thread()) * F::group;
    if (begin + F::group <= a.count)
      a.f.template at<F::group>(begin);
    else
      for (int64_t i = begin; i < a.count; ++i) a.f.template at<1>(i);
  }
};

template <class F>
void launch_map(gpu::Device& device, int64_t count, const F& f) {
  launch<Map<F>>(device, ceil_div(count, int64_t{kThreads} * F::group), kThreads, {f, count});
}

}  // namespace graft::cuda
