#include "graft/tests/support/hostile_files.h"
#include "graft/tests/support/zip_writer.h"

namespace graft {
namespace {

// -- safetensors

std::string framed(const std::string& header, size_t data_bytes, uint64_t claimed) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(claimed >> (8 * i) & 0xff);
  return out + header + std::string(data_bytes, '\0');
}

std::string entry(const std::string& name, const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

HostileFile tensors(const std::string& name, const std::string& header, size_t data_bytes,
                    std::vector<std::string> words) {
  return {name, "w.safetensors", HostileKind::weights,
          [=] { return framed(header, data_bytes, header.size()); }, std::move(words)};
}

HostileFile length(const std::string& name, uint64_t claimed, std::vector<std::string> words) {
  return {name, "w.safetensors", HostileKind::weights,
          [=] { return framed("{" + entry("a", "[1]", "[0,4]") + "}", 4, claimed); },
          std::move(words)};
}

std::vector<HostileFile> safetensors() {
  const std::string one = entry("a", "[1]", "[0,4]");
  return {
      tensors("safetensors_duplicate_keys", "{" + one + "," + entry("a", "[1]", "[4,8]") + "}", 8,
              {"the tensor 'a' twice"}),
      tensors("safetensors_duplicate_fields",
              R"({"a":{"dtype":"F32","dtype":"I8","shape":[1],"data_offsets":[0,4]}})", 4,
              {"'dtype' twice"}),
      tensors("safetensors_duplicate_metadata", R"({"__metadata__":{"k":"1","k":"2"},)" + one + "}",
              4, {"'k' twice"}),
      tensors("safetensors_two_metadatas", R"({"__metadata__":{},"__metadata__":{},)" + one + "}",
              4, {"twice"}),
      tensors("safetensors_hole", "{" + one + "," + entry("b", "[1]", "[8,12]") + "}", 12,
              {"'b' starts at byte 8", "4 was expected"}),
      tensors("safetensors_overlap", "{" + one + "," + entry("b", "[1]", "[0,4]") + "}", 4,
              {"starts at byte 0", "4 was expected"}),
      tensors("safetensors_partial_overlap",
              "{" + entry("a", "[2]", "[0,8]") + "," + entry("b", "[2]", "[4,12]") + "}", 12,
              {"'b' starts at byte 4"}),
      tensors("safetensors_hole_before_an_empty_tensor",
              "{" + one + "," + entry("b", "[0]", "[8,8]") + "}", 8, {"'b' starts at byte 8"}),
      tensors("safetensors_empty_tensor_behind_the_end",
              "{" + one + "," + entry("b", "[0]", "[4000,4000]") + "}", 4,
              {"'b' starts at byte 4000"}),
      tensors("safetensors_ends_before_it_starts",
              "{" + one + "," + entry("b", "[1]", "[4,0]") + "}", 4, {"ends before it starts"}),
      tensors("safetensors_shape_that_wraps",
              "{" + entry("a", "[4194305,4194305,211106198978564]", "[0,16]") + "}", 16,
              {"tensor 'a'"}),
      tensors("safetensors_shape_of_more_than_its_bytes", "{" + entry("a", "[2]", "[0,4]") + "}", 4,
              {"has 4 bytes", "needs 8"}),
      tensors("safetensors_extent_beyond_64_bits",
              "{" + entry("a", "[18446744073709551616]", "[0,4]") + "}", 4, {"w.safetensors"}),
      tensors("safetensors_negative_offset", "{" + entry("a", "[1]", "[-4,0]") + "}", 4,
              {"negative number -4"}),
      tensors("safetensors_fraction_as_extent", "{" + entry("a", "[1.5]", "[0,4]") + "}", 4,
              {"a fraction"}),
      tensors("safetensors_many_axes", "{" + entry("a", "[1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]") + "}",
              4, {"tensor 'a'", "axes"}),
      tensors("safetensors_endless_shape",
              "{" + entry("a", "[" + std::string(100000, '1') + "]", "[0,4]") + "}", 4,
              {"w.safetensors"}),
      tensors("safetensors_bytes_behind_the_data", "{" + one + "}", 9,
              {"5 bytes after the last tensor"}),
      tensors("safetensors_truncated", "{" + entry("a", "[4]", "[0,16]") + "}", 4, {"truncated"}),
      tensors("safetensors_unknown_type",
              R"({"a":{"dtype":"F8_E5M2","shape":[4],"data_offsets":[0,4]}})", 4, {"F8_E5M2"}),
      tensors("safetensors_unknown_field",
              R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":"y"}})", 4,
              {"unknown field 'x'"}),
      tensors("safetensors_deep_json", std::string(100000, '['), 0, {"w.safetensors"}),
      tensors("safetensors_deep_objects",
              [] {
                std::string s;
                for (int i = 0; i < 50000; ++i) s += "{\"a\":";
                return s;
              }(),
              0, {"nested deeper than 64"}),
      tensors("safetensors_name_that_is_not_utf8", "{" + entry("\xff\xfe", "[1]", "[0,4]") + "}", 4,
              {"not JSON"}),
      tensors("safetensors_long_name", "{" + entry(std::string(5000, 'n'), "[1]", "[0,4]") + "}", 4,
              {"name has 5000 bytes"}),
      tensors("safetensors_name_with_a_new_line",
              "{" + entry("a\\nb\\u001b[31m", "[2]", "[0,4]") + "}", 4, {"has 4 bytes"}),
      length("safetensors_header_of_terabytes", uint64_t{1} << 40, {"outside of 2 to 100000000"}),
      length("safetensors_header_of_2_to_the_64", ~uint64_t{0},
             {"18446744073709551615", "outside of 2"}),
      length("safetensors_header_over_the_formats_limit", 100000001, {"100000001", "outside of 2"}),
      length("safetensors_header_within_the_limit_beyond_the_file", 100000000, {"truncated"}),
  };
}

// -- pickles, in a zip archive as torch.save writes it

std::string torch_zip(const std::string& pickle, const std::string& storage) {
  return ZipWriter()
      .add({"a/data.pkl", std::string("\x80\x02") + pickle})
      .add({"a/data/0", storage})
      .add({"a/version", "3\n"})
      .bytes();
}

HostileFile pickle(const std::string& name, const std::string& pickle,
                   std::vector<std::string> words) {
  return {name, "w.pth", HostileKind::weights,
          [=] { return torch_zip(pickle, std::string(16, '\0')); }, std::move(words)};
}

HostileFile code(const std::string& name, const std::string& module, const std::string& function) {
  return pickle(name,
                "c" + module + "\n" + function + "\nX\4" + std::string("\0\0\0exit\x85R.", 10),
                {"contains code: " + module + "." + function});
}

std::string number(int32_t value) {
  return std::string("J").append(reinterpret_cast<const char*>(&value), 4);
}

// {"w": _rebuild_tensor_v2(storage "0" of `numel` floats, offset, size, stride, False,
// OrderedDict())}
std::string tensor(int32_t numel, int32_t offset, const std::string& size,
                   const std::string& stride, const std::string& type = "FloatStorage") {
  const auto text = [](const std::string& s) {
    return std::string("X") + static_cast<char>(s.size()) + std::string(3, '\0') + s;
  };
  return "}" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" +
         type + "\n" + text("0") + text("cpu") + number(numel) + "tQ" + number(offset) + size +
         stride + "\x89" + "ccollections\nOrderedDict\n)RtRs.";
}

// Lists in which each holds the one before twice.
std::string doubled_lists(int levels) {
  std::string out = std::string("]q\0", 3);
  for (int i = 0; i < levels; ++i)
    out += std::string("](h") + static_cast<char>(i) + "h" + static_cast<char>(i) + "eq" +
           static_cast<char>(i + 1);
  for (int i = 0; i < levels; ++i) out += "\x86";
  return out + ".";
}

std::vector<HostileFile> pickles() {
  const std::string four = "K\4\x85", step = "K\1\x85",
                    huge = std::string("\x8a\x08\0\0\0\0\0\0\0\x20", 10);
  std::vector<HostileFile> files = {
      code("pickle_os_system", "os", "system"),
      code("pickle_posix_system", "posix", "system"),
      code("pickle_nt_system", "nt", "system"),
      code("pickle_eval", "builtins", "eval"),
      code("pickle_exec", "__builtin__", "exec"),
      code("pickle_getattr", "builtins", "getattr"),
      code("pickle_subprocess", "subprocess", "Popen"),
      code("pickle_torch_load", "torch", "load"),
      code("pickle_torch_hub", "torch.hub", "load"),
      code("pickle_runpy", "runpy", "run_path"),
      code("pickle_copyreg", "copyreg", "_reconstructor"),
      code("pickle_rebuild_from_type", "torch._tensor", "_rebuild_from_type_v2"),
      pickle("pickle_stack_global", std::string("X\2\0\0\0osX\6\0\0\0system\x93.", 20),
             {"contains code: os.system"}),
      pickle("pickle_code_in_a_name", "cos\nsystem\x1b[31m\n.", {"contains code: os.system?[31m"}),
      pickle("pickle_instance_opcode", "(ios\nsystem\n.", {"opcode 105"}),
      pickle("pickle_object_opcode", "(cos\nsystem\no.", {"opcode 111"}),
      pickle("pickle_extension_opcode", "\x82\1.", {"opcode 130"}),
      pickle("pickle_persistent_text", "Pmodule\n.", {"opcode 80"}),
      pickle("pickle_setitem_on_a_list", "]K\1K\2s.", {"value of another kind"}),
      pickle("pickle_setitem_on_a_number", "K\1K\1K\2s.", {"value of another kind"}),
      pickle("pickle_setitems_on_a_tensor_name", "ctorch\nSize\n(K\1K\2u.",
             {"value of another kind"}),
      pickle("pickle_append_to_a_dict", "}K\1a.", {"value of another kind"}),
      pickle("pickle_state_of_a_number", "K\1}b.", {"plain value"}),
      pickle("pickle_list_inside_itself", std::string("]q\0h\0a.", 7), {"nested deeper"}),
      pickle("pickle_dict_inside_itself", std::string("}q\0K\1h\0s.", 9), {"nested deeper"}),
      pickle("pickle_doubled_lists", doubled_lists(60), {"w.pth"}),
      pickle("pickle_deep_tuples", ")" + std::string(200000, '\x85') + ".", {"nested deeper"}),
      pickle("pickle_many_marks", std::string(1200000, '('), {"beyond the limit"}),
      pickle("pickle_memo_far_away", std::string("Nr\xff\xff\x3f\0.", 7),
             {"remembers more than the limit"}),
      pickle("pickle_text_of_gigabytes", std::string("X\xff\xff\xff\x7f.", 6),
             {"text of 2147483647 bytes"}),
      pickle("pickle_bytes_of_2_to_the_64",
             std::string("\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", 10),
             {"text of 18446744073709551615 bytes"}),
      pickle("pickle_number_of_gigabytes", std::string("\x8b\xff\xff\xff\x7f.", 6),
             {"number of 2147483647 bytes"}),
      pickle("pickle_no_end", "}", {"truncated inside a pickle"}),
      pickle("pickle_storage_larger_than_its_bytes", tensor(5, 0, four, step),
             {"should have 20 bytes, the file has 16"}),
      pickle("pickle_storage_smaller_than_its_bytes", tensor(3, 0, four, step),
             {"should have 12 bytes, the file has 16"}),
      pickle("pickle_view_behind_its_storage", tensor(4, 1, four, step),
             {"outside of its 4 stored elements"}),
      pickle("pickle_stride_behind_its_storage", tensor(4, 0, four, "K\2\x85"),
             {"outside of its 4 stored elements"}),
      pickle("pickle_negative_offset", tensor(4, -1, four, step), {"damaged size or offset"}),
      pickle("pickle_negative_numel", tensor(-4, 0, four, step), {"w.pth"}),
      pickle("pickle_shape_that_wraps", tensor(4, 0, "(" + huge + huge + "K\4t", "(K\1K\1K\1t"),
             {"w.pth"}),
      pickle("pickle_expanded_to_gigabytes",
             tensor(4, 0, number(2147483647) + "\x85", std::string("K\0\x85", 3)),
             {"more than its own size"}),
      pickle("pickle_storage_of_no_type", tensor(4, 0, four, step, "Size"), {"without a type"}),
  };
  files.push_back({"pickle_of_torchscript",
                   "w.pt",
                   HostileKind::weights,
                   [] {
                     return ZipWriter()
                         .add({"a/data.pkl", "\x80\2}."})
                         .add({"a/constants.pkl", "\x80\2)."})
                         .add({"a/code/x.py", "import os"})
                         .bytes();
                   },
                   {"contains code: a TorchScript program"}});
  files.push_back(
      {"pickle_two_of_them",
       "w.pth",
       HostileKind::weights,
       [] {
         return ZipWriter().add({"a/data.pkl", "\x80\2}."}).add({"b/data.pkl", "\x80\2}."}).bytes();
       },
       {"two data.pkl"}});
  return files;
}

}  // namespace

std::vector<HostileFile> hostile_weights() {
  std::vector<HostileFile> files = safetensors();
  for (HostileFile& file : pickles()) files.push_back(std::move(file));
  return files;
}

}  // namespace graft
