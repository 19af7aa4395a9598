#include "graft/kernels/cuda/host_lists.h"

#include <algorithm>
#include <cstring>

#include "graft/core/tensor/device_backend.h"

namespace graft::cuda {

Tensor HostLists::find(const void* values, size_t count, DType dtype) {
  const size_t bytes = count * static_cast<size_t>(size_of(dtype));
  std::string key(1, static_cast<char>(dtype));
  key.append(static_cast<const char*>(values), bytes);
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    GRAFT_CHECK(!device_.capturing(), device_.id(),
                ": a list of positions is new while a graph is captured; run the step once before");
    Tensor host =
        Tensor::zeros({std::max<int64_t>(1, static_cast<int64_t>(count))}, {.dtype = dtype});
    if (count > 0) std::memcpy(host.mutable_raw(), values, bytes);
    make_room(host.bytes());
    bytes_ += host.bytes();
    found = entries_.emplace(std::move(key), Entry{to_device(host, device_.id())}).first;
  }
  Entry& entry = found->second;
  entry.used = ++uses_;
  entry.captured = entry.captured || device_.capturing();
  return entry.list;
}

void HostLists::make_room(int64_t bytes) {
  while (entries_.size() >= most_ || bytes_ + bytes > most_bytes_) {
    auto oldest = entries_.end();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry)
      if (!entry->second.captured &&
          (oldest == entries_.end() || entry->second.used < oldest->second.used))
        oldest = entry;
    if (oldest == entries_.end()) return;
    bytes_ -= oldest->second.list.bytes();
    entries_.erase(oldest);
  }
}

}  // namespace graft::cuda
