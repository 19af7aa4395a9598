#include "graft/tests/support/hostile_files.h"
#include "graft/tests/support/zip_writer.h"

namespace graft {
namespace {

// An .npy file of format 1 (2 when the header is long) around a header's text.
std::string npy(const std::string& header, const std::string& data = "") {
  std::string out = "\x93NUMPY";
  if (header.size() < 65536) {
    out += std::string("\1\0", 2) + static_cast<char>(header.size() & 0xff) +
           static_cast<char>(header.size() >> 8);
  } else {
    out += std::string("\2\0", 2);
    for (int i = 0; i < 4; ++i) out += static_cast<char>(header.size() >> (8 * i) & 0xff);
  }
  return out + header + data;
}

std::string npy_of_shape(const std::string& shape, const std::string& type = "<f4") {
  return npy("{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }\n");
}

std::string with_array(const std::string& array) {
  return ZipWriter().add({"w.npy", array}).bytes();
}

ZipEntry changed(const std::function<void(ZipEntry&)>& change, const std::string& name = "w.npy") {
  ZipEntry entry{name, npy_of_shape("(0,)")};
  change(entry);
  return entry;
}

std::string with_entry(const std::function<void(ZipEntry&)>& change) {
  return ZipWriter().add(changed(change)).bytes();
}

// A member whose content is another member, header and all, that the directory lists too.
std::string overlapping_members() {
  const std::string inner = ZipWriter().add({"b.npy", npy_of_shape("(0,)")}).bytes();
  const std::string member = inner.substr(0, inner.find("PK\x01\x02"));
  ZipWriter writer;
  writer.add({"a.npy", member});
  ZipEntry entry{"b.npy", npy_of_shape("(0,)")};
  entry.offset = 30 + 5;  // behind the first local header
  return writer.add(entry).bytes();
}

std::string bomb(int64_t claimed) {
  const std::string zeros(1 << 20, '\0'), packed = deflated(zeros);
  ZipEntry entry{"w.npy", packed};
  entry.method = 8;
  entry.size = entry.local_size = claimed;
  return ZipWriter().add(entry, &zeros).bytes();
}

HostileFile archive(const std::string& name, std::function<std::string()> content,
                    std::vector<std::string> words) {
  return {name, "w.npz", HostileKind::weights, std::move(content), std::move(words)};
}

HostileFile member(const std::string& name, std::function<void(ZipEntry&)> change,
                   std::vector<std::string> words) {
  return archive(
      name, [change] { return with_entry(change); }, std::move(words));
}

HostileFile array(const std::string& name, std::function<std::string()> content,
                  std::vector<std::string> words) {
  return archive(
      name, [content] { return with_array(content()); }, std::move(words));
}

HostileFile shape(const std::string& name, const std::string& shape,
                  std::vector<std::string> words) {
  return array(
      name, [shape] { return npy_of_shape(shape); }, std::move(words));
}

}  // namespace

std::vector<HostileFile> hostile_archives() {
  const auto named = [](const std::string& name) {
    return [name](ZipEntry& entry) { entry.name = entry.local_name = name; };
  };
  return {
      archive("zip_bomb_beyond_deflate", [] { return bomb(int64_t{1} << 31); },
              {"claims to unpack", "2147483648"}),
      archive("zip_bomb_cut_short", [] { return bomb(1 << 10); },
              {"array 'w'", "not an npy array"}),
      archive("zip_bomb_of_zeros", [] { return bomb(1 << 20); },
              {"array 'w'", "not an npy array"}),  // no array: its megabyte is never unpacked
      archive("zip_overlapping_members", overlapping_members, {"overlap"}),
      archive("zip_duplicate_names",
              [] {
                return ZipWriter()
                    .add(changed([](ZipEntry&) {}))
                    .add(changed([](ZipEntry&) {}))
                    .bytes();
              },
              {"w.npy", "twice"}),
      archive("zip_two_arrays_of_one_name",
              [] {
                return ZipWriter()
                    .add({"w", npy_of_shape("(0,)")})
                    .add({"w.npy", npy_of_shape("(0,)")})
                    .bytes();
              },
              {"w"}),
      member("zip_parent_folder", named("../w.npy"), {"'../w.npy' is not allowed"}),
      member("zip_parent_folder_within", named("a/../../w.npy"), {"is not allowed"}),
      member("zip_absolute_name", named("/etc/w.npy"), {"'/etc/w.npy' is not allowed"}),
      member("zip_windows_name", named("..\\w.npy"), {"is not allowed"}),
      member("zip_drive_name", named("C:w.npy"), {"is not allowed"}),
      member("zip_zero_in_name", named(std::string("w\0.npy", 6)), {"the zip member name 'w"}),
      member("zip_empty_name", named(""), {"is not allowed"}),
      member("zip_local_name_differs", [](ZipEntry& e) { e.local_name = "v.npy"; },
             {"differs between the directory and its local header"}),
      member("zip_local_size_differs", [](ZipEntry& e) { ++e.local_size; },
             {"differs between the directory and its local header"}),
      member("zip_stored_with_two_sizes", [](ZipEntry& e) { ++e.size; }, {"two sizes"}),
      member("zip_encrypted", [](ZipEntry& e) { e.flags = 1; }, {"encrypted"}),
      member("zip_strongly_encrypted", [](ZipEntry& e) { e.flags = 0x41; }, {"encrypted"}),
      member("zip_unknown_method", [](ZipEntry& e) { e.method = 12; }, {"packed by method 12"}),
      member("zip_member_of_another_disk", [](ZipEntry& e) { e.disk = 1; }, {"split zip archive"}),
      member("zip_offset_behind_the_end", [](ZipEntry& e) { e.offset = 0xfffffffe; },
             {"outside of the file"}),
      archive("zip_part_of_many",
              [] { return ZipWriter().add(changed([](ZipEntry&) {})).bytes(1); },
              {"split zip archive"}),
      archive("zip_claims_many_members",
              [] { return ZipWriter().add(changed([](ZipEntry&) {})).bytes(0, 65535); },
              {"65535 members"}),
      archive("zip_of_a_zip",
              [] {
                return ZipWriter().add({"w.npy", with_array(npy_of_shape("(0,)"))}).bytes();
              },
              {"array 'w'", "not an npy array"}),
      shape("npy_terabytes_from_nothing", "(2199023255552,)", {"extent"}),
      shape("npy_more_than_the_file", "(1073741824,)", {"4294967296 bytes"}),
      shape("npy_product_that_wraps", "(4194305, 4194305, 211106198978564)", {"w"}),
      shape("npy_product_to_the_limit", "(1099511627776, 1099511627776, 0)", {"w"}),
      shape("npy_negative_extent", "(-1,)", {"other than a size"}),
      shape("npy_extent_beyond_64_bits", "(18446744073709551616,)", {"other than a size"}),
      shape("npy_a_thousand_axes", "(" + std::string(3000, '1').replace(0, 0, "") + ",)",
            {"other than a size"}),
      array("npy_many_axes",
            [] {
              std::string axes;
              for (int i = 0; i < 9000; ++i) axes += "1, ";
              return npy_of_shape("(" + axes + ")");
            },
            {"axes"}),
      array("npy_python_objects", [] { return npy_of_shape("(1,)", "|O"); },
            {"would need code to be run"}),
      array("npy_nested_header", [] { return npy(std::string(60000, '(')); }, {"npy header"}),
      array("npy_huge_header", [] { return npy(std::string(70000, ' ')); }, {"header", "65536"}),
      array("npy_header_claims_gigabytes",
            [] { return std::string("\x93NUMPY\2\0\xff\xff\xff\xff{", 13); }, {"header"}),
  };
}

}  // namespace graft
