#include "graft/io/images/dicom_elements.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "graft/core/base/error.h"

namespace graft::io {
namespace {

constexpr uint32_t kUndefined = 0xffffffff;
constexpr uint32_t kPixelData = 0x7fe00010, kTransferSyntax = 0x00020010;
constexpr uint32_t kItem = 0xfffee000, kItemEnd = 0xfffee00d, kSequenceEnd = 0xfffee0dd;
constexpr int kDeepest = 16;
constexpr const char* kImplicitSyntax = "1.2.840.10008.1.2";

struct Cut {};  // of a file's beginning: there is no more

struct ElementHeader {
  uint32_t tag = 0, length = 0;
  bool is_sequence = false;
};

class ElementReader {
 public:
  ElementReader(std::span<const std::byte> bytes, const std::string& name, bool whole)
      : bytes_(bytes), name_(name), whole_(whole) {}

  DicomElements read() {
    at_ = 132;
    explicit_ = true;
    while (at_ < bytes_.size() && peek_group() == 2) keep(header());
    found_.transfer_syntax = found_.text(kTransferSyntax);
    explicit_ = found_.transfer_syntax != kImplicitSyntax;
    // Only little endian goes on; whoever decodes refuses the others by name.
    if (found_.transfer_syntax == "1.2.840.10008.1.2.2" ||
        found_.transfer_syntax == "1.2.840.10008.1.2.1.99")
      return std::move(found_);
    while (at_ < bytes_.size() && !found_.has_pixels) {
      const ElementHeader element = header();
      if (element.tag == kPixelData)
        take_pixels(element);
      else if (element.length == kUndefined)
        skip_sequence(1, explicit_);
      else
        keep(element);
    }
    return std::move(found_);
  }

  DicomElements what_there_is() {
    try {
      return read();
    } catch (const Cut&) {
      return std::move(found_);
    }
  }

 private:
  void need(size_t count) const {
    if (count <= bytes_.size() - at_) return;
    if (!whole_) throw Cut();
    bad_input(name_, ": broken DICOM: cut off at offset ", at_);
  }
  uint32_t little(int count) {
    need(static_cast<size_t>(count));
    uint32_t value = 0;
    for (int i = 0; i < count; ++i)
      value |= std::to_integer<uint32_t>(bytes_[at_ + static_cast<size_t>(i)]) << (8 * i);
    at_ += static_cast<size_t>(count);
    return value;
  }
  uint32_t peek_group() {
    const uint32_t group = little(2);
    at_ -= 2;
    return group;
  }
  ElementHeader header() { return header(explicit_); }
  ElementHeader header(bool has_kind) {
    const uint32_t group = little(2), element = little(2);
    ElementHeader found{group << 16 | element, 0, false};
    if (!has_kind || group == 0xfffe) {
      found.length = little(4);
      return found;
    }
    need(2);
    const std::array<char, 2> kind = {static_cast<char>(bytes_[at_]),
                                      static_cast<char>(bytes_[at_ + 1])};
    at_ += 2;
    for (const char letter : kind)
      GRAFT_CHECK(letter >= 'A' && letter <= 'Z', name_, ": broken DICOM: no element at offset ",
                  at_ - 6);
    constexpr std::array<const char*, 13> kLong = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                                   "SV", "UC", "UN", "UR", "UT", "UV"};
    const bool is_long = std::any_of(kLong.begin(), kLong.end(), [&](const char* known) {
      return std::memcmp(known, kind.data(), 2) == 0;
    });
    if (!is_long) {
      found.length = little(2);
      return found;
    }
    at_ += (need(2), 2);
    found.length = little(4);
    found.is_sequence = kind[0] == 'S';
    return found;
  }

  void keep(const ElementHeader& element) {
    need(element.length);
    const uint32_t group = element.tag >> 16;
    if (group == 0x0028 || element.tag == kTransferSyntax)
      found_.values[element.tag] = bytes_.subspan(at_, element.length);
    at_ += element.length;
  }

