// The emulator's thread: the host's twin of device/thread.h. Barriers and warp exchanges yield to
// the other threads of the block (fibers); shared memory is bounds-checked and checked for races
// between barriers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace graft::cuda {

class Thread;

namespace emulator {

class BlockRun;

// What launch<Body>() hands the driver in place of a device function.
struct Entry {
  void (*run)(Thread& thread, const void* args);
  bool cooperates;
};

void check_shared(BlockRun& run, int thread, int64_t offset,
                  bool write);  // offset -1: outside of its array
std::byte* shared_memory(BlockRun& run);
int64_t take_shared(BlockRun& run, int64_t offset, int64_t bytes);
enum class Instruction : unsigned char;

}  // namespace emulator

template <class T>
class Shared {
 public:
  Shared(emulator::BlockRun& run, int thread, int64_t offset, int count)
      : run_(run), thread_(thread), offset_(offset), count_(count) {}
  T get(int i) const {
    const int64_t at = place(i, false);
    T value;
    std::memcpy(&value, emulator::shared_memory(run_) + at, sizeof(T));
    return value;
  }
  void set(int i, T value) const {
    std::memcpy(emulator::shared_memory(run_) + place(i, true), &value, sizeof(T));
  }
  // For instructions: where element i lies; what they do there they check themselves.
  uint32_t address(int i) const {
    if (i < 0 || i >= count_) emulator::check_shared(run_, thread_, -1, true);
    return static_cast<uint32_t>(offset_ + int64_t{i} * static_cast<int64_t>(sizeof(T)));
  }
  // The same memory as elements of another type.
  template <class U>
  Shared<U> as() const {
    return Shared<U>(run_, thread_, offset_, static_cast<int>(count_ * sizeof(T) / sizeof(U)));
  }
  // Element i's offset in the block's shared memory, checked as an access.
  int64_t place(int i, bool write) const {
    // An index outside of this array is outside of everything for check_shared, even where another
    // array lies there.
    const int64_t at =
        i < 0 || i >= count_ ? -1 : offset_ + int64_t{i} * static_cast<int64_t>(sizeof(T));
    emulator::check_shared(run_, thread_, at, write);
    return at;
  }

 private:
  emulator::BlockRun& run_;
  int thread_;
  int64_t offset_;
  int count_;
};

class Thread {
 public:
  Thread(emulator::BlockRun& run, int thread, int threads, int64_t block, int64_t blocks)
      : run_(run), thread_(thread), threads_(threads), block_(block), blocks_(blocks) {}

  int thread() const { return thread_; }
  int threads() const { return threads_; }
  int64_t block() const { return block_; }
  int64_t blocks() const { return blocks_; }
  int lane() const { return thread_ % 32; }
  void sync() const;
  void sync_warp() const;

  template <class T>
  Shared<T> shared(int count) {
    const int64_t offset = offset_;
    offset_ = emulator::take_shared(run_, offset, int64_t{count} * static_cast<int64_t>(sizeof(T)));
    return Shared<T>(run_, thread_, offset, count);
  }
  float exchange(float value, int mask) const;
  uint32_t ballot(bool predicate) const;

  // For the models of instructions (emulator/tensor_core.h). A warp's lanes execute one together:
  // each gives its registers (at most kLaneBytes), then reads those of the others until its next
  // instruction.
  static constexpr int kLaneBytes = 32;
  void give(emulator::Instruction instruction, const void* registers, int bytes);
  const std::byte* given(int lane) const;
  emulator::BlockRun& run() const { return run_; }

 private:
  emulator::BlockRun& run_;
  int thread_, threads_;
  int64_t block_, blocks_;
  int64_t offset_ = 0;
  int instructions_ = 0;  // those that the warp executed together
};

}  // namespace graft::cuda
