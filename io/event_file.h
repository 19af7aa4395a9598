// EventFile: scalars, texts and images of a run as TensorBoard reads them.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/file_system.h"

namespace graft::io {

// A file of TFRecords (length, its masked CRC-32C, data, its masked CRC-32C) each of which is an
// Event of tensorboard/compat/proto/event.proto, written by hand. Every call writes whole records
// and closes the file, so that TensorBoard can read along and a kill leaves none cut but the last.
class GRAFT_API EventFile {
 public:
  // Makes the folder, and in it events.out.tfevents.SECONDS.graft, with a number behind it where
  // that is taken. wall_time: seconds since 1970; null: the clock.
  explicit EventFile(const std::string& folder, double (*wall_time)() = nullptr);

  const std::string& path() const { return path_; }
  // Tags are grouped by what stands before their first '/'. A value that is not finite is written
  // as it is.
  void scalar(const std::string& tag, int64_t step, double value);
  void text(const std::string& tag, int64_t step, const std::string& markdown);
  // A PNG file of this size and these channels.
  void image(const std::string& tag, int64_t step, std::span<const std::byte> png, int64_t height,
             int64_t width, int64_t channels);

 private:
  void add(const std::string& event_field, int64_t step);

  std::string path_;
  double (*wall_time_)();
};

}  // namespace graft::io
