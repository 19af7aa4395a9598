// Calibration: what the values inside of a plan range over on a user's images. The plan's 8-bit
// form is made from it.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft {

struct Calibration {
  struct Range {
    int value = 0;  // a plan's value by its number: the same for every plan of one network
    float low = 0, high = 0;
    bool operator==(const Range&) const = default;
  };
  std::vector<Range> ranges{};  // by value, ascending
  int64_t images = 0;
  bool empty() const { return ranges.empty(); }
  bool operator==(const Calibration&) const = default;
};

// Collects the smallest and largest element of each value and image. A value's range is the mean
// over the images of both, so that one strange image does not coarsen all others; it depends on the
// images and on their order alone.
class GRAFT_API RangeObserver {
 public:
  void add(int value, const Tensor& t);  // f32 [N,...], the next N images
  Calibration calibration() const;

 private:
  struct Sums {
    double low = 0, high = 0;
    int64_t images = 0;
  };
  std::map<int, Sums> sums_;
};

}  // namespace graft
