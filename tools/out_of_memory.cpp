#include "graft/tools/out_of_memory.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>

#include "graft/core/base/error.h"

namespace graft::tools {
namespace {

constexpr size_t kReserveBytes = size_t{512} << 10;
constexpr int kOutOfMemoryCode = static_cast<int>(ErrorCode::resource);

std::atomic<void*> g_reserve{nullptr};
std::atomic<bool> g_ran_out{false};
std::terminate_handler g_usual_end = nullptr;

// operator new has failed: once there is the reserve, so that what was under way can be left in
// order and said; then std::bad_alloc.
void give_reserve() {
  g_ran_out = true;
  if (void* reserve = g_reserve.exchange(nullptr)) {
    std::free(reserve);
    return;
  }
  throw std::bad_alloc();
}

bool is_out_of_memory() {
  if (const std::exception_ptr current = std::current_exception()) {
    try {
      std::rethrow_exception(current);
    } catch (const std::bad_alloc&) {
      return true;
    } catch (const Error& error) {
      return error.code() == ErrorCode::resource;
    } catch (...) {
      return false;
    }
  }
  if (g_ran_out) return true;
  void* trial = std::malloc(4096);  // an exception could not be made: was it for want of memory?
  std::free(trial);
  return trial == nullptr;
}

// The language's last resort: an exception before main() or one that there is no memory to make.
void end_program() {
  if (is_out_of_memory()) ::_exit(say_out_of_memory());
  if (g_usual_end) g_usual_end();
  std::abort();
}

// Before any other object of the program is made, so that those may run out of memory too.
__attribute__((constructor(101))) void prepare_reserve() {
  g_usual_end = std::set_terminate(end_program);
  std::set_new_handler(give_reserve);
  g_reserve = std::malloc(kReserveBytes);
}

}  // namespace

int say_out_of_memory() noexcept {
  constexpr std::string_view words = "graft: out of memory\n";
  static_cast<void>(!::write(STDERR_FILENO, words.data(), words.size()));
  return kOutOfMemoryCode;
}

}  // namespace graft::tools
