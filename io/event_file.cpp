#include "graft/io/event_file.h"

#include <bit>
#include <chrono>

#include "graft/core/base/crc32c.h"
#include "graft/core/base/text.h"

namespace graft::io {
namespace {

double clock_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

template <class Word>
std::string little_endian(Word value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(Word); ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

// ---- protocol buffers: a field is its number and wire type, then the value
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string integer_field(int number, int64_t value) {
  return varint(static_cast<uint64_t>(number) << 3) + varint(static_cast<uint64_t>(value));
}

std::string double_field(int number, double value) {
  return varint(static_cast<uint64_t>(number) << 3 | 1) +
         little_endian(std::bit_cast<uint64_t>(value));
}

std::string float_field(int number, float value) {
  return varint(static_cast<uint64_t>(number) << 3 | 5) +
         little_endian(std::bit_cast<uint32_t>(value));
}

// A string, or a message.
std::string bytes_field(int number, const std::string& bytes) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes;
}

// SummaryMetadata.plugin_data.plugin_name
std::string metadata_of(const std::string& plugin) {
  return bytes_field(9, bytes_field(1, bytes_field(1, plugin)));
}

// Event.summary of one Summary.Value
std::string summary(const std::string& tag, const std::string& value) {
  return bytes_field(5, bytes_field(1, bytes_field(1, tag) + value));
}

uint32_t masked_sum(const std::string& bytes) {
  const uint32_t sum = crc32c(std::as_bytes(std::span(bytes)));
  return ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
}

void append_record(const std::string& path, const std::string& data) {
  const std::string length = little_endian(static_cast<uint64_t>(data.size()));
  const std::string record =
      length + little_endian(masked_sum(length)) + data + little_endian(masked_sum(data));
  const auto file = file_system().open_append(path);
  file->append(std::as_bytes(std::span(record)));
  file->close();
}

}  // namespace

EventFile::EventFile(const std::string& folder, double (*wall_time)())
    : wall_time_(wall_time ? wall_time : clock_seconds) {
  FileSystem& files = file_system();
  files.create_directories(folder);
  const std::string name =
      str("events.out.tfevents.", static_cast<int64_t>(wall_time_()), ".graft");
  path_ = join_path(folder, name);
  for (int i = 1; files.exists(path_); ++i) path_ = join_path(folder, str(name, ".", i));
  append_record(path_, double_field(1, wall_time_()) + bytes_field(3, "brain.Event:2"));
}

void EventFile::add(const std::string& event_field, int64_t step) {
  append_record(path_, double_field(1, wall_time_()) + integer_field(2, step) + event_field);
}

void EventFile::scalar(const std::string& tag, int64_t step, double value) {
  add(summary(tag, float_field(2, static_cast<float>(value))), step);
}

void EventFile::text(const std::string& tag, int64_t step, const std::string& markdown) {
  constexpr int kDtString = 7;  // TensorProto: dtype, a shape [1], string_val
  const std::string shape = bytes_field(2, bytes_field(2, integer_field(1, 1)));
  const std::string tensor = integer_field(1, kDtString) + shape + bytes_field(8, markdown);
  add(summary(tag, metadata_of("text") + bytes_field(8, tensor)), step);
}

void EventFile::image(const std::string& tag, int64_t step, std::span<const std::byte> png,
                      int64_t height, int64_t width, int64_t channels) {
  const std::string bytes(reinterpret_cast<const char*>(png.data()), png.size());
  add(summary(tag, metadata_of("images") +
                       bytes_field(4, integer_field(1, height) + integer_field(2, width) +
                                          integer_field(3, channels) + bytes_field(4, bytes))),
      step);
}

}  // namespace graft::io
