// The fake device's memory: allocations with their bounds, whether they live, who used them last,
// and the access checks. Its addresses are no addresses of the host: code of the host that reads
// through one crashes, as it would with a GPU.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graft/kernels/cuda/emulator/block_run.h"

namespace graft::cuda::emulator {

// How far each stream has come: work with clock b runs after work (stream, serial) when b[stream]
// >= serial.
struct Clock {
  std::vector<int64_t> at;
  int64_t operator[](size_t stream) const { return stream < at.size() ? at[stream] : 0; }
  void raise(size_t stream, int64_t serial) {
    if (at.size() <= stream) at.resize(stream + 1);
    at[stream] = std::max(at[stream], serial);
  }
  void join(const Clock& other) {
    for (size_t i = 0; i < other.at.size(); ++i) raise(i, other.at[i]);
  }
};

// One piece of queued work, as the checks see it.
struct Work {
  std::string name;
  size_t stream = 0;
  int64_t serial = 0;
  Clock clock;  // what ran before it for certain
};

class Memory {
 public:
  ~Memory();
  void* allocate(int64_t bytes, const Work& work);
  void free(void* pointer,
            const Work& work);  // a fault when it is not the start of a living allocation
  int64_t live() const;
  void drop_all();

  // Checks a copy or fill of bytes, and one access of a kernel. They throw Error(internal).
  // Both give the host's address.
  std::byte* check_range(const void* data, int64_t bytes, bool write, const Work& work);
  std::byte* check_element(const void* data, int element_bytes, bool write, const Work& work,
                           const Place& place);

 private:
  struct Touch {
    int64_t launch = -1;
    Place writer, reader;
    bool several_readers = false;
  };
  struct Use {
    std::string name;
    size_t stream = 0;
    int64_t serial = -1;
  };
  struct Block {
    uintptr_t address;
    std::byte* data;  // on the host
    int64_t bytes;
    bool alive = true;
    Use written{};
    std::map<size_t, Use> read{};  // the last of each stream
    struct Asked {
      size_t stream = 0;
      int64_t serial = -1;
    };
    Asked asked[2]{};  // the work whose elements were last checked: reads, writes
    std::vector<Touch>
        touches{};  // of each element, at its first byte; made when a kernel first comes
  };
  Block& find(const void* data, int64_t bytes, const Work& work);
  void check_order(Block& block, bool write, const Work& work);

  std::map<uintptr_t, Block> blocks_;  // by device address;  // dead ones stay, so that a late
                                       // access is known for what it is
  Block* last_ = nullptr;
};

}  // namespace graft::cuda::emulator
