// DecodeGate: decoders work side by side while what they take together keeps within a number of
// bytes; one that could never keep within is refused by name, before it takes anything.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include "graft/core/base/export.h"

namespace graft::io {

class Dataset;

class GRAFT_API DecodeGate {
 public:
  explicit DecodeGate(int64_t bytes) : bytes_(bytes), left_(bytes) {}
  int64_t bytes() const { return bytes_; }

 private:
  friend class ScopedDecode;
  const int64_t bytes_;
  int64_t left_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

// One sample's turn at the gate: waits until what its header asks for is left. Null: no gate. A
// thread holds one at a time, so that waiting ends. Error(resource) naming the sample where the
// whole gate is too small.
class GRAFT_API ScopedDecode {
 public:
  ScopedDecode(DecodeGate* gate, const Dataset& dataset, int64_t sample);
  ~ScopedDecode();
  ScopedDecode(const ScopedDecode&) = delete;
  ScopedDecode& operator=(const ScopedDecode&) = delete;

 private:
  DecodeGate* gate_;
  int64_t bytes_ = 0;
};

// The sample whose decoding takes most, the first of several; each header is read, nothing is
// decoded.
struct LargestDecode {
  int64_t bytes = 0, sample = -1;
};
GRAFT_API LargestDecode largest_decode(const Dataset& dataset);

}  // namespace graft::io
