#include "graft/core/base/log.h"

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>

#include "graft/core/base/environment.h"
#include "graft/core/base/fork.h"
#include "graft/core/base/printable.h"

namespace graft {
namespace {

thread_local bool t_in_sink = false;

struct LogState {
  TurnLock calling;     // taken before `mutex`
  ForkSafeMutex mutex;  // guards the sink and its topics
  std::shared_ptr<const LogSink> sink;
  std::string topics;  // "" with a user's sink means every topic
  std::atomic<bool> active{false};

  LogState() {
    topics = environment("GRAFT_LOG");
    if (topics.empty()) return;
    if (topics == "all") topics.clear();
    sink = std::make_shared<LogSink>([](std::string_view topic, std::string_view message) {
      std::fprintf(stderr, "[%s] %s\n", printable(topic).c_str(), printable(message).c_str());
    });
    active = true;
  }
};

LogState& state() {
  static LogState* instance =
      new LogState;  // never destroyed: threads may log while the program ends
  return *instance;
}

bool listed(std::string_view topics, std::string_view topic) {
  while (!topics.empty()) {
    const size_t comma = topics.find(',');
    if (topics.substr(0, comma) == topic) return true;
    if (comma == std::string_view::npos) break;
    topics.remove_prefix(comma + 1);
  }
  return false;
}

}  // namespace

void set_log_sink(LogSink sink) {
  LogState& s = state();
  std::unique_lock turn(s.calling, std::defer_lock);
  if (!t_in_sink) turn.lock();
  std::shared_ptr<const LogSink> next;
  if (sink) next = std::make_shared<LogSink>(std::move(sink));
  std::lock_guard lock(s.mutex);
  s.topics.clear();
  s.sink.swap(next);
  s.active = static_cast<bool>(s.sink);
}

bool log_enabled(std::string_view topic) {
  LogState& s = state();
  if (!s.active.load(std::memory_order_relaxed)) return false;
  std::lock_guard lock(s.mutex);
  return s.sink && (s.topics.empty() || listed(s.topics, topic));
}

void log_message(std::string_view topic, std::string_view message) {
  if (t_in_sink) return;
  LogState& s = state();
  const std::lock_guard turn(s.calling);
  std::shared_ptr<const LogSink> sink;
  {
    const std::lock_guard lock(s.mutex);
    sink = s.sink;
  }
  if (!sink) return;
  struct InSink {
    InSink() { t_in_sink = true; }
    ~InSink() { t_in_sink = false; }
  } in_sink;
  (*sink)(topic, message);
}

}  // namespace graft
