// Logging to a sink. There is none by default; GRAFT_LOG=topic,topic (or "all") sends those topics
// to stderr.
#pragma once
#include <functional>
#include <string_view>

#include "graft/core/base/export.h"
#include "graft/core/base/text.h"

namespace graft {

using LogSink = std::function<void(std::string_view topic, std::string_view message)>;

// Replaces the sink (empty: no logging). Thread-safe. One message at a time reaches a sink; what is
// logged by a call that the sink itself makes is left out.
GRAFT_API void set_log_sink(LogSink sink);
// True when somebody listens to this topic: guard expensive messages with it.
GRAFT_API bool log_enabled(std::string_view topic);
GRAFT_API void log_message(std::string_view topic, std::string_view message);

template <class... Parts>
void log(std::string_view topic, const Parts&... parts) {
  if (log_enabled(topic)) log_message(topic, str(parts...));
}

}  // namespace graft
