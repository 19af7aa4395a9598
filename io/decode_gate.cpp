#include "graft/io/decode_gate.h"

#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/datasets/dataset.h"

namespace graft::io {

ScopedDecode::ScopedDecode(DecodeGate* gate, const Dataset& dataset, int64_t sample) : gate_(gate) {
  if (!gate_) return;
  const ImageHeader header = dataset.header(sample);
  bytes_ = header.decode_bytes;
  if (bytes_ > gate_->bytes_)
    fail(ErrorCode::resource, dataset.name(sample), ": decoding ",
         header.width > 0 ? str("its ", header.width, "x", header.height, " pixels") : "it",
         " takes ", ceil_div(bytes_, int64_t{1} << 20), " MiB, and ", gate_->bytes_ >> 20,
         " MiB are planned for that: allow more memory, store it smaller (or as a JPEG that is not "
         "progressive), or leave it out");
  std::unique_lock lock(gate_->mutex_);
  gate_->changed_.wait(lock, [this] { return bytes_ <= gate_->left_; });
  gate_->left_ -= bytes_;
}

ScopedDecode::~ScopedDecode() {
  if (!gate_) return;
  {
    const std::lock_guard lock(gate_->mutex_);
    gate_->left_ += bytes_;
  }
  gate_->changed_.notify_all();
}

LargestDecode largest_decode(const Dataset& dataset) {
  std::mutex mutex;
  LargestDecode largest;
  current_context().parallel_for(dataset.size(), [&](int64_t sample) {
    const int64_t bytes = dataset.header(sample).decode_bytes;
    const std::lock_guard lock(mutex);
    if (bytes > largest.bytes || (bytes == largest.bytes && sample < largest.sample))
      largest = {bytes, sample};
  });
  return largest;
}

}  // namespace graft::io
