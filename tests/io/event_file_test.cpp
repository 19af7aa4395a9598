// Event files: records and their check sums read back by a small reader. That TensorBoard reads
// them is tests/golden/read_events.py's to say.
#include "graft/io/event_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "graft/core/base/crc32c.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

// The data of each record, after both check sums held.
std::vector<std::string> records_of(const std::string& path) {
  const std::string file = read_text_file(path, 1 << 20);
  std::vector<std::string> records;
  const auto word = [&](size_t at, size_t bytes) {
    uint64_t value = 0;
    std::memcpy(&value, file.data() + at, bytes);
    return value;
  };
  const auto sum_of = [&](size_t at, size_t bytes) {
    const uint32_t sum = crc32c_portable(std::as_bytes(std::span(file).subspan(at, bytes)));
    return (sum >> 15 | sum << 17) + 0xa282ead8u;
  };
  for (size_t at = 0; at < file.size();) {
    const size_t length = word(at, 8);
    EXPECT_LE(at + 16 + length, file.size());
    EXPECT_EQ(word(at + 8, 4), sum_of(at, 8));
    EXPECT_EQ(word(at + 12 + length, 4), sum_of(at + 12, length));
    records.push_back(file.substr(at + 12, length));
    at += 16 + length;
  }
  return records;
}

// The fields of a message, by number; fixed and varint values as their bytes.
std::map<int, std::string> fields_of(const std::string& message) {
  std::map<int, std::string> fields;
  size_t at = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.at(at++));
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.size()) {
    const uint64_t key = varint();
    const auto kind = key & 7;
    if (kind == 0) {
      fields[static_cast<int>(key >> 3)] = std::to_string(varint());
      continue;
    }
    const size_t size = kind == 1 ? 8 : kind == 5 ? 4 : varint();
    fields[static_cast<int>(key >> 3)] = message.substr(at, size);
    at += size;
  }
  return fields;
}

double fixed_time() { return 1234.5; }

TEST(EventFile, HoldsScalarsTextsAndImages) {
  const TemporaryFolder folder;
  EventFile file(folder / "log", fixed_time);
  EXPECT_EQ(file.path(), folder / "log/events.out.tfevents.1234.graft");
  file.scalar("loss/train", 300, 0.25);
  file.text("command", 0, "graft finetune");
  const std::vector<std::byte> png(5, std::byte{7});
  file.image("worst", 2, png, 3, 4, 1);
  const std::vector<std::string> records = records_of(file.path());
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(fields_of(records[0])[3], "brain.Event:2");
  double time = 0;
  std::memcpy(&time, fields_of(records[1])[1].data(), 8);
  EXPECT_EQ(time, 1234.5);
  EXPECT_EQ(fields_of(records[1])[2], "300");
  const auto value_of = [&](size_t record) {
    return fields_of(fields_of(fields_of(records[record])[5])[1]);
  };
  auto scalar = value_of(1);
  EXPECT_EQ(scalar[1], "loss/train");
  float number = 0;
  std::memcpy(&number, scalar[2].data(), 4);
  EXPECT_EQ(number, 0.25f);
  auto text = value_of(2);
  EXPECT_EQ(fields_of(fields_of(text[9])[1])[1], "text");
  EXPECT_EQ(fields_of(text[8])[8], "graft finetune");
  auto image = fields_of(value_of(3)[4]);
  EXPECT_EQ(image[1], "3");
  EXPECT_EQ(image[2], "4");
  EXPECT_EQ(image[3], "1");
  EXPECT_EQ(image[4], std::string(5, '\7'));
}

TEST(EventFile, ASecondRunHasAFileOfItsOwn) {
  const TemporaryFolder folder;
  const EventFile first(folder / "log", fixed_time), second(folder / "log", fixed_time);
  EXPECT_EQ(second.path(), first.path() + ".1");
}

}  // namespace
}  // namespace graft::io