  void take_pixels(const ElementHeader& element) {
    found_.has_pixels = true;
    found_.is_encapsulated = element.length == kUndefined;
    if (!found_.is_encapsulated) need(element.length);
    found_.pixels =
        found_.is_encapsulated ? bytes_.subspan(at_) : bytes_.subspan(at_, element.length);
  }

  // Items until the delimiter, each of a length or up to a delimiter of its own.
  void skip_sequence(int depth, bool has_kind) {
    GRAFT_CHECK(depth <= kDeepest, name_, ": broken DICOM: nested more than ", kDeepest, " deep");
    for (;;) {
      const ElementHeader item = header(false);
      if (item.tag == kSequenceEnd) return;
      GRAFT_CHECK(item.tag == kItem, name_, ": broken DICOM: no item at offset ", at_ - 8);
      if (item.length != kUndefined) {
        at_ += (need(item.length), item.length);
        continue;
      }
      for (;;) {
        const ElementHeader inner = header(has_kind);
        if (inner.tag == kItemEnd) break;
        if (inner.length != kUndefined)
          at_ += (need(inner.length), inner.length);
        else  // of unknown kind: implicit within (PS3.5, section 6.2.2)
          skip_sequence(depth + 1, has_kind && inner.is_sequence);
      }
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  bool whole_, explicit_ = true;
  size_t at_ = 0;
  DicomElements found_;
};

}  // namespace

int64_t DicomElements::number(uint32_t tag, int64_t otherwise) const {
  const auto found = values.find(tag);
  if (found == values.end() || found->second.size() < 2) return otherwise;
  return std::to_integer<int64_t>(found->second[0]) | std::to_integer<int64_t>(found->second[1])
                                                          << 8;
}

std::string DicomElements::text(uint32_t tag) const {
  const auto found = values.find(tag);
  if (found == values.end()) return "";
  std::string text(reinterpret_cast<const char*>(found->second.data()),
                   std::min<size_t>(found->second.size(), 1024));
  const std::string_view blanks(" \0", 2);
  text.erase(text.find_last_not_of(blanks) + 1);
  text.erase(0, std::min(text.find_first_not_of(blanks), text.size()));
  return text;
}

std::optional<double> DicomElements::decimal(uint32_t tag) const {
  std::string text = this->text(tag);
  text = text.substr(0, text.find('\\'));
  text.erase(text.find_last_not_of(' ') + 1);
  if (text.starts_with('+')) text.erase(0, 1);
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

DicomElements read_dicom_elements(std::span<const std::byte> bytes, const std::string& name,
                                  bool whole) {
  GRAFT_CHECK(bytes.size() >= 132, name, ": broken DICOM: cut off at offset ", bytes.size());
  ElementReader reader(bytes, name, whole);
  return whole ? reader.read() : reader.what_there_is();
}

std::optional<std::span<const std::byte>> next_dicom_item(std::span<const std::byte> pixels,
                                                          size_t& at, const std::string& name) {
  GRAFT_CHECK(pixels.size() - at >= 8, name, ": broken DICOM: its pixels are cut off");
  uint32_t words[2];
  for (size_t w = 0; w < 2; ++w) {
    const std::byte* from = pixels.data() + at + 4 * w;
    words[w] = 0;
    for (int i = 0; i < 4; ++i) words[w] |= std::to_integer<uint32_t>(from[i]) << (8 * i);
  }
  at += 8;
  const uint32_t tag = words[0] << 16 | words[0] >> 16, length = words[1];
  if (tag == kSequenceEnd) return std::nullopt;
  GRAFT_CHECK(tag == kItem, name, ": broken DICOM: its pixels hold no items");
  GRAFT_CHECK(length <= pixels.size() - at, name, ": broken DICOM: its pixels are cut off");
  const auto item = pixels.subspan(at, length);
  at += length;
  return item;
}

}  // namespace graft::io
